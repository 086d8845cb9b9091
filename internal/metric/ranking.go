package metric

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// A Ranking is probabilities in order, each with its label: what all figures
// need that hang on the order alone. It takes eight bytes a row.
type Ranking struct {
	keys      []uint64 // ascending: the bits of the probability, then the label in the lowest
	positives int
}

// Rank sorts probabilities, 0 to 1, with their labels. It panics if one is not in that range.
func Rank(probabilities []float64, positive []bool) Ranking {
	check(probabilities, positive)
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

// sorted returns key(i, probabilities[i]) of all rows, sorted. Keys must be in
// the order of the probabilities. The rows are dealt into ranges of equal width,
// about bucketRows to each if they are spread evenly, and each range is sorted by
// itself, on all cores.
func sorted[K uint64 | float64](probabilities []float64, key func(i int, p float64) K) []K {
	const bucketRows = 4
	n := len(probabilities)
	buckets := n/bucketRows + 1
	width := float64(buckets)
	bucket := func(p float64) int { return min(int(p*width), buckets-1) }
	ends := make([]int32, buckets+1) // of each bucket, moved up by one: first its count, then where its next key goes
	for _, p := range probabilities {
		if !(p >= 0 && p <= 1) {
			panic(fmt.Sprintf("metric: a probability of %v", p))
		}
		ends[bucket(p)+1]++
	}
	for b := range buckets {
		ends[b+1] += ends[b]
	}
	keys := make([]K, n)
	for i, p := range probabilities {
		at := &ends[bucket(p)]
		keys[*at] = key(i, p+0) // +0: −0 is 0
		*at++
	}
	const some = 1024 // buckets a core takes at a time
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), buckets/some+1) {
		wg.Go(func() {
			for {
				to := int(next.Add(some))
				from := to - some
				if from >= buckets {
					return
				}
				start := int32(0)
				if from > 0 {
					start = ends[from-1]
				}
				for _, end := range ends[from:min(to, buckets)] {
					slices.Sort(keys[start:end])
					start = end
				}
			}
		})
	}
	wg.Wait()
	return keys
}
