package main

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func checkHundredths(t *testing.T, x float64) {
	t.Helper()
	if got, want := string(appendHundredths(nil, x)), strconv.FormatFloat(x, 'f', 2, 64); got != want {
		t.Fatalf("%v is written %s, want %s", x, got, want)
	}
}

func TestHundredths(t *testing.T) {
	for k := range 200*minutesMax + 1 { // each hundredth, each half between two, and their neighbours
		x := float64(k) / 200
		checkHundredths(t, x)
		for up, down, n := x, x, 0; n < 5; n++ {
			up, down = math.Nextafter(up, 1e6), math.Nextafter(down, 0)
			checkHundredths(t, up)
			checkHundredths(t, down)
		}
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for range 1_000_000 {
		checkHundredths(t, minutesMax*rng.Float64())
	}
}

func FuzzHundredths(f *testing.F) {
	f.Add(0.125)
	f.Add(1.005)
	f.Add(99.995)
	f.Add(1e6)
	f.Fuzz(func(t *testing.T, x float64) {
		if x >= 0 && x <= 1e6 {
			checkHundredths(t, x)
		}
	})
}
