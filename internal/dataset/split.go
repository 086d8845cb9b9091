package dataset

import (
	"churn/internal/status"
	"math"
	"math/rand/v2"
)

// Streams of random numbers, so that a split and folds of the same seed are independent.
const (
	streamSplit = 1
	streamFolds = 2
)

// AllRows returns the row numbers 0 to n−1.
func AllRows(n int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// Split divides the rows into a training and a test part, both in ascending
// order, with the same share of positives as near as whole rows allow. The test
// part has testSize of the rows, rounded up; 0 < testSize < 1. The seed alone
// decides which. Each part needs a row of either class, else the data is refused.
func Split(positive []bool, testSize float64, seed uint64) (train, test []int32, err error) {
	rng := rand.New(rand.NewPCG(seed, streamSplit))
	classes := deal(positive, positives(positive))
	n := len(positive)
	want := int(math.Ceil(testSize * float64(n)))
	take := [2]int{1: int(math.Round(testSize * float64(len(classes[1]))))}
	take[0] = want - take[1]
	tested := make([]bool, n)
	for class, rows := range classes {
		if take[class] < 1 || take[class] >= len(rows) {
			return nil, nil, status.Reject("%d rows, %d of them positive, cannot be split with %g of them for the test: each part needs both classes",
				n, len(classes[1]), testSize)
		}
		shuffle(rows, rng)
		for _, i := range rows[:take[class]] {
			tested[i] = true
		}
	}
	parts := deal(tested, want)
	return parts[0], parts[1], nil
}

// Folds deals the given rows into k parts of the same size and share of
// positives, as near as whole rows allow, and returns the part of each, 0 to
// k−1. Each part needs a row of either class, else the data is refused.
func Folds(positive []bool, k int, seed uint64) ([]uint8, error) {
	rng := rand.New(rand.NewPCG(seed, streamFolds))
	fold := make([]uint8, len(positive))
	dealt := 0
	for class, rows := range deal(positive, positives(positive)) {
		if len(rows) < k {
			return nil, status.Reject("%d rows of %d are %s: %d folds need at least %d", len(rows), len(positive),
				[]string{"negative", "positive"}[class], k, k)
		}
		shuffle(rows, rng)
		for _, i := range rows {
			fold[i] = uint8(dealt)
			if dealt++; dealt == k {
				dealt = 0
			}
		}
	}
	return fold, nil
}

// positives counts the rows of the positive class.
func positives(positive []bool) (n int) {
	for _, p := range positive {
		n += number(p)
	}
	return n
}

// deal returns the numbers of the rows that are not chosen and of those that
// are, chosen of them, both in ascending order.
func deal(choice []bool, chosen int) [2][]int32 {
	parts := [2][]int32{make([]int32, len(choice)-chosen), make([]int32, chosen)}
	var filled [2]int
	for i, c := range choice {
		k := number(c)
		parts[k][filled[k]] = int32(i)
		filled[k]++
	}
	return parts
}

// number is 1 for true: where choices are random, a processor that guesses at a
// branch guesses wrong.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// shuffle is rng.Shuffle of the rows, draw for draw: which rows land where for a
// seed hangs on it.
func shuffle(rows []int32, rng *rand.Rand) {
	for i := len(rows) - 1; i > 0; i-- {
		j := rng.Uint64N(uint64(i + 1))
		rows[i], rows[j] = rows[j], rows[i]
	}
}
