package logreg

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/floats"
)

// naive computes the sums by their formulas, row by row.
func naive(r *design, w []float64) *Sums {
	s := NewSums(r.Width)
	x := make([]float64, r.Width+1)
	for _, i := range r.Use {
		clear(x)
		x[r.Width] = 1
		for j := range r.Numbers {
			x[j] = r.Numbers[j].At(i)
		}
		for j := range r.Levels {
			if k := r.Levels[j].At(i); k >= 0 {
				x[k] = 1
			}
		}
		z := floats.Dot(w, x)
		weight, y, margin := r.ClassWeight[0], 0.0, -z
		if r.Positive[i] {
			weight, y, margin = r.ClassWeight[1], 1, z
		}
		p := Sigmoid(z)
		h := weight * p * (1 - p)
		s.Rows++
		s.Loss += weight * (max(0, -margin) + math.Log1p(math.Exp(-math.Abs(z))))
		floats.AddScaled(s.Gradient, weight*(p-y), x)
		for j := range x {
			for k := j; k < len(x); k++ {
				s.Hessian[j*len(x)+k] += h * x[j] * x[k]
			}
		}
	}
	return s
}

// coded returns the rows with codes for their numbers.
func coded(r *design) *design {
	out := *r
	out.Numbers = slices.Clone(r.Numbers)
	for j := range out.Numbers {
		c := &out.Numbers[j]
		values, code := []float64{}, map[float64]uint16{}
		for _, x := range c.Values {
			if _, ok := code[x]; !ok && x == x {
				code[x] = uint16(len(values))
				values = append(values, x)
			}
			k, ok := code[x]
			if !ok {
				k = math.MaxUint16
			}
			c.Codes = append(c.Codes, k)
		}
		c.Values = values
	}
	return &out
}

// withLevels adds categories of the given numbers of levels.
func withLevels(r *design, levels ...int) *design {
	rng := rand.New(rand.NewPCG(9, 0))
	out := *r
	out.Levels = slices.Clone(r.Levels)
	for _, n := range levels {
		c := Levels{Codes: make([]uint16, len(r.Positive)), Missing: -1}
		for range n {
			c.Weight = append(c.Weight, int32(out.Width))
			out.Width++
		}
		for i := range c.Codes {
			c.Codes[i] = uint16(rng.IntN(n))
			if rng.IntN(30) == 0 {
				c.Codes[i] = math.MaxUint16
			}
		}
		out.Levels = append(out.Levels, c)
	}
	return &out
}

func TestPassAddsUpTheFormulas(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 0))
	beyond := withLevels(draw(300, 6), slices.Repeat([]int{15}, 18)...) // 16^18 keys: the last columns are not in them
	for _, c := range beyond.Levels[:len(beyond.Levels)-1] {
		clear(c.Codes)
	}
	for name, r := range map[string]*design{
		"beyond 64 bits":       beyond,
		"few rows":             draw(3, 1),
		"some":                 draw(1000, 2),
		"shards":               draw(9000, 3),
		"many levels":          withLevels(draw(3000, 4), 7, 9, 30),
		"too many for one key": withLevels(draw(5000, 5), 6, 20, 40, 3), // 2·4·7·21·41 keys
	} {
		r.ClassWeight = [2]float64{0.6, 2.5}
		for _, scale := range []float64{0, 0.5, 40, 900} { // of the weights: |z| up to thousands
			w := make([]float64, r.Width+1)
			for j := range w {
				w[j] = scale * rng.NormFloat64()
			}
			check := func(what string, got, want *Sums) {
				t.Helper()
				near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-11*max(1, math.Abs(b)) }
				if got.Rows != want.Rows || !near(got.Loss, want.Loss) {
					t.Errorf("%s, scale %v, %s: %d rows with loss %.17g, want %d with %.17g",
						name, scale, what, got.Rows, got.Loss, want.Rows, want.Loss)
				}
				if !slices.EqualFunc(got.Gradient, want.Gradient, near) || !slices.EqualFunc(got.Hessian, want.Hessian, near) {
					t.Errorf("%s, scale %v, %s: another gradient or Hessian", name, scale, what)
				}
			}
			codes := coded(r)
			check("numbers", pass(t, r.rows(), w), naive(r, w))
			check("codes", pass(t, codes.rows(), w), naive(r, w))
		}
	}
}

func TestCodesGiveTheSameProbabilities(t *testing.T) {
	r := draw(5000, 6)
	w := []float64{0.3, -0.2, 0.1, 0.4, -0.6, 0.05}
	want, err := r.Probabilities(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	got, err := coded(r).Probabilities(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("the probabilities by codes differ from those by numbers")
	}
}
