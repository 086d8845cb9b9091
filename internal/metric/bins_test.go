package metric

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

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
		all[k].Positives += number(y[i])
		all[k].Negatives += number(!y[i])
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

// exact makes a bin of each distinct probability, which begins where a ranking of rows puts its thresholds.
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
				b.Positives += number(y[k])
				b.Negatives += number(!y[k])
			}
		}
		bins = append(bins, b)
	}
	return bins
}

func same(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// Probabilities with ties, far apart and neighbours in floating point.
func drawTied(t *rapid.T) ([]float64, []bool) {
	one := rapid.OneOf(
		rapid.Map(rapid.IntRange(0, 20), func(i int) float64 { return float64(i) / 20 }),
		rapid.Map(rapid.Float64Range(0, 1), func(p float64) float64 { return p + 0 }),
		rapid.Map(rapid.Uint64Range(0, 5), func(i uint64) float64 { return math.Float64frombits(math.Float64bits(0.35) + i) }),
		rapid.Map(rapid.Uint64Range(0, 5), math.Float64frombits),
	)
	p := rapid.SliceOfN(one, 0, 80).Draw(t, "p")
	return p, rapid.SliceOfN(rapid.Bool(), len(p), len(p)).Draw(t, "y")
}

func TestBinsOfOneProbabilityAreTheRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, y := drawTied(t)
		rows, bins := Rank(p, y), RankBins(exact(p, y))
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

func TestNarrowBinsAreNearTheRows(t *testing.T) {
	const rows = 200_000
	all := shapes(rows)
	all["bell"] = nil // as a logistic regression gives them
	rng := rand.New(rand.NewPCG(7, 0))
	for range rows {
		all["bell"] = append(all["bell"], 1/(1+math.Exp(1.5-1.3*rng.NormFloat64())))
	}
	for name, p := range all {
		y := make([]bool, rows)
		for i := range y {
			y[i] = rng.Float64() < 0.05+0.9*p[i]*p[i]
		}
		bins := count10k(p, y)
		want, got := Rank(p, y), RankBins(bins)
		near := func(figure string, got, want, by float64) {
			t.Helper()
			if !(math.Abs(got-want) <= by) {
				t.Errorf("%s: %s %v, of rows %v", name, figure, got, want)
			}
		}
		_, f1 := want.BestThreshold(Confusion.F1)
		at, binF1 := got.BestThreshold(Confusion.F1)
		curves, exact := got.Curves(at, nil), want.Curves(at, nil)
		if slices.Contains([]string{"spread", "bell", "few"}, name) { // the others crowd into a few bins
			near("AUC", got.AUC(), want.AUC(), 1e-3)
			near("average precision", got.AveragePrecision(), want.AveragePrecision(), 1e-3)
			near("F1", binF1, f1, 1e-3)
			near("calibration error", curves.CalibrationError, exact.CalibrationError, 1e-3)
		}

		// What bins cannot tell is the order of the pairs within, at worst all of them one way.
		var within float64
		for _, b := range bins {
			within += float64(b.Positives) * float64(b.Negatives)
		}
		near("AUC", got.AUC(), want.AUC(), within/2/float64(want.positives)/float64(want.negatives)+1e-12)

		// The threshold is where a bin begins, so what it calls is the rows themselves.
		if c := ConfusionAt(p, y, at); c.F1() != binF1 {
			t.Errorf("%s: F1 %v at %v, the rows have %v", name, binF1, at, c.F1())
		}
		if !reflect.DeepEqual(curves.Thresholds, exact.Thresholds) || !reflect.DeepEqual(curves.Histogram, exact.Histogram) {
			t.Errorf("%s: thresholds and histogram on the bins' edges differ from those of the rows", name)
		}
	}
}

func TestManyRowsInBins(t *testing.T) {
	r := RankBins([]Bin{{From: 0.1, Probability: 0.2, Negatives: maxRows / 2}, {From: 0.5, Probability: 0.6, Positives: maxRows / 2}})
	if auc, roc := r.AUC(), r.roc(r.samples()); auc != 1 || !slices.Equal(roc, []ROCPoint{{0, 0}, {0, 1}, {1, 1}}) {
		t.Errorf("two bins apart have an AUC of %v and the ROC curve %v", auc, roc)
	}
}

func TestBinsThatAreNone(t *testing.T) {
	good := Bin{From: 0.25, Probability: 0.3, Positives: 1}
	for name, bins := range map[string][]Bin{
		"NaN":             {{Probability: math.NaN(), Positives: 1}},
		"more than 1":     {{Probability: 1.5, Positives: 1}},
		"less than 0":     {{From: -0.1, Probability: 0.3, Positives: 1}},
		"NaN edge":        {{From: math.NaN(), Probability: 0.3, Positives: 1}},
		"below its edge":  {{From: 0.4, Probability: 0.3, Positives: 1}},
		"no rows":         {{Probability: 0.3}},
		"negative rows":   {{Probability: 0.3, Positives: 2, Negatives: -1}},
		"too many rows":   {good, {From: 0.5, Probability: 0.5, Negatives: maxRows}},
		"overflow":        {{Probability: 0.3, Positives: math.MaxInt, Negatives: math.MaxInt}},
		"twice":           {good, good},
		"descending":      {good, {From: 0.1, Probability: 0.1, Positives: 1}},
		"beyond the next": {good, {From: 0.3, Probability: 0.35, Positives: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "metric: ") {
					t.Errorf("%v: no panic, or %q", bins, text)
				}
			}()
			RankBins(bins)
		})
	}
}
