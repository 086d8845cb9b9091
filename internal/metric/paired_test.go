package metric

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// answers draws truths and two models' answers, which agree more often than not.
func answers(rng *rand.Rand, n int, current, candidate float64) (y, a, b []bool) {
	for range n {
		truth, hard := rng.Float64() < 0.3, rng.Float64()
		right := func(share float64) bool { return 0.7*hard+0.3*rng.Float64() < share }
		y = append(y, truth)
		a = append(a, right(current) == truth)
		b = append(b, right(candidate) == truth)
	}
	return y, a, b
}

// Against rows that are really drawn again. An end of 2,000 draws has a standard
// error of 1.6 % of the width of the interval, one of 10,000 of 0.7 %; 7 % is four
// times the error of their difference. Where rows are few the difference is discrete, and a
// step of it comes on top.
func TestCompareAgreesWithResampledRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 0))
	for _, n := range []int{40, 300, 2_000} {
		y, a, b := answers(rng, n, 0.7, 0.75)
		got := Pair(y, a, b).Compare()
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
			t.Errorf("%d rows: %v, drawn row by row %v, tolerance %v", n, got.Interval, want, tolerance)
		}
		better := 0.0
		for _, x := range drawn {
			better += (float64(number(x > 0)) + float64(number(x >= 0))) / 2 / float64(len(drawn))
		}
		if math.Abs(got.Better-better) > 0.05 { // four standard errors of a difference of shares of 2,000 and of 10,000
			t.Errorf("%d rows: better in %v of the replicates, drawn row by row %v", n, got.Better, better)
		}
	}
}

func TestCompareIsTheDifferenceOfTheF1(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 0))
	for _, n := range []int{1, 2, 5, 30, 1000} {
		y, a, b := answers(rng, n, 0.6, 0.8)
		var current, candidate Confusion
		differ := 0
		for i := range y {
			current.Add(a[i], y[i])
			candidate.Add(b[i], y[i])
			differ += number(a[i] != b[i])
		}
		got := Pair(y, a, b).Compare()
		if want := candidate.F1() - current.F1(); math.Abs(got.F1-want) > 1e-15 || got.Differ != differ {
			t.Errorf("%d rows: %v with %d answers different, want %v with %d", n, got.F1, got.Differ, want, differ)
		}
		if got.Interval[0] > got.F1 || got.Interval[1] < got.F1 {
			t.Errorf("%d rows: the interval %v leaves out %v", n, got.Interval, got.F1)
		}
		if n == 1000 && !got.Distinguishable {
			t.Errorf("%v: models right for 0.6 and 0.8 of 1,000 rows should be told apart", got)
		}
	}
}

func TestAModelCannotBeToldFromItself(t *testing.T) {
	y, a, _ := answers(rand.New(rand.NewPCG(8, 0)), 500, 0.7, 0.7)
	if got := Pair(y, a, a).Compare(); got != (F1Difference{Better: 0.5}) {
		t.Errorf("%+v", got)
	}
}

func TestExchangedModelsChangeSigns(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 0))
	for _, share := range []float64{0.6, 0.7, 0.8} {
		y, a, b := answers(rng, 400, 0.7, share)
		one, other := Pair(y, a, b).Compare(), Pair(y, b, a).Compare()
		want := F1Difference{-one.F1, [2]float64{-one.Interval[1], -one.Interval[0]}, 1 - one.Better, one.Distinguishable, one.Differ}
		if other != want {
			t.Errorf("%+v, exchanged %+v", one, other)
		}
	}
}

func TestAZeroHasNoSign(t *testing.T) {
	for _, p := range []PairedCounts{{{{500, 0}, {1, 50}}, {{20, 0}, {0, 80}}}, {{{500, 1}, {0, 50}}, {{20, 0}, {0, 80}}}} {
		d := p.Compare()
		for _, x := range []float64{d.F1, d.Interval[0], d.Interval[1]} {
			if x == 0 && math.Signbit(x) {
				t.Errorf("%v: %+v", p, d)
			}
		}
	}
}

func TestCoresDoNotChangeACompare(t *testing.T) {
	y, a, b := answers(rand.New(rand.NewPCG(10, 0)), 400, 0.7, 0.75)
	many := Pair(y, a, b).Compare()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if one := Pair(y, a, b).Compare(); one != many {
		t.Errorf("on one core %+v, on all %+v", one, many)
	}
}

// 95 of 100 intervals must hold the true difference, here that of a million rows.
// The share in 200 samples has a standard error of 1.5 points, and percentile
// intervals of a few hundred rows are known to be a little narrow.
func TestCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 0))
	truth := difference(Pair(answers(rng, 1_000_000, 0.7, 0.75)).cells())
	const samples = 200
	covered := 0
	for range samples {
		in := Pair(answers(rng, 300, 0.7, 0.75)).Compare().Interval
		covered += number(in[0] <= truth && truth <= in[1])
	}
	if share := float64(covered) / samples; share < 0.89 || share > 0.99 {
		t.Errorf("%v of the intervals hold the true difference of %v, want 0.95", share, truth)
	} else {
		t.Logf("%v of the intervals hold the true difference of %v", share, truth)
	}
}

func BenchmarkCurves(b *testing.B) {
	p, y := drawMany()
	r := Rank(p, y)
	for b.Loop() {
		r.Curves(0.3, nil)
	}
}

func BenchmarkCompare(b *testing.B) {
	p := Pair(answers(rand.New(rand.NewPCG(12, 0)), 250_000, 0.7, 0.75))
	for b.Loop() {
		p.Compare()
	}
}
