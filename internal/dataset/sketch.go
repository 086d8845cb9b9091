package dataset

import (
	"iter"
	"maps"
	"math"
	"math/big"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// A Sketch is a histogram of numbers with too many different values to count each.
// The width of a bin is 1/512 of its distance to an origin, so that deciles can be
// taken at the ends of bins; the counts between two ends are exact. So are mean and
// standard deviation: the sums have twice the digits of a float64, and do not depend
// on the order of rows.
type Sketch struct {
	Rows int // with a value

	origin       float64
	missing      int
	sum, squares double
	min, max     float64
	pages        []*[pageBins]int // rows by bin; nil where all are 0
}

// NewSketch returns an empty sketch. The nearer origin is to the median, the narrower are the bins there.
func NewSketch(origin float64) *Sketch {
	return &Sketch{origin: origin, min: math.Inf(1), max: math.Inf(-1)}
}

// Add adds a value that n rows have.
func (s *Sketch) Add(v Value, n int) {
	switch {
	case v.Missing:
		s.missing += n
		return
	case n == 0:
		return
	}
	x := v.Number
	s.Rows += n
	s.min, s.max = min(s.min, x), max(s.max, x)
	bin := binOf(x - s.origin)
	s.page(int(bin>>pageShift) + pages/2)[bin&(pageBins-1)] += n
	s.sum.addProduct(x, float64(n))
	square := x * x
	s.squares.addProduct(square, float64(n))
	s.squares.addProduct(math.FMA(x, x, -square), float64(n)) // the rounding error of square
}

func (s *Sketch) page(k int) *[pageBins]int {
	if s.pages == nil {
		s.pages = make([]*[pageBins]int, pages)
	}
	if s.pages[k] == nil {
		s.pages[k] = new([pageBins]int)
	}
	return s.pages[k]
}

// Merge adds the rows of another sketch.
func (s *Sketch) Merge(t *Sketch) {
	s.Rows += t.Rows
	s.missing += t.missing
	s.min, s.max = min(s.min, t.min), max(s.max, t.max)
	for k, page := range t.pages {
		for bin := 0; page != nil && bin < pageBins; bin++ {
			s.page(k)[bin] += page[bin]
		}
	}
	s.sum.add(t.sum.high)
	s.sum.add(t.sum.low)
	s.squares.add(t.squares.high)
	s.squares.add(t.squares.low)
}

// Summary describes the rows as SummarizeNumbers does.
func (s *Sketch) Summary() Summary {
	const digits = 300 // bits: the difference of large sums keeps enough of them
	whole := func(d double) *big.Float {
		x := new(big.Float).SetPrec(digits).SetFloat64(d.high)
		return x.Add(x, new(big.Float).SetFloat64(d.low))
	}
	n := new(big.Float).SetPrec(digits).SetInt64(int64(s.Rows))
	sum, squares := whole(s.sum), whole(s.squares)
	mean := new(big.Float).Quo(sum, n)
	squares.Sub(squares, sum.Mul(sum, mean)) // Σ(x−mean)²
	variance, _ := squares.Quo(squares, n.Sub(n, big.NewFloat(1))).Float64()
	out := summarizeSorted(s.ordered())
	out.Numbers.Mean, _ = mean.Float64()
	out.Numbers.Std = math.Sqrt(max(variance, 0))
	out.Numbers.Min, out.Numbers.Max = s.min, s.max
	out.Missing = s.missing
	return out
}

// Median returns the median, to the width of a bin.
func (s *Sketch) Median() float64 { return Median(s.ordered()) }

// ordered returns the ends of the bins in order, and the rows of each.
func (s *Sketch) ordered() (values, weights []float64) {
	for bin, n := range s.bins() {
		values = append(values, min(max(s.origin+binEnd(bin), s.min), s.max))
		weights = append(weights, float64(n))
	}
	return values, weights
}

// bins yields the bins that have rows in order, and how many.
func (s *Sketch) bins() iter.Seq2[int32, int] {
	return func(yield func(int32, int) bool) {
		for k, page := range s.pages {
			for i := 0; page != nil && i < pageBins; i++ {
				if page[i] > 0 && !yield(int32((k-pages/2)<<pageShift+i), page[i]) {
					return
				}
			}
		}
	}
}

// MedianBins are the bins of a sketch that its two middle numbers are in, with the numbers there counted one by one.
// That gives the exact median. They are few if the sketch's origin is near it.
type MedianBins struct {
	origin       float64
	from, to     int32 // bins
	below, above int   // rows of the other bins
	rows         map[float64]int
}

// MedianBins returns those of the sketch, before any number is counted.
func (s *Sketch) MedianBins() *MedianBins {
	m := &MedianBins{origin: s.origin, rows: map[float64]int{}}
	before := 0
	for bin, n := range s.bins() {
		if before < (s.Rows+1)/2 {
			m.from, m.below = bin, before
		}
		if before < s.Rows/2+1 {
			m.to, m.above = bin, s.Rows-before-n
		}
		before += n
	}
	return m
}

// Add counts a number of the sketch, if it is in the bins.
func (m *MedianBins) Add(x float64) {
	if bin := binOf(x - m.origin); m.from <= bin && bin <= m.to {
		m.rows[x]++
	}
}

// Median returns the median of the sketch's numbers, all of which were added.
func (m *MedianBins) Median() float64 {
	values, weights := []float64{math.Inf(-1)}, []float64{float64(m.below)}
	for _, x := range slices.Sorted(maps.Keys(m.rows)) {
		values, weights = append(values, x), append(weights, float64(m.rows[x]))
	}
	return Median(append(values, math.Inf(1)), append(weights, float64(m.above)))
}

const (
	binShift  = 43 // leaves the sign, the exponent and 9 bits of a float: some 10,000 bins a column
	pageShift = 9  // a page has the bins of one exponent
	pageBins  = 1 << pageShift
	pages     = 1 << (64 - binShift - pageShift)
)

// binOf returns the bin of a number; bins are in the order of numbers.
func binOf(x float64) int32 {
	b := int64(math.Float64bits(x + 0)) // −0 is 0
	b ^= b >> 63 & math.MaxInt64        // the larger a negative number, the larger its bits
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
	added := sum - d.high
	d.low += (d.high - (sum - added)) + (x - added)
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

// DescribeCounts describes a column by its different values and the number of rows of each.
func DescribeCounts(f *Feature, values []Value, counts []int) (s Summary, to Scaling) {
	var numbers, weights []float64
	s.Levels = map[string]int{}
	for i, n := range counts {
		switch v := values[i]; {
		case n == 0:
		case v.Missing:
			s.Missing = n
		case v.Level:
			s.Levels[v.Text] = n
			s.Rows += n
		default:
			numbers, weights = append(numbers, v.Number), append(weights, float64(n))
		}
	}
	if f.Type == Category {
		return s, to
	}
	missing := s.Missing
	stat.SortWeighted(numbers, weights)
	s = summarizeSorted(numbers, weights)
	if s.Missing = missing; len(numbers) > 0 {
		to = s.Scaling(Median(numbers, weights))
	}
	return s, to
}
