package dataset

import (
	"math"
	"math/rand/v2"
	"slices"

	"churn/internal/metric"
	"churn/internal/status"
)

// Streams of random numbers, so that a split and folds of the same seed are independent.
const (
	streamSplit = 1
	streamFolds = 2
)

// AllRows returns the row numbers 0 to n−1.
func AllRows(n int) []int32 { return UpTo[int32](n) }

// UpTo returns the numbers 0 to n−1.
func UpTo[T int | int32 | uint16](n int) []T {
	numbers := make([]T, n)
	for i := range numbers {
		numbers[i] = T(i)
	}
	return numbers
}

// Split divides the rows into training and test rows, both in ascending order, with the
// same share of positives as near as whole rows allow. testSize of the rows, rounded up,
// are test rows; 0 < testSize < 1. The seed alone decides which. Each part needs rows of
// both classes, else the data is rejected.
func Split(positive []bool, testSize float64, seed uint64) (train, test []int32, err error) {
	rng := rand.New(rand.NewPCG(seed, streamSplit))
	classes := divide(positive)
	n := len(positive)
	take := [2]int{1: int(math.Round(testSize * float64(len(classes[1]))))}
	take[0] = int(math.Ceil(testSize*float64(n))) - take[1]
	tested := make([]bool, n)
	for class, rows := range classes {
		if take[class] < 1 || take[class] >= len(rows) {
			return nil, nil, status.Reject("%d rows, %d of them positive, cannot be split with %g of them for the test: "+
				"each part needs both classes: prepare more rows", n, len(classes[1]), testSize)
		}
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for _, i := range rows[:take[class]] {
			tested[i] = true
		}
	}
	parts := divide(tested)
	return parts[0], parts[1], nil
}

// Folds assigns the rows to k folds, 0 to k−1, of the same size and share of positives
// as near as whole rows allow. Each fold needs rows of both classes, else the data is
// rejected.
func Folds(positive []bool, k int, seed uint64) ([]uint8, error) {
	rng := rand.New(rand.NewPCG(seed, streamFolds))
	fold := make([]uint8, len(positive))
	next := 0
	for class, rows := range divide(positive) {
		if len(rows) < k {
			return nil, status.Reject("%d rows of %d are %s: %d folds need at least %d", len(rows), len(positive),
				[]string{"negative", "positive"}[class], k, k)
		}
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for _, i := range rows {
			fold[i] = uint8(next)
			next = (next + 1) % k
		}
	}
	return fold, nil
}

// SplitByTime divides the rows into parts that begin where so large a share of them is earlier,
// each in ascending order. Rows of the same time are in the same part, the later one.
func SplitByTime(times []float64, shares ...float64) (parts [][]int32, from []float64) {
	sorted := slices.Sorted(slices.Values(times))
	for _, share := range shares {
		from = append(from, sorted[min(int(share*float64(len(times))), len(times)-1)])
	}
	parts = make([][]int32, len(shares)+1)
	for i, t := range times {
		k := 0
		for k < len(from) && t >= from[k] {
			k++
		}
		parts[k] = append(parts[k], int32(i))
	}
	return parts, from
}

// divide returns the numbers of the rows that are not chosen and of those that are,
// both in ascending order.
func divide(chosen []bool) [2][]int32 {
	n := metric.Positives(chosen)
	parts := [2][]int32{make([]int32, 0, len(chosen)-n), make([]int32, 0, n)}
	for i, c := range chosen {
		k := metric.Indicator(c)
		parts[k] = append(parts[k], int32(i))
	}
	return parts
}

// A HashRange is the rows whose key or number has a hash in one of the intervals, the same rows
// in every run. nil is all rows.
type HashRange []Interval

// An Interval is the hashes at or above From and below To, as fractions of all hashes.
type Interval struct{ From, To float64 }

// Has reports whether a row is in the range, by a hash of its number and a seed.
func (r HashRange) Has(row int, seed uint64) bool {
	if r == nil {
		return true
	}
	at := float64(Mix(uint64(row)+seed*Golden)>>11) / (1 << 53)
	return slices.ContainsFunc(r, func(i Interval) bool { return at >= i.From && at < i.To })
}

// Mix makes every bit of a hash depend on all of x; 0 stays 0. It is the finalizer of SplitMix64 (Steele,
// Lea & Flood 2014, Fast Splittable Pseudorandom Number Generators).
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// TestRange returns the rows to hold out, about testSize of all.
func TestRange(testSize float64) HashRange { return HashRange{{0, testSize}} }

// TrainRange returns the rows that TestRange does not.
func TrainRange(testSize float64) HashRange { return HashRange{{testSize, 1}} }

// FoldRange returns fold k of n of the training rows, and the training rows outside it.
func FoldRange(testSize float64, k, n int) (in, out HashRange) {
	at := func(k int) float64 { return testSize + (1-testSize)*float64(k)/float64(n) }
	in = HashRange{{at(k), at(k + 1)}}
	if k > 0 {
		out = append(out, Interval{testSize, at(k)})
	}
	if k < n-1 {
		out = append(out, Interval{at(k + 1), 1})
	}
	return in, out
}

// Sample returns about a fraction of the rows: those with the lowest hashes.
func (r HashRange) Sample(fraction float64) HashRange {
	if r == nil {
		r = HashRange{{0, 1}}
	}
	left := 0.0
	for _, s := range r {
		left += fraction * (s.To - s.From)
	}
	var out HashRange
	for _, s := range r {
		if size := s.To - s.From; size < left {
			out, left = append(out, s), left-size
		} else {
			return append(out, Interval{s.From, s.From + left})
		}
	}
	return out
}
