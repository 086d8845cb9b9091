package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Streams of random numbers that hang on a seed, so that a split and folds of
// the same seed are independent.
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
	classes := shuffledClasses(positive, rng)
	n := len(positive)
	want := int(math.Ceil(testSize * float64(n)))
	take := [2]int{1: int(math.Round(testSize * float64(len(classes[1]))))}
	take[0] = want - take[1]
	for k, rows := range classes {
		if take[k] < 1 || take[k] >= len(rows) {
			return nil, nil, tooFew("%d rows, %d of them positive, cannot be split with %g of them for the test: each part needs both classes",
				n, len(classes[1]), testSize)
		}
		test = append(test, rows[:take[k]]...)
		train = append(train, rows[take[k]:]...)
	}
	slices.Sort(train)
	slices.Sort(test)
	return train, test, nil
}

// Folds deals the given rows into k parts of the same size and share of
// positives, as near as whole rows allow, and returns the part of each, 0 to
// k−1. Each part needs a row of either class, else the data is refused.
func Folds(positive []bool, k int, seed uint64) ([]uint8, error) {
	rng := rand.New(rand.NewPCG(seed, streamFolds))
	fold := make([]uint8, len(positive))
	dealt := 0
	for class, rows := range shuffledClasses(positive, rng) {
		if len(rows) < k {
			return nil, tooFew("%d rows of %d are %s: %d folds need at least %d", len(rows), len(positive),
				[]string{"negative", "positive"}[class], k, k)
		}
		for _, i := range rows {
			fold[i] = uint8(dealt % k)
			dealt++
		}
	}
	return fold, nil
}

// shuffledClasses returns the negative and the positive rows, each in random order.
func shuffledClasses(positive []bool, rng *rand.Rand) [2][]int32 {
	var classes [2][]int32
	for i, p := range positive {
		k := 0
		if p {
			k = 1
		}
		classes[k] = append(classes[k], int32(i))
	}
	for _, rows := range classes {
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	return classes
}

// tooFewError is the error for data that has not enough rows for what is asked.
type tooFewError struct{ error }

func (tooFewError) Refusal() {}

func tooFew(format string, args ...any) error { return tooFewError{fmt.Errorf(format, args...)} }
