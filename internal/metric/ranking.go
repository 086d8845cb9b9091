package metric

import (
	"fmt"
	"iter"
	"math"
	"math/bits"
)

// A Ranking is probabilities in ascending order, each with its label: the input of
// every metric that depends on the order alone. It takes eight bytes per row, or the
// memory of its bins.
type Ranking struct {
	keys                 []uint64 // ascending: the bits of the probability, then the label in the lowest
	bins                 []Bin    // instead of keys
	positives, negatives int
}

// A Bin counts rows with similar probabilities: at least From, and below From of the
// next bin.
type Bin struct {
	From                 float64
	Probability          float64 // that represents all rows of the bin, such as their mean
	Positives, Negatives int
	Min, Max             float64 // of the probabilities; rankBins does not need them
}

// Rank sorts probabilities, 0 to 1, with their labels. It panics if one is not in that range.
func Rank(probabilities []float64, positive []bool) Ranking {
	check(probabilities, positive)
	r := Ranking{positives: Positives(positive)}
	r.negatives = len(positive) - r.positives
	s := Sorter{keys: make([]uint64, len(positive))}
	for i, p := range probabilities {
		if !(p >= 0 && p <= 1) {
			panic(fmt.Sprintf("metric: probability %v is not in 0 to 1", p))
		}
		// The bits of non-negative numbers are in the numbers' order, and the sign bit is free.
		s.keys[i] = math.Float64bits(p+0)<<1 | uint64(Indicator(positive[i])) // +0 turns −0 into 0
	}
	s.sort()
	r.keys = s.keys
	return r
}

// rankBins is Rank for rows that were counted elsewhere, such as by a database. All
// metrics treat the rows of a bin as tied, so their error follows from the width of
// the bins: see Binned.AUCErrorBound. At thresholds where a bin begins, as BestThreshold
// returns, predictions are exact. The bins ascend, within 0 to 1, and each has a row.
func rankBins(bins []Bin) Ranking {
	r := Ranking{bins: bins}
	for _, b := range bins {
		r.positives += b.Positives
		r.negatives += b.Negatives
	}
	return r
}

// AlwaysNegative returns the predictions of the always-negative baseline.
func (r Ranking) AlwaysNegative() Confusion { return Confusion{FN: r.positives, TN: r.negatives} }

// AUC is the area under the ROC curve: the probability that a random positive scores
// higher than a random negative, ties counting half, which is the Mann-Whitney U
// statistic over the number of pairs. It is NaN if all labels are equal.
func (r Ranking) AUC() float64 {
	var high, low, below uint64 // high and low: 2U in 128 bits
	for _, n := range r.ascending() {
		h, l := bits.Mul64(uint64(n.positives), 2*below+uint64(n.negatives))
		var carry uint64
		low, carry = bits.Add64(low, l, 0)
		high += h + carry
		below += uint64(n.negatives)
	}
	return (math.Ldexp(float64(high), 64) + float64(low)) / (2 * float64(r.positives) * float64(r.negatives))
}

// AveragePrecision is Σ (Rₖ − Rₖ₋₁) Pₖ over the distinct probabilities in descending
// order, with Pₖ and Rₖ the precision and recall at the k-th as threshold; not
// interpolated, as in scikit-learn.
func (r Ranking) AveragePrecision() float64 {
	var sum, recall float64
	for c := range r.cutoffs() {
		sum += (c.Recall() - recall) * c.Precision()
		recall = c.Recall()
	}
	return sum
}

// BestThreshold returns the threshold with the highest score, and the score, among
// all distinct thresholds. Of equal scores the one with the fewest rows predicted
// positive wins. The threshold is midway between the lowest probability predicted
// positive and the next one below, so that a rounded probability stays on its side; of
// bins it is where the lowest bin predicted positive begins.
func (r Ranking) BestThreshold(score func(Confusion) float64) (threshold, best float64) {
	threshold, best = 1, math.Inf(-1)
	for c, from := range r.cutoffs() {
		if s := score(c); s > best {
			threshold, best = from, s
		}
	}
	return threshold, best
}

func (r Ranking) rows() int { return r.positives + r.negatives }

// labels counts rows by label. A Bin has more fields than the compiler keeps in
// registers, which makes AUC 1.5 times slower.
type labels struct{ positives, negatives int }

// ascending yields the distinct probabilities in order, each with its rows.
func (r Ranking) ascending() iter.Seq2[float64, labels] {
	return func(yield func(float64, labels) bool) {
		start, positives := 0, 0
		for i := range len(r.bins) + len(r.keys) { // one loop for both, so that its body is inlined
			var p float64
			var n labels
			if r.bins != nil {
				b := &r.bins[i]
				p, n = b.Probability, labels{b.Positives, b.Negatives}
			} else {
				key := r.keys[i]
				positives += int(key & 1)
				if i+1 < len(r.keys) && r.keys[i+1]>>1 == key>>1 {
					continue
				}
				p, n = probability(key), labels{positives, i + 1 - start - positives}
				start, positives = i+1, 0
			}
			if !yield(p, n) {
				return
			}
		}
	}
}

// cutoffs yields the predictions at each distinct threshold, descending, and the
// threshold: where a bin begins, or midway between a key and the next one below.
func (r Ranking) cutoffs() iter.Seq2[Confusion, float64] {
	return func(yield func(Confusion, float64) bool) {
		tp, fp := 0, 0
		for i := len(r.bins) + len(r.keys) - 1; i >= 0; i-- { // one loop, as in ascending
			var from float64
			if r.bins != nil {
				b := &r.bins[i]
				tp += b.Positives
				fp += b.Negatives
				from = b.From
			} else {
				key := r.keys[i]
				tp += int(key & 1)
				if i > 0 && r.keys[i-1]>>1 == key>>1 {
					continue
				}
				fp = len(r.keys) - i - tp
				p := probability(key)
				from = p / 2 // all rows are predicted positive
				if i > 0 {
					below := probability(r.keys[i-1])
					if from = (below + p) / 2; from <= below { // adjacent floating-point numbers
						from = p
					}
				}
			}
			if !yield(Confusion{TP: tp, FP: fp, FN: r.positives - tp, TN: r.negatives - fp}, from) {
				return
			}
		}
	}
}

func probability(key uint64) float64 { return math.Float64frombits(key >> 1) }
