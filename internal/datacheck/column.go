package datacheck

import (
	"cmp"
	"math"
	"slices"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// A column is the values of a feature in a sample.
type column struct {
	name    string
	number  bool
	levels  []string // of a category
	codes   []int32  // by row of the sample: position among groups
	values  []tally  // numbers ascending, or levels in the order of first appearance
	missing tally
	groups  []tally // values, and missing cells if there are any
	present int     // rows with a value

	byValue, byMissing float64 // AUC of leak
}

// A tally counts the rows with a value, by half of the sample and class.
type tally struct {
	value float64 // a number, or a level's code; NaN of missing cells
	rows  [2][2]int
}

func (t *tally) class(k int) int { return t.rows[0][k] + t.rows[1][k] }
func (t *tally) all() int        { return t.class(0) + t.class(1) }

// newColumn counts the values of feature j. cell has the half and the class of each row.
func newColumn(s *dataset.Sample, j int, cell [][2]uint8) *column {
	f, values := &s.Schema.Features[j], &s.Columns[j]
	c := &column{name: f.Name, number: f.Type == dataset.Number, levels: values.Levels, codes: make([]int32, len(s.Use))}
	keys := slices.Clone(values.Values) // by code: a number, or the code of a level
	for code := range values.Levels {
		keys = append(keys, float64(code))
	}
	code := func(i int32) int { return min(int(values.Codes[i]), len(keys)) } // of missing cells len(keys)
	if values.Numbers != nil {
		keys, _ = s.Ascending(j, s.Use)
		keys = slices.Compact(keys)
		rank := dataset.NumberingOf(keys)
		code = func(i int32) int { return rank.Of(values.Numbers[i]) } // of missing cells, NaN, len(keys)
	}
	counts := make([]tally, len(keys)+1)
	for k, i := range s.Use {
		c.codes[k] = int32(code(i))
		counts[c.codes[k]].rows[cell[k][0]][cell[k][1]]++
	}
	c.values, c.missing = counts[:len(keys)], counts[len(keys)]
	for at, key := range keys {
		counts[at].value = key
	}
	if values.Numbers == nil {
		c.order(counts)
	}
	c.groups = c.values
	if c.missing.all() > 0 {
		c.missing.value = math.NaN()
		c.groups = append(slices.Clip(c.values), c.missing)
	}
	c.present = len(s.Use) - c.missing.all()
	c.byValue, c.byMissing = c.leak()
	return c
}

// order keeps the values that occur, in order. The last of counts is that of missing cells.
func (c *column) order(counts []tally) {
	order := make([]int, 0, len(counts)) // codes by value
	for at := range c.values {
		if counts[at].all() > 0 {
			order = append(order, at)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(counts[a].value, counts[b].value) })
	positions := make([]int32, len(counts)) // by code, among groups
	c.values = nil
	for at, code := range order {
		positions[code] = int32(at)
		c.values = append(c.values, counts[code])
	}
	positions[len(counts)-1] = int32(len(order))
	for k, code := range c.codes {
		c.codes[k] = positions[code]
	}
}

func (c *column) text(value float64) string {
	switch {
	case math.IsNaN(value):
		return "missing"
	case c.number:
		return dataset.FormatNumber(value)
	}
	return dataset.Shorten(c.levels[int(value)])
}

// fewValues are few enough to be compared one by one.
const fewValues = 100

func (c *column) few() bool { return !c.number || len(c.values) <= fewValues }

// bins returns the groups, or of a number with more than so many values at most so many bins of
// about equal rows, which show if the rate of positives is different in a band of the numbers.
func (c *column) bins(most int) []tally {
	if !c.number || len(c.values) <= most {
		return c.groups
	}
	var bins []tally
	for k, full := 0, true; k < len(c.groups); k++ {
		if g := &c.groups[k]; full || math.IsNaN(g.value) {
			bins = append(bins, *g)
		} else {
			to := &bins[len(bins)-1].rows
			for half, rows := range g.rows {
				to[half][0], to[half][1] = to[half][0]+rows[0], to[half][1]+rows[1]
			}
		}
		full = bins[len(bins)-1].all()*most >= c.present
	}
	return bins
}

// auc returns the probability that of a random negative and a random positive the
// positive is in the later group, ties counting half.
func auc(groups []tally, rows func(*tally, int) int) float64 {
	var sum, positives, negatives float64
	for k := range groups {
		n, p := float64(rows(&groups[k], 0)), float64(rows(&groups[k], 1))
		sum += p * (negatives + n/2)
		positives, negatives = positives+p, negatives+n
	}
	return sum / (positives * negatives)
}

// rateAUC is the AUC of the rate of positives of the row's group, which is taken from the other half of
// the sample: with many groups a rate from the same rows would rank them well by chance.
func rateAUC(groups []tally) (sum float64) {
	type rated struct {
		rate float64
		at   int // in groups
	}
	order, sorted := make([]rated, len(groups)), make([]tally, len(groups))
	for half := range 2 {
		for k := range groups {
			r := &groups[k].rows[1-half]
			order[k] = rated{(float64(r[1]) + 0.5) / (float64(r[0]+r[1]) + 1), k}
		}
		slices.SortFunc(order, func(a, b rated) int { return cmp.Or(cmp.Compare(a.rate, b.rate), a.at-b.at) })
		for k := range order {
			sorted[k] = groups[order[k].at]
		}
		sum += auc(sorted, func(t *tally, class int) int { return t.rows[half][class] }) / 2
	}
	return sum
}

// leak returns the AUC of the column alone, by its values or by which cells are missing.
func (c *column) leak() (byValue, byMissing float64) {
	const least = 20 // rows of each class, or an AUC says nothing
	var present [2]int
	for k := range c.values {
		present[0], present[1] = present[0]+c.values[k].class(0), present[1]+c.values[k].class(1)
	}
	negatives, positives := present[0]+c.missing.class(0), present[1]+c.missing.class(1)
	if min(negatives, positives) < least {
		return 0, 0
	}
	byValue = max(rateAUC(c.bins(fewValues)), rateAUC(c.bins(c.present/8)))
	if c.number && min(present[0], present[1]) >= least {
		a := auc(c.values, (*tally).class)
		byValue = max(byValue, a, 1-a)
	}
	share := func(k, of int) float64 { return float64(c.missing.class(k)) / float64(of) }
	return byValue, 0.5 + math.Abs(share(1, positives)-share(0, negatives))/2
}

// isTarget reports whether the column has two values, one for each class.
func (c *column) isTarget() bool {
	g := c.groups
	return len(g) == 2 && min(g[0].all(), g[1].all()) > 1 &&
		(g[0].class(0) == 0 && g[1].class(1) == 0 || g[0].class(1) == 0 && g[1].class(0) == 0)
}

// identifies reports whether the column has whole numbers as an identifier has: different in nearly every row,
// and either rising or falling with it, or unrelated to the target by the Mann-Whitney test, without repeats but
// for copies of rows, and codes: of many digits, or so dense that random numbers would repeat.
func (c *column) identifies(s *dataset.Sample, copies int) bool {
	const (
		least   = 50  // rows
		nearly  = 0.9 // share of them with values of their own
		digits  = 8   // more than an income or a post code has
		few     = 8   // one in so many may be shorter: a tenth of random numbers are
		repeats = 3   // expected of random numbers
	)
	n := float64(c.present)
	if !c.number || c.present < least || float64(len(c.values)) < nearly*n ||
		slices.ContainsFunc(c.values, func(t tally) bool { return t.value != math.Trunc(t.value) }) {
		return false
	}
	var present []int32 // positions among the values, by row
	positives := 0.0
	for k, code := range c.codes {
		if int(code) < len(c.values) {
			present = append(present, code)
			positives += float64(metric.Indicator(s.Positive[s.Use[k]]))
		}
	}
	falls := func(a, b int32) int { return cmp.Compare(b, a) }
	if slices.IsSorted(present) || slices.IsSortedFunc(present, falls) {
		return true
	}
	from, to := c.values[0].value, c.values[len(c.values)-1].value
	first, last := dataset.FormatNumber(c.values[len(c.values)/few].value), dataset.FormatNumber(to)
	long := from >= 0 && len(first) >= digits && len(first) == len(last)
	dense := n*n/2 >= repeats*(to-from+1)
	stdError := math.Sqrt((n + 1) / (12 * positives * (n - positives)))
	return (long || dense) && len(c.values)+copies >= c.present &&
		math.Abs(auc(c.values, (*tally).class)-0.5) < 2*stdError
}

// sentinel returns the smallest or largest number if several rows have it and it is far
// beyond all others, else nil.
func (c *column) sentinel() *tally {
	const least, far, others = 3, 5, 5 // rows; ranges of the others; different ones
	v := c.values
	if n := len(v); c.number && n > others {
		for _, at := range [2][3]int{{0, 1, n - 2}, {n - 1, n - 2, 1}} { // without the other end, which may be one too
			extreme, next, end := &v[at[0]], v[at[1]].value, v[at[2]].value
			if extreme.value != 0 && extreme.all() >= least &&
				math.Abs(extreme.value-next) > far*math.Abs(next-end) {
				return extreme
			}
		}
	}
	return nil
}
