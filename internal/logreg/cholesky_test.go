package logreg

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// levels returns a Hessian of weights of which those from first on are of n levels: a row has one of them.
func levels(size, first, n int) *mat.SymDense {
	rng := rand.New(rand.NewPCG(1, 0))
	a, row := mat.NewSymDense(size, nil), mat.NewVecDense(size, nil)
	for range 20 * size {
		for j := range size {
			row.SetVec(j, rng.NormFloat64())
		}
		for j := first; j < first+n; j++ {
			row.SetVec(j, 0)
		}
		row.SetVec(first+rng.IntN(n), 1)
		row.SetVec(size-1, 1)
		a.SymRankOne(a, 0.2, row)
	}
	for j := range size - 1 {
		a.SetSym(j, j, a.At(j, j)+0.5)
	}
	return a
}

func TestCholeskyEliminatesLevels(t *testing.T) {
	for _, test := range []struct{ size, first, n, from, to int }{
		{120, 0, 100, 0, 100}, {120, 7, 100, 7, 107}, {120, 19, 100, 19, 119}, {101, 0, 100, 0, 100},
		{120, 5, fewest - 1, 0, 0}, {12, 3, 2, 0, 0},
	} {
		a := levels(test.size, test.first, test.n)
		var want mat.Cholesky
		var got cholesky
		if !want.Factorize(a) || !got.factorize(a) {
			t.Fatalf("%+v: not positive definite", test)
		}
		if got.across == nil {
			got.from, got.to = 0, 0
		}
		if got.from != test.from || got.to != test.to {
			t.Errorf("%+v: eliminated from %d to %d", test, got.from, got.to)
		}
		b := mat.NewDense(test.size, 3, nil)
		for i := range test.size {
			for c := range 3 {
				b.Set(i, c, math.Sin(float64(i*3+c)))
			}
		}
		var x, y mat.Dense
		if want.SolveTo(&x, b) != nil || got.SolveTo(&y, b) != nil || !mat.EqualApprox(&x, &y, 1e-12) {
			t.Errorf("%+v: another solution", test)
		}
		if got.SolveTo(b, b) != nil || !mat.Equal(b, &y) {
			t.Errorf("%+v: another solution in place", test)
		}
		if ratio := got.cond() / want.Cond(); ratio < 0.99 || ratio > 1.01 {
			t.Errorf("%+v: condition %g, want %g", test, got.cond(), want.Cond())
		}
	}
}

func TestCholeskyRejectsWhatIsNotPositiveDefinite(t *testing.T) {
	for name, spoil := range map[string]func(a *mat.SymDense){
		"a level without curvature": func(a *mat.SymDense) { a.SetSym(50, 50, 0) },
		"a level with less":         func(a *mat.SymDense) { a.SetSym(50, 50, -1) },
		"another weight with less":  func(a *mat.SymDense) { a.SetSym(2, 2, -1) },
		"NaN":                       func(a *mat.SymDense) { a.SetSym(50, 50, math.NaN()) },
	} {
		a := levels(120, 7, 100)
		spoil(a)
		if f := new(cholesky); f.factorize(a) {
			t.Errorf("%s: factorized", name)
		}
	}
}
