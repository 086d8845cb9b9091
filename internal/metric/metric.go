// Package metric judges a binary classifier by its probabilities and the true
// labels. Positive means churn. All functions want one probability a label and
// panic if the lengths differ; none wants its input sorted.
package metric

import "math"

// Confusion counts answers by truth.
type Confusion struct {
	TP int `json:"tp"`
	FP int `json:"fp"`
	FN int `json:"fn"`
	TN int `json:"tn"`
}

// ConfusionAt counts the answers of calling positive whatever reaches the threshold.
func ConfusionAt(probabilities []float64, positive []bool, threshold float64) Confusion {
	check(probabilities, positive)
	var called, right int
	for i, p := range probabilities {
		answer := number(p >= threshold)
		called += answer
		right += answer & number(positive[i])
	}
	positives := count(positive)
	return Confusion{TP: right, FP: called - right, FN: positives - right, TN: len(positive) - positives - (called - right)}
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

// Plus returns the counts of both.
func (c Confusion) Plus(d Confusion) Confusion {
	return Confusion{TP: c.TP + d.TP, FP: c.FP + d.FP, FN: c.FN + d.FN, TN: c.TN + d.TN}
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
	return Rank(probabilities, positive).AUC()
}

// AveragePrecision is Σ (Rₖ − Rₖ₋₁) Pₖ over the distinct probabilities from the
// highest down, with Pₖ and Rₖ the precision and recall of calling positive what
// reaches the k-th; not interpolated, as in scikit-learn.
func AveragePrecision(probabilities []float64, positive []bool) float64 {
	return Rank(probabilities, positive).AveragePrecision()
}

// LogLoss is the mean of −log of the probability given to the truth. A
// probability of exactly 0 or 1 is moved by the double's epsilon, as in
// scikit-learn. It takes the logarithm of a product of many probabilities, which
// costs at most an ulp a row, absolute.
func LogLoss(probabilities []float64, positive []bool) float64 {
	check(probabilities, positive)
	const (
		eps   = 0x1p-52
		least = 0x1p-900 // times eps is still a normal number
	)
	sum, product := 0.0, 1.0
	for i, p := range probabilities {
		p = min(max(p, eps), 1-eps)
		truth := [2]float64{1 - p, p}
		if product *= truth[number(positive[i])]; product < least {
			sum -= math.Log(product)
			product = 1
		}
	}
	return (sum - math.Log(product)) / float64(len(probabilities))
}

// Brier is the mean squared difference between probability and truth.
func Brier(probabilities []float64, positive []bool) float64 {
	check(probabilities, positive)
	var sum float64
	for i, p := range probabilities {
		d := p - float64(number(positive[i]))
		sum += d * d
	}
	return sum / float64(len(probabilities))
}

// number is 1 for true: labels are random, and a processor that guesses at them
// guesses wrong.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func count(positive []bool) (n int) {
	for _, y := range positive {
		n += number(y)
	}
	return n
}

func check(probabilities []float64, positive []bool) {
	if len(probabilities) != len(positive) {
		panic("metric: as many labels as probabilities are needed")
	}
}
