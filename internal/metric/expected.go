package metric

import "math"

// An Expectation estimates metrics before labels are known, from predictions and
// calibrated probabilities alone: of rows with probability p a fraction p will turn out
// positive. It is the confidence-based performance estimation of Białek et al. (2024),
// "Estimating Model Performance Under Covariate Shift Without Labels", arXiv:2401.08348.
// It holds while the probabilities are calibrated, so while labels depend on the
// features as they did in training; it cannot detect that this has changed.
//
// Given the n predictions, TP is a sum of independent Bernoulli variables over the rows
// predicted positive, and FN one over the others:
//
//	E[TP] = Σ p,  Var[TP] = Σ p(1−p)  over the predicted positive; FN likewise over the rest
type Expectation struct {
	Rows              int
	PredictedPositive int

	tp, tpVar float64 // mean and variance of TP
	fn, fnVar float64 // of FN
}

// Add adds a prediction and its probability.
func (e *Expectation) Add(probability float64, predicted bool) {
	e.AddSums(1, predicted, probability, probability*(1-probability))
}

// AddSums adds rows of equal predictions that were aggregated elsewhere: the sums of p
// and of p(1−p).
func (e *Expectation) AddSums(rows int, predicted bool, p, variance float64) {
	e.Rows += rows
	if predicted {
		e.PredictedPositive += rows
		e.tp += p
		e.tpVar += variance
	} else {
		e.fn += p
		e.fnVar += variance
	}
}

// Merge adds the rows of other.
func (e *Expectation) Merge(other Expectation) {
	e.Rows += other.Rows
	e.PredictedPositive += other.PredictedPositive
	e.tp += other.tp
	e.tpVar += other.tpVar
	e.fn += other.fn
	e.fnVar += other.fnVar
}

// An Estimate is an expected metric.
type Estimate struct {
	Value    float64    `json:"value"`
	Interval [2]float64 `json:"interval"` // 95 % prediction interval of the realised metric
}

// Estimates are expected metrics.
type Estimates struct {
	Precision    Estimate `json:"precision"`
	Recall       Estimate `json:"recall"`
	F1           Estimate `json:"f1"`
	Accuracy     Estimate `json:"accuracy"`
	PositiveRate Estimate `json:"positive_rate"` // positives per row
}

// Estimates returns the expected metrics with their prediction intervals. Precision,
// accuracy and the positive rate are linear in TP and FN. Recall and F1 are ratios,
//
//	R = TP/(TP+FN),  F1 = 2TP/(predicted positive + TP + FN)
//
// evaluated at the means of TP and FN, with variances by the delta method. A ratio
// whose denominator is 0 is 0, as in Confusion.
func (e Expectation) Estimates() Estimates {
	n, predicted := float64(e.Rows), float64(e.PredictedPositive)
	positives := e.tp + e.fn
	tpStd, fnStd := math.Sqrt(e.tpVar), math.Sqrt(e.fnVar)
	bothStd := math.Sqrt(e.tpVar + e.fnVar)
	recallStd := math.Hypot(e.fn*tpStd, e.tp*fnStd) / max(positives, math.SmallestNonzeroFloat64)
	f1Std := 2 * math.Hypot((predicted+e.fn)*tpStd, e.tp*fnStd) / max(predicted+positives, math.SmallestNonzeroFloat64)
	return Estimates{
		Precision:    estimate(e.tp, tpStd, predicted),
		Recall:       estimate(e.tp, recallStd, positives),
		F1:           estimate(2*e.tp, f1Std, predicted+positives),
		Accuracy:     estimate(e.tp+(n-predicted)-e.fn, bothStd, n),
		PositiveRate: estimate(positives, bothStd, n),
	}
}

const z95 = 1.959963984540054 // the 0.975 quantile of the standard normal distribution

// estimate divides a mean and its standard deviation by a denominator.
func estimate(mean, std, denominator float64) Estimate {
	if denominator == 0 {
		return Estimate{}
	}
	value, half := mean/denominator, z95*std/denominator
	return Estimate{value, [2]float64{max(value-half, 0), min(value+half, 1)}}
}
