package logreg

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// draw makes n rows of two numbers and a category of three levels, some cells missing.
func draw(n int, seed uint64) *design {
	rng := rand.New(rand.NewPCG(seed, 0))
	r := &design{
		Numbers: []Numbers{
			{Values: make([]float64, n), Fill: 1, Mean: 1, Scale: 2},
			{Values: make([]float64, n), Mean: 50, Scale: 100},
		},
		Levels:      []Levels{{Codes: make([]uint16, n), Weight: []int32{2, 3, -1}, Missing: 4}},
		Positive:    make([]bool, n),
		ClassWeight: [2]float64{1, 1},
		Width:       5,
	}
	for i := range n {
		r.Numbers[0].Values[i] = 1 + 2*rng.NormFloat64()
		r.Numbers[1].Values[i] = 50 + 100*rng.NormFloat64()
		r.Levels[0].Codes[i] = uint16(rng.IntN(3))
		if rng.IntN(20) == 0 {
			r.Numbers[0].Values[i] = math.NaN()
			r.Levels[0].Codes[i] = math.MaxUint16
		}
		z := 0.3 + 0.8*r.Numbers[0].At(int32(i)) - 0.5*r.Numbers[1].At(int32(i)) + float64(r.Levels[0].Codes[i]%3)/2
		r.Positive[i] = rng.Float64() < Sigmoid(z)
		r.Use = append(r.Use, int32(i))
	}
	return r
}

func pass(t *testing.T, r *Rows, w []float64) *Sums {
	t.Helper()
	s := NewSums(r.Width)
	if err := r.pass(t.Context(), w, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLossAtZeroIsLn2(t *testing.T) {
	r := draw(500, 1)
	if got := pass(t, r.rows(), make([]float64, 6)).Loss / 500; math.Abs(got-math.Ln2) > 1e-12 {
		t.Errorf("mean loss at w = 0 is %v, want ln 2", got)
	}
}

func TestDerivativesAgreeWithDifferences(t *testing.T) {
	r := draw(300, 2)
	r.ClassWeight = [2]float64{0.7, 1.9}
	w := []float64{0.3, -0.2, 0.1, 0.4, -0.6, 0.05}
	s, central := pass(t, r.rows(), w), &fd.Settings{Formula: fd.Central}
	gradient := fd.Gradient(nil, func(w []float64) float64 { return pass(t, r.rows(), w).Loss }, w, central)
	if !floats.EqualApprox(gradient, s.Gradient, 1e-5) {
		t.Errorf("gradient %v, by differences %v", s.Gradient, gradient)
	}
	for j := range w {
		column := fd.Gradient(nil, func(w []float64) float64 { return pass(t, r.rows(), w).Gradient[j] }, w, central)
		for k := j; k < len(w); k++ {
			if got := s.Hessian[j*6+k]; math.Abs(got-column[k]) > 1e-5 {
				t.Errorf("Hessian[%d,%d] = %v, by differences %v", j, k, got, column[k])
			}
		}
	}
}

func TestCoresDoNotChangeTheSums(t *testing.T) {
	r := draw(50_000, 3)
	w := []float64{0.3, -0.2, 0.1, 0.4, -0.6, 0.05}
	many := pass(t, r.rows(), w)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := pass(t, r.rows(), w)
	if one.Loss != many.Loss || !slices.Equal(one.Gradient, many.Gradient) || !slices.Equal(one.Hessian, many.Hessian) {
		t.Error("the sums on one core differ from those on all")
	}
}

func TestFitFindsTheMinimum(t *testing.T) {
	for _, n := range []int{50, 2_000, 200_000} {
		r := draw(n, 4)
		passes := 0
		counted := func(ctx context.Context, w []float64, s *Sums) error {
			passes++
			return r.Pass(ctx, w, s)
		}
		fit, err := Fit(t.Context(), counted, ridge(r.Width, 1))
		if err != nil {
			t.Fatalf("%d rows: %v", n, err)
		}
		g := slices.Clone(fit.Sums.Gradient)
		floats.Add(g[:r.Width], fit.Weights[:r.Width]) // c = 1
		if worst := floats.Norm(g, math.Inf(1)) / float64(n); worst > 1e-12 {
			t.Errorf("%d rows: the gradient over n is %v at the minimum", n, worst)
		}
		if passes > fit.Iterations+2 {
			t.Errorf("%d rows: %d passes for %d iterations, want one each", n, passes, fit.Iterations)
		}
	}
}

// Along all levels up and the intercept down only the penalty has curvature. With many
// rows, or a large c, the gradient is tiny far from the minimum.
func TestFitGoesAlongAFlatDirection(t *testing.T) {
	const c = 1e5
	r := draw(2000, 11)
	r.Levels[0].Weight, r.Width = []int32{2, 3, 5}, 6
	want, err := Fit(t.Context(), r.Pass, ridge(r.Width, c))
	if err != nil {
		t.Fatal(err)
	}
	start := slices.Clone(want.Weights)
	const far = 1e-4
	for k := 2; k < r.Width; k++ {
		start[k] += far
	}
	start[r.Width] -= far
	got, err := Fit(t.Context(), r.Pass, Problem{Penalty: Ridge(r.Width), C: c, Start: start})
	if err != nil {
		t.Fatal(err)
	}
	if !floats.EqualApprox(got.Weights, want.Weights, 1e-8) {
		t.Errorf("weights %v, want %v", got.Weights, want.Weights)
	}
}

// The intercept is the weight of a column of ones without a penalty.
func TestInterceptIsAColumnOfOnes(t *testing.T) {
	r := draw(1000, 5)
	want, err := Fit(t.Context(), r.Pass, ridge(r.Width, 1e12)) // hardly any penalty
	if err != nil {
		t.Fatal(err)
	}
	ones := *r
	ones.Numbers = append(slices.Clone(r.Numbers), Numbers{Values: make([]float64, 1000), Mean: -1, Scale: 1})
	ones.Levels = []Levels{{Codes: r.Levels[0].Codes, Weight: []int32{3, 4, -1}, Missing: 5}}
	ones.Width = 6
	got, err := Fit(t.Context(), ones.Pass, ridge(ones.Width, 1e3))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := want.Weights[5], got.Weights[2]+got.Weights[6]; math.Abs(a-b) > 0.05 {
		t.Errorf("intercept %v, with a column of ones %v", a, b)
	}
}

func TestSeparableRowsConverge(t *testing.T) {
	r := draw(400, 6)
	for i := range r.Positive {
		r.Positive[i] = r.Numbers[1].Values[i] > 50
	}
	fit, err := Fit(t.Context(), r.Pass, ridge(r.Width, 1e6))
	if err != nil {
		t.Fatal(err)
	}
	if fit.Iterations > 50 {
		t.Errorf("%d iterations", fit.Iterations)
	}
}

func TestFitReportsThePassError(t *testing.T) {
	want := errors.New("no rows")
	calls := 0
	_, err := Fit(t.Context(), func(context.Context, []float64, *Sums) error {
		calls++
		return want
	}, ridge(2, 1))
	if !errors.Is(err, want) || calls != 1 {
		t.Errorf("error %v after %d passes, want the pass's own after one", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := draw(100, 7)
	if _, err := Fit(ctx, r.Pass, ridge(r.Width, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after a cancel, want context.Canceled", err)
	}
}

// Standard errors against the standard deviation of the weights over redrawn rows.
func TestCovarianceIsThatOfTheWeights(t *testing.T) {
	for _, weight := range [][2]float64{{1, 1}, {0.6, 3}} {
		const draws = 300
		var sum, squares, variance, sandwich float64
		for seed := range uint64(draws) {
			r := draw(800, 100+seed)
			r.ClassWeight = weight
			fit, err := Fit(t.Context(), r.Pass, ridge(r.Width, 1))
			if err != nil {
				t.Fatal(err)
			}
			scoreCov := scoreCovariance(t, r, fit.Weights)
			plain, _, err := fit.Covariance(nil)
			if err != nil {
				t.Fatal(err)
			}
			robust, _, err := fit.Covariance(scoreCov)
			if err != nil {
				t.Fatal(err)
			}
			sum += fit.Weights[0]
			squares += fit.Weights[0] * fit.Weights[0]
			variance += plain.At(0, 0) / draws
			sandwich += robust.At(0, 0) / draws
		}
		variation := (squares - sum*sum/draws) / (draws - 1)
		if ratio := sandwich / variation; ratio < 0.75 || ratio > 1.33 {
			t.Errorf("class weights %v: sandwich variance %v, over redrawn rows %v", weight, sandwich, variation)
		}
		if ratio := variance / variation; weight[0] == 1 && (ratio < 0.75 || ratio > 1.33) {
			t.Errorf("variance %v, over redrawn rows %v", variance, variation)
		}
	}
}

// The steps of Fellner and Schall end where the restricted likelihood by Laplace's method is largest, whatever C.
func TestFellnerSchallMaximisesTheRestrictedLikelihood(t *testing.T) {
	const c, part = 0.3, 6 * (curveKnots - 2) // entries of a curve's second differences
	r, penalty := drawCurves(4000, 1, [3]func(x float64) float64{
		func(x float64) float64 { return 2 * math.Sin(2.2*x) },
		func(x float64) float64 { return 0.3 * x },
		func(float64) float64 { return 0 },
	})
	smooth := func(by [2]float64) (fit *Fitted, parts []Penalty, likelihood float64) {
		p := slices.Clone(penalty)
		for k := range by {
			parts = append(parts, p[r.Width+k*part:][:part])
			for i := range parts[k] {
				parts[k][i].Value *= by[k]
			}
		}
		fit, err := Fit(t.Context(), r.pass, Problem{C: c, Penalty: p, Start: make([]float64, r.Width+1)})
		if err != nil {
			t.Fatal(err)
		}
		prior, posterior := penalised(NewSums(r.Width), c, p), penalised(fit.Sums, c, p)
		prior.SetSym(r.Width, r.Width, 1)
		var a, b mat.Cholesky
		if !a.Factorize(prior) || !b.Factorize(posterior) {
			t.Fatal("not positive definite")
		}
		return fit, parts, -fit.Objective/c + (a.LogDet()-b.LogDet())/2
	}
	by := [2]float64{1, 1}
	fit, parts, first := smooth(by)
	likelihood := first
	for range 30 {
		factors, err := fit.FellnerSchall(parts)
		if err != nil {
			t.Fatal(err)
		}
		for k := range by {
			by[k] = min(by[k]*factors[k], 1e4)
		}
		fit, parts, likelihood = smooth(by)
	}
	t.Logf("smoothed by %.3g: %.4f, at first %.4f", by, likelihood, first)
	if by[0] > 1 || by[1] < 10 || likelihood < first+0.5 {
		t.Errorf("a bent and a straight curve are smoothed by %g: likelihood %g, at first %g", by, likelihood, first)
	}
	for k := range by {
		for _, factor := range []float64{0.3, 3} {
			other := by
			other[k] *= factor
			if _, _, l := smooth(other); l > likelihood+0.01 {
				t.Errorf("smoothed by %g: likelihood %.4f, by %g only %.4f", other, l, by, likelihood)
			}
		}
	}
}

// The bound on what the last step leaves holds wherever that is not verified, and saves a pass.
func TestUnverifiedStepsAreWithinTheirBound(t *testing.T) {
	unverified := 0
	for seed := range uint64(40) {
		r := draw(400+int(seed)*50, seed)
		if seed%3 == 0 { // levels and intercept then have a flat direction
			r.Levels[0].Weight, r.Width = []int32{2, 3, 5}, 6
		}
		if seed%4 == 0 {
			r.ClassWeight = [2]float64{0.5, 3}
		}
		want, err := Fit(t.Context(), r.Pass, ridge(r.Width, 1))
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		start := slices.Clone(want.Weights)
		for k := range start {
			start[k] += 0.02 * rng.NormFloat64()
		}
		passes := 0
		counted := func(ctx context.Context, w []float64, s *Sums) error {
			passes++
			return r.Pass(ctx, w, s)
		}
		reach := func(step []float64) (most float64) {
			p, err := r.rows().Probabilities(t.Context(), step)
			for _, x := range p {
				most = max(most, math.Abs(math.Log(x/(1-x))))
			}
			if err != nil {
				t.Fatal(err)
			}
			return most
		}
		got, err := Fit(t.Context(), counted,
			Problem{Penalty: Ridge(r.Width), C: 1, Start: start, LogitChange: reach, Unverified: 1e-2})
		if err != nil {
			t.Fatal(err)
		}
		if passes == 1 {
			unverified++
		}
		if left := floats.Distance(got.Weights, want.Weights, math.Inf(1)); left > got.NewtonStep {
			t.Errorf("seed %d: %d passes, and %g from the minimum, at most %g", seed, passes, left, got.NewtonStep)
		}
		if off := math.Abs(got.Objective-want.Objective) / want.Objective; off > 1e-5 {
			t.Errorf("seed %d: the objective is off by a share of %g", seed, off)
		}
	}
	if unverified < 10 {
		t.Errorf("%d of 40 fits needed one pass", unverified)
	}
}
