package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// The fast ways against the plain ones: all must agree to the last bit.

func TestLevelsAreThoseOfDistuv(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	sets := [][]float64{planShares, regionShares, {0, 1}, {1, 0}, {0.5, 0.5}, {0, 0, 1, 0}, {0, 0.5, 0, 0.5}, {1e-12, 1 - 1e-12}}
	for range 100 {
		sets = append(sets, []float64{rng.Float64(), rng.Float64(), rng.Float64(), rng.Float64()})
	}
	for _, shares := range sets {
		l := newLevels(shares)
		var at word
		exact := distuv.NewCategorical(shares, &at)
		check := func(u uint64) {
			t.Helper()
			at = word(u)
			if got, want := l.at(u), int(exact.Rand()); got != want {
				t.Fatalf("shares %v, number %#x: level %d, distuv draws %d", shares, u, got, want)
			}
		}
		for range 10_000 {
			check(rng.Uint64())
		}
		// Both sides of the ends of all cells, with other bits above those that count.
		for cell := uint64(1); cell < 1<<levelBits; cell++ {
			end := cell<<(53-levelBits) | rng.Uint64()<<53
			check(end - 1)
			check(end)
		}
	}
}

// For a few hundred of these shares distuv panics at the end of some cell.
func TestLevelsOfRoundShares(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, level := range regions {
		for k := range 1001 {
			for _, share := range []float64{float64(k) / 1000, float64(k) / 1024} {
				shares := regionShares
				if err := setShare(&shares, regions, fmt.Sprintf("%s:%v", level, share)); err != nil {
					t.Fatal(err)
				}
				l := newLevels(shares)
				var at word
				exact := distuv.NewCategorical(shares, &at)
				for range 100 {
					at = word(rng.Uint64())
					if got, want := l.at(uint64(at)), int(exact.Rand()); got != want {
						t.Fatalf("%s:%v, number %#x: level %d, distuv draws %d", level, share, at, got, want)
					}
				}
			}
		}
	}
}

func TestPoissonIsThatOfDistuv(t *testing.T) {
	for _, rate := range []float64{0, 1e-9, 0.5, complaintRate, 1.7477, 9.99, 10, 21.2, rateMost} {
		s := newSampler(&population{rate: rate}, rand.NewPCG(2, 2))
		exact := distuv.Poisson{Lambda: rate, Src: rand.NewPCG(2, 2)}
		for i := range 20_000 {
			if got, want := s.poisson(), int(exact.Rand()); got != want {
				t.Fatalf("rate %g, draw %d: %d, distuv draws %d", rate, i, got, want)
			}
		}
	}
}

func TestBelowSigmoid(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	check := func(u, z float64) {
		t.Helper()
		if got, want := belowSigmoid(u, z), u < sigmoid(z); got != want {
			t.Fatalf("belowSigmoid(%v, %v) = %v, want %v", u, z, got, want)
		}
	}
	around := func(z float64) {
		t.Helper()
		p := sigmoid(z)
		for _, u := range []float64{0, rng.Float64(), p, math.Nextafter(p, 0), math.Nextafter(p, 1), p - 0.002, p + 0.002} {
			check(u, z)
		}
	}
	for cell := -2; cell <= len(sigmoids)+2; cell++ {
		z := float64(cell)/sigmoidCells - sigmoidReach
		around(z)
		around(math.Nextafter(z, -100))
		around(math.Nextafter(z, 100))
	}
	for range 200_000 {
		around(60*rng.Float64() - 30)
	}
}

func checkHundredths(t *testing.T, x float64) {
	t.Helper()
	if got, want := string(appendHundredths(nil, x)), strconv.FormatFloat(x, 'f', 2, 64); got != want {
		t.Fatalf("%v is written %s, want %s", x, got, want)
	}
}

func TestHundredths(t *testing.T) {
	for k := range 200*minutesMost + 1 { // each hundredth, each half between two, and their neighbours
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
		checkHundredths(t, minutesMost*rng.Float64())
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
