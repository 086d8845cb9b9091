package metric

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// binned aggregates rows as a database does: the bin is the integer part of a rounded
// product.
func binned(p []float64, y []bool, threshold float64, rng *rand.Rand) Binned {
	type key struct {
		bin                 int
		predicted, positive bool
	}
	at := map[key]int{}
	b := Binned{Threshold: threshold}
	for i, p := range p {
		k := key{min(int(p*Bins), Bins-1), p >= threshold, y[i]}
		n, ok := at[k]
		if !ok {
			n, at[k] = len(b.Cells), len(b.Cells)
			b.Cells = append(b.Cells, BinnedCell{
				Bin:               k.bin,
				PredictedPositive: k.predicted,
				Positive:          k.positive,
				Min:               p,
				Max:               p,
			})
		}
		c := &b.Cells[n]
		c.Rows++
		c.Sum += p
		c.SumSquares += p * p
		c.Min, c.Max = min(c.Min, p), max(c.Max, p)
		c.Loss += LogLoss([]float64{p}, []bool{y[i]})
	}
	rng.Shuffle(len(b.Cells), func(i, j int) { b.Cells[i], b.Cells[j] = b.Cells[j], b.Cells[i] })
	return b
}

// drawClustered draws probabilities that share few bins, on the edges of bins and next
// to them, and 0 and 1.
func drawClustered(t *rapid.T) ([]float64, []bool) {
	edge := rapid.Map(rapid.IntRange(0, Bins), func(k int) float64 { return float64(k) / Bins })
	one := rapid.OneOf(
		edge,
		rapid.Map(edge, func(p float64) float64 { return math.Nextafter(p, 0) }),
		rapid.Map(edge, func(p float64) float64 { return min(1, math.Nextafter(p, 2)) }),
		rapid.Map(rapid.IntRange(0, 40), func(i int) float64 { return 0.31415 + float64(i)/1e5 }),
		rapid.SampledFrom([]float64{0, 1, 5e-324, 1 - 0x1p-53, 0.5}),
		rapid.Map(rapid.Float64Range(0, 1), func(p float64) float64 { return p + 0 }),
	)
	p := rapid.SliceOfN(one, 1, 80).Draw(t, "p")
	return p, rapid.SliceOfN(rapid.Bool(), len(p), len(p)).Draw(t, "y")
}

func TestBinnedAgreesWithTheRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, y := drawClustered(t)
		own := rapid.SampledFrom(append(p, 0, 0.5, 1, 0.31422))
		threshold := rapid.OneOf(own, rapid.Float64Range(0, 1)).Draw(t, "threshold")
		b := binned(p, y, threshold, rand.New(rand.NewPCG(1, uint64(len(p)))))
		near := func(what string, got, want, by float64) {
			t.Helper()
			if !(math.Abs(got-want) <= by) {
				t.Errorf("%s = %v, of the rows %v", what, got, want)
			}
		}
		if got, want := b.ConfusionAt(threshold), ConfusionAt(p, y, threshold); got != want {
			t.Errorf("at %v %+v, of the rows %+v", threshold, got, want)
		}
		near("log loss", b.LogLoss(), LogLoss(p, y), 1e-12)
		near("Brier", b.Brier(), Brier(p, y), 1e-12)

		rows, ranking := Rank(p, y), b.Ranking()
		if got, want := b.ConfusionAt(0.5), ConfusionAt(p, y, 0.5); got != want {
			t.Errorf("at 0.5 %+v, of the rows %+v", got, want)
		}
		if positives := Positives(y); positives > 0 && positives < len(y) {
			near("AUC", ranking.AUC(), rows.AUC(), b.AUCErrorBound()+1e-12)
		}
		if d := b.AUCErrorBound(); d < 0 || d > 0.5 {
			t.Errorf("error bound %v", d)
		}
		total, below := 0, -1.0
		for _, s := range b.Bins() {
			total += s.Positives + s.Negatives
			overlaps := s.Min <= below || s.From <= below && below >= 0
			if overlaps || s.From > s.Min || s.Probability < s.Min || s.Probability > s.Max {
				t.Errorf("bin %+v after %v", s, below)
			}
			below = s.Max
		}
		if total != len(p) {
			t.Errorf("bins have %d rows, want %d", total, len(p))
		}
		for name, score := range map[string]func(Confusion) float64{
			"F1": Confusion.F1, "accuracy": Confusion.Accuracy,
			"cost": func(c Confusion) float64 { return -float64(10*c.FP + 60*c.FN) },
		} {
			at, best := ranking.BestThreshold(score)
			if c := ConfusionAt(p, y, at); score(c) != best {
				t.Errorf("%s of %v at %v, of the rows %v", name, best, at, score(c))
			}
			if _, bound := rows.BestThreshold(score); best > bound {
				t.Errorf("%s of %v, of the rows at most %v", name, best, bound)
			}
			if got, want := b.ConfusionAt(at), ConfusionAt(p, y, at); got != want {
				t.Errorf("%s: at %v %+v, of the rows %+v", name, at, got, want)
			}
		}
	})
}

// If the rows of each bin are tied, all metrics are exact.
func TestBinnedWithoutClustersIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.Map(rapid.IntRange(0, 200), func(k int) float64 { return (float64(k) + 0.25) / 201 })
		p := rapid.SliceOfN(one, 2, 60).Draw(t, "p")
		y := rapid.SliceOfN(rapid.Bool(), len(p), len(p)).Draw(t, "y")
		b := binned(p, y, 0.5, rand.New(rand.NewPCG(1, 1)))
		rows, ranking := Rank(p, y), b.Ranking()
		if a, b := ranking.AUC(), rows.AUC(); !same(a, b) {
			t.Errorf("AUC %v, of the rows %v", a, b)
		}
		if a, b := ranking.AveragePrecision(), rows.AveragePrecision(); !same(a, b) {
			t.Errorf("average precision %v, of the rows %v", a, b)
		}
		_, best := ranking.BestThreshold(Confusion.F1)
		if _, want := rows.BestThreshold(Confusion.F1); best != want {
			t.Errorf("F1 %v, of the rows %v", best, want)
		}
		if d := b.AUCErrorBound(); d != 0 && !math.IsNaN(d) {
			t.Errorf("error bound %v", d)
		}
		if a, b := ranking.Curves(0.5, nil).Thresholds, rows.Curves(0.5, nil).Thresholds; !reflect.DeepEqual(a, b) {
			t.Errorf("thresholds %+v, of the rows %+v", a, b)
		}
	})
}

func TestPoolIsTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, y := drawClustered(t)
		rng := rand.New(rand.NewPCG(2, uint64(len(p))))
		cut := rapid.IntRange(0, len(p)).Draw(t, "cut")
		whole := binned(p, y, 0.5, rng)
		pooled := Pool(binned(p[:cut], y[:cut], 0.5, rng), binned(p[cut:], y[cut:], 0.5, rng))
		if got, want := len(pooled.Cells), len(whole.Cells); got != want {
			t.Fatalf("%d cells, of the whole %d", got, want)
		}
		if got, want := pooled.ConfusionAt(pooled.Threshold), whole.ConfusionAt(whole.Threshold); got != want {
			t.Fatalf("%+v, of the whole %+v", got, want)
		}
		if got, want := pooled.ConfusionAt(0.25), whole.ConfusionAt(0.25); got != want {
			t.Fatalf("at 0.25 %+v, of the whole %+v", got, want)
		}
		if a, b := pooled.Brier(), whole.Brier(); math.Abs(a-b) > 1e-12 {
			t.Fatalf("Brier %v, of the whole %v", a, b)
		}
		if a, b := pooled.LogLoss(), whole.LogLoss(); math.Abs(a-b) > 1e-12*max(1, b) {
			t.Fatalf("log loss %v, of the whole %v", a, b)
		}
		for i, s := range pooled.Bins() {
			w := whole.Bins()[i]
			if s.Min != w.Min || s.Max != w.Max || s.Positives != w.Positives || s.Negatives != w.Negatives || s.From != w.From {
				t.Fatalf("bin %d is %+v, of the whole %+v", i, s, w)
			}
		}
	})
}
