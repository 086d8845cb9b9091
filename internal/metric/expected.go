package metric

import "math"

// An Expectation adds up what answers are worth before the truth is known, from
// calibrated probabilities alone: of customers with a probability of p a share p
// will turn out positive. It is the confidence-based performance estimation of
// Białek et al. (2024), "Estimating Model Performance Under Covariate Shift Without
// Labels", arXiv:2401.08348. It holds while the probabilities are calibrated, so while positives hang on the
// features as they did in training; it cannot see that this has changed.
//
// With the n answers given, TP is a sum of independent draws over the called,
// FN one over the others:
//
//	E[TP] = Σ p,  Var[TP] = Σ p(1−p)  over the called; the same for FN over the rest
type Expectation struct {
	Rows              int
	PredictedPositive int

	found, foundVar   float64 // mean and variance of TP
	missed, missedVar float64 // of FN
}

// Add adds an answer and its probability.
func (e *Expectation) Add(probability float64, called bool) {
	e.AddSums(1, called, probability, probability*(1-probability))
}

// AddSums adds answers of one kind that were added up elsewhere: the sums of p and of p(1−p).
func (e *Expectation) AddSums(rows int, called bool, p, variance float64) {
	e.Rows += rows
	if called {
		e.PredictedPositive += rows
		e.found += p
		e.foundVar += variance
	} else {
		e.missed += p
		e.missedVar += variance
	}
}

// Merge adds the answers of other.
func (e *Expectation) Merge(other Expectation) {
	e.Rows += other.Rows
	e.PredictedPositive += other.PredictedPositive
	e.found += other.found
	e.foundVar += other.foundVar
	e.missed += other.missed
	e.missedVar += other.missedVar
}

// An Estimate is a figure that is not known yet.
type Estimate struct {
	Value    float64    `json:"value"`
	Interval [2]float64 `json:"interval"` // where the realised one will be in 95 of 100 cases
}

// Estimates are figures that are not known yet.
type Estimates struct {
	Precision    Estimate `json:"precision"`
	Recall       Estimate `json:"recall"`
	F1           Estimate `json:"f1"`
	Accuracy     Estimate `json:"accuracy"`
	PositiveRate Estimate `json:"positive_rate"` // share of the rows that are positive
}

// Estimates returns the expected figures, each with the spread of the realised
// one. Precision, accuracy and the rate are linear in TP and FN. Recall and F1 are
// ratios,
//
//	R = TP/(TP+FN),  F1 = 2TP/(called+TP+FN)
//
// taken at the means of TP and FN, their variance by the delta method. Without a
// row that could be positive, or one that is called, a ratio is 0 as in Confusion.
func (e Expectation) Estimates() Estimates {
	n, called := float64(e.Rows), float64(e.PredictedPositive)
	positives := e.found + e.missed
	either := math.Sqrt(e.foundVar + e.missedVar)
	return Estimates{
		Precision: estimate(e.found, math.Sqrt(e.foundVar), called),
		Recall:    estimate(e.found, math.Hypot(e.missed*math.Sqrt(e.foundVar), e.found*math.Sqrt(e.missedVar))/max(positives, math.SmallestNonzeroFloat64), positives),
		F1: estimate(2*e.found, 2*math.Hypot((called+e.missed)*math.Sqrt(e.foundVar), e.found*math.Sqrt(e.missedVar))/max(called+positives, math.SmallestNonzeroFloat64),
			called+positives),
		Accuracy:     estimate(e.found+(n-called)-e.missed, either, n),
		PositiveRate: estimate(positives, either, n),
	}
}

const z95 = 1.959963984540054 // normal quantile of 0.975: an interval of 95 % reaches so many deviations

// estimate divides a mean and its standard deviation by what they are shares of.
func estimate(mean, std, of float64) Estimate {
	if of == 0 {
		return Estimate{}
	}
	value, reach := mean/of, z95*std/of
	return Estimate{value, [2]float64{max(value-reach, 0), min(value+reach, 1)}}
}
