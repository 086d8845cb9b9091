//go:build !race

package programs

const RaceDetector = false
