package metric

import (
	"cmp"
	"math"
	"slices"
)

// Bins is how many bins of equal width a Binned has, from 0 to 1.
const Bins = 10_000

// A BinnedCell is rows of one bin, class and answer, as a database counts them.
type BinnedCell struct {
	Bin               int  // 0 to Bins−1: the whole part of Bins times the probability, 1 in the last
	PredictedPositive bool // the probability reaches the threshold
	Positive          bool
	Rows              int
	Sum, SumSquares   float64 // of the probabilities
	Min, Max          float64 // of the probabilities
	Loss              float64 // the sum of −log of the probability given to the truth
}

// Binned are probabilities with their labels, counted by bin at one threshold. What
// hangs on the answers is exact, and so are Brier and LogLoss; what hangs on the
// order is as exact as the bins are narrow: see RankBins.
type Binned struct {
	Cells     []BinnedCell // in any order
	Threshold float64
}

// Pool counts rows that were counted apart together. Their thresholds are the same.
func Pool(parts ...Binned) Binned {
	all := Binned{Threshold: parts[0].Threshold}
	at := make([]int32, 4*Bins) // place in Cells and one, by bin, answer and class
	for _, b := range parts {
		for _, c := range b.Cells {
			place := &at[4*c.Bin+2*number(c.PredictedPositive)+number(c.Positive)]
			if *place == 0 {
				all.Cells = append(all.Cells, c)
				*place = int32(len(all.Cells))
				continue
			}
			sum := &all.Cells[*place-1]
			sum.Rows += c.Rows
			sum.Sum, sum.SumSquares, sum.Loss = sum.Sum+c.Sum, sum.SumSquares+c.SumSquares, sum.Loss+c.Loss
			sum.Min, sum.Max = min(sum.Min, c.Min), max(sum.Max, c.Max)
		}
	}
	return all
}

// Confusion counts the answers.
func (b Binned) Confusion() (c Confusion) {
	for _, cell := range b.Cells {
		switch {
		case cell.PredictedPositive && cell.Positive:
			c.TP += cell.Rows
		case cell.PredictedPositive:
			c.FP += cell.Rows
		case cell.Positive:
			c.FN += cell.Rows
		default:
			c.TN += cell.Rows
		}
	}
	return c
}

// ConfusionAt counts the answers that another threshold would give, one where a bin
// begins: a BestThreshold of such bins.
func (b Binned) ConfusionAt(threshold float64) Confusion {
	c := Binned{Cells: slices.Clone(b.Cells)}
	for i := range c.Cells {
		c.Cells[i].PredictedPositive = c.Cells[i].Min >= threshold // rounding has put some rows on an edge below it
	}
	return c.Confusion()
}

// LogLoss is the function LogLoss; Brier the function Brier.
func (b Binned) LogLoss() float64 {
	loss, rows := 0.0, 0
	for _, c := range b.Cells {
		loss += c.Loss
		rows += c.Rows
	}
	return loss / float64(rows)
}

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

// A Step is the rows of one bin and answer, of either class.
type Step struct {
	Bin
	Least, Most float64 // of the probabilities
}

// Steps returns the cells in ascending order, both classes together.
func (b Binned) Steps() []Step {
	cells := slices.Clone(b.Cells)
	slices.SortFunc(cells, func(x, y BinnedCell) int {
		switch {
		case x.Bin != y.Bin:
			return x.Bin - y.Bin
		case x.PredictedPositive == y.PredictedPositive:
			return 0
		case y.PredictedPositive:
			return -1
		}
		return 1
	})
	steps := make([]Step, 0, len(cells))
	for i, c := range cells {
		if i == 0 || c.Bin != cells[i-1].Bin || c.PredictedPositive != cells[i-1].PredictedPositive {
			from := min(float64(c.Bin)/Bins, c.Min)
			if c.PredictedPositive {
				from = max(from, b.Threshold)
			}
			steps = append(steps, Step{Bin{From: from}, c.Min, c.Max})
		}
		s := &steps[len(steps)-1]
		s.Least, s.Most = min(s.Least, c.Min), max(s.Most, c.Max)
		s.Probability += c.Sum // divided below
		if c.Positive {
			s.Positives += c.Rows
		} else {
			s.Negatives += c.Rows
		}
	}
	slices.SortFunc(steps, func(x, y Step) int { return cmp.Compare(x.Least, y.Least) })
	for i := range steps {
		s := &steps[i]
		s.Probability = min(max(s.Probability/float64(s.Positives+s.Negatives), s.Least), s.Most)
		s.From = min(s.From, s.Least)
		if i > 0 {
			s.From = max(s.From, math.Nextafter(steps[i-1].Most, 2))
		}
	}
	return steps
}

// Ranking returns the rows in order.
func (b Binned) Ranking() Ranking {
	steps := b.Steps()
	bins := make([]Bin, len(steps))
	for i, s := range steps {
		bins[i] = s.Bin
	}
	return RankBins(bins)
}

// AUCErrorBound is how far the AUC may be off: half the share of the pairs of a positive and
// a negative that are in one bin.
func (b Binned) AUCErrorBound() float64 {
	var together, positives, negatives float64
	for _, s := range b.Steps() {
		if s.Least < s.Most {
			together += float64(s.Positives) * float64(s.Negatives)
		}
		positives += float64(s.Positives)
		negatives += float64(s.Negatives)
	}
	return together / (2 * positives * negatives)
}
