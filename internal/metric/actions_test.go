package metric

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/stat/distuv"
)

func TestProfitIsTheMaximumOverThresholds(t *testing.T) {
	if testing.Short() {
		t.Skip("numbers alone, by brute force")
	}
	rng := rand.New(rand.NewPCG(5, 0))
	for _, o := range []Campaign{
		{Value: 200, CostContact: 1, CostOffer: 10, SuccessRate: 0.3}, // the paper's
		{Value: 20, CostContact: 2, SuccessRate: 0.2},
		{Value: 10, CostContact: 5, CostOffer: 1, SuccessRate: 0.1}, // nobody is worth a call
	} {
		p, y := scored(rng, 300, 0.25, 1.2)
		best := func(rate float64) (most float64, called int) {
			for _, threshold := range append(p, 2) {
				c := ConfusionAt(p, y, threshold)
				gain := rate*(o.Value-o.CostOffer) - o.CostContact
				if x := float64(c.TP)*gain - float64(c.FP)*(o.CostOffer+o.CostContact); x > most {
					most, called = x, c.TP+c.FP
				}
			}
			return most / 300, called
		}
		got := Rank(p, y).Profit(o, ConfusionAt(p, y, 0.5))
		want, called := best(o.SuccessRate)
		if math.Abs(got.Maximum.Value-want) > 1e-12 || got.Called != float64(called)/300 {
			t.Errorf("%+v: the maximum is %v for %v, want %v for %v", o, got.Maximum.Value, got.Called, want, called)
		}
		h := distuv.Beta{Alpha: 20 * o.SuccessRate, Beta: 20 * (1 - o.SuccessRate)}
		expected := func(of func(rate float64) float64) float64 {
			return quad.Fixed(func(g float64) float64 { return of(g) * h.Prob(g) }, 0, 1, 1000, nil, 0)
		}
		profit := expected(func(g float64) float64 { x, _ := best(g); return x })
		expectedCalled := expected(func(g float64) float64 { _, n := best(g); return float64(n) / 300 })
		if math.Abs(got.Expected-profit) > 1e-3*max(profit, 0.1) || math.Abs(got.ExpectedCalled-expectedCalled) > 2e-3 {
			t.Errorf("%+v: expected %v for %v, want %v for %v", o, got.Expected, got.ExpectedCalled, profit, expectedCalled)
		}
		if c := ConfusionAt(p, y, got.Threshold); math.Abs(o.Calls(called, float64(c.TP))/300-want) > 1e-12 {
			t.Errorf("%+v: %d calls bring %v, the maximum is %v", o, called, o.Calls(called, float64(c.TP))/300, want)
		}
		last := got.Curve[len(got.Curve)-1]
		if last != (ProfitPoint{1, got.AtAll}) || got.Curve[0] != (ProfitPoint{}) {
			t.Errorf("%+v: the curve runs from %v to %v", o, got.Curve[0], last)
		}
	}
}

func TestTop(t *testing.T) {
	p := []float64{0.9, 0.8, 0.8, 0.8, 0.1, 0.05}
	y := []bool{true, true, false, false, true, false}
	check := func(capacity, customers, rows int, threshold float64, tied int, precision, churners, recall float64) {
		t.Helper()
		got := Rank(p, y).Top(capacity, customers)
		off := math.Abs(got.Precision.Value-precision) + math.Abs(got.Churners.Value-churners) +
			math.Abs(got.Recall-recall) + math.Abs(got.Threshold-threshold)
		i := got.Precision.Interval
		if !(off < 1e-12) || got.Rows != rows || got.Tied != tied || i[0] > precision || precision > i[1] {
			t.Errorf("Top(%d, %d) = %+v", capacity, customers, got)
		}
	}
	check(1, 6, 1, 0.85, 0, 1, 1, 1./3)
	check(100, 600, 1, 0.85, 0, 1, 100, 1./3)
	check(2, 6, 2, 0.45, 2, 2./3, 4./3, 4./9) // one of three tied rows, of which one is positive
	check(4, 6, 4, 0.45, 0, 0.5, 2, 2./3)
	check(60, 6, 6, 0.025, 0, 0.5, 3, 1) // the capacity is for all
}

func TestGains(t *testing.T) {
	p, y := scored(rand.New(rand.NewPCG(6, 0)), 995, 0.3, 1.3)
	g := Rank(p, y).Curves(0.5, nil).Gains
	rows, found := 0, 0
	for i, x := range g {
		c := ConfusionAt(p, y, x.Threshold)
		rows, found = rows+x.Rows, found+x.Positives
		if c.TP != found || c.TP+c.FP != rows || x.Gain.Value != c.Recall() || x.Called != float64(rows)/995 {
			t.Errorf("tenth %d is %+v, at its threshold %+v", i, x, c)
		}
		if want := x.Rate.Value / (float64(Positives(y)) / 995); math.Abs(x.Lift.Value-want) > 1e-12 {
			t.Errorf("tenth %d has the lift %v, want %v", i, x.Lift.Value, want)
		}
	}
	if len(g) != 10 || found != Positives(y) {
		t.Errorf("%d tenths with %d positives", len(g), found)
	}
	if all := g[len(g)-1].Gain.Interval; all != [2]float64{1, 1} {
		t.Errorf("calling all finds %v of the churners", all)
	}
	if g := Rank([]float64{0.1}, []bool{false}).Curves(0.5, nil).Gains; len(g) != 0 {
		t.Errorf("gains without churners: %v", g)
	}
}

// Eight segments of calibrated probabilities, then the last one with others: more churn, or labels at random.
func TestSegmentsThatAreWorse(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	check := func(name string, rows int, spoil func(rng *rand.Rand, p []float64, y []bool), least, most float64) {
		t.Helper()
		found, false8 := 0, 0
		n := runs(60, 1000)
		others := 0.03 + 3/float64(n)
		for seed := range n {
			rng := rand.New(rand.NewPCG(7, uint64(seed)))
			var segments []Segment
			for k := range 8 {
				p, y := scored(rng, rows, 0.27, 1.35)
				if k == 7 {
					spoil(rng, p, y)
				}
				var s Segment
				for i := range p {
					s.Add(p[i], 0.35, y[i])
				}
				segments = append(segments, s)
			}
			Segments(segments)
			any := false
			for _, s := range segments[:7] {
				any = any || len(s.Worse) > 0
			}
			false8 += Indicator(any)
			found += Indicator(len(segments[7].Worse) > 0)
		}
		rate, wrong := float64(found)/float64(n), float64(false8)/float64(n)
		t.Logf("%s, %4d rows a segment: found %.3f, others %.3f", name, rows, rate, wrong)
		if rate < least || rate > most || wrong > others {
			t.Errorf("%s, %d rows: found %.3f, want %.2f to %.2f; others %.3f, at most %.2f",
				name, rows, rate, least, most, wrong, others)
		}
	}
	none := func(*rand.Rand, []float64, []bool) {}
	more := func(rng *rand.Rand, _ []float64, y []bool) {
		for i := range y {
			y[i] = y[i] || rng.Float64() < 0.2 // 27 % to 42 %
		}
	}
	random := func(rng *rand.Rand, _ []float64, y []bool) {
		rng.Shuffle(len(y), func(i, j int) { y[i], y[j] = y[j], y[i] })
	}
	check("none", 20, none, 0, 0.02)
	for _, rows := range []int{100, 500, 2000} {
		check("none", rows, none, 0, 0.02)
		check("more churn", rows, more, []float64{0.7, 1, 1}[min(rows/500, 2)], 1)
		check("labels at random", rows, random, []float64{0.9, 1, 1}[min(rows/500, 2)], 1)
	}
}
