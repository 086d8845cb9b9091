package metric

import (
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"
	"pgregory.net/rapid"
)

// shapes draws n probabilities from each of several distributions.
func shapes(n int) map[string][]float64 {
	rng := rand.New(rand.NewPCG(3, 0))
	draw := func(f func() float64) []float64 {
		p := make([]float64, n)
		for i := range p {
			p[i] = f()
		}
		return p
	}
	return map[string][]float64{
		"uniform":  draw(rng.Float64),
		"rare":     draw(func() float64 { return math.Pow(rng.Float64(), 40) }),
		"sure":     draw(func() float64 { return 1 - 1e-9*rng.Float64() }),
		"few":      draw(func() float64 { return float64(rng.IntN(5)) / 4 }),
		"denormal": draw(func() float64 { return math.Float64frombits(rng.Uint64N(1 << 40)) }),
		"all tied": draw(func() float64 { return 0.25 }),
		"zeros":    draw(func() float64 { return math.Copysign(0, float64(rng.IntN(2))-0.5) }),
	}
}

func TestSortSorts(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100, 100_000} {
		for name, p := range shapes(n) {
			want, ranks, q := slices.Sorted(slices.Values(p)), []int{n, n/2 + 1, 1}, slices.Clone(p)
			if n > 0 {
				new(Sorter).SortAt(q, ranks)
				for _, rank := range ranks {
					if at := q[rank-1]; at != want[rank-1] || slices.Max(q[:rank]) != at || slices.Min(q[rank-1:]) != at {
						t.Errorf("number %d of %d of shape %s is not at its rank", rank, n, name)
					}
				}
			}
			new(Sorter).Sort(p)
			if !slices.Equal(p, want) {
				t.Errorf("%d of shape %s are not sorted", n, name)
			}
		}
	}
}

func TestCoresDoNotChangeARanking(t *testing.T) {
	p, y := drawMany()
	many := Rank(p, y)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if one := Rank(p, y); !slices.Equal(one.keys, many.keys) {
		t.Error("the ranking on one core differs from that on all")
	}
}

// gonum sorts and integrates by other algorithms.
func TestAUCAgreesWithGonum(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 0))
	for name, p := range shapes(50_000) {
		y := make([]bool, len(p))
		for i := range y {
			y[i] = rng.Float64() < 0.2+p[i]/2
		}
		got := Rank(p, y).AUC()
		stat.SortWeightedLabeled(p, y, nil)
		tpr, fpr, _ := stat.ROC(nil, p, y, nil)
		if want := integrate.Trapezoidal(fpr, tpr); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: AUC %.17g, want %.17g", name, got, want)
		}
	}
}

func TestLogLossOfManyRows(t *testing.T) {
	p, y := drawMany()
	var want float64
	for i := range p {
		truth := p[i]
		if !y[i] {
			truth = 1 - p[i]
		}
		want -= math.Log(truth) / float64(len(p))
	}
	if got := LogLoss(p, y); math.Abs(got-want) > 1e-12 {
		t.Errorf("log loss %.17g, want %.17g", got, want)
	}
}

// count10k counts rows into bins a 10,000th wide, as a database does.
func count10k(p []float64, y []bool) []Bin {
	const n = 10_000
	all := make([]Bin, n)
	sums := make([]float64, n)
	for i, p := range p {
		k := min(int(p*n), n-1)
		if p < float64(k)/n { // p·n was rounded up
			k--
		}
		all[k].Positives += Indicator(y[i])
		all[k].Negatives += Indicator(!y[i])
		sums[k] += p
	}
	var bins []Bin
	for k, b := range all {
		if rows := b.Positives + b.Negatives; rows > 0 {
			b.From = float64(k) / n
			end := 1.0
			if k+1 < n {
				end = math.Nextafter(float64(k+1)/n, 0)
			}
			b.Probability = min(max(sums[k]/float64(rows), b.From), end)
			bins = append(bins, b)
		}
	}
	return bins
}

// exact makes a bin of each distinct probability, which begins at the threshold of a
// ranking of rows.
func exact(p []float64, y []bool) []Bin {
	var bins []Bin
	distinct := slices.Clone(p)
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)
	for i, d := range distinct {
		b := Bin{From: d / 2, Probability: d}
		if i > 0 {
			if b.From = (d + distinct[i-1]) / 2; b.From <= distinct[i-1] {
				b.From = d
			}
		}
		for k := range p {
			if p[k] == d {
				b.Positives += Indicator(y[k])
				b.Negatives += Indicator(!y[k])
			}
		}
		bins = append(bins, b)
	}
	return bins
}

func same(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// drawTied draws probabilities with ties, distant ones and adjacent floating-point numbers.
func drawTied(t *rapid.T) ([]float64, []bool) {
	one := rapid.OneOf(
		rapid.Map(rapid.IntRange(0, 20), func(i int) float64 { return float64(i) / 20 }),
		rapid.Map(rapid.Float64Range(0, 1), func(p float64) float64 { return p + 0 }),
		rapid.Map(rapid.Uint64Range(0, 5), func(i uint64) float64 {
			return math.Float64frombits(math.Float64bits(0.35) + i)
		}),
		rapid.Map(rapid.Uint64Range(0, 5), math.Float64frombits),
	)
	p := rapid.SliceOfN(one, 0, 80).Draw(t, "p")
	return p, rapid.SliceOfN(rapid.Bool(), len(p), len(p)).Draw(t, "y")
}

func TestBinsOfOneProbabilityAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, y := drawTied(t)
		rows, bins := Rank(p, y), rankBins(exact(p, y))
		if a, b := rows.AUC(), bins.AUC(); !same(a, b) {
			t.Errorf("AUC %v, of bins %v", a, b)
		}
		if a, b := rows.AveragePrecision(), bins.AveragePrecision(); !same(a, b) {
			t.Errorf("average precision %v, of bins %v", a, b)
		}
		for name, score := range map[string]func(Confusion) float64{
			"F1": Confusion.F1, "accuracy": Confusion.Accuracy,
			"cost": func(c Confusion) float64 { return -float64(10*c.FP + 60*c.FN) },
		} {
			at, best := rows.BestThreshold(score)
			binAt, binBest := bins.BestThreshold(score)
			if !same(at, binAt) || !same(best, binBest) {
				t.Errorf("%s: %v at %v, of bins %v at %v", name, best, at, binBest, binAt)
			}
		}
		own := rapid.OneOf(rapid.Float64Range(-0.1, 1.1), rapid.SampledFrom(append(p, 0.35))).Draw(t, "own")
		cost := func(c Confusion) float64 { return float64(10*c.FP + 60*c.FN) }
		if a, b := rows.Curves(own, cost), bins.Curves(own, cost); !reflect.DeepEqual(a, b) {
			t.Errorf("curves\n%+v, of bins\n%+v", a, b)
		}
	})
}

func TestNarrowBinsAreNearlyExact(t *testing.T) {
	const rows = 200_000
	all := shapes(rows)
	all["bell"] = nil // as of a logistic regression
	rng := rand.New(rand.NewPCG(7, 0))
	for range rows {
		all["bell"] = append(all["bell"], 1/(1+math.Exp(1.5-1.3*rng.NormFloat64())))
	}
	for shape, p := range all {
		y := make([]bool, rows)
		for i := range y {
			y[i] = rng.Float64() < 0.05+0.9*p[i]*p[i]
		}
		bins := count10k(p, y)
		want, got := Rank(p, y), rankBins(bins)
		near := func(name string, got, want, by float64) {
			t.Helper()
			if !(math.Abs(got-want) <= by) {
				t.Errorf("%s: %s %v, of rows %v", shape, name, got, want)
			}
		}
		_, f1 := want.BestThreshold(Confusion.F1)
		at, binF1 := got.BestThreshold(Confusion.F1)
		curves, exact := got.Curves(at, nil), want.Curves(at, nil)
		if slices.Contains([]string{"uniform", "bell", "few"}, shape) { // the others share a few bins
			near("AUC", got.AUC(), want.AUC(), 1e-3)
			near("average precision", got.AveragePrecision(), want.AveragePrecision(), 1e-3)
			near("F1", binF1, f1, 1e-3)
			near("calibration error", curves.CalibrationError, exact.CalibrationError, 1e-3)
		}

		// The order of pairs within a bin is unknown, at worst the same for all.
		var within float64
		for _, b := range bins {
			within += float64(b.Positives) * float64(b.Negatives)
		}
		near("AUC", got.AUC(), want.AUC(), within/2/float64(want.positives)/float64(want.negatives)+1e-12)

		// The threshold is where a bin begins, so the predictions are exact.
		if c := ConfusionAt(p, y, at); c.F1() != binF1 {
			t.Errorf("%s: F1 %v at %v, of the rows %v", shape, binF1, at, c.F1())
		}
		if !reflect.DeepEqual(curves.Thresholds, exact.Thresholds) {
			t.Errorf("%s: the metrics by threshold differ from those of the rows", shape)
		}
		if !reflect.DeepEqual(curves.Histogram, exact.Histogram) {
			t.Errorf("%s: the histogram differs from that of the rows", shape)
		}
	}
}

func TestManyRowsInBins(t *testing.T) {
	r := rankBins([]Bin{
		{From: 0.1, Probability: 0.2, Negatives: 1 << 52},
		{From: 0.5, Probability: 0.6, Positives: 1 << 52},
	})
	if auc, roc := r.AUC(), r.roc(r.samples()); auc != 1 || !slices.Equal(roc, []ROCPoint{{0, 0}, {0, 1}, {1, 1}}) {
		t.Errorf("two pure bins have AUC %v and ROC curve %v", auc, roc)
	}
}

// drawMany draws a million probabilities, distributed like those of churn, and labels from them.
func drawMany() ([]float64, []bool) {
	rng := rand.New(rand.NewPCG(1, 0))
	p, y := make([]float64, 1_000_000), make([]bool, 1_000_000)
	for i := range p {
		p[i] = (rng.Float64() + rng.Float64()) / 2
		y[i] = rng.Float64() < p[i]
	}
	return p, y
}
