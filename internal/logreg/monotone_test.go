package logreg

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const curveKnots = 6 // of the curves in these tests, at 0, 1, 2 …

// drawCurves makes rows of two curves and a line whose true log-odds are given.
func drawCurves(n int, seed uint64, truth [3]func(x float64) float64) (*Rows, Penalty) {
	const width = curveKnots + 1 // the last function is that of missing cells
	curve := &Shape{Knots: []float64{0, 1, 2, 3, 4, 5}, Missing: curveKnots}
	rng := rand.New(rand.NewPCG(seed, 0))
	r := &Rows{
		Bases: []Basis{
			{X: make([]float64, n), Shape: curve, Width: width}, {X: make([]float64, n), Shape: curve, Width: width},
			{X: make([]float64, n), Shape: &Shape{Line: true, Mean: 2.5, Scale: 1, Missing: -1}, Width: 1},
		},
		Terms:    []Term{{A: 0, B: -1}, {A: 1, B: -1, First: width}, {A: 2, B: -1, First: 2 * width}},
		Positive: make([]bool, n), ClassWeight: [2]float64{1, 1}, Width: 2*width + 1,
	}
	for i := range n {
		z := -0.5
		for k := range r.Bases {
			x := rng.Float64() * (curveKnots - 1)
			r.Bases[k].X[i] = x
			z += truth[k](x)
			if k < 2 && rng.IntN(20) == 0 {
				r.Bases[k].X[i] = math.NaN()
			}
		}
		r.Positive[i] = rng.Float64() < Sigmoid(z)
		r.Use = append(r.Use, int32(i))
	}
	p := Ridge(r.Width)
	for _, first := range []int{0, width} {
		for j := range curveKnots {
			p[first+j].Value = 0.05
		}
		for j := first; j < first+curveKnots-2; j++ { // the square of w[j] − 2w[j+1] + w[j+2]
			p = append(p, PenaltyEntry{j, j, 1}, PenaltyEntry{j + 1, j + 1, 4}, PenaltyEntry{j + 2, j + 2, 1},
				PenaltyEntry{j, j + 1, -2}, PenaltyEntry{j + 1, j + 2, -2}, PenaltyEntry{j, j + 2, 1})
		}
	}
	return r, p
}

// runs are constraints on both curves and the line.
func runs(first, second, line float64) []Monotone {
	return []Monotone{{0, curveKnots, first}, {curveKnots + 1, curveKnots, second}, {2*curveKnots + 2, 1, line}}
}

// project moves w to the nearest point that satisfies the runs: pooling adjacent violators.
func project(w []float64, runs []Monotone) {
	for _, r := range runs {
		heights := w[r.First : r.First+r.N]
		if r.N == 1 {
			heights[0] = r.Sign * max(0, r.Sign*heights[0])
			continue
		}
		type pool struct{ sum, n float64 }
		var pools []pool
		for _, h := range heights {
			pools = append(pools, pool{h, 1})
			for last := len(pools) - 1; last > 0; last-- {
				a, b := pools[last-1], pools[last]
				if r.Sign*a.sum/a.n <= r.Sign*b.sum/b.n {
					break
				}
				pools = append(pools[:last-1], pool{a.sum + b.sum, a.n + b.n})
			}
		}
		heights = heights[:0]
		for _, p := range pools {
			for range int(p.n) {
				heights = append(heights, p.sum/p.n)
			}
		}
	}
}

// total returns the objective and its gradient.
func total(t *testing.T, r *Rows, p Problem, w []float64) (float64, []float64) {
	s := pass(t, r, w)
	floats.Scale(p.C, s.Gradient)
	pw := p.Penalty.times(w)
	floats.Add(s.Gradient[:r.Width], pw[:r.Width])
	return p.C*s.Loss + floats.Dot(w[:r.Width], pw[:r.Width])/2, s.Gradient
}

// slowly minimises the objective by accelerated projected gradient (Nesterov), restarted
// where the objective rises.
func slowly(t *testing.T, r *Rows, p Problem) float64 {
	const squares, differences = 10, 16 // at most: |x|² of a row, and the curvature of the penalty
	bound := p.C*float64(len(r.Use))*max(r.ClassWeight[0], r.ClassWeight[1])/4*squares + differences
	w := make([]float64, r.Width+1)
	best, _ := total(t, r, p, w)
	ahead, momentum, quiet := slices.Clone(w), 1.0, 0
	for range 200_000 {
		_, gradient := total(t, r, p, ahead)
		next := slices.Clone(ahead)
		floats.AddScaled(next, -1/bound, gradient)
		project(next, p.Monotone)
		value, _ := total(t, r, p, next)
		if value > best {
			if momentum == 1 { // a plain step: it is at the minimum but for rounding
				return best
			}
			ahead, momentum = slices.Clone(w), 1
			continue
		}
		if quiet++; best-value > 1e-14*best {
			quiet = 0
		}
		if quiet == 200 {
			return value
		}
		faster := (1 + math.Sqrt(1+4*momentum*momentum)) / 2
		for j := range next {
			ahead[j] = next[j] + (momentum-1)/faster*(next[j]-w[j])
		}
		w, best, momentum = next, value, faster
	}
	t.Fatal("the slow method has not converged")
	return 0
}

// checkRuns checks that weights satisfy runs without any tolerance.
func checkRuns(t *testing.T, name string, w []float64, runs []Monotone) {
	t.Helper()
	for _, r := range runs {
		if r.N == 1 && r.Sign*w[r.First] < 0 {
			t.Errorf("%s: weight %d is %v", name, r.First, w[r.First])
		}
		for j := r.First; j < r.First+r.N-1; j++ {
			if !(r.Sign*w[j+1] >= r.Sign*w[j]) {
				t.Errorf("%s: weight %d is %v, the next %v", name, j, w[j], w[j+1])
			}
		}
	}
}

// checkKKT checks that each constraint pushes in its own direction, and only where it is
// active; every other direction has no slope.
func checkKKT(t *testing.T, name string, gradient, w []float64, runs []Monotone, tolerance float64) {
	t.Helper()
	inRun := make([]bool, len(w))
	for _, r := range runs {
		push := 0.0 // along a rise of all heights from j on
		for j := r.First + r.N - 1; j >= r.First; j-- {
			inRun[j] = true
			push += r.Sign * gradient[j]
			level := 0.0
			if r.N > 1 && j == r.First {
				if math.Abs(push) > tolerance { // the first height is free
					t.Errorf("%s: slope %v along the level of the run at %d", name, push, r.First)
				}
				continue
			}
			if r.N > 1 {
				level = w[j-1]
			}
			if push < -tolerance || (w[j] != level && push > tolerance) {
				t.Errorf("%s: slope %v along weight %d, which is %v above its bound", name, push, j, r.Sign*(w[j]-level))
			}
		}
	}
	for j, g := range gradient {
		if !inRun[j] && math.Abs(g) > tolerance {
			t.Errorf("%s: slope %v along weight %d", name, g, j)
		}
	}
}

func TestMonotoneFitAgreesWithProjectedGradient(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	active, most := 0, 0
	for seed := range uint64(12) {
		wave := func(x float64) float64 { return 1.5 * math.Sin(x+float64(seed)) }
		slope := rng.Float64() - 0.5
		tilt := func(x float64) float64 { return slope * x }
		r, penalty := drawCurves(60, seed, [3]func(float64) float64{wave, wave, tilt})
		if seed%3 == 0 {
			r.ClassWeight = [2]float64{0.6, 2.5}
		}
		sign := func(k int) float64 { return float64(1 - int(seed>>k&1)*2) }
		p := Problem{Start: make([]float64, r.Width+1), C: []float64{0.01, 1, 100}[seed%3], Penalty: penalty}
		p.Monotone = runs(sign(0), sign(1), sign(2))
		name := fmt.Sprintf("seed %d, C %g", seed, p.C)
		fit, err := Fit(t.Context(), r.pass, p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkRuns(t, name, fit.Weights, p.Monotone)
		value, gradient := total(t, r, p, fit.Weights)
		checkKKT(t, name, gradient, fit.Weights, p.Monotone, 1e-9*p.C*float64(len(r.Use)))
		if want := slowly(t, r, p); math.Abs(value-want) > 1e-8*max(1, p.C) {
			t.Errorf("%s: objective %v, by projected gradient %v", name, value, want)
		}
		if math.Abs(fit.Objective-value) > 1e-8 || fit.GradientNorm > 1e-8 {
			t.Errorf("%s: objective %v, reported %v with a gradient of %v", name, value, fit.Objective, fit.GradientNorm)
		}
		if most = max(most, fit.Iterations); fit.Iterations > 15 {
			t.Errorf("%s: %d iterations", name, fit.Iterations)
		}
		for _, c := range newBounds(p.Monotone) {
			if c.low >= 0 && fit.Weights[c.low] == fit.Weights[c.high] {
				active++
			}
		}
	}
	t.Logf("%d active bounds, at most %d iterations", active, most)
	if active < 50 {
		t.Errorf("only %d bounds were active", active)
	}
}

func TestPlantedCurves(t *testing.T) {
	up, down := func(x float64) float64 { return x / 2 }, func(x float64) float64 { return -x / 2 }
	r, penalty := drawCurves(3000, 5, [3]func(float64) float64{up, down, down})
	fit := func(runs []Monotone) []float64 {
		t.Helper()
		f, err := Fit(t.Context(), r.pass, Problem{Start: make([]float64, r.Width+1), C: 1, Penalty: penalty, Monotone: runs})
		if err != nil {
			t.Fatal(err)
		}
		return f.Weights
	}
	free := fit(nil)
	checkRuns(t, "free", free, runs(1, -1, -1)) // or the next comparison would say nothing
	if got := fit(runs(1, -1, -1)); !floats.EqualApprox(got, free, 1e-8) {
		t.Errorf("weights %v, without constraints that hold anyway %v", got, free)
	}
	against := fit(runs(-1, 1, 1))
	for _, run := range runs(-1, 1, 1)[:2] {
		heights := against[run.First : run.First+run.N]
		if floats.Max(heights) != floats.Min(heights) {
			t.Errorf("heights %v where the truth goes the other way, want a flat curve", heights)
		}
	}
	if w := against[r.Width-1]; w != 0 || math.Signbit(w) {
		t.Errorf("slope %v where the truth goes the other way, want 0", w)
	}
}

// A loose fit is stopped far from the minimum, and a start may be anywhere.
func TestEveryFitIsMonotone(t *testing.T) {
	wave := func(x float64) float64 { return 3 * math.Sin(2*x) }
	rng := rand.New(rand.NewPCG(2, 2))
	for seed := range uint64(60) {
		r, penalty := drawCurves(400, seed, [3]func(float64) float64{wave, wave, wave})
		p := ridge(r.Width, math.Pow(10, float64(seed%7)-3))
		p.Penalty, p.Monotone = penalty, runs(1, -1, 1)
		p.Tolerance = []float64{0, 0.03, 0.5}[seed%3]
		want, err := Fit(t.Context(), r.pass, p)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("seed %d, tolerance %g", seed, p.Tolerance)
		checkRuns(t, name, want.Weights, p.Monotone)
		p.Start = make([]float64, r.Width+1)
		for j := range p.Start {
			p.Start[j] = rng.NormFloat64() / 2
		}
		start := slices.Clone(p.Start)
		evaluated := func(ctx context.Context, w []float64, s *Sums) error {
			checkRuns(t, name+", on the way", w, p.Monotone)
			return r.pass(ctx, w, s)
		}
		got, err := Fit(t.Context(), evaluated, p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkRuns(t, name+", from afar", got.Weights, p.Monotone)
		if p.Tolerance == 0 && !floats.EqualApprox(got.Weights, want.Weights, 1e-7) {
			t.Errorf("%s: weights %v from afar, want %v", name, got.Weights, want.Weights)
		}
		if !slices.Equal(p.Start, start) {
			t.Errorf("%s: Fit has changed the start", name)
		}
	}
}

// Matrices from well to badly conditioned, and constraints that are active by a hair.
func TestComplementMeetsItsConditions(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for round := range 1000 {
		n := 1 + rng.IntN(30)
		root := mat.NewDense(n+rng.IntN(3), n, nil)
		root.Apply(func(_, _ int, _ float64) float64 {
			return rng.NormFloat64() * math.Pow(10, -float64(round%4)*rng.Float64())
		}, root)
		v, q := mat.NewDense(n, n, nil), mat.NewVecDense(n, nil)
		v.Mul(root.T(), root)
		for k := range n {
			v.Set(k, k, v.At(k, k)+1e-9)
			if rng.IntN(2) == 0 || round%2 == 0 {
				q.SetVec(k, rng.NormFloat64())
			}
		}
		lambda, solved := complement(v, q)
		slack := mat.NewVecDense(n, nil)
		slack.MulVec(v, lambda)
		slack.AddVec(slack, q)
		for k := range n {
			l, s := lambda.AtVec(k), slack.AtVec(k)
			if !solved || l < 0 || s < -1e-8 || min(l, s) > 1e-8 {
				t.Fatalf("round %d: multiplier %v of a slack of %v, solved %v", round, l, s, solved)
			}
		}
	}
}
