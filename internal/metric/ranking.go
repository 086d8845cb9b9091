package metric

import "math"

// A Ranking is probabilities in order, each with its label: what all figures
// need that hang on the order alone. It takes eight bytes a row.
type Ranking struct {
	keys      []uint64 // ascending: the bits of the probability, then the label in the lowest
	positives int
}

// Rank sorts probabilities, 0 to 1, with their labels. It panics if one is not in that range.
func Rank(probabilities []float64, positive []bool) Ranking {
	check(probabilities, positive)
	checkRange(probabilities)
	r := Ranking{positives: count(positive)}
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

func (r Ranking) at(i int) (probability float64, positive int) {
	return math.Float64frombits(r.keys[i] >> 1), int(r.keys[i] & 1)
}

// AUC is the function AUC: the pairs in order and half of the ties, counted, over all pairs.
func (r Ranking) AUC() float64 {
	var halves, below, tied, tiedPositives uint64
	for i, key := range r.keys {
		tied++
		tiedPositives += key & 1
		if i+1 < len(r.keys) && r.keys[i+1]>>1 == key>>1 {
			continue
		}
		tiedNegatives := tied - tiedPositives
		halves += tiedPositives * (2*below + tiedNegatives)
		below += tiedNegatives
		tied, tiedPositives = 0, 0
	}
	return float64(halves) / (2 * float64(r.positives) * float64(len(r.keys)-r.positives))
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

// BestThreshold is the function BestThreshold.
func (r Ranking) BestThreshold(score func(Confusion) float64) (threshold, best float64) {
	threshold, best = 1, math.Inf(-1)
	previous, pending := 0.0, false
	for c, p := range r.cutoffs() {
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
func (r Ranking) cutoffs() func(yield func(Confusion, float64) bool) {
	return func(yield func(Confusion, float64) bool) {
		tp := 0
		for i := len(r.keys) - 1; i >= 0; i-- {
			p, y := r.at(i)
			tp += y
			if i > 0 && r.keys[i-1]>>1 == r.keys[i]>>1 {
				continue
			}
			called := len(r.keys) - i
			c := Confusion{TP: tp, FP: called - tp, FN: r.positives - tp, TN: i - (r.positives - tp)}
			if !yield(c, p) {
				return
			}
		}
	}
}
