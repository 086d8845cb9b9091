// Package metric judges a binary classifier by its probabilities and the true
// labels. Positive means churn. All functions want one probability a label and
// panic if the lengths differ; none wants its input sorted.
package metric

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"
)

// Confusion counts answers by truth.
type Confusion struct {
	TP int `json:"tp"`
	FP int `json:"fp"`
	FN int `json:"fn"`
	TN int `json:"tn"`
}

// Confuse counts the answers of calling positive whatever reaches the threshold.
func Confuse(probabilities []float64, positive []bool, threshold float64) Confusion {
	check(probabilities, positive)
	var c Confusion
	for i, p := range probabilities {
		c.Add(p >= threshold, positive[i])
	}
	return c
}

// Add counts one answer.
func (c *Confusion) Add(answer, truth bool) {
	switch {
	case answer && truth:
		c.TP++
	case answer:
		c.FP++
	case truth:
		c.FN++
	default:
		c.TN++
	}
}

// Accuracy is the share of right answers.
func (c Confusion) Accuracy() float64 { return ratio(c.TP+c.TN, c.TP+c.TN+c.FP+c.FN) }

// Precision is the share of positives among the answers positive; 0 without any, as in scikit-learn.
func (c Confusion) Precision() float64 { return ratio(c.TP, c.TP+c.FP) }

// Recall is the share of positives that were found; 0 without any.
func (c Confusion) Recall() float64 { return ratio(c.TP, c.TP+c.FN) }

// F1 is the harmonic mean of precision and recall, 2TP/(2TP+FP+FN).
func (c Confusion) F1() float64 { return ratio(2*c.TP, 2*c.TP+c.FP+c.FN) }

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// AUC is the area under the ROC curve: the chance that a random positive has a
// higher probability than a random negative, ties counting half. It is NaN if
// the labels are of one class.
func AUC(probabilities []float64, positive []bool) float64 {
	check(probabilities, positive)
	p, y := slices.Clone(probabilities), slices.Clone(positive)
	stat.SortWeightedLabeled(p, y, nil)
	tpr, fpr, _ := stat.ROC(nil, p, y, nil)
	return integrate.Trapezoidal(fpr, tpr)
}

// AveragePrecision is Σ (Rₖ − Rₖ₋₁) Pₖ over the distinct probabilities from the
// highest down, with Pₖ and Rₖ the precision and recall of calling positive what
// reaches the k-th; not interpolated, as in scikit-learn.
func AveragePrecision(probabilities []float64, positive []bool) float64 {
	var sum, recall float64
	for c := range cutoffs(probabilities, positive) {
		sum += (c.Recall() - recall) * c.Precision()
		recall = c.Recall()
	}
	return sum
}

// LogLoss is the mean of −log of the probability given to the truth. A
// probability of exactly 0 or 1 is moved by the double's epsilon, as in scikit-learn.
func LogLoss(probabilities []float64, positive []bool) float64 {
	check(probabilities, positive)
	const eps = 0x1p-52
	var sum float64
	for i, p := range probabilities {
		p = min(max(p, eps), 1-eps)
		if positive[i] {
			sum -= math.Log(p)
		} else {
			sum -= math.Log1p(-p)
		}
	}
	return sum / float64(len(probabilities))
}

// Brier is the mean squared difference between probability and truth.
func Brier(probabilities []float64, positive []bool) float64 {
	check(probabilities, positive)
	var sum float64
	for i, p := range probabilities {
		if positive[i] {
			p = 1 - p
		}
		sum += p * p
	}
	return sum / float64(len(probabilities))
}

// BestThreshold returns the threshold whose answers score highest, and the
// score. Every split of the probabilities is tried. Of equal scores the one with
// the fewest positives wins. The threshold lies in the middle between the lowest
// probability called positive and the next one below, so that a rounded
// probability falls on the same side.
func BestThreshold(probabilities []float64, positive []bool, score func(Confusion) float64) (threshold, best float64) {
	threshold, best = 1, math.Inf(-1)
	previous, pending := 0.0, false
	for c, p := range cutoffs(probabilities, positive) {
		if pending {
			threshold, pending = (previous+p)/2, false
			if threshold <= p { // neighbours in floating point
				threshold = previous
			}
		}
		if s := score(c); s > best {
			best, pending = s, true
		}
		previous = p
	}
	if pending {
		threshold = previous / 2 // everyone is positive
	}
	return threshold, best
}

// cutoffs yields the distinct probabilities from the highest down, each with the
// answers of calling positive whatever reaches it.
func cutoffs(probabilities []float64, positive []bool) func(yield func(Confusion, float64) bool) {
	check(probabilities, positive)
	return func(yield func(Confusion, float64) bool) {
		p, y := slices.Clone(probabilities), slices.Clone(positive)
		stat.SortWeightedLabeled(p, y, nil)
		var c Confusion
		for _, truth := range y {
			c.Add(false, truth)
		}
		for i := len(p) - 1; i >= 0; i-- {
			if y[i] {
				c.TP, c.FN = c.TP+1, c.FN-1
			} else {
				c.FP, c.TN = c.FP+1, c.TN-1
			}
			if (i == 0 || p[i-1] != p[i]) && !yield(c, p[i]) {
				return
			}
		}
	}
}

func check(probabilities []float64, positive []bool) {
	if len(probabilities) != len(positive) {
		panic("metric: as many labels as probabilities are needed")
	}
}
