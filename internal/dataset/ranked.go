package dataset

import "math"

// A Ranked is one of many numbers in ascending order.
type Ranked struct {
	Value float64
	UpTo  int // how many of the numbers are not above it
}

const decileCuts = 9

// Ranks returns which of n numbers in ascending order SummarizeRanked wants to
// know, counted from 1: the deciles, and the middle two. Some may be the same.
func Ranks(n int) []int {
	ranks := make([]int, 0, decileCuts+2)
	for i := 1; i <= decileCuts; i++ {
		ranks = append(ranks, int(math.Ceil(float64(i)/(decileCuts+1)*float64(n))))
	}
	return append(ranks, (n+1)/2, n/2+1)
}

// SummarizeRanked is SummarizeNumbers for numbers that were added up and ranked
// elsewhere, such as in a database: their mean, deviation (with n−1; 0 or NaN for a
// constant), smallest and largest, and those at Ranks, in that order. It returns the
// median too. rows must be above 0.
func SummarizeRanked(mean, std, least, most float64, rows int, at []Ranked) (s Summary, median float64) {
	n := &NumberSummary{Mean: mean, Std: 1, Min: least, Max: most, Cuts: []float64{}, Counts: []int{}}
	if std > 0 && least < most {
		n.Std = std
	}
	below := 0
	for _, r := range at[:decileCuts] {
		if r.Value < most && (len(n.Cuts) == 0 || r.Value > n.Cuts[len(n.Cuts)-1]) {
			n.Cuts = append(n.Cuts, r.Value)
			n.Counts = append(n.Counts, r.UpTo-below)
			below = r.UpTo
		}
	}
	n.Counts = append(n.Counts, rows-below)
	return Summary{Numbers: n, Rows: rows}, (at[decileCuts].Value + at[decileCuts+1].Value) / 2
}
