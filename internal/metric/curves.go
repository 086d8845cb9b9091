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
	Threshold float64  `json:"threshold"`
	Called    int      `json:"called"`
	Precision float64  `json:"precision"`
	Recall    float64  `json:"recall"`
	F1        float64  `json:"f1"`
	Cost      *float64 `json:"cost_per_customer,omitzero"`
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
		c.CalibrationError += float64(bin.Rows) * math.Abs(bin.Share-bin.MeanProbability) / float64(len(r.keys))
	}
	return c
}

// corners returns the answers at cutoffs from the highest probability down, at
// least a curveSteps-th of the ROC curve's length apart, and those at the last.
func (r Ranking) corners() []Confusion {
	positives, negatives := r.positives, len(r.keys)-r.positives
	step := (2*max(positives, 1)*max(negatives, 1) + curveSteps - 1) / curveSteps // the curve's length is 2, in units of 1/(positives·negatives)
	var corners []Confusion
	next := 0
	for c := range r.cutoffs() {
		at := c.TP*max(negatives, 1) + c.FP*max(positives, 1)
		if at >= next || c.TP+c.FP == len(r.keys) {
			corners = append(corners, c)
			next = at + step
		}
	}
	return corners
}

func (r Ranking) roc(corners []Confusion) []ROCPoint {
	if r.positives == 0 || r.positives == len(r.keys) {
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

// first returns how many probabilities are below p.
func (r Ranking) first(p float64) int {
	if !(p > 0) {
		return 0
	}
	i, _ := slices.BinarySearch(r.keys, math.Float64bits(p)<<1)
	return i
}

// positivesIn counts the positives among the from-th to the to-th key, to excluded.
func (r Ranking) positivesIn(from, to int) int {
	var n uint64
	for _, key := range r.keys[from:to] {
		n += key & 1
	}
	return int(n)
}

func (r Ranking) thresholds(own float64, cost func(Confusion) float64) []AtThreshold {
	all := []float64{own}
	for i := 1; i < thresholdSteps; i++ {
		all = append(all, float64(i)/thresholdSteps)
	}
	slices.Sort(all)
	out := []AtThreshold{}
	missed, from := 0, 0
	for _, threshold := range slices.Compact(all) {
		at := r.first(threshold)
		missed += r.positivesIn(from, at)
		from = at
		called := len(r.keys) - at
		tp := r.positives - missed
		c := Confusion{TP: tp, FP: called - tp, FN: missed, TN: at - missed}
		row := AtThreshold{Threshold: threshold, Called: called, Precision: c.Precision(), Recall: c.Recall(), F1: c.F1()}
		if cost != nil && len(r.keys) > 0 {
			each := cost(c) / float64(len(r.keys))
			row.Cost = &each
		}
		out = append(out, row)
	}
	return out
}

func (r Ranking) histogram() []HistogramBin {
	out := make([]HistogramBin, histogramBins)
	from := 0
	for i := range out {
		bin := &out[i]
		bin.From, bin.To = float64(i)/histogramBins, float64(i+1)/histogramBins
		to := len(r.keys)
		if i+1 < histogramBins {
			to = r.first(bin.To)
		}
		bin.Positives = r.positivesIn(from, to)
		bin.Negatives = to - from - bin.Positives
		from = to
	}
	return out
}

// calibration ends each bin where a tenth more of the rows is reached, or where
// the probabilities equal to that one end.
func (r Ranking) calibration() []CalibrationBin {
	out := []CalibrationBin{}
	from := 0
	for k := range calibrationBins {
		to := (k + 1) * len(r.keys) / calibrationBins
		if to <= from {
			continue
		}
		for to < len(r.keys) && r.keys[to]>>1 == r.keys[to-1]>>1 {
			to++
		}
		bin := CalibrationBin{Rows: to - from, Positives: r.positivesIn(from, to)}
		bin.From, _ = r.at(from)
		bin.To, _ = r.at(to - 1)
		for i := from; i < to; i++ {
			p, _ := r.at(i)
			bin.MeanProbability += p
		}
		bin.MeanProbability = min(max(bin.MeanProbability/float64(bin.Rows), bin.From), bin.To) // a sum of many rounds
		bin.Share = ratio(bin.Positives, bin.Rows)
		bin.Interval = wilson(bin.Positives, bin.Rows)
		out = append(out, bin)
		from = to
	}
	return out
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
