package metric

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

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
	Gradient          *Gradient // nil where it is not added up

	tp, tpVar     float64 // mean and variance of TP
	fn, fnVar     float64 // of FN
	lossRows      int     // rows of the following
	loss, squares float64 // sums of the expected loss of a row and of its square
	lossVar       float64 // variance of the summed loss, given the predictions: Σ p(1−p)z²
	tpZ, fnZ      float64 // Σ p(1−p)z over the predicted positive, and over the rest
}

// A Gradient adds up, by weight of the model, what an expectation needs to contain the error of
// the weights: with a row's numbers x and its log-odds z, Σ p(1−p)x over the predicted positive
// and over the rest, and Σ p(1−p)zx over all.
type Gradient struct {
	Rows                      int
	Positive, Negative, Logit []float64
}

// NewGradient returns the sums of no rows for n weights.
func NewGradient(n int) *Gradient {
	return &Gradient{Positive: make([]float64, n), Negative: make([]float64, n), Logit: make([]float64, n)}
}

// Add adds the number x of weight k of a row with the probability p.
func (g *Gradient) Add(k int, x, p float64, predicted bool) {
	sum := g.Negative
	if predicted {
		sum = g.Positive
	}
	sum[k] += p * (1 - p) * x
	g.Logit[k] += p * (1 - p) * logit(p) * x
}

// Merge adds the rows of other.
func (g *Gradient) Merge(other *Gradient) {
	g.Rows += other.Rows
	floats.Add(g.Positive, other.Positive)
	floats.Add(g.Negative, other.Negative)
	floats.Add(g.Logit, other.Logit)
}

const recorded = 5e-7 // half of the last digit of a probability in the log, where 0 and 1 are rounded

// logit returns the log-odds of a recorded probability.
func logit(p float64) float64 {
	p = min(max(p, recorded), 1-recorded)
	return math.Log(p / (1 - p))
}

// Add adds a prediction and its probability.
func (e *Expectation) Add(probability float64, predicted bool) {
	p, z := probability, logit(probability)
	e.AddSums(1, predicted, p, p*(1-p))
	loss := p*rowLoss(p, true, recorded) + (1-p)*rowLoss(p, false, recorded)
	e.lossRows++
	e.loss += loss
	e.squares += loss * loss
	e.lossVar += p * (1 - p) * z * z
	if predicted {
		e.tpZ += p * (1 - p) * z
	} else {
		e.fnZ += p * (1 - p) * z
	}
}

// AddSums adds rows of equal predictions that were aggregated elsewhere: the sums of p
// and of p(1−p). The log loss of such rows is not known.
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
	e.lossRows += other.lossRows
	e.loss += other.loss
	e.squares += other.squares
	e.lossVar += other.lossVar
	e.tpZ += other.tpZ
	e.fnZ += other.fnZ
	if e.Gradient != nil {
		e.Gradient.Merge(other.Gradient)
	}
}

// An Estimate is a metric and how certain it is. That of an expectation is of the realised metric.
type Estimate struct {
	Value    float64    `json:"value"`
	Interval [2]float64 `json:"interval"` // 95 %
	StdError float64    `json:"std_error,omitzero"`
}

// Estimates are metrics.
type Estimates struct {
	Precision    Estimate `json:"precision"`
	Recall       Estimate `json:"recall"`
	F1           Estimate `json:"f1"`
	Accuracy     Estimate `json:"accuracy"`
	PositiveRate Estimate `json:"positive_rate"`     // positives per row
	LogLoss      Estimate `json:"log_loss,omitzero"` // none of rows that a database aggregated
}

// A WeightError is the error of a model's weights, which the training rows have only estimated.
//
// The weights have adapted to the errors of the training rows too, so that the log-odds z are too
// extreme by a share of (d/N) / Var(z), for d degrees of freedom, N rows, and the variance of z
// weighted by p(1−p): Van Houwelingen & Le Cessie (1990), "Predictive value of statistical models".
type WeightError struct {
	Variance func(g []float64) float64 // gᵀVg: V is the covariance of the weights, g the derivative of a metric by them
	Freedom  float64                   // d without the intercept, less what the penalty has shrunk: it may be negative
	Rows     int                       // N
}

// Estimates returns the expected metrics with their prediction intervals. Precision,
// accuracy and the positive rate are linear in TP and FN. Recall and F1 are ratios,
//
//	R = TP/(TP+FN),  F1 = 2TP/(predicted positive + TP + FN)
//
// evaluated at the means of TP and FN, with variances by the delta method. A ratio
// whose denominator is 0 is 0, as in Confusion.
//
// With own, and a Gradient, they contain the error of the model's weights.
func (e Expectation) Estimates(own *WeightError) Estimates {
	extreme, z := e.extreme(own)
	e.tp -= extreme * (e.tpZ - z*e.tpVar) // e is a copy
	e.fn -= extreme * (e.fnZ - z*e.fnVar)
	e.loss += extreme * (e.lossVar - z*(e.tpZ+e.fnZ))
	n, predicted, positives := float64(e.Rows), float64(e.PredictedPositive), e.tp+e.fn
	both := predicted + positives
	// of is a metric over its denominator, with its derivatives by TP and FN times the same.
	of := func(metric, denominator, byTP, byFN float64) Estimate {
		if denominator == 0 {
			return Estimate{}
		}
		byTP, byFN = byTP/denominator, byFN/denominator
		variance := byTP*byTP*e.tpVar + byFN*byFN*e.fnVar + e.own(own, byTP, byFN, 0)
		return estimate(metric/denominator, math.Sqrt(variance), 0, 1)
	}
	out := Estimates{
		Precision:    of(e.tp, predicted, 1, 0),
		Recall:       of(e.tp, positives, e.fn/positives, -e.tp/positives),
		F1:           of(2*e.tp, both, 2*(predicted+e.fn)/both, -2*e.tp/both),
		Accuracy:     of(e.tp+(n-predicted)-e.fn, n, 1, -1),
		PositiveRate: of(positives, n, 1, 1),
	}
	if e.lossRows == e.Rows && e.Rows > 0 {
		std := math.Sqrt(e.lossVar/(n*n) + e.own(own, 0, 0, -1/n))
		out.LogLoss = estimate(e.loss/n, std, 0, math.Inf(1))
	}
	return out
}

// extreme returns by what share the log-odds are too far from their mean, and the mean.
func (e Expectation) extreme(own *WeightError) (share, mean float64) {
	weight := e.tpVar + e.fnVar
	if own == nil || !(weight > 0) {
		return 0, 0
	}
	mean = (e.tpZ + e.fnZ) / weight
	const most = 0.5 // beyond it the approximation says little
	variance := max(e.lossVar-mean*mean*weight, math.SmallestNonzeroFloat64)
	share = own.Freedom / float64(own.Rows) * float64(e.Rows) / variance
	return min(max(share, -most), most), mean
}

// own returns the variance that the error of the weights adds to a metric with these
// derivatives by TP, by FN and by the sum over the rows of the log-odds' loss.
func (e Expectation) own(own *WeightError, byTP, byFN, byLogit float64) float64 {
	if own == nil || e.Gradient == nil || e.Gradient.Rows == 0 {
		return 0
	}
	g := make([]float64, len(e.Gradient.Logit))
	scale := float64(e.Rows) / float64(e.Gradient.Rows)
	floats.AddScaled(g, scale*byTP, e.Gradient.Positive)
	floats.AddScaled(g, scale*byFN, e.Gradient.Negative)
	floats.AddScaled(g, scale*byLogit, e.Gradient.Logit)
	if v := own.Variance(g); v < greatest {
		return v
	}
	return greatest // also where numbers overflow
}

const greatest = 1e200 // variance: JSON has no infinity

const z95 = 1.959963984540054 // the 0.975 quantile of the standard normal distribution

// estimate returns a metric between the least and the most that it can be.
func estimate(value, std, least, most float64) Estimate {
	return Estimate{value, [2]float64{max(value-z95*std, least), min(value+z95*std, most)}, std}
}

// Sampling returns the standard errors of the expected F1, accuracy and log loss as figures
// of the population that the rows are drawn from.
func (e Expectation) Sampling() (f1, accuracy, logLoss float64) {
	n, predicted := float64(e.Rows), float64(e.PredictedPositive)
	positive2, negative2 := e.tp-e.tpVar, e.fn-e.fnVar // sums of p²
	both := predicted + e.tp + e.fn
	f := 2 * e.tp / both
	squares := (2-f)*(2-f)*positive2 - 2*f*(2-f)*e.tp + f*f*(predicted+negative2)
	correct := (e.tp + n - predicted - e.fn) / n
	spread := (positive2+n-predicted-2*e.fn+negative2)/n - correct*correct
	mean := e.loss / n
	root := func(x float64) float64 { return math.Sqrt(max(x, 0)) }
	return root(squares) / both, root(spread / n), root((e.squares/n - mean*mean) / n)
}

// LossVariance returns the variance of the loss of a row, by the probabilities.
func (e Expectation) LossVariance() float64 {
	n := float64(e.Rows)
	return max(0, (e.squares+e.lossVar)/n-e.loss*e.loss/(n*n))
}
