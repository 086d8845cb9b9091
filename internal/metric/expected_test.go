package metric

import (
	"math"
	"math/rand/v2"
	"testing"
)

func expectation(p []float64, called []bool) (e Expectation) {
	for i := range p {
		e.Add(p[i], called[i])
	}
	return e
}

// values returns the figures in one order, for comparisons.
func (e Estimates) all() []Estimate {
	return []Estimate{e.Precision, e.Recall, e.F1, e.Accuracy, e.PositiveRate}
}

func realised(c Confusion) []float64 {
	return []float64{c.Precision(), c.Recall(), c.F1(), c.Accuracy(), ratio(c.TP+c.FN, c.TP+c.FP+c.FN+c.TN)}
}

// Without doubt the expected figures are the realised ones, and there is no spread.
func TestExpectedOfCertainty(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		n := rng.IntN(20)
		var e Expectation
		var c Confusion
		for range n {
			truth, called := rng.IntN(2) == 1, rng.IntN(3) == 1
			e.Add(float64(number(truth)), called)
			c.Add(called, truth)
		}
		want := realised(c)
		for i, got := range e.Estimates().all() {
			if math.Abs(got.Value-want[i]) > 1e-15 || math.Abs(got.Interval[0]-want[i]) > 1e-15 || math.Abs(got.Interval[1]-want[i]) > 1e-15 {
				t.Errorf("figure %d of %+v: %+v, want %v", i, c, got, want[i])
			}
		}
	}
}

// All truths that the probabilities allow, each with its chance: the expected
// precision, accuracy and rate are the means, and their spread the deviations.
func TestExpectedAgainstAllTruths(t *testing.T) {
	p := []float64{0.9, 0.7, 0.65, 0.4, 0.3, 0.12, 0.5, 0.05}
	called := []bool{true, true, true, true, false, false, false, false}
	var mean, square [5]float64
	for truths := range 1 << len(p) {
		chance := 1.0
		var c Confusion
		for i := range p {
			truth := truths>>i&1 == 1
			chance *= map[bool]float64{true: p[i], false: 1 - p[i]}[truth]
			c.Add(called[i], truth)
		}
		for i, x := range realised(c) {
			mean[i] += chance * x
			square[i] += chance * x * x
		}
	}
	got := expectation(p, called).Estimates().all()
	for _, i := range []int{0, 3, 4} {
		if math.Abs(got[i].Value-mean[i]) > 1e-12 {
			t.Errorf("figure %d: %v, want %v", i, got[i].Value, mean[i])
		}
		reach := z95 * math.Sqrt(square[i]-mean[i]*mean[i])
		if low := max(mean[i]-reach, 0); math.Abs(got[i].Interval[0]-low) > 1e-12 {
			t.Errorf("figure %d: from %v, want %v", i, got[i].Interval[0], low)
		}
	}
}

// The realised figures of many customers lie in the intervals as often as they say.
func TestExpectedCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	const n, worlds = 1000, 2000
	p, called := make([]float64, n), make([]bool, n)
	for i := range p {
		p[i] = rng.Float64() * rng.Float64()
		called[i] = p[i] >= 0.3
	}
	estimates := expectation(p, called).Estimates().all()
	var inside [5]int
	for range worlds {
		var c Confusion
		for i := range p {
			c.Add(called[i], rng.Float64() < p[i])
		}
		for i, x := range realised(c) {
			inside[i] += number(x >= estimates[i].Interval[0] && x <= estimates[i].Interval[1])
		}
	}
	for i, k := range inside {
		if share := float64(k) / worlds; share < 0.93 || share > 0.97 { // 0.95 and four deviations of 2,000 draws
			t.Errorf("figure %d: %v of the realised ones are inside", i, share)
		}
	}
}

func TestExpectationMerges(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var whole, merged Expectation
	for range 50 {
		var part Expectation
		for range rng.IntN(10) {
			p, called := float64(rng.IntN(1<<20))/(1<<20), rng.IntN(2) == 1 // sums of these are exact, but for the squares
			whole.Add(p, called)
			part.Add(p, called)
		}
		merged.Merge(part)
	}
	a, b := whole.Estimates().all(), merged.Estimates().all()
	for i := range a {
		if whole.Rows != merged.Rows || whole.PredictedPositive != merged.PredictedPositive || a[i].Value != b[i].Value || math.Abs(a[i].Interval[0]-b[i].Interval[0]) > 1e-12 {
			t.Errorf("merged %+v, at once %+v", merged, whole)
		}
	}
}

func TestExpectedOfNobody(t *testing.T) {
	for _, got := range new(Expectation).Estimates().all() {
		if got != (Estimate{}) {
			t.Errorf("estimate of no rows: %+v", got)
		}
	}
}
