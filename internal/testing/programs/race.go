//go:build race

package programs

// RaceDetector reports whether this test was built with -race; the programs then are too.
const RaceDetector = true
