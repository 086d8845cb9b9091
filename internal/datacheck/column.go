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
	*dataset.Column
	name    string
	number  bool
	values  []tally // numbers ascending, levels in the order of their codes
	missing tally
	present int
}

// A tally counts the rows with a value, by half of the sample and class.
type tally struct {
	value float64 // a number, or a level's code
	rows  [2][2]int
}

func (t *tally) class(k int) int { return t.rows[0][k] + t.rows[1][k] }
func (t *tally) all() int        { return t.class(0) + t.class(1) }

// newColumn counts the values of feature j. cell has the half and the class of each row.
func newColumn(s *dataset.Sample, j int, cell [][2]uint8) *column {
	f := &s.Schema.Features[j]
	c := &column{Column: &s.Columns[j], name: f.Name, number: f.Type == dataset.Number}
	if c.Numbers != nil {
		c.countNumbers(s, cell)
	} else {
		byCode := make([]tally, max(len(c.Values), len(c.Levels))+1)
		for k, i := range s.Use {
			code := min(int(c.Codes[i]), len(byCode)-1) // MissingCode is the largest
			byCode[code].rows[cell[k][0]][cell[k][1]]++
		}
		for code := range byCode[:len(byCode)-1] {
			byCode[code].value = float64(code)
			if c.number {
				byCode[code].value = c.Values[code]
			}
		}
		c.missing = byCode[len(byCode)-1]
		c.values = slices.DeleteFunc(byCode[:len(byCode)-1], func(t tally) bool { return t.all() == 0 })
	}
	if c.number {
		slices.SortFunc(c.values, func(a, b tally) int { return cmp.Compare(a.value, b.value) })
	}
	c.present = len(s.Use) - c.missing.all()
	return c
}

// countNumbers counts numbers without codes, which are nearly all different.
func (c *column) countNumbers(s *dataset.Sample, cell [][2]uint8) {
	at := map[float64]int{}
	for k, i := range s.Use {
		to := &c.missing
		if x := c.Numbers[i]; !math.IsNaN(x) {
			n, ok := at[x]
			if !ok {
				n = len(c.values)
				at[x], c.values = n, append(c.values, tally{value: x})
			}
			to = &c.values[n]
		}
		to.rows[cell[k][0]][cell[k][1]]++
	}
}

// groups returns the values, and missing cells as one more if there are any.
func (c *column) groups() []tally {
	if c.missing.all() == 0 {
		return c.values
	}
	missing := c.missing
	missing.value = math.NaN()
	return append(slices.Clone(c.values), missing)
}

// text returns the text of a value.
func (c *column) text(value float64) string {
	switch {
	case math.IsNaN(value):
		return "a missing cell"
	case c.number:
		return dataset.FormatNumber(value)
	}
	return dataset.Shorten(c.Levels[int(value)])
}

// fewValues are few enough to be compared one by one.
const fewValues = 100

func (c *column) few() bool { return !c.number || len(c.values) <= fewValues }

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

// levelAUC is the AUC of the rate of positives of the row's value, which is taken from the other half of
// the sample: with many levels a rate from the same rows would rank them well by chance.
func (c *column) levelAUC() float64 {
	groups, sum := slices.Clone(c.groups()), 0.0
	for half := range 2 {
		rate := func(t *tally) float64 {
			r := &t.rows[1-half]
			return (float64(r[1]) + 0.5) / (float64(r[0]+r[1]) + 1)
		}
		slices.SortFunc(groups, func(a, b tally) int { return cmp.Compare(rate(&a), rate(&b)) })
		sum += auc(groups, func(t *tally, class int) int { return t.rows[half][class] })
	}
	return sum / 2
}

// leak returns the AUC of the column alone, by its values or by which cells are missing.
func (c *column) leak() (byValue, byMissing float64) {
	const least = 20 // rows of each class, or an AUC says nothing
	present := [2]int{}
	for k := range c.values {
		present[0], present[1] = present[0]+c.values[k].class(0), present[1]+c.values[k].class(1)
	}
	negatives, positives := present[0]+c.missing.class(0), present[1]+c.missing.class(1)
	if min(negatives, positives) < least {
		return 0, 0
	}
	if c.few() {
		byValue = c.levelAUC()
	}
	if c.number && min(present[0], present[1]) >= least {
		a := auc(c.values, (*tally).class)
		byValue = max(byValue, a, 1-a)
	}
	share := func(k, of int) float64 { return float64(c.missing.class(k)) / float64(of) }
	return byValue, 0.5 + math.Abs(share(1, positives)-share(0, negatives))/2
}

// isTarget reports whether the column has two values, one for each class.
func (c *column) isTarget() bool {
	g := c.groups()
	return len(g) == 2 && min(g[0].all(), g[1].all()) > 1 &&
		(g[0].class(0) == 0 && g[1].class(1) == 0 || g[0].class(1) == 0 && g[1].class(0) == 0)
}

// identifies reports whether the column has whole numbers as an identifier has: different in
// nearly every row, and rising or falling with it, or different in every row and unrelated
// to the target, by the Mann-Whitney test.
func (c *column) identifies(s *dataset.Sample, copies int) bool {
	const least, nearly = 50, 0.9 // rows, and the share of them with values of their own
	if !c.number || c.present < least || float64(len(c.values)) < nearly*float64(c.present) ||
		slices.ContainsFunc(c.values, func(t tally) bool { return t.value != math.Trunc(t.value) }) {
		return false
	}
	rises, falls, last := true, true, math.NaN()
	var n [2]float64
	for _, i := range s.Use {
		if x := c.Number(int(i)); !math.IsNaN(x) {
			rises, falls = rises && !(x < last), falls && !(x > last)
			last = x
			n[0]++
			n[1] += float64(metric.Indicator(s.Positive[i]))
		}
	}
	if rises || falls {
		return true
	}
	positives, negatives := n[1], n[0]-n[1]
	stdError := math.Sqrt((n[0] + 1) / (12 * positives * negatives))
	return len(c.values)+copies >= c.present && math.Abs(auc(c.values, (*tally).class)-0.5) < 2*stdError
}

// sentinel returns a smallest or largest number that several rows have and that is
// far beyond all others.
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
