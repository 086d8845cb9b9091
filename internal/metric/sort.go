package metric

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
)

// Sort sorts probabilities, 0 to 1, in place. It panics if one is not in that range.
func Sort(probabilities []float64) {
	checkRange(probabilities)
	copy(probabilities, sorted(probabilities, func(_ int, p float64) float64 { return p }))
}

const (
	bucketRows = 8       // rows per bucket if probabilities are uniform: few enough for insertion sort
	coreRows   = 1 << 14 // rows that pay for another core
)

// sorted returns key(i, probabilities[i]) of all rows in ascending order. Keys must be
// in the order of the probabilities. It is a bucket sort on all cores: rows are
// distributed over buckets of equal width, each core with a range of the rows, then
// each bucket is sorted, each core with a range of the buckets.
func sorted[K uint64 | float64](probabilities []float64, key func(i int, p float64) K) []K {
	n := len(probabilities)
	cores := min(runtime.GOMAXPROCS(0), n/coreRows+1)
	buckets := n/(bucketRows*cores)*cores + cores
	bucket := func(p float64) int { return min(int(p*float64(buckets)), buckets-1) }

	at := make([][]int32, cores) // by core and bucket: the number of the core's rows in it, then where its next row goes
	onCores(cores, n, func(core, from, to int) {
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
	onCores(cores, n, func(core, from, to int) {
		at := at[core]
		for i, p := range probabilities[from:to] {
			b := bucket(p)
			keys[at[b]] = key(from+i, p+0) // +0 turns −0 into 0
			at[b]++
		}
	})
	ends := at[cores-1] // of the buckets: the last core's rows come last in each
	onCores(cores, buckets, func(_, from, to int) {
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

// onCores divides 0 to n−1 into a range for each core and waits until all are done.
func onCores(cores, n int, do func(core, from, to int)) {
	var wg sync.WaitGroup
	for core := range cores {
		wg.Go(func() { do(core, core*n/cores, (core+1)*n/cores) })
	}
	wg.Wait()
}

// checkRange panics if a probability is not in 0 to 1.
func checkRange(probabilities []float64) {
	for _, p := range probabilities {
		if !(p >= 0 && p <= 1) {
			panic(fmt.Sprintf("metric: probability %v is not in 0 to 1", p))
		}
	}
}
