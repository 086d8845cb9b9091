package logreg

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// columns returns rows that have these numbers as they are.
func columns(x mat.Matrix, positive []bool) *design {
	n, d := x.Dims()
	r := &design{Positive: positive, ClassWeight: [2]float64{0.8, 1.3}, Width: d}
	for j := range d {
		r.Numbers = append(r.Numbers, Numbers{Values: mat.Col(nil, j, x), Scale: 1})
	}
	for i := range n {
		r.Use = append(r.Use, int32(i))
	}
	return r
}

// dependent draws a number, itself again, three levels, one of them again, and a column of
// zeros. The second matrix has the combinations that are constant.
func dependent(n int) (x, constant *mat.Dense, positive []bool) {
	rng := rand.New(rand.NewPCG(1, 0))
	x, positive = mat.NewDense(n, 7, nil), make([]bool, n)
	for i := range n {
		number, level := rng.NormFloat64(), rng.IntN(3)
		x.SetRow(i, []float64{number, 2 * number, 0, 0, 0, 0, 0})
		x.Set(i, 2+level, 1)
		x.Set(i, 5, x.At(i, 4))
		positive[i] = rng.Float64() < Sigmoid(number+float64(level)-1)
	}
	return x, mat.NewDense(7, 4, []float64{
		2, 0, 0, 0,
		-1, 0, 0, 0,
		0, 1, 0, 0,
		0, 1, 0, 0,
		0, 1, 1, 0,
		0, 0, -1, 0,
		0, 0, 0, 1,
	}), positive
}

// At the minimum the weights are orthogonal to the combinations of columns that are constant, so
// the fit is that in an orthonormal basis of the rest, which is well conditioned.
func TestWeakPenaltyOfDependentColumns(t *testing.T) {
	x, constant, positive := dependent(1000)
	var qr mat.QR
	qr.Factorize(constant)
	var q, within mat.Dense
	qr.QTo(&q)
	basis := q.Slice(0, 7, 4, 7)
	within.Mul(x, basis)
	for _, c := range []float64{1, 1e4, 1e6, 1e8, 1e12, 1e15} {
		want, err := Fit(t.Context(), columns(&within, positive).Pass, ridge(3, c))
		if err != nil {
			t.Fatal(err)
		}
		rows := columns(x, positive)
		got, err := Fit(t.Context(), rows.Pass, ridge(7, c))
		if err != nil {
			t.Fatalf("C = %g: %v", c, err)
		}
		var w mat.VecDense
		w.MulVec(basis, mat.NewVecDense(3, want.Weights[:3]))
		tolerance := max(1e-9, 1e-24*c)
		if !floats.EqualApprox(got.Weights, append(w.RawVector().Data, want.Weights[3]), tolerance) {
			t.Errorf("C = %g: weights %v, want %v and %v", c, got.Weights, w.RawVector().Data, want.Weights[3])
		}
		if got.Iterations > want.Iterations+1 {
			t.Errorf("C = %g: %d iterations, want about %d", c, got.Iterations, want.Iterations)
		}
		scoreCov := scoreCovariance(t, rows, got.Weights)
		wantCov := scoreCovariance(t, columns(&within, positive), want.Weights)
		for _, meat := range [][2]*Sums{{nil, nil}, {scoreCov, wantCov}} {
			cov, _, err := got.Covariance(meat[0])
			if err != nil {
				t.Fatal(err)
			}
			among, _, err := want.Covariance(meat[1])
			if err != nil {
				t.Fatal(err)
			}
			level := mat.NewVecDense(8, []float64{0, 0, 1, -1, 0, 0, 0, 0}) // which the data identify
			var part mat.VecDense
			part.MulVec(basis.T(), level.SliceVec(0, 7))
			in := mat.NewVecDense(4, append(mat.Col(nil, 0, &part), 0))
			v, identified := mat.Inner(level, cov, level), mat.Inner(in, among, in)
			if !(math.Abs(v/identified-1) < 1e-6) {
				t.Errorf("C = %g: variance of a contrast %v, want %v", c, v, identified)
			}
			if !(math.Abs(got.EffectiveDF-want.EffectiveDF) < 1e-6) {
				t.Errorf("C = %g: %v effective degrees of freedom, want %v", c, got.EffectiveDF, want.EffectiveDF)
			}
		}
	}
}

// With bounds a weak penalty converges as well.
func TestWeakPenaltyWithBounds(t *testing.T) {
	x, _, positive := dependent(1000)
	problem := ridge(7, 1e6)
	problem.Monotone = []Monotone{{First: 2, N: 3, Sign: -1}}
	fit, err := Fit(t.Context(), columns(x, positive).Pass, problem)
	if err != nil {
		t.Fatal(err)
	}
	w := fit.Weights
	if !(w[2] >= w[3] && w[3] >= w[4]) || math.Abs(w[1]-2*w[0]) > 1e-9 {
		t.Errorf("weights %v rise, or those of a number and its double are not in proportion", w)
	}
}

// Columns that are nearly the same keep weights of their own.
func TestWeakPenaltyOfNearlyDependentColumns(t *testing.T) {
	x, _, positive := dependent(1000)
	rng := rand.New(rand.NewPCG(2, 0))
	for i := range 1000 {
		x.Set(i, 1, x.At(i, 0)+1e-5*rng.NormFloat64())
	}
	for _, c := range []float64{1e6, 1e8, 1e12} {
		fit, err := Fit(t.Context(), columns(x, positive).Pass, ridge(7, c))
		if err != nil {
			t.Fatalf("C = %g: %v", c, err)
		}
		if fit.Iterations > 20 || math.Abs(fit.Weights[0]-fit.Weights[1]) < 1 {
			t.Errorf("C = %g: weights %v after %d iterations", c, fit.Weights, fit.Iterations)
		}
	}
}
