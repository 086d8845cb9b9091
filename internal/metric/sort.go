package metric

import (
	"fmt"
	"slices"
)

// Sort sorts probabilities, 0 to 1, in place. It panics if one is not in that range.
func Sort(probabilities []float64) {
	checkRange(probabilities)
	copy(probabilities, sorted(probabilities, func(_ int, p float64) float64 { return p }))
}

const bucketRows = 8 // if probabilities are uniform: few enough for insertion sort

// sorted returns key(i, probabilities[i]) of all rows in ascending order. Keys must be in the order of
// the probabilities. It is a bucket sort: rows are distributed over buckets of equal width, and each is sorted.
func sorted[K uint64 | float64](probabilities []float64, key func(i int, p float64) K) []K {
	n := len(probabilities)
	starts := make([]int32, n/bucketRows+2) // of the buckets; while rows are distributed, of their next row
	bucket := func(p float64) int { return min(int(p*float64(len(starts)-1)), len(starts)-2) }
	for _, p := range probabilities {
		starts[bucket(p)+1]++
	}
	for b := 1; b < len(starts); b++ {
		starts[b] += starts[b-1]
	}
	keys := make([]K, n)
	for i, p := range probabilities {
		b := bucket(p)
		keys[starts[b]] = key(i, p+0) // +0 turns −0 into 0
		starts[b]++
	}
	start := int32(0)
	for _, end := range starts[:len(starts)-1] {
		slices.Sort(keys[start:end])
		start = end
	}
	return keys
}

// checkRange panics if a probability is not in 0 to 1.
func checkRange(probabilities []float64) {
	for _, p := range probabilities {
		if !(p >= 0 && p <= 1) {
			panic(fmt.Sprintf("metric: probability %v is not in 0 to 1", p))
		}
	}
}
