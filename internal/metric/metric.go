// Package metric computes the metrics of a binary classifier from its probabilities
// and the true labels. The positive class is churn. Functions of both take one probability
// per label, in any order, and panic if the lengths differ. Means over no rows are NaN.
package metric

// Confusion is a confusion matrix: counts of predictions by true label.
type Confusion struct {
	TP int `json:"tp"`
	FP int `json:"fp"`
	FN int `json:"fn"`
	TN int `json:"tn"`
}

// ConfusionAt counts the predictions at a threshold: positive where the probability
// is at least the threshold.
func ConfusionAt(probabilities []float64, positive []bool, threshold float64) (c Confusion) {
	check(probabilities, positive)
	for i, p := range probabilities {
		c.Add(p >= threshold, positive[i])
	}
	return c
}

// Add counts one prediction.
func (c *Confusion) Add(predicted, positive bool) { c.add(predicted, positive, 1) }

func (c *Confusion) add(predicted, positive bool, rows int) {
	switch {
	case predicted && positive:
		c.TP += rows
	case predicted:
		c.FP += rows
	case positive:
		c.FN += rows
	default:
		c.TN += rows
	}
}

// Plus returns the sum of both.
func (c Confusion) Plus(d Confusion) Confusion {
	return Confusion{TP: c.TP + d.TP, FP: c.FP + d.FP, FN: c.FN + d.FN, TN: c.TN + d.TN}
}

// Rows is the number of predictions.
func (c Confusion) Rows() int { return c.TP + c.FP + c.FN + c.TN }

// Accuracy is the proportion of correct predictions, (TP+TN)/n.
func (c Confusion) Accuracy() float64 { return Ratio(c.TP+c.TN, c.Rows()) }

// Precision is TP/(TP+FP); 0 if no row is predicted positive, as in scikit-learn.
func (c Confusion) Precision() float64 { return Ratio(c.TP, c.TP+c.FP) }

// Recall is TP/(TP+FN), the true positive rate; 0 without positives.
func (c Confusion) Recall() float64 { return Ratio(c.TP, c.TP+c.FN) }

// F1 is the harmonic mean of precision and recall, 2TP/(2TP+FP+FN).
func (c Confusion) F1() float64 { return Ratio(2*c.TP, 2*c.TP+c.FP+c.FN) }

// Ratio is a/b, or 0 where b is.
func Ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// LogLoss is the mean of −log of the probability of the true label, with
// probabilities clipped to [ε, 1−ε], ε = 2⁻⁵², as in scikit-learn.
func LogLoss(probabilities []float64, positive []bool) float64 {
	check(probabilities, positive)
	sum := 0.0
	for i, p := range probabilities {
		sum += rowLoss(p, positive[i], lossEpsilon)
	}
	return sum / float64(len(probabilities))
}

const lossEpsilon = 0x1p-52 // probabilities are clipped to it and 1 less it

// Brier is the Brier score: the mean squared difference of probability and label.
func Brier(probabilities []float64, positive []bool) float64 {
	check(probabilities, positive)
	var sum float64
	for i, p := range probabilities {
		d := p - float64(Indicator(positive[i]))
		sum += d * d
	}
	return sum / float64(len(probabilities))
}

// Indicator is 1 for true, 0 for false. It compiles without a branch: labels are random, so half of
// the branches would be mispredicted.
func Indicator(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Positives counts the positive labels.
func Positives(positive []bool) (n int) {
	for _, y := range positive {
		n += Indicator(y)
	}
	return n
}

func check(probabilities []float64, positive []bool) {
	if len(probabilities) != len(positive) {
		panic("metric: the numbers of probabilities and labels differ")
	}
}
