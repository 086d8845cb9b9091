package dataset

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"

	"churn/internal/metric"
	"churn/internal/pipeline"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// A Summary describes the distribution of a column, so that other rows can be compared
// with it. A number has Numbers, a category Levels.
type Summary struct {
	Numbers *NumberSummary `json:",embed"`
	Levels  map[string]int `json:"levels,omitempty"` // rows by level
	Rows    int            `json:"rows"`             // rows with a value
	Missing int            `json:"missing"`          // rows without
}

// A NumberSummary describes numbers. Its bins are (−∞, Cuts[0]], (Cuts[0],
// Cuts[1]], …, (Cuts[k−1], ∞); the cuts are the deciles, each once.
type NumberSummary struct {
	Mean   float64   `json:"mean"`
	Std    float64   `json:"std"` // with n−1; 1 for a constant column, as the reference lab writes it
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Cuts   []float64 `json:"cuts"`
	Counts []int     `json:"counts"` // rows by bin, one more than Cuts

	// Kurtosis is the fourth central moment/std⁴: 3 for a normal distribution; 0 if not known.
	Kurtosis float64 `json:"kurtosis,omitzero"`
}

// Summarize describes the given rows of column j.
func (t *Table) Summarize(j int, rows []int32) Summary {
	s, _ := t.describe(j, rows, new(sorter))
	return s
}

// describe summarises a column, and returns the scaling of a number with values.
func (t *Table) describe(j int, rows []int32, room *sorter) (s Summary, to Scaling) {
	c := &t.Columns[j]
	if c.Numbers == nil {
		values := c.Coded()
		counts := make([]int, len(values))
		c.Count(counts, rows)
		return DescribeCounts(&t.Schema.Features[j], values, counts)
	}
	values, missing := t.sorted(j, rows, room, room.sortRanks)
	s = summarizeSorted(values, nil)
	if s.Missing = missing; len(values) > 0 {
		to = s.Scaling(Median(values, nil))
	}
	return s, to
}

// A Description is what an encoder and a drift reference need to know about some rows.
type Description struct {
	Rows, Positives int
	Columns         []Summary // by feature
	Scalings        []Scaling // by feature; zero for a category, and for a number without any values
}

// Scaling is how a number is imputed and standardised.
type Scaling struct {
	Mean   float64 `json:"mean"`   // with missing cells replaced
	Std    float64 `json:"std"`    // with n, as scikit-learn's StandardScaler has it; 1 for a constant column
	Median float64 `json:"median"` // replaces missing cells
}

// LeastStd is the smallest standard deviation of a Scaling: with MaxNumber it keeps
// every standardised number finite.
const LeastStd = 1e-100

// Describe describes the given rows.
func (t *Table) Describe(rows []int32) *Description { return t.describeAll(rows, t.describe) }

// DescribeScalings is Describe as far as an encoder needs it. The summary of numbers without codes has no
// deciles, and their scaling no median, if none in the table is missing.
func (t *Table) DescribeScalings(rows []int32) *Description { return t.describeAll(rows, t.scale) }

func (t *Table) scale(j int, rows []int32, room *sorter) (s Summary, to Scaling) {
	numbers := t.Columns[j].Numbers
	if len(rows) == 0 || numbers == nil || math.IsNaN(floats.Sum(numbers)) { // missing cells, or sums that overflow
		return t.describe(j, rows, room)
	}
	values, _ := t.sorted(j, rows, room, func([]float64) {})
	mean, std := stat.MeanStdDev(values, nil)
	s = summarize(mean, std, floats.Min(values), floats.Max(values), len(rows), nil)
	return s, s.Scaling(0) // no cell is missing
}

func (t *Table) describeAll(rows []int32, describe func(int, []int32, *sorter) (Summary, Scaling)) *Description {
	d := &Description{Rows: len(rows), Columns: make([]Summary, len(t.Columns)), Scalings: make([]Scaling, len(t.Columns))}
	for _, i := range rows {
		d.Positives += metric.Indicator(t.Positive[i])
	}
	rooms := make([]sorter, runtime.GOMAXPROCS(0))
	pipeline.Each(len(t.Columns), len(rooms), func(worker, j int) error {
		d.Columns[j], d.Scalings[j] = describe(j, rows, &rooms[worker])
		return nil
	})
	return d
}

// Scaling returns the mean and the standard deviation of a summary's rows with the
// missing cells at the median: the sums of both groups, about their common mean.
func (s *Summary) Scaling(median float64) Scaling {
	n, missing := float64(s.Rows), float64(s.Missing)
	all := n + missing
	squares := 0.0
	if !s.Constant() {
		squares = (n - 1) * s.Numbers.Std * s.Numbers.Std
	}
	out := Scaling{Median: median, Mean: s.Numbers.Mean + (median-s.Numbers.Mean)*(missing/all)}
	offset, fill := s.Numbers.Mean-out.Mean, median-out.Mean
	out.Std = math.Sqrt((squares + n*offset*offset + missing*fill*fill) / all)
	if s.Constant() || out.Std < LeastStd {
		out.Std = 1
	}
	return out
}

// Check returns an error for an invalid summary, such as one read from a file.
func (s *Summary) Check() error {
	const most = 1 << 53 // rows: sums of counts below it are exact, and do not overflow
	if s.Rows < 0 || s.Rows > most || s.Missing < 0 || s.Missing > most {
		return fmt.Errorf("%d rows and %d missing", s.Rows, s.Missing)
	}
	counts := slices.Collect(maps.Values(s.Levels))
	if n := s.Numbers; n != nil {
		counts = n.Counts
		switch {
		case !(n.Std > 0) || n.Min > n.Max || n.Kurtosis < 0:
			return fmt.Errorf("a standard deviation of %v from %v to %v", n.Std, n.Min, n.Max)
		case len(n.Counts) != len(n.Cuts)+1 || !slices.IsSorted(n.Cuts):
			return fmt.Errorf("%d counts of the bins between the cuts %v", len(n.Counts), n.Cuts)
		}
	}
	left := s.Rows
	for _, rows := range counts {
		if rows < 0 || rows > left {
			return fmt.Errorf("%d rows, which are not those of its bins or levels", s.Rows)
		}
		left -= rows
	}
	if left > 0 {
		return fmt.Errorf("%d rows, of which %d are in no bin or level", s.Rows, left)
	}
	return nil
}

// sorted returns the numbers of column j in the given rows, which sort has put in order, and how many rows
// have none. values is valid until room is used again.
func (t *Table) sorted(j int, rows []int32, room *sorter, sort func([]float64)) (values []float64, missing int) {
	values = slices.Grow(room.values[:0], len(rows))
	for _, i := range rows {
		if x := t.Columns[j].Number(int(i)); !math.IsNaN(x) {
			values = append(values, x)
		}
	}
	room.values = values
	sort(values)
	return values, len(rows) - len(values)
}

// A sorter keeps the memory of sorted.
type sorter struct {
	metric.Sorter
	values []float64
}

// sortRanks sorts numbers as far as summarizeSorted and Median need it.
func (s *sorter) sortRanks(values []float64) {
	if n := len(values); n > 0 {
		s.SortAt(values, append(Ranks(n), 1, n))
	}
}

// Ascending returns the numbers of column j in the given rows in order, and how many rows have none.
func (t *Table) Ascending(j int, rows []int32) (numbers []float64, missing int) {
	room := new(sorter)
	return t.sorted(j, rows, room, room.Sort)
}

// SummarizeNumbers describes numbers, none of them NaN. It moves them.
func SummarizeNumbers(values []float64) Summary {
	new(sorter).sortRanks(values)
	return summarizeSorted(values, nil)
}

// summarizeSorted describes ascending numbers, each in as many rows as weights has;
// nil means one each.
func summarizeSorted(values, weights []float64) Summary {
	if len(values) == 0 {
		return Summary{Numbers: &NumberSummary{Std: 1, Cuts: []float64{}, Counts: []int{0}}}
	}
	deciles := make([]OrderStatistic, decileCuts)
	for i := range deciles {
		deciles[i].Value = quantile(float64(i+1)/(decileCuts+1), values, weights)
	}
	rows, passed := 0, 0 // deciles below x
	for i, x := range values {
		for ; passed < decileCuts && x > deciles[passed].Value; passed++ {
			deciles[passed].UpTo = rows
		}
		if weights == nil {
			rows++
		} else {
			rows += int(weights[i])
		}
	}
	for i := passed; i < decileCuts; i++ {
		deciles[i].UpTo = rows
	}
	mean, std := stat.MeanStdDev(values, weights) // NaN for one row
	s := summarize(mean, std, values[0], values[len(values)-1], rows, deciles)
	if !s.Constant() {
		s.Numbers.Kurtosis = kurtosis(s.Numbers, values, weights)
	}
	return s
}

// kurtosis is Σ((x − mean)/std)⁴/n of numbers with weights, or nil for 1.
func kurtosis(n *NumberSummary, values, weights []float64) float64 {
	var sum, rows float64
	for i, x := range values {
		weight := 1.0
		if weights != nil {
			weight = weights[i]
		}
		z := n.standardise(x)
		sum += weight * z * z * z * z
		rows += weight
	}
	return sum / rows
}

// mostStandardised is where a standardised number is cut, so that its fourth power adds up.
const mostStandardised = 1e6

func (n *NumberSummary) standardise(x float64) float64 {
	return max(-mostStandardised, min((x-n.Mean)/n.Std, mostStandardised))
}

// summarize describes rows, of which deciles has the order statistics.
func summarize(mean, std, smallest, largest float64, rows int, deciles []OrderStatistic) Summary {
	n := &NumberSummary{Mean: mean, Std: 1, Min: smallest, Max: largest, Cuts: []float64{}, Counts: []int{}}
	if std > 0 {
		n.Std = std
	}
	below := 0
	for _, d := range deciles {
		if d.Value < largest && (len(n.Cuts) == 0 || d.Value > n.Cuts[len(n.Cuts)-1]) {
			n.Cuts = append(n.Cuts, d.Value)
			n.Counts = append(n.Counts, d.UpTo-below)
			below = d.UpTo
		}
	}
	n.Counts = append(n.Counts, rows-below)
	return Summary{Numbers: n, Rows: rows}
}

// quantile is stat.Quantile for stat.Empirical, in constant time for weights of 1: the
// smallest value that at least a share p of the rows does not exceed.
func quantile(p float64, values, weights []float64) float64 {
	if weights == nil {
		return values[int(math.Ceil(p*float64(len(values))))-1]
	}
	return stat.Quantile(p, stat.Empirical, values, weights)
}

// Constant reports whether all rows have the same number.
func (s *Summary) Constant() bool {
	return s.Numbers != nil && s.Rows > 0 && s.Numbers.Min == s.Numbers.Max
}

// Median returns the middle of ascending values, the mean of the middle two if
// their number is even. weights has how often each occurs; nil means once. It
// panics if there are none.
func Median(values, weights []float64) float64 {
	if weights == nil {
		n := len(values)
		return (values[(n-1)/2] + values[n/2]) / 2
	}
	half := floats.Sum(weights) / 2
	below := 0.0 // rows up to and with values[i]
	for i := range values {
		switch below += weights[i]; {
		case below > half:
			return values[i]
		case below == half:
			return (values[i] + values[i+1]) / 2
		}
	}
	panic("dataset: the median of no values")
}

// An OrderStatistic is one of n numbers in ascending order.
type OrderStatistic struct {
	Value float64
	UpTo  int // how many of the numbers are at most Value
}

const decileCuts = 9

// Ranks returns which order statistics of n numbers SummarizeRanked needs, counted
// from 1: the deciles, and the middle two. Some may be the same.
func Ranks(n int) []int {
	ranks := make([]int, 0, decileCuts+2)
	for i := 1; i <= decileCuts; i++ {
		ranks = append(ranks, int(math.Ceil(float64(i)/(decileCuts+1)*float64(n))))
	}
	return append(ranks, (n+1)/2, n/2+1)
}

// SummarizeRanked is SummarizeNumbers for numbers that were aggregated elsewhere, such
// as by a database: their mean, standard deviation (with n−1; 0 or NaN for a constant),
// smallest and largest, and those at Ranks, in that order. It returns the median too.
// rows must be positive.
func SummarizeRanked(
	mean, std, smallest, largest float64, rows int, at []OrderStatistic,
) (s Summary, median float64) {
	if smallest == largest {
		std = 0 // up to rounding
	}
	s = summarize(mean, std, smallest, largest, rows, at[:decileCuts])
	return s, (at[decileCuts].Value + at[decileCuts+1].Value) / 2
}
