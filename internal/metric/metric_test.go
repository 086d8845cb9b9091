package metric

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// draw draws probabilities with ties, and labels of both classes.
func draw(t *rapid.T) ([]float64, []bool) {
	one := rapid.Map(rapid.IntRange(0, 20), func(i int) float64 { return float64(i) / 20 })
	p := rapid.SliceOfN(one, 2, 60).Draw(t, "p")
	y := rapid.SliceOfN(rapid.Bool(), len(p), len(p)).Draw(t, "y")
	y[0], y[1] = true, false
	return p, y
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12 }

func TestAUCIsTheFractionOfOrderedPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, y := draw(t)
		var ordered, pairs float64
		for i := range p {
			for j := range p {
				if y[i] && !y[j] {
					pairs++
					if p[i] > p[j] {
						ordered++
					} else if p[i] == p[j] {
						ordered += 0.5
					}
				}
			}
		}
		if got := Rank(p, y).AUC(); !near(got, ordered/pairs) {
			t.Fatalf("AUC(%v, %v) = %v, want %v", p, y, got, ordered/pairs)
		}
	})
}

func TestBestThresholdIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, y := draw(t)
		threshold, best := Rank(p, y).BestThreshold(Confusion.F1)
		if got := ConfusionAt(p, y, threshold).F1(); got != best {
			t.Fatalf("the threshold %v gives F1 %v, not %v", threshold, got, best)
		}
		for i := -1; i <= 41; i++ {
			if f1 := ConfusionAt(p, y, float64(i)/40).F1(); f1 > best {
				t.Fatalf("threshold %v gives F1 %v, more than %v", float64(i)/40, f1, best)
			}
		}
	})
}

func TestKnownMetrics(t *testing.T) {
	// By hand: 11 of 16 pairs are ordered, recall has four steps.
	p := []float64{0.1, 0.4, 0.35, 0.8, 0.8, 0.2, 0.7, 0.4}
	y := []bool{false, false, true, true, false, false, true, true}
	check := func(name string, got, want float64) {
		t.Helper()
		if !near(got, want) {
			t.Errorf("%s = %.17g, want %.17g", name, got, want)
		}
	}
	c := ConfusionAt(p, y, 0.4)
	if c != (Confusion{TP: 3, FP: 2, FN: 1, TN: 2}) {
		t.Errorf("ConfusionAt = %+v", c)
	}
	check("accuracy", c.Accuracy(), 0.625)
	check("precision", c.Precision(), 0.6)
	check("recall", c.Recall(), 0.75)
	check("F1", c.F1(), 2.0/3)
	check("AUC", Rank(p, y).AUC(), 11.0/16)
	check("average precision", Rank(p, y).AveragePrecision(), (1.0/2+2.0/3+3.0/5+4.0/6)/4)
	check("log loss", LogLoss(p, y), 0.624337369349738)
	check("Brier", Brier(p, y), 0.2203125)
}

func TestEdges(t *testing.T) {
	if f1 := (Confusion{TN: 5, FN: 2}).F1(); f1 != 0 {
		t.Errorf("F1 of the always-negative baseline = %v, want 0", f1)
	}
	if l := LogLoss([]float64{0, 1}, []bool{true, false}); math.IsInf(l, 0) || math.IsNaN(l) {
		t.Errorf("log loss of wrong probabilities of 0 and 1 = %v, want a finite number", l)
	}
	threshold, f1 := Rank([]float64{0.5, 0.5}, []bool{true, true}).BestThreshold(Confusion.F1)
	if f1 != 1 || threshold > 0.5 {
		t.Errorf("BestThreshold of positives only = %v with F1 %v, want all rows predicted positive", threshold, f1)
	}
}
