package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// area returns the area under a thinned ROC curve.
func area(roc []ROCPoint) (sum float64) {
	for i := 1; i < len(roc); i++ {
		sum += (roc[i].FPR - roc[i-1].FPR) * (roc[i].TPR + roc[i-1].TPR) / 2
	}
	return sum
}

// checkCurves checks the invariants of curves.
func checkCurves(t rapid.TB, p []float64, y []bool, c Curves) {
	t.Helper()
	checkLines(t, p, y, c)
	checkThresholds(t, p, y, c)
	checkCalibration(t, y, c)
	checkHistogram(t, p, y, c)
}

func checkLines(t rapid.TB, p []float64, y []bool, c Curves) {
	t.Helper()
	positives := Positives(y)
	if both := positives > 0 && positives < len(y); both {
		if got, want := area(c.ROC), Rank(p, y).AUC(); math.Abs(got-want) > 0.002 {
			t.Errorf("%d rows: the area under %d points is %v, the AUC %v", len(y), len(c.ROC), got, want)
		}
		if last := c.ROC[len(c.ROC)-1]; c.ROC[0] != (ROCPoint{}) || last != (ROCPoint{1, 1}) {
			t.Errorf("the ROC curve is from %v to %v", c.ROC[0], last)
		}
	} else if len(c.ROC) != 0 {
		t.Errorf("a ROC curve of one class: %v", c.ROC)
	}
	if len(c.ROC) > curvePoints || len(c.PR) > curvePoints {
		t.Errorf("%d and %d points, too many", len(c.ROC), len(c.PR))
	}
	for i := 1; i < len(c.ROC); i++ {
		if a, b := c.ROC[i-1], c.ROC[i]; b.FPR < a.FPR || b.TPR < a.TPR || a == b {
			t.Errorf("ROC goes from %v to %v", a, b)
		}
	}
	for i := 1; i < len(c.PR); i++ {
		if a, b := c.PR[i-1], c.PR[i]; !(b.Recall > a.Recall) || !(b.Precision > 0 && b.Precision <= 1) {
			t.Errorf("precision and recall go from %v to %v", a, b)
		}
	}
	if n := len(c.PR); (n == 0) != (positives == 0) || n > 0 && c.PR[n-1].Recall != 1 {
		t.Errorf("%d positives: precision and recall end with %v", positives, c.PR)
	}
}

func checkThresholds(t rapid.TB, p []float64, y []bool, c Curves) {
	t.Helper()
	for i, at := range c.Thresholds {
		want := ConfusionAt(p, y, at.Threshold)
		if at.PredictedPositive != want.TP+want.FP || at.F1 != want.F1() ||
			at.Precision != want.Precision() || at.Recall != want.Recall() {
			t.Errorf("at %v: %+v, want %+v", at.Threshold, at, want)
		}
		if i > 0 && at.Threshold <= c.Thresholds[i-1].Threshold {
			t.Errorf("threshold %v follows %v", at.Threshold, c.Thresholds[i-1].Threshold)
		}
	}
}

func checkCalibration(t rapid.TB, y []bool, c Curves) {
	t.Helper()
	positives := Positives(y)
	rows, tp := 0, 0
	for i, bin := range c.Calibration {
		rows, tp = rows+bin.Rows, tp+bin.Positives
		if i > 0 && bin.From <= c.Calibration[i-1].To {
			t.Errorf("tied probabilities are in two bins: %+v", c.Calibration)
		}
		if !(bin.From <= bin.MeanProbability && bin.MeanProbability <= bin.To) || bin.Rows == 0 {
			t.Errorf("calibration bin %+v", bin)
		}
		low, high := bin.Interval[0], bin.Interval[1]
		if !(0 <= low && low <= bin.ObservedFrequency && bin.ObservedFrequency <= high && high <= 1) {
			t.Errorf("frequency %v has the interval %v", bin.ObservedFrequency, bin.Interval)
		}
	}
	if rows != len(y) || tp != positives || len(c.Calibration) > calibrationBins {
		t.Errorf("%d calibration bins have %d rows and %d positives, want %d and %d",
			len(c.Calibration), rows, tp, len(y), positives)
	}
	if e := c.CalibrationError; !(e >= 0 && e <= 1) {
		t.Errorf("calibration error %v", e)
	}
}

func checkHistogram(t rapid.TB, p []float64, y []bool, c Curves) {
	t.Helper()
	positives := Positives(y)
	rows, tp := 0, 0
	for i, bin := range c.Histogram {
		rows, tp = rows+bin.Positives+bin.Negatives, tp+bin.Positives
		in := 0
		for _, x := range p {
			in += Indicator(x >= bin.From && (x < bin.To || i+1 == histogramBins))
		}
		if in != bin.Positives+bin.Negatives {
			t.Errorf("%+v, want %d rows", bin, in)
		}
	}
	if rows != len(y) || tp != positives || len(c.Histogram) != histogramBins {
		t.Errorf("%d histogram bins have %d rows and %d positives, want %d and %d",
			len(c.Histogram), rows, tp, len(y), positives)
	}
}

func TestCurvesInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.Map(rapid.IntRange(0, 40), func(i int) float64 { return float64(i) / 40 })
		p := rapid.SliceOfN(one, 1, 200).Draw(t, "p")
		y := rapid.SliceOfN(rapid.Bool(), len(p), len(p)).Draw(t, "y")
		checkCurves(t, p, y, Rank(p, y).Curves(rapid.Float64Range(0, 1.1).Draw(t, "own"), nil))
	})
}

// Many sizes and shapes, with frequent and with rare positives.
func TestCurvesOfManyRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 0))
	for _, n := range []int{1, 2, 300, 2_000, 20_000, 300_000} {
		if n > 20_000 && testing.Short() {
			continue
		}
		for name, p := range shapes(n) {
			for _, rate := range []float64{0, 0.001, 0.3, 1} {
				y := make([]bool, n)
				for i := range y {
					y[i] = rng.Float64() < rate*(0.5+p[i]/2)
				}
				t.Run(name, func(t *testing.T) { checkCurves(t, p, y, Rank(p, y).Curves(0.3, nil)) })
			}
		}
	}
}

func TestThinningKeepsItsTolerance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(1, 3), 1, 80).Draw(t, "steps")
		tolerance := rapid.Float64Range(0.001, 2).Draw(t, "tolerance")
		points := []point{{0, 0}}
		for i, s := range steps {
			up := rapid.IntRange(-2, 2).Draw(t, "up")
			points = append(points, point{points[i].x + float64(s), points[i].y + float64(up)})
		}
		keep := within(points, tolerance)
		if keep[0] != 0 || keep[len(keep)-1] != len(points)-1 || !slices.IsSorted(keep) {
			t.Fatalf("kept %v of %d", keep, len(points))
		}
		for k := 1; k < len(keep); k++ {
			a, b := points[keep[k-1]], points[keep[k]]
			for _, p := range points[keep[k-1]:keep[k]] {
				if y := a.y + (b.y-a.y)*(p.x-a.x)/(b.x-a.x); math.Abs(y-p.y) > tolerance+1e-9 {
					t.Fatalf("%v is %v off the line from %v to %v", p, y-p.y, a, b)
				}
			}
		}
	})
}

func TestCurvesByHand(t *testing.T) {
	p := []float64{0.1, 0.4, 0.35, 0.8, 0.8, 0.2, 0.7, 0.4}
	y := []bool{false, false, true, true, false, false, true, true}
	c := Rank(p, y).Curves(0.4, func(c Confusion) float64 { return float64(10*c.FP + 60*c.FN) })
	if want := []ROCPoint{{0, 0}, {0.25, 0.25}, {0.25, 0.5}, {0.5, 0.75}, {0.5, 1}, {1, 1}}; !slices.Equal(c.ROC, want) {
		t.Errorf("ROC %v, want %v", c.ROC, want)
	}
	if want := []PRPoint{{0.25, 0.5}, {0.5, 2.0 / 3}, {0.75, 0.6}, {1, 4.0 / 6}}; !slices.Equal(c.PR, want) {
		t.Errorf("precision and recall %v, want %v", c.PR, want)
	}
	if len(c.Thresholds) != 19 {
		t.Errorf("%d thresholds, want 19, the model's own among them", len(c.Thresholds))
	}
	if at := c.Thresholds[7]; at.Threshold != 0.4 || at.PredictedPositive != 5 || *at.Cost != (2*10+1*60)/8.0 {
		t.Errorf("at 0.4: %+v, cost %v", at, *at.Cost)
	}
	if want := (HistogramBin{0.8, 17.0 / 20, 1, 1}); c.Histogram[16] != want {
		t.Errorf("from 0.8: %+v, want %+v", c.Histogram[16], want)
	}

	// One probability for all: one bin, whose error is frequency less probability.
	c = Rank([]float64{0.3, 0.3, 0.3, 0.3}, []bool{true, false, true, false}).Curves(0.5, nil)
	if len(c.Calibration) != 1 || math.Abs(c.CalibrationError-0.2) > 1e-12 {
		t.Errorf("all tied: %+v with an error of %v, want one bin and 0.2", c.Calibration, c.CalibrationError)
	}
	if want := []ROCPoint{{0, 0}, {1, 1}}; !slices.Equal(c.ROC, want) {
		t.Errorf("all tied: ROC %v, want %v", c.ROC, want)
	}
}

// The interval of 15/148 is in Newcombe (1998), table I, method 3.
func TestWilson(t *testing.T) {
	got := wilson(15, 148)
	if math.Abs(got[0]-0.0624) > 5e-5 || math.Abs(got[1]-0.1605) > 5e-5 {
		t.Errorf("15 in 148: %v, want 0.0624 to 0.1605", got)
	}
	if got := wilson(0, 20); math.Abs(got[0]) > 1e-15 || math.Abs(got[1]-0.1611) > 5e-5 {
		t.Errorf("0 in 20: %v, want 0 to 0.1611", got)
	}
}

// Curves of bins depend on the shares of the rows in them, however many there are, and so does the time.
func TestCurvesOfLargeBins(t *testing.T) {
	curves := func(times int) Curves {
		var bins []Bin
		for k := range 100 {
			from := float64(k) / 100
			bins = append(bins, Bin{From: from, Probability: from, Positives: times * (k + 1), Negatives: times * (100 - k)})
		}
		return rankBins(bins).Curves(0.5, nil)
	}
	few, many := curves(1), curves(1e11)
	if !slices.Equal(few.ROC, many.ROC) || !slices.Equal(few.PR, many.PR) {
		t.Errorf("%d and %d points, of more rows %d and %d", len(few.ROC), len(few.PR), len(many.ROC), len(many.PR))
	}
	if off := math.Abs(few.CalibrationError - many.CalibrationError); !(off < 1e-12) {
		t.Errorf("calibration error %v, of more rows %v", few.CalibrationError, many.CalibrationError)
	}
}
