package metric

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// draw makes a case with ties, both classes present.
func draw(t *rapid.T) ([]float64, []bool) {
	p := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 20), func(i int) float64 { return float64(i) / 20 }), 2, 60).Draw(t, "p")
	y := rapid.SliceOfN(rapid.Bool(), len(p), len(p)).Draw(t, "y")
	y[0], y[1] = true, false
	return p, y
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12 }

func TestAUCIsTheShareOfPairsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, y := draw(t)
		var won, pairs float64
		for i := range p {
			for j := range p {
				if y[i] && !y[j] {
					pairs++
					if p[i] > p[j] {
						won++
					} else if p[i] == p[j] {
						won += 0.5
					}
				}
			}
		}
		if got := Rank(p, y).AUC(); !near(got, won/pairs) {
			t.Fatalf("AUC(%v, %v) = %v, want %v", p, y, got, won/pairs)
		}
	})
}

func TestBestThresholdBeatsEveryOther(t *testing.T) {
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

func TestKnownFigures(t *testing.T) {
	// By hand: 11 of 16 pairs in order, four steps of recall.
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
		t.Errorf("Confuse = %+v", c)
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
		t.Errorf("F1 of answering no to everyone = %v, want 0", f1)
	}
	if l := LogLoss([]float64{0, 1}, []bool{true, false}); math.IsInf(l, 0) || math.IsNaN(l) {
		t.Errorf("log loss of certain and wrong answers = %v, want a finite number", l)
	}
	threshold, f1 := Rank([]float64{0.5, 0.5}, []bool{true, true}).BestThreshold(Confusion.F1)
	if f1 != 1 || threshold > 0.5 {
		t.Errorf("BestThreshold of positives only = %v with F1 %v, want everyone positive", threshold, f1)
	}
}
