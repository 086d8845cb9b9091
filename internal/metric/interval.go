package metric

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat/distuv"
)

// Intervals are the 95 % confidence intervals of a model's metrics on other rows of the same population.
type Intervals struct {
	F1      [2]float64 `json:"f1"`
	ROCAUC  [2]float64 `json:"roc_auc"`
	LogLoss [2]float64 `json:"log_loss"`
}

// F1Interval is the 95 % interval of F1 at a fixed threshold. F1 = 2J/(1+J) rises with the Jaccard
// index J = TP/(TP+FP+FN), which given its denominator is a binomial proportion: its interval is Wilson's.
func (c Confusion) F1Interval() [2]float64 {
	n := c.TP + c.FP + c.FN
	if n == 0 {
		return [2]float64{0, 1}
	}
	j := wilson(c.TP, n)
	return [2]float64{2 * j[0] / (1 + j[0]), 2 * j[1] / (1 + j[1])}
}

const fewRows = 30 // of a class: with fewer its placements say too little of their own variance

// AUCInterval is the 95 % interval of AUC, symmetric in its log-odds, with the variance of DeLong,
// DeLong & Clarke-Pearson (1988): with m positives and n negatives
//
//	Var = Var[fraction of negatives below a positive]/m + Var[fraction of positives above a negative]/n
//
// With fewer than fewRows of a class the variance is at least that of Hanley & McNeil (1982, The meaning and
// use of the area under a ROC curve), and the interval Wilson's for as many rows as that is the variance
// of; where the classes are separated, for as many as the smaller has.
func (r Ranking) AUCInterval() [2]float64 {
	m, n := float64(r.positives), float64(r.negatives)
	if r.positives < 2 || r.negatives < 2 {
		return [2]float64{0, 1}
	}
	auc, few := r.AUC(), min(m, n)
	var ofPositives, ofNegatives float64 // sums of squares
	above, below := m, 0.0               // rows with a higher and a lower probability
	for _, k := range r.ascending() {
		p, q := float64(k.positives), float64(k.negatives)
		above -= p
		d, e := (below+q/2)/n-auc, (above+p/2)/m-auc
		ofPositives, ofNegatives = ofPositives+p*d*d, ofNegatives+q*e*e
		below += q
	}
	variance := ofPositives/(m-1)/m + ofNegatives/(n-1)/n
	switch {
	case variance == 0 && auc == 0.5:
		return [2]float64{auc, auc} // all rows are tied
	case variance == 0:
		return score(auc, few)
	case few < fewRows:
		square := auc * auc
		byPositives, byNegatives := auc/(2-auc)-square, 2*square/(1+auc)-square
		least := (auc*(1-auc) + (m-1)*byPositives + (n-1)*byNegatives) / (m * n)
		return score(auc, auc*(1-auc)/max(variance, least))
	}
	z, half := math.Log(auc/(1-auc)), Z95*math.Sqrt(variance)/(auc*(1-auc))
	return [2]float64{sigmoid(z - half), sigmoid(z + half)}
}

// Holm corrects p-values for their number by the step-down method of Holm (1979), which keeps the
// chance of any false alarm among all tests at that of one.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	floats.ArgsortStable(slices.Clone(p), order)
	adjusted, least := make([]float64, len(p)), 0.0
	for rank, i := range order {
		least = max(least, min(1, float64(len(p)-rank)*p[i]))
		adjusted[i] = least
	}
	return adjusted
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// LogLossInterval is the 95 % interval of a log loss of these rows, of Student's distribution. One row
// says nothing.
func (r Ranking) LogLossInterval(logLoss float64) [2]float64 {
	var squares float64
	for p, k := range r.ascending() {
		d, e := rowLoss(p, true, lossEpsilon)-logLoss, rowLoss(p, false, lossEpsilon)-logLoss
		squares += float64(k.positives)*d*d + float64(k.negatives)*e*e
	}
	n := float64(r.rows())
	if n < 2 {
		return [2]float64{0, rowLoss(0, true, lossEpsilon)}
	}
	half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975) * math.Sqrt(squares/(n-1)/n)
	return [2]float64{max(logLoss-half, 0), logLoss + half}
}
