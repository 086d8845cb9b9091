package metric

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
)

// A Bin counts rows whose probabilities are taken for one. They are From or more
// and below From of the next bin.
type Bin struct {
	From                 float64
	Probability          float64 // that stands for all of them, such as their mean
	Positives, Negatives int
}

const mostRows = 1 << 53 // of a ranking: counts are floats too

// RankBins is Rank for rows that were counted elsewhere, such as by a database. All
// figures treat the rows of a bin as equal, so they are as exact as the bins are
// narrow: the AUC to half the share of pairs that fall into one bin, which is much
// where most probabilities crowd into a few. At a threshold that a bin begins at
// answers are exact: BestThreshold returns such a one.
//
// Bins ascend, within 0 to 1, and each has at least one row. It panics otherwise,
// and if a probability is not within its bin: a mean that a database rounded must
// be moved to From, or below From of the next bin. The bins are not copied.
func RankBins(bins []Bin) Ranking {
	r := Ranking{bins: bins}
	for i, b := range bins {
		if !(b.From >= 0 && b.From <= b.Probability && b.Probability <= 1) || i > 0 && b.From <= bins[i-1].Probability {
			panic(fmt.Sprintf("metric: bin %d has a probability of %v, begins at %v and follows one of %v", i, b.Probability, b.From, bins[max(i-1, 0)].Probability))
		}
		n := b.Positives + b.Negatives
		if min(b.Positives, b.Negatives) < 0 || n <= 0 {
			panic(fmt.Sprintf("metric: bin %d has %d positives and %d negatives", i, b.Positives, b.Negatives))
		}
		if n > mostRows-r.positives-r.negatives {
			panic(fmt.Sprintf("metric: more than %d rows", mostRows))
		}
		r.positives += b.Positives
		r.negatives += b.Negatives
	}
	return r
}

func (r Ranking) rows() int { return r.positives + r.negatives }

// ascending yields the rows by rising probability, those of equal ones as one bin.
// Bins of keys have no From.
func (r Ranking) ascending() iter.Seq[Bin] {
	return func(yield func(Bin) bool) {
		start, positives := 0, 0
		for i := range len(r.bins) + len(r.keys) { // one loop, so that its body is inlined
			var b Bin
			if r.bins != nil {
				b = r.bins[i]
			} else {
				key := r.keys[i]
				positives += int(key & 1)
				if i+1 < len(r.keys) && r.keys[i+1]>>1 == key>>1 {
					continue
				}
				b = Bin{Probability: probability(key), Positives: positives, Negatives: i + 1 - start - positives}
				start, positives = i+1, 0
			}
			if !yield(b) {
				return
			}
		}
	}
}

// cutoffs yields the answers of calling positive the rows from the highest
// probability down, those of equal ones at once, each with the threshold that does
// so: where a bin begins, or the middle between a key and the next one below.
func (r Ranking) cutoffs() iter.Seq2[Confusion, float64] {
	return func(yield func(Confusion, float64) bool) {
		tp, fp := 0, 0
		for i := len(r.bins) + len(r.keys) - 1; i >= 0; i-- { // one loop, as in ascending
			var from float64
			if r.bins != nil {
				b := r.bins[i]
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
				from = p / 2 // everyone is positive
				if i > 0 {
					below := probability(r.keys[i-1])
					if from = (below + p) / 2; from <= below { // neighbours in floating point
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

// first returns how many bins or keys have a probability below p.
func (r Ranking) first(p float64) int {
	if !(p > 0) {
		return 0
	}
	if r.bins != nil {
		i, _ := slices.BinarySearchFunc(r.bins, p, func(b Bin, p float64) int { return cmp.Compare(b.Probability, p) })
		return i
	}
	i, _ := slices.BinarySearch(r.keys, math.Float64bits(p)<<1)
	return i
}

// count counts the rows in the from-th to the to-th bin or key, to excluded.
func (r Ranking) count(from, to int) (positives, negatives int) {
	if r.bins != nil {
		for _, b := range r.bins[from:to] {
			positives += b.Positives
			negatives += b.Negatives
		}
		return positives, negatives
	}
	for _, key := range r.keys[from:to] {
		positives += int(key & 1)
	}
	return positives, to - from - positives
}

func probability(key uint64) float64 { return math.Float64frombits(key >> 1) }
