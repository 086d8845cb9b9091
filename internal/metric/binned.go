package metric

import (
	"cmp"
	"math"
	"slices"
)

// Bins is how many bins of equal width a Binned has, from 0 to 1.
const Bins = 10_000

// A BinnedCell aggregates the rows of one bin, label and prediction, as a database does.
type BinnedCell struct {
	Bin               int  // 0 to Bins−1: the integer part of Bins times the probability, 1 in the last
	PredictedPositive bool // the probability is at least the threshold
	Positive          bool
	Rows              int
	Sum, SumSquares   float64 // of the probabilities
	Min, Max          float64 // of the probabilities
	Loss              float64 // the sum of −log of the probability of the true label
}

// Binned are probabilities with their labels, aggregated by bin at one threshold. The
// confusion matrix at that threshold is exact, and so are Brier and LogLoss; metrics of
// the order are as exact as the bins are narrow: see rankBins.
type Binned struct {
	Cells     []BinnedCell // in any order
	Threshold float64
}

// Pool aggregates several sets of rows into one. Their thresholds must be equal.
func Pool(sets ...Binned) Binned {
	all := Binned{Threshold: sets[0].Threshold}
	index := make([]int32, 4*Bins) // by bin, prediction and label: one more than the index in Cells, 0 for none
	for _, b := range sets {
		for _, c := range b.Cells {
			at := &index[4*c.Bin+2*Indicator(c.PredictedPositive)+Indicator(c.Positive)]
			if *at == 0 {
				all.Cells = append(all.Cells, c)
				*at = int32(len(all.Cells))
				continue
			}
			sum := &all.Cells[*at-1]
			sum.Rows += c.Rows
			sum.Sum, sum.SumSquares, sum.Loss = sum.Sum+c.Sum, sum.SumSquares+c.SumSquares, sum.Loss+c.Loss
			sum.Min, sum.Max = min(sum.Min, c.Min), max(sum.Max, c.Max)
		}
	}
	return all
}

// BinRows aggregates probabilities with their labels.
func BinRows(probabilities []float64, positive []bool, threshold float64) Binned {
	rows := Binned{make([]BinnedCell, len(probabilities)), threshold}
	for i, p := range probabilities {
		rows.Cells[i] = BinnedCell{
			Bin: min(int(p*Bins), Bins-1), PredictedPositive: p >= threshold, Positive: positive[i], Rows: 1,
			Sum: p, SumSquares: p * p, Min: p, Max: p, Loss: rowLoss(p, positive[i], lossEpsilon),
		}
	}
	return Pool(rows)
}

// ConfusionAt counts the predictions at Threshold, or at another one, which must be where a bin
// begins, such as a BestThreshold of the Ranking.
func (b Binned) ConfusionAt(threshold float64) (c Confusion) {
	for _, cell := range b.Cells {
		predicted := cell.Min >= threshold // Min: rounding has put some rows on an edge below it
		if threshold == b.Threshold {
			predicted = cell.PredictedPositive
		}
		c.add(predicted, cell.Positive, cell.Rows)
	}
	return c
}

// LogLoss is the function LogLoss.
func (b Binned) LogLoss() float64 {
	loss, rows := 0.0, 0
	for _, c := range b.Cells {
		loss += c.Loss
		rows += c.Rows
	}
	return loss / float64(rows)
}

// LossesAbove is the function LossesAbove; the rows of a cell count with their mean loss.
func (b Binned) LossesAbove(base float64) (s LossSums) {
	for _, c := range b.Cells {
		s.add(c.Loss/float64(c.Rows)-rowLoss(base, c.Positive, lossEpsilon), c.Rows)
	}
	return s
}

// Brier is the function Brier.
func (b Binned) Brier() float64 {
	sum, rows := 0.0, 0
	for _, c := range b.Cells {
		sum += c.SumSquares
		if c.Positive {
			sum += float64(c.Rows) - 2*c.Sum
		}
		rows += c.Rows
	}
	return sum / float64(rows)
}

// Bins returns the rows in ascending order, one bin for each bin and prediction of the
// cells, both labels together.
func (b Binned) Bins() []Bin {
	cells := slices.Clone(b.Cells)
	slices.SortFunc(cells, func(x, y BinnedCell) int {
		return cmp.Or(x.Bin-y.Bin, Indicator(x.PredictedPositive)-Indicator(y.PredictedPositive))
	})
	bins := make([]Bin, 0, len(cells))
	for i, c := range cells {
		if i == 0 || c.Bin != cells[i-1].Bin || c.PredictedPositive != cells[i-1].PredictedPositive {
			from := min(float64(c.Bin)/Bins, c.Min)
			if c.PredictedPositive {
				from = max(from, b.Threshold)
			}
			bins = append(bins, Bin{From: from, Min: c.Min, Max: c.Max})
		}
		s := &bins[len(bins)-1]
		s.Min, s.Max = min(s.Min, c.Min), max(s.Max, c.Max)
		s.Probability += c.Sum // divided below
		if c.Positive {
			s.Positives += c.Rows
		} else {
			s.Negatives += c.Rows
		}
	}
	slices.SortFunc(bins, func(x, y Bin) int { return cmp.Compare(x.Min, y.Min) })
	for i := range bins {
		s := &bins[i]
		s.Probability = min(max(s.Probability/float64(s.Positives+s.Negatives), s.Min), s.Max)
		s.From = min(s.From, s.Min)
		if i > 0 {
			s.From = max(s.From, math.Nextafter(bins[i-1].Max, 2))
		}
	}
	return bins
}

// Ranking returns the rows in order.
func (b Binned) Ranking() Ranking { return rankBins(b.Bins()) }

// AUCErrorBound is the largest possible error of the AUC of Ranking: half the proportion of pairs
// of a positive and a negative that are in one bin, unless all its probabilities are equal. It is NaN
// if all labels are.
func (b Binned) AUCErrorBound() float64 {
	var together, positives, negatives float64
	for _, s := range b.Bins() {
		if s.Min < s.Max {
			together += float64(s.Positives) * float64(s.Negatives)
		}
		positives += float64(s.Positives)
		negatives += float64(s.Negatives)
	}
	return together / (2 * positives * negatives)
}
