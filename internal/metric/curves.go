package metric

import (
	"math"
	"slices"
)

// Curves are what a page about a model draws: small summaries of probabilities
// against labels, whatever the number of rows.
type Curves struct {
	ROC         []ROCPoint       `json:"roc"`              // from (0, 0) to (1, 1); empty if the labels are of one class
	PR          []PRPoint        `json:"precision_recall"` // by rising recall, one point each; empty without positives
	Thresholds  []AtThreshold    `json:"thresholds"`       // 0.05, 0.10 … 0.95 and the model's own, ascending
	Calibration []CalibrationBin `json:"calibration"`      // ten bins of equal rows, fewer where many probabilities are the same
	Histogram   []HistogramBin   `json:"histogram"`        // 20 bins of width 0.05, the last with 1

	// CalibrationError is the expected calibration error, Σ rows·|share − mean probability| / Σ rows over
	// the bins of Calibration. Naeini, Cooper & Hauskrecht (2015).
	CalibrationError float64 `json:"expected_calibration_error"`
}

// A ROCPoint is the share of the negatives and of the positives that are called.
type ROCPoint struct {
	FPR float64 `json:"fpr"`
	TPR float64 `json:"tpr"`
}

// A PRPoint is what calling down to some probability finds.
type PRPoint struct {
	Recall    float64 `json:"recall"`
	Precision float64 `json:"precision"`
}

// AtThreshold is what calling from a threshold on does.
type AtThreshold struct {
	Threshold         float64  `json:"threshold"`
	PredictedPositive int      `json:"called"`
	Precision         float64  `json:"precision"`
	Recall            float64  `json:"recall"`
	F1                float64  `json:"f1"`
	Cost              *float64 `json:"cost_per_customer,omitzero"`
}

// A CalibrationBin compares probabilities with what happened.
type CalibrationBin struct {
	From            float64    `json:"from"` // lowest probability in it
	To              float64    `json:"to"`   // highest
	Rows            int        `json:"rows"`
	Positives       int        `json:"positives"`
	MeanProbability float64    `json:"mean_probability"`
	Share           float64    `json:"share"`    // of positives
	Interval        [2]float64 `json:"interval"` // 95 %, of the share
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
	curvePoints     = 200  // what a drawing can show
	curveSteps      = 4096 // of the ROC curve's length, all that thinning looks at
	curveTolerance  = 1e-3 // that thinning starts with: less than a pixel of a drawing
)

// Curves summarises the ranking. threshold is the model's own. cost is what all
// answers cost; nil is without.
//
// Both curves are drawn through cutoffs a 4096th of the ROC curve's length apart.
// They are thinned so that every one of these that is left out is within a
// tolerance of the line that replaces it: 0.001, doubled while more than 200 points
// remain, which happens to short and jagged curves alone.
func (r Ranking) Curves(threshold float64, cost func(Confusion) float64) Curves {
	cutoffs := r.corners()
	c := Curves{
		ROC: r.roc(cutoffs), PR: precisionRecall(cutoffs), Thresholds: r.thresholds(threshold, cost),
		Calibration: r.calibration(), Histogram: r.histogram(),
	}
	for _, bin := range c.Calibration {
		c.CalibrationError += float64(bin.Rows) * math.Abs(bin.Share-bin.MeanProbability) / float64(r.rows())
	}
	return c
}

// corners returns the answers at cutoffs from the highest probability down, at
// least a curveSteps-th of the ROC curve's length apart, and those at the last.
func (r Ranking) corners() []Confusion {
	rows, positives, negatives := r.rows(), max(r.positives, 1), max(r.negatives, 1)
	step := (2*positives*negatives + curveSteps - 1) / curveSteps // the curve's length is 2, in units of 1/(positives·negatives)
	var corners []Confusion
	next := 0
	for c := range r.cutoffs() {
		at := c.TP*negatives + c.FP*positives
		if at >= next || c.TP+c.FP == rows {
			corners = append(corners, c)
			next = at + step
		}
	}
	return corners
}

func (r Ranking) roc(corners []Confusion) []ROCPoint {
	if r.positives == 0 || r.negatives == 0 {
		return []ROCPoint{}
	}
	// Seen from the diagonal the curve is a function: a step up or right is one ahead.
	points := []ROCPoint{{0, 0}}
	turned := []point{{0, 0}}
	for _, c := range corners {
		p := ROCPoint{ratio(c.FP, c.FP+c.TN), c.Recall()}
		points = append(points, p)
		turned = append(turned, point{p.FPR + p.TPR, p.TPR - p.FPR})
	}
	return pick(points, thin(turned))
}

func precisionRecall(corners []Confusion) []PRPoint {
	points, plain := []PRPoint{}, []point{}
	found := 0
	for _, c := range corners {
		if c.TP > found {
			found = c.TP
			points = append(points, PRPoint{c.Recall(), c.Precision()})
			plain = append(plain, point{c.Recall(), c.Precision()})
		}
	}
	return pick(points, thin(plain))
}

func pick[T any](points []T, keep []int) []T {
	out := make([]T, len(keep))
	for k, i := range keep {
		out[k] = points[i]
	}
	return out
}

// reaching returns, for each of ascending thresholds, the answers of calling
// positive whatever reaches it.
func (r Ranking) reaching(thresholds []float64) []Confusion {
	out := make([]Confusion, len(thresholds))
	c := Confusion{TP: r.positives, FP: r.negatives}
	from := 0
	for i, threshold := range thresholds {
		to := r.first(threshold)
		positives, negatives := r.count(from, to)
		c = Confusion{TP: c.TP - positives, FP: c.FP - negatives, FN: c.FN + positives, TN: c.TN + negatives}
		out[i], from = c, to
	}
	return out
}

func (r Ranking) thresholds(own float64, cost func(Confusion) float64) []AtThreshold {
	all := []float64{own}
	for i := 1; i < thresholdSteps; i++ {
		all = append(all, float64(i)/thresholdSteps)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	out := []AtThreshold{}
	for i, c := range r.reaching(all) {
		row := AtThreshold{Threshold: all[i], PredictedPositive: c.TP + c.FP, Precision: c.Precision(), Recall: c.Recall(), F1: c.F1()}
		if cost != nil && r.rows() > 0 {
			each := cost(c) / float64(r.rows())
			row.Cost = &each
		}
		out = append(out, row)
	}
	return out
}

func (r Ranking) histogram() []HistogramBin {
	var ends []float64 // of all but the last, which holds 1
	for i := 1; i < histogramBins; i++ {
		ends = append(ends, float64(i)/histogramBins)
	}
	out := make([]HistogramBin, histogramBins)
	all := Confusion{FN: r.positives, TN: r.negatives}
	before := Confusion{}
	for i, c := range append(r.reaching(ends), all) {
		out[i] = HistogramBin{float64(i) / histogramBins, float64(i+1) / histogramBins, c.FN - before.FN, c.TN - before.TN}
		before = c
	}
	return out
}

// calibration ends each bin where a tenth more of the rows is reached, or where
// the probabilities equal to that one end.
func (r Ranking) calibration() []CalibrationBin {
	out := []CalibrationBin{}
	var bin CalibrationBin
	done, end := 0, r.tenthAfter(0) // rows so far, and from how many on the bin ends
	for p, n := range r.ascending() {
		rows := n.positives + n.negatives
		if bin.Rows == 0 {
			bin.From = p
		}
		bin.Rows += rows
		bin.Positives += n.positives
		for range rows { // not a product: the sum is that of the rows, to the last bit
			bin.MeanProbability += p
		}
		if done += rows; done >= end {
			bin.To = p
			out = append(out, bin.finished())
			bin, end = CalibrationBin{}, r.tenthAfter(done)
		}
	}
	return out
}

// tenthAfter returns the first tenth of the rows that is more than done, all if there is none.
func (r Ranking) tenthAfter(done int) int {
	for k := range calibrationBins {
		if end := (k + 1) * r.rows() / calibrationBins; end > done {
			return end
		}
	}
	return r.rows()
}

// finished turns the sum of probabilities into their mean and adds the rest.
func (b CalibrationBin) finished() CalibrationBin {
	b.MeanProbability = min(max(b.MeanProbability/float64(b.Rows), b.From), b.To) // a sum of many rounds
	b.Share = ratio(b.Positives, b.Rows)
	b.Interval = wilson(b.Positives, b.Rows)
	return b
}

// wilson returns the 95 % interval of a share of k in n. Wilson (1927).
func wilson(k, n int) [2]float64 {
	const z = z95
	share, rows := float64(k)/float64(n), float64(n)
	middle := share + z*z/(2*rows)
	half := z * math.Sqrt(share*(1-share)/rows+z*z/(4*rows*rows))
	scale := 1 + z*z/rows
	return [2]float64{max(min((middle-half)/scale, share), 0), min(max((middle+half)/scale, share), 1)} // rounding must not leave out the share
}
