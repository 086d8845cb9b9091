package metric

import (
	"math"
	"slices"
)

// Curves are summaries of probabilities and labels for plots, of bounded size for any
// number of rows.
type Curves struct {
	ROC         []ROCPoint         `json:"roc"`              // from (0, 0) to (1, 1); empty if all labels are equal
	PR          []PRPoint          `json:"precision_recall"` // by ascending recall; empty without positives
	Thresholds  []ThresholdMetrics `json:"thresholds"`       // 0.05, 0.10 … 0.95 and the model's own, ascending
	Calibration []CalibrationBin   `json:"calibration"`      // ten bins of equal rows, fewer with many ties
	Histogram   []HistogramBin     `json:"histogram"`        // 20 bins of width 0.05, the last with 1
	Gains       []Gain             `json:"gains"`            // the bins of Calibration by descending probability

	// CalibrationError is the expected calibration error over the bins of Calibration,
	// Σ rows·|observed frequency − mean probability| / Σ rows.
	// Naeini, Cooper & Hauskrecht (2015).
	CalibrationError float64 `json:"expected_calibration_error"`
}

// A ROCPoint is the false positive rate and the true positive rate at a threshold.
type ROCPoint struct {
	FPR float64 `json:"fpr"`
	TPR float64 `json:"tpr"`
}

// A PRPoint is recall and precision at a threshold.
type PRPoint struct {
	Recall    float64 `json:"recall"`
	Precision float64 `json:"precision"`
}

// ThresholdMetrics are the metrics at a threshold.
type ThresholdMetrics struct {
	Threshold         float64  `json:"threshold"`
	PredictedPositive int      `json:"called"` // rows
	Precision         float64  `json:"precision"`
	Recall            float64  `json:"recall"`
	F1                float64  `json:"f1"`
	Cost              *float64 `json:"cost_per_customer,omitzero"`
}

// A CalibrationBin compares probabilities with the observed frequency of positives.
type CalibrationBin struct {
	From              float64    `json:"from"` // lowest probability
	To                float64    `json:"to"`   // highest
	Rows              int        `json:"rows"`
	Positives         int        `json:"positives"`
	MeanProbability   float64    `json:"mean_probability"`
	ObservedFrequency float64    `json:"share"`    // of positives
	Interval          [2]float64 `json:"interval"` // 95 % confidence, of the observed frequency
}

// A HistogramBin counts probabilities of at least From and below To.
type HistogramBin struct {
	From      float64 `json:"from"`
	To        float64 `json:"to"`
	Positives int     `json:"positives"`
	Negatives int     `json:"negatives"`
}

const (
	calibrationBins = 10
	histogramBins   = 20
	thresholdSteps  = 20   // 0.05 apart
	curvePoints     = 200  // at most, as many as a plot can show
	curveSteps      = 4096 // sampled along the ROC curve before thinning
	curveTolerance  = 1e-3 // initial one of thinning: less than a pixel of a plot
)

// Curves summarises the ranking. threshold is the model's own. cost returns the cost
// of all predictions; nil means no costs.
//
// Both curves are sampled at intervals of a 4096th of the ROC curve's length, then
// thinned: each sample left out is within a tolerance of the line that replaces it.
// The tolerance is 0.001, doubled while more than 200 points remain, as happens with
// few rows.
func (r Ranking) Curves(threshold float64, cost func(Confusion) float64) Curves {
	samples := r.samples()
	c := Curves{
		ROC:         r.roc(samples),
		PR:          precisionRecall(samples),
		Thresholds:  r.thresholds(threshold, cost),
		Calibration: r.calibration(),
		Histogram:   r.histogram(),
	}
	c.Gains = r.gains(c.Calibration)
	for _, bin := range c.Calibration {
		c.CalibrationError += float64(bin.Rows) * math.Abs(bin.ObservedFrequency-bin.MeanProbability) / float64(r.rows())
	}
	return c
}

// samples returns the predictions at thresholds in descending order, at least a
// curveSteps-th of the ROC curve's length apart, and at the lowest.
func (r Ranking) samples() []Confusion {
	rows, positives, negatives := r.rows(), float64(max(r.positives, 1)), float64(max(r.negatives, 1))
	step := math.Ceil(2 * positives * negatives / curveSteps) // the length is 2, in units of 1/(positives·negatives)
	var samples []Confusion
	next := 0.0
	for c := range r.cutoffs() {
		at := float64(c.TP)*negatives + float64(c.FP)*positives
		if at >= next || c.TP+c.FP == rows {
			samples = append(samples, c)
			next = at + step
		}
	}
	return samples
}

func (r Ranking) roc(samples []Confusion) []ROCPoint {
	if r.positives == 0 || r.negatives == 0 {
		return []ROCPoint{}
	}
	points := []ROCPoint{{0, 0}}
	for _, c := range samples {
		points = append(points, ROCPoint{FPR: Ratio(c.FP, c.FP+c.TN), TPR: c.Recall()})
	}
	// Rotated by 45° the curve is a function: each step up or right is a step ahead.
	return thinned(points, func(p ROCPoint) point { return point{p.FPR + p.TPR, p.TPR - p.FPR} })
}

func precisionRecall(samples []Confusion) []PRPoint {
	var points []PRPoint
	tp := 0
	for _, c := range samples {
		if c.TP > tp {
			tp = c.TP
			points = append(points, PRPoint{c.Recall(), c.Precision()})
		}
	}
	return thinned(points, func(p PRPoint) point { return point{p.Recall, p.Precision} })
}

// confusionsAt returns the predictions at each of ascending thresholds.
func (r Ranking) confusionsAt(thresholds []float64) (out []Confusion) {
	c := Confusion{TP: r.positives, FP: r.negatives}
	for p, n := range r.ascending() {
		for len(out) < len(thresholds) && thresholds[len(out)] <= p {
			out = append(out, c)
		}
		c = Confusion{TP: c.TP - n.positives, FP: c.FP - n.negatives, FN: c.FN + n.positives, TN: c.TN + n.negatives}
	}
	for len(out) < len(thresholds) {
		out = append(out, c)
	}
	return out
}

func (r Ranking) thresholds(own float64, cost func(Confusion) float64) []ThresholdMetrics {
	all := []float64{own}
	for i := 1; i < thresholdSteps; i++ {
		all = append(all, float64(i)/thresholdSteps)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	out := []ThresholdMetrics{}
	for i, c := range r.confusionsAt(all) {
		row := ThresholdMetrics{
			Threshold:         all[i],
			PredictedPositive: c.TP + c.FP,
			Precision:         c.Precision(),
			Recall:            c.Recall(),
			F1:                c.F1(),
		}
		if cost != nil && r.rows() > 0 {
			row.Cost = new(cost(c) / float64(r.rows()))
		}
		out = append(out, row)
	}
	return out
}

func (r Ranking) histogram() []HistogramBin {
	var ends []float64 // of all bins but the last, which includes 1
	for i := 1; i < histogramBins; i++ {
		ends = append(ends, float64(i)/histogramBins)
	}
	out := make([]HistogramBin, histogramBins)
	all := Confusion{FN: r.positives, TN: r.negatives}
	before := Confusion{}
	for i, c := range append(r.confusionsAt(ends), all) {
		out[i] = HistogramBin{
			From:      float64(i) / histogramBins,
			To:        float64(i+1) / histogramBins,
			Positives: c.FN - before.FN,
			Negatives: c.TN - before.TN,
		}
		before = c
	}
	return out
}

// calibration divides the rows into tenths by probability. Tied rows stay in one bin.
func (r Ranking) calibration() []CalibrationBin {
	out := []CalibrationBin{}
	var bin CalibrationBin
	done, tenth := 0, 1 // rows so far, and the tenth of all that the bin ends with
	for p, n := range r.ascending() {
		rows := n.positives + n.negatives
		if bin.Rows == 0 {
			bin.From = p
		}
		bin.Rows += rows
		bin.Positives += n.positives
		bin.MeanProbability += float64(rows) * p // divided below
		if done += rows; done < tenth*r.rows()/calibrationBins {
			continue
		}
		bin.To = p
		bin.MeanProbability = min(max(bin.MeanProbability/float64(bin.Rows), bin.From), bin.To) // the sum is rounded
		bin.ObservedFrequency, bin.Interval = Ratio(bin.Positives, bin.Rows), wilson(bin.Positives, bin.Rows)
		out = append(out, bin)
		bin = CalibrationBin{}
		for tenth < calibrationBins && tenth*r.rows()/calibrationBins <= done {
			tenth++
		}
	}
	return out
}

// wilson returns the 95 % score interval of a binomial proportion k/n. Wilson (1927).
func wilson(k, n int) [2]float64 { return score(float64(k)/float64(n), float64(n)) }

// score is wilson for a proportion of so many rows, which need not be whole.
func score(p, rows float64) [2]float64 {
	const z = Z95
	middle := p + z*z/(2*rows)
	half := z * math.Sqrt(p*(1-p)/rows+z*z/(4*rows*rows))
	scale := 1 + z*z/rows
	// min and max: rounding must not exclude p.
	return [2]float64{max(min((middle-half)/scale, p), 0), min(max((middle+half)/scale, p), 1)}
}

// Proportion returns k/n with Wilson's interval.
func Proportion(k, n int) Estimate { return Estimate{Value: Ratio(k, n), Interval: wilson(k, n)} }

// A point of a curve, y over an ascending x.
type point struct{ x, y float64 }

// thinned returns at most curvePoints points of a curve: the first, the last, and those between
// that keep all others within a tolerance of the lines through them. at says where a point is drawn.
func thinned[T any](curve []T, at func(T) point) []T {
	var points []point
	for _, p := range curve {
		points = append(points, at(p))
	}
	keep := within(points, curveTolerance)
	for tolerance := 2 * curveTolerance; len(keep) > curvePoints; tolerance *= 2 {
		keep = within(points, tolerance)
	}
	out := []T{}
	for _, i := range keep {
		out = append(out, curve[i])
	}
	return out
}

// within keeps points such that each of the others is at most tolerance above or below
// the line between the kept ones next to it. Each line is as long as possible: the
// slopes from the last kept point that pass all later ones within the tolerance form a
// cone, which narrows until a point is outside.
func within(points []point, tolerance float64) []int {
	if len(points) == 0 {
		return nil
	}
	keep := []int{0}
	low, high := math.Inf(-1), math.Inf(1)
	for i := 1; i < len(points); i++ {
		from := points[keep[len(keep)-1]]
		slope := func(dy float64) float64 { return (points[i].y + dy - from.y) / (points[i].x - from.x) }
		if s := slope(0); s < low || s > high {
			keep = append(keep, i-1)
			from = points[i-1]
			low, high = math.Inf(-1), math.Inf(1)
		}
		low, high = max(low, slope(-tolerance)), min(high, slope(tolerance))
	}
	if last := len(points) - 1; last > 0 {
		keep = append(keep, last)
	}
	return keep
}
