package metric

import (
	"math"
	"math/bits"
)

// A Ranking is probabilities in order, each with its label: what all figures
// need that hang on the order alone. It takes eight bytes a row, or what its bins take.
type Ranking struct {
	keys                 []uint64 // ascending: the bits of the probability, then the label in the lowest
	bins                 []Bin    // instead of keys
	positives, negatives int
}

// Rank sorts probabilities, 0 to 1, with their labels. It panics if one is not in that range.
func Rank(probabilities []float64, positive []bool) Ranking {
	check(probabilities, positive)
	checkRange(probabilities)
	r := Ranking{positives: count(positive)}
	r.negatives = len(positive) - r.positives
	r.keys = sorted(probabilities, func(i int, p float64) uint64 {
		label := uint64(0)
		if positive[i] {
			label = 1
		}
		return math.Float64bits(p)<<1 | label // the bits of numbers from 0 are in their order, the sign is free
	})
	return r
}

// Sort sorts probabilities, 0 to 1, in place. It panics if one is not in that range.
func Sort(probabilities []float64) {
	checkRange(probabilities)
	copy(probabilities, sorted(probabilities, func(_ int, p float64) float64 { return p }))
}

// AlwaysNegative returns the answers of calling no row positive.
func (r Ranking) AlwaysNegative() Confusion { return Confusion{FN: r.positives, TN: r.negatives} }

// AUC is the function AUC: the pairs in order and half of the ties, counted, over all pairs.
func (r Ranking) AUC() float64 {
	var high, low, below uint64 // halves: 128 bits
	for b := range r.ascending() {
		h, l := bits.Mul64(uint64(b.Positives), 2*below+uint64(b.Negatives))
		var carry uint64
		low, carry = bits.Add64(low, l, 0)
		high += h + carry
		below += uint64(b.Negatives)
	}
	return (math.Ldexp(float64(high), 64) + float64(low)) / (2 * float64(r.positives) * float64(r.negatives))
}

// AveragePrecision is the function AveragePrecision.
func (r Ranking) AveragePrecision() float64 {
	var sum, recall float64
	for c := range r.cutoffs() {
		sum += (c.Recall() - recall) * c.Precision()
		recall = c.Recall()
	}
	return sum
}

// BestThreshold returns the threshold whose answers score highest, and the score.
// Every split of the probabilities is tried. Of equal scores the one with the fewest
// positives wins. The threshold lies in the middle between the lowest probability
// called positive and the next one below, so that a rounded probability falls on the
// same side; of bins it is where the lowest one called begins.
func (r Ranking) BestThreshold(score func(Confusion) float64) (threshold, best float64) {
	threshold, best = 1, math.Inf(-1)
	for c, from := range r.cutoffs() {
		if s := score(c); s > best {
			threshold, best = from, s
		}
	}
	return threshold, best
}
