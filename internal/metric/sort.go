package metric

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
)

// bucketRows is how many rows fall into a bucket if probabilities are spread
// evenly: few enough to sort by insertion.
const bucketRows = 8

// sorted returns key(i, probabilities[i]) of all rows, sorted. Keys must be in
// the order of the probabilities. Rows are dealt into buckets of equal width in
// probability, then each bucket is sorted by itself: all of it on all cores, each
// with its share of the rows and then of the buckets.
func sorted[K uint64 | float64](probabilities []float64, key func(i int, p float64) K) []K {
	n := len(probabilities)
	cores := min(runtime.GOMAXPROCS(0), n>>14+1) // a core for every 16,384 rows
	buckets := n/(bucketRows*cores)*cores + cores
	bucket := func(p float64) int { return min(int(p*float64(buckets)), buckets-1) }
	each := func(n int, do func(core, from, to int)) {
		var wg sync.WaitGroup
		for core := range cores {
			wg.Go(func() { do(core, core*n/cores, (core+1)*n/cores) })
		}
		wg.Wait()
	}

	at := make([][]int32, cores) // by core and bucket: how many of the core's rows are in it, then where they go
	each(n, func(core, from, to int) {
		counts := make([]int32, buckets)
		for _, p := range probabilities[from:to] {
			counts[bucket(p)]++
		}
		at[core] = counts
	})
	end := int32(0)
	for b := range buckets {
		for _, counts := range at {
			start := end
			end += counts[b]
			counts[b] = start
		}
	}
	keys := make([]K, n)
	each(n, func(core, from, to int) {
		at := at[core]
		for i, p := range probabilities[from:to] {
			b := bucket(p)
			keys[at[b]] = key(from+i, p+0) // +0: −0 is 0
			at[b]++
		}
	})
	ends := at[cores-1] // the last core's rows are each bucket's last
	each(buckets, func(_, from, to int) {
		start := int32(0)
		if from > 0 {
			start = ends[from-1]
		}
		for _, end := range ends[from:to] {
			slices.Sort(keys[start:end])
			start = end
		}
	})
	return keys
}

// checkRange panics if a probability is not in 0 to 1: sorted needs it.
func checkRange(probabilities []float64) {
	for _, p := range probabilities {
		if !(p >= 0 && p <= 1) {
			panic(fmt.Sprintf("metric: a probability of %v", p))
		}
	}
}
