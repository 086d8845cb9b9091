package metric

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// predictions draws labels and the predictions of two models, which are positively correlated.
func predictions(rng *rand.Rand, n int, current, candidate float64) (y, a, b []bool) {
	for range n {
		truth, hard := rng.Float64() < 0.3, rng.Float64()
		right := func(accuracy float64) bool { return 0.7*hard+0.3*rng.Float64() < accuracy }
		y = append(y, truth)
		a = append(a, right(current) == truth)
		b = append(b, right(candidate) == truth)
	}
	return y, a, b
}

// Compare agrees with a bootstrap that resamples rows. An end of an interval has a
// standard error of 1.6 % of the width with 2,000 replicates and of 0.7 % with 10,000;
// 7 % is four standard errors of their difference. With few rows the difference is
// discrete, which adds a step.
func TestCompareAgreesWithResampledRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 0))
	for _, n := range []int{40, 300, 2_000} {
		y, a, b := predictions(rng, n, 0.7, 0.75)
		got := counts(y, a, b).Compare()
		drawn := make([]float64, 10_000)
		for i := range drawn {
			var current, candidate Confusion
			for range n {
				row := rng.IntN(n)
				current.Add(a[row], y[row])
				candidate.Add(b[row], y[row])
			}
			drawn[i] = candidate.F1() - current.F1()
		}
		slices.Sort(drawn)
		want := [2]float64{drawn[250], drawn[len(drawn)-251]}
		tolerance := 0.07*(want[1]-want[0]) + 0.2/float64(n)
		if math.Abs(got.Interval[0]-want[0]) > tolerance || math.Abs(got.Interval[1]-want[1]) > tolerance {
			t.Errorf("%d rows: %v, resampling rows %v, tolerance %v", n, got.Interval, want, tolerance)
		}
		better := 0.0
		for _, x := range drawn {
			better += (float64(Indicator(x > 0)) + float64(Indicator(x >= 0))) / 2 / float64(len(drawn))
		}
		if math.Abs(got.Better-better) > 0.05 { // four standard errors
			t.Errorf("%d rows: better in %v of the replicates, resampling rows %v", n, got.Better, better)
		}
	}
}

func TestCompareF1(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 0))
	for _, n := range []int{1, 2, 5, 30, 1000} {
		y, a, b := predictions(rng, n, 0.6, 0.8)
		var current, candidate Confusion
		differ := 0
		for i := range y {
			current.Add(a[i], y[i])
			candidate.Add(b[i], y[i])
			differ += Indicator(a[i] != b[i])
		}
		got := counts(y, a, b).Compare()
		if want := candidate.F1() - current.F1(); math.Abs(got.F1-want) > 1e-15 || got.Differ != differ {
			t.Errorf("%d rows: %v with %d different predictions, want %v with %d", n, got.F1, got.Differ, want, differ)
		}
		if got.Interval[0] > got.F1 || got.Interval[1] < got.F1 {
			t.Errorf("%d rows: the interval %v excludes %v", n, got.Interval, got.F1)
		}
		if n == 1000 && !got.Distinguishable {
			t.Errorf("%v: accuracies of 0.6 and 0.8 on 1,000 rows should be distinguishable", got)
		}
	}
}

func TestCompareEqualModels(t *testing.T) {
	y, a, _ := predictions(rand.New(rand.NewPCG(8, 0)), 500, 0.7, 0.7)
	if got := counts(y, a, a).Compare(); got != (F1Difference{Better: 0.5, Verdict: NotApart}) {
		t.Errorf("%+v", got)
	}
}

func TestCompareExchangedModels(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 0))
	for _, accuracy := range []float64{0.6, 0.7, 0.8} {
		y, a, b := predictions(rng, 400, 0.7, accuracy)
		one, other := counts(y, a, b).Compare(), counts(y, b, a).Compare()
		want := F1Difference{
			F1:              -one.F1,
			Interval:        [2]float64{-one.Interval[1], -one.Interval[0]},
			Better:          1 - one.Better,
			Distinguishable: one.Distinguishable,
			Verdict:         map[string]string{Better: Worse, Worse: Better, NotApart: NotApart}[one.Verdict],
			Differ:          one.Differ,
		}
		if other != want {
			t.Errorf("%+v, exchanged %+v", one, other)
		}
	}
}

func TestCompareHasNoNegativeZero(t *testing.T) {
	for _, p := range []PairedCounts{
		{{{500, 0}, {1, 50}}, {{20, 0}, {0, 80}}},
		{{{500, 1}, {0, 50}}, {{20, 0}, {0, 80}}},
	} {
		d := p.Compare()
		for _, x := range []float64{d.F1, d.Interval[0], d.Interval[1]} {
			if x == 0 && math.Signbit(x) {
				t.Errorf("%v: %+v", p, d)
			}
		}
	}
}

func TestCoresDoNotChangeACompare(t *testing.T) {
	y, a, b := predictions(rand.New(rand.NewPCG(10, 0)), 400, 0.7, 0.75)
	many := counts(y, a, b).Compare()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if one := counts(y, a, b).Compare(); one != many {
		t.Errorf("on one core %+v, on all %+v", one, many)
	}
}

// 95 % of the intervals contain the true difference, estimated from a million rows. The
// coverage in 200 samples has a standard error of 0.015, and percentile intervals of a
// few hundred rows are known to be slightly narrow.
func TestCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 0))
	truth := difference(counts(predictions(rng, 1_000_000, 0.7, 0.75)).cells())
	const samples = 200
	covered := 0
	for range samples {
		in := counts(predictions(rng, 300, 0.7, 0.75)).Compare().Interval
		covered += Indicator(in[0] <= truth && truth <= in[1])
	}
	if coverage := float64(covered) / samples; coverage < 0.89 || coverage > 0.99 {
		t.Errorf("coverage %v of the true difference %v, want 0.95", coverage, truth)
	} else {
		t.Logf("coverage %v of the true difference %v", coverage, truth)
	}
}

func BenchmarkCompare(b *testing.B) {
	p := counts(predictions(rand.New(rand.NewPCG(12, 0)), 250_000, 0.7, 0.75))
	for b.Loop() {
		p.Compare()
	}
}

// counts counts the predictions of two models on the same rows.
func counts(positive, current, candidate []bool) PairedCounts {
	scores := func(answers []bool) []float64 {
		out := make([]float64, len(answers))
		for i, a := range answers {
			out[i] = 0.25 + 0.5*float64(Indicator(a))
		}
		return out
	}
	return Pair(positive, scores(current), scores(candidate), [2]float64{0.5, 0.5}).Counts
}
