package metric

import (
	"math"
	"math/rand/v2"
	"testing"
)

func expectation(p []float64, predicted []bool) (e Expectation) {
	for i := range p {
		e.Add(p[i], predicted[i])
	}
	return e
}

// all returns the metrics in the order of realised.
func (e Estimates) all() []Estimate {
	return []Estimate{e.Precision, e.Recall, e.F1, e.Accuracy, e.PositiveRate}
}

func realised(c Confusion) []float64 {
	return []float64{c.Precision(), c.Recall(), c.F1(), c.Accuracy(), Ratio(c.TP+c.FN, c.TP+c.FP+c.FN+c.TN)}
}

// With probabilities of 0 and 1 the expected metrics are the realised ones, with intervals of width 0.
func TestExpectationOfCertainty(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		n := rng.IntN(20)
		var e Expectation
		var c Confusion
		for range n {
			positive, predicted := rng.IntN(2) == 1, rng.IntN(3) == 1
			e.Add(float64(Indicator(positive)), predicted)
			c.Add(predicted, positive)
		}
		want := realised(c)
		for i, got := range e.Estimates(nil).all() {
			for _, x := range []float64{got.Value, got.Interval[0], got.Interval[1]} {
				if math.Abs(x-want[i]) > 1e-15 {
					t.Errorf("metric %d of %+v: %+v, want %v", i, c, got, want[i])
				}
			}
		}
	}
}

// Over all possible labels, weighted by their probability, the expected precision,
// accuracy and positive rate are the means, and their standard deviations agree.
func TestExpectationOverAllLabels(t *testing.T) {
	p := []float64{0.9, 0.7, 0.65, 0.4, 0.3, 0.12, 0.5, 0.05}
	predicted := []bool{true, true, true, true, false, false, false, false}
	var mean, square [5]float64
	for labels := range 1 << len(p) {
		weight := 1.0
		var c Confusion
		for i := range p {
			positive := labels>>i&1 == 1
			weight *= map[bool]float64{true: p[i], false: 1 - p[i]}[positive]
			c.Add(predicted[i], positive)
		}
		for i, x := range realised(c) {
			mean[i] += weight * x
			square[i] += weight * x * x
		}
	}
	got := expectation(p, predicted).Estimates(nil).all()
	for _, i := range []int{0, 3, 4} {
		if math.Abs(got[i].Value-mean[i]) > 1e-12 {
			t.Errorf("metric %d: %v, want %v", i, got[i].Value, mean[i])
		}
		half := Z95 * math.Sqrt(square[i]-mean[i]*mean[i])
		if low := max(mean[i]-half, 0); math.Abs(got[i].Interval[0]-low) > 1e-12 {
			t.Errorf("metric %d: from %v, want %v", i, got[i].Interval[0], low)
		}
	}
}

// The realised metrics lie in the 95 % intervals 95 % of the time.
func TestExpectationCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	const n, samples = 1000, 2000
	p, predicted := make([]float64, n), make([]bool, n)
	for i := range p {
		p[i] = rng.Float64() * rng.Float64()
		predicted[i] = p[i] >= 0.3
	}
	estimates := expectation(p, predicted).Estimates(nil).all()
	var inside [5]int
	for range samples {
		var c Confusion
		for i := range p {
			c.Add(predicted[i], rng.Float64() < p[i])
		}
		for i, x := range realised(c) {
			inside[i] += Indicator(x >= estimates[i].Interval[0] && x <= estimates[i].Interval[1])
		}
	}
	for i, k := range inside {
		if rate := float64(k) / samples; rate < 0.93 || rate > 0.97 { // 0.95 ± four standard errors
			t.Errorf("metric %d: coverage %v, want 0.95", i, rate)
		}
	}
}

func TestExpectationMerges(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var whole, merged Expectation
	for range 50 {
		var some Expectation
		for range rng.IntN(10) {
			p, predicted := float64(rng.IntN(1<<20))/(1<<20), rng.IntN(2) == 1 // sums of p are exact, those of p(1−p) are not
			whole.Add(p, predicted)
			some.Add(p, predicted)
		}
		merged.Merge(some)
	}
	a, b := whole.Estimates(nil).all(), merged.Estimates(nil).all()
	same := whole.Rows == merged.Rows && whole.PredictedPositive == merged.PredictedPositive
	for i := range a {
		same = same && a[i].Value == b[i].Value && math.Abs(a[i].Interval[0]-b[i].Interval[0]) <= 1e-12
	}
	if !same {
		t.Errorf("merged %+v, want %+v", merged, whole)
	}
}

func TestExpectationWithoutRows(t *testing.T) {
	for _, got := range new(Expectation).Estimates(nil).all() {
		if got != (Estimate{}) {
			t.Errorf("estimate of no rows: %+v", got)
		}
	}
}
