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

	tp, fn  count
	losses  LossSums // expected
	lossVar float64  // variance of the summed loss, given the predictions: Σ p(1−p)z²
}

// A count is TP or FN, a sum over rows: its mean Σ p, its variance Σ p(1−p), and Σ p(1−p)z.
type count struct{ mean, variance, z float64 }

func (c *count) add(d count) {
	*c = count{c.mean + d.mean, c.variance + d.variance, c.z + d.z}
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
	e.Rows++
	if c := (count{p, p * (1 - p), p * (1 - p) * z}); predicted {
		e.PredictedPositive++
		e.tp.add(c)
	} else {
		e.fn.add(c)
	}
	e.losses.add(p*rowLoss(p, true, recorded)+(1-p)*rowLoss(p, false, recorded), 1)
	e.lossVar += p * (1 - p) * z * z
}

// Merge adds the rows of other.
func (e *Expectation) Merge(other Expectation) {
	e.Rows += other.Rows
	e.PredictedPositive += other.PredictedPositive
	e.tp.add(other.tp)
	e.fn.add(other.fn)
	e.losses.Add(other.losses)
	e.lossVar += other.lossVar
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
	PositiveRate Estimate `json:"positive_rate"` // positives per row
	LogLoss      Estimate `json:"log_loss,omitzero"`
}

// A WeightError is the error of a model's weights, which the training rows have only estimated.
//
// The weights have adapted to the errors of the training rows too, so that the log-odds z are too
// extreme by a share of (d/N) / mean(p(1−p)(z−z̄)²), for d degrees of freedom, N rows, and the mean z̄
// of z weighted by p(1−p): Van Houwelingen & Le Cessie (1990), "Predictive value of statistical models".
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
	tp := e.tp.mean - extreme*(e.tp.z-z*e.tp.variance)
	fn := e.fn.mean - extreme*(e.fn.z-z*e.fn.variance)
	n, predicted, positives := float64(e.Rows), float64(e.PredictedPositive), tp+fn
	both := predicted + positives
	// of is a metric over its denominator, with its derivatives by TP and FN times the same.
	of := func(metric, denominator, byTP, byFN float64) Estimate {
		if denominator == 0 {
			return Estimate{}
		}
		byTP, byFN = byTP/denominator, byFN/denominator
		variance := byTP*byTP*e.tp.variance + byFN*byFN*e.fn.variance + e.own(own, byTP, byFN, 0)
		return estimate(metric/denominator, math.Sqrt(variance), 0, 1)
	}
	out := Estimates{
		Precision:    of(tp, predicted, 1, 0),
		Recall:       of(tp, positives, fn/positives, -tp/positives),
		F1:           of(2*tp, both, 2*(predicted+fn)/both, -2*tp/both),
		Accuracy:     of(tp+(n-predicted)-fn, n, 1, -1),
		PositiveRate: of(positives, n, 1, 1),
	}
	if e.Rows > 0 {
		loss := e.losses.Sum + extreme*(e.lossVar-z*(e.tp.z+e.fn.z))
		std := math.Sqrt(e.lossVar/(n*n) + e.own(own, 0, 0, -1/n))
		out.LogLoss = estimate(loss/n, std, 0, math.Inf(1))
	}
	return out
}

// extreme returns by what share the log-odds are too far from their mean, and the mean.
func (e Expectation) extreme(own *WeightError) (share, mean float64) {
	weight := e.tp.variance + e.fn.variance
	if own == nil || !(weight > 0) {
		return 0, 0
	}
	mean = (e.tp.z + e.fn.z) / weight
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
	if v := own.Variance(g); v < greatest { // not min: it is NaN where numbers overflow
		return v
	}
	return greatest
}

const greatest = 1e200 // variance: JSON has no infinity

// Z95 is how many standard errors a 95 % interval has on either side: the 0.975 quantile of the standard
// normal distribution.
const Z95 = 1.959963984540054

// estimate returns a metric between the least and the most that it can be.
func estimate(value, std, least, most float64) Estimate {
	return Estimate{value, [2]float64{max(value-Z95*std, least), min(value+Z95*std, most)}, std}
}

// Sampling returns the standard errors of the expected F1, accuracy and log loss as figures
// of the population that the rows are drawn from.
func (e Expectation) Sampling() (f1, accuracy, logLoss float64) {
	n, predicted := float64(e.Rows), float64(e.PredictedPositive)
	tp, fn := e.tp.mean, e.fn.mean
	positive2, negative2 := tp-e.tp.variance, fn-e.fn.variance // sums of p²
	both := predicted + tp + fn
	f := 2 * tp / both
	squares := (2-f)*(2-f)*positive2 - 2*f*(2-f)*tp + f*f*(predicted+negative2)
	correct := (tp + n - predicted - fn) / n
	spread := (positive2+n-predicted-2*fn+negative2)/n - correct*correct
	mean := e.losses.Sum / n
	root := func(x float64) float64 { return math.Sqrt(max(x, 0)) }
	return root(squares) / both, root(spread / n), root((e.losses.Squares/n - mean*mean) / n)
}

// LossVariance returns the variance of the loss of a row, by the probabilities.
func (e Expectation) LossVariance() float64 {
	n := float64(e.Rows)
	return max(0, (e.losses.Squares+e.lossVar)/n-e.losses.Sum*e.losses.Sum/(n*n))
}

// Decimals returns how many decimals of an estimate its 95 % interval deserves: the last one is at
// most half of the distance to its ends, and more than a twentieth.
func Decimals(interval [2]float64) int {
	half := math.Abs(interval[1]-interval[0]) / 2
	if half == 0 || math.IsNaN(half) {
		return 3
	}
	return min(max(int(math.Ceil(-math.Log10(half/2))), 0), 4)
}

// MeanDecimals is Decimals of a mean of n rows with a standard deviation.
func MeanDecimals(std float64, n int) int {
	return Decimals([2]float64{0, 2 * Z95 * std / math.Sqrt(float64(max(n, 1)))})
}
