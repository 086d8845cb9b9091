package dataset

import (
	"maps"
	"math"
	"math/big"
	"slices"
)

// A spread describes numbers of which there are too many different ones to count
// each. Its bins are so narrow, 1/512 of the distance to one of the numbers, that
// deciles may lie at their ends; how many rows lie between two ends is counted.
// Mean and deviation are exact: the sums have twice a float's digits, so that the
// order of rows does not matter either.
type spread struct {
	origin        float64 // that distances are from
	rows, missing int
	sum, squares  double
	min, max      float64
	bins          map[int32]int // rows by bin
}

func newSpread(origin float64) *spread {
	return &spread{origin: origin, min: math.Inf(1), max: math.Inf(-1), bins: map[int32]int{}}
}

// add adds a value that n rows have.
func (s *spread) add(v Value, n int) {
	switch {
	case v.Missing:
		s.missing += n
		return
	case n == 0:
		return
	}
	x := v.Number
	s.rows += n
	s.min, s.max = min(s.min, x), max(s.max, x)
	s.bins[binOf(x-s.origin)] += n
	s.sum.addProduct(x, float64(n))
	square := x * x
	s.squares.addProduct(square, float64(n))
	s.squares.addProduct(math.FMA(x, x, -square), float64(n)) // what rounding took from square
}

// merge adds the rows of another spread.
func (s *spread) merge(t *spread) {
	s.rows += t.rows
	s.missing += t.missing
	s.min, s.max = min(s.min, t.min), max(s.max, t.max)
	for bin, n := range t.bins {
		s.bins[bin] += n
	}
	s.sum.add(t.sum.high)
	s.sum.add(t.sum.low)
	s.squares.add(t.squares.high)
	s.squares.add(t.squares.low)
}

// summary describes the rows as SummarizeNumbers does.
func (s *spread) summary() Summary {
	const digits = 300 // bits: the difference of large sums keeps enough of them
	whole := func(d double) *big.Float {
		x := new(big.Float).SetPrec(digits).SetFloat64(d.high)
		return x.Add(x, new(big.Float).SetFloat64(d.low))
	}
	n := new(big.Float).SetPrec(digits).SetInt64(int64(s.rows))
	sum, squares := whole(s.sum), whole(s.squares)
	mean := new(big.Float).Quo(sum, n)
	squares.Sub(squares, sum.Mul(sum, mean)) // Σ(x−mean)²
	variance, _ := squares.Quo(squares, n.Sub(n, big.NewFloat(1))).Float64()
	bins := slices.Sorted(maps.Keys(s.bins))
	values, weights := make([]float64, len(bins)), make([]float64, len(bins))
	for i, bin := range bins {
		values[i], weights[i] = min(max(s.origin+binEnd(bin), s.min), s.max), float64(s.bins[bin])
	}
	out := summarize(values, weights)
	out.Numbers.Mean, _ = mean.Float64()
	out.Numbers.Std = math.Sqrt(max(variance, 0))
	out.Numbers.Min, out.Numbers.Max = s.min, s.max
	out.Missing = s.missing
	return out
}

const binShift = 43 // leaves the sign, the exponent and 9 bits of a float: some 10,000 bins a column

// binOf returns the bin of a number; bins are in the order of numbers.
func binOf(x float64) int32 {
	b := int64(math.Float64bits(x + 0)) // −0 is 0
	if b < 0 {
		b = math.MinInt64 - b - 1
	}
	return int32(b >> binShift)
}

// binEnd returns the largest number of a bin.
func binEnd(bin int32) float64 {
	b := int64(bin)<<binShift | (1<<binShift - 1)
	if b < 0 {
		b = math.MinInt64 - b - 1
	}
	return math.Float64frombits(uint64(b))
}

// A double is a sum with some 106 bits (Dekker 1971; Knuth, TAOCP 2, 4.2.2).
type double struct{ high, low float64 }

func (d *double) add(x float64) {
	sum := d.high + x
	part := sum - d.high
	d.low += (d.high - (sum - part)) + (x - part)
	d.high = sum + d.low
	d.low -= d.high - sum
}

func (d *double) addProduct(x, y float64) {
	product := x * y
	d.add(product)
	if rest := math.FMA(x, y, -product); rest != 0 {
		d.add(rest)
	}
}
