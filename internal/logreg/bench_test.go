package logreg

import (
	"math"
	"math/rand/v2"
	"testing"
)

// customers makes n rows like the lab's: tenure, complaints and minutes, two
// plans and four regions; three of four rows are used.
func customers(n int, coded bool) *design {
	rng := rand.New(rand.NewPCG(1, 0))
	r := &design{
		Levels: []Levels{
			{Codes: make([]uint16, n), Weight: []int32{3, 4}, Missing: -1},
			{Codes: make([]uint16, n), Weight: []int32{5, 6, 7, 8}, Missing: -1},
		},
		Positive:    make([]bool, n),
		ClassWeight: [2]float64{1, 1},
		Width:       9,
	}
	column := func(mean, scale float64, levels int, draw func() int) {
		c := Numbers{Mean: mean, Scale: scale, Values: make([]float64, levels), Codes: make([]uint16, n)}
		for k := range c.Values {
			c.Values[k] = float64(k)
		}
		for i := range c.Codes {
			c.Codes[i] = uint16(min(max(draw(), 0), levels-1))
		}
		if !coded {
			byRow := make([]float64, n)
			for i, code := range c.Codes {
				byRow[i] = c.Values[code]
			}
			c.Codes, c.Values = nil, byRow
		}
		r.Numbers = append(r.Numbers, c)
	}
	column(30, 17, 60, func() int { return 1 + rng.IntN(59) })
	column(1.2, 1.1, 12, func() int { return int(rng.ExpFloat64() * 1.2) })
	column(3500, 1200, 12000, func() int { return int(3500 + 1200*rng.NormFloat64()) })
	for i := range n {
		r.Levels[0].Codes[i] = uint16(rng.IntN(2))
		r.Levels[1].Codes[i] = uint16(rng.IntN(4))
		z := 0.05
		for j, w := range weights[:3] {
			z += w * r.Numbers[j].At(int32(i))
		}
		r.Positive[i] = rng.Float64() < Sigmoid(z)
		if i%4 != 0 {
			r.Use = append(r.Use, int32(i))
		}
	}
	return r
}

var weights = []float64{-0.5, 0.6, -0.25, 0.17, -0.17, 0.01, -0.05, 0, 0.04, 0.05}

const million = 1_000_000

func benchmark(b *testing.B, do func() error) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPass(b *testing.B) {
	for name, r := range map[string]*design{"codes": customers(million, true), "numbers": customers(million, false)} {
		b.Run(name, func(b *testing.B) {
			g, err := r.rows().Group(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			benchmark(b, func() error { return g(b.Context(), weights, NewSums(r.Width)) })
		})
	}
}

// So many levels that hardly two rows share them all.
func BenchmarkPassOfManyLevels(b *testing.B) {
	r := customers(million/10, true)
	rng := rand.New(rand.NewPCG(2, 0))
	for j := range 8 {
		first := int32(9 + 4*j)
		c := Levels{Codes: make([]uint16, million/10), Weight: []int32{first, first + 1, first + 2, first + 3}}
		for i := range c.Codes {
			c.Codes[i] = uint16(rng.IntN(4))
		}
		r.Levels = append(r.Levels, c)
	}
	r.Width = 9 + 4*8
	w := append(append([]float64{}, weights[:9]...), make([]float64, 4*8+1)...)
	benchmark(b, func() error { return r.Pass(b.Context(), w, NewSums(r.Width)) })
}

func BenchmarkGroup(b *testing.B) {
	r := customers(million, true).rows()
	benchmark(b, func() error { _, err := r.Group(b.Context()); return err })
}

func BenchmarkProbabilities(b *testing.B) {
	r := customers(million, true)
	benchmark(b, func() error {
		p, err := r.Probabilities(b.Context(), weights)
		if err == nil && math.IsNaN(p[0]) {
			b.Fatal("NaN")
		}
		return err
	})
}

func BenchmarkFit(b *testing.B) {
	r := customers(million, true)
	g, err := r.rows().Group(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, func() error { _, err := Fit(b.Context(), g, ridge(r.Width, 1)); return err })
}

// ridge is the problem of d weights, from zeros.
func ridge(d int, c float64) Problem {
	return Problem{C: c, Penalty: Ridge(d), Start: make([]float64, d+1)}
}
