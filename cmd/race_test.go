//go:build race

package cmd_test

// raceDetector tells that this test was built with -race: then the programs are too.
const raceDetector = true
