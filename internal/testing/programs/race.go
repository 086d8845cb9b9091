//go:build race

package programs

// RaceDetector tells that this test was built with -race: then the programs are too.
const RaceDetector = true
