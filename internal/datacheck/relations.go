package datacheck

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"churn/internal/dataset"
	"churn/internal/metric"
	"churn/internal/strictjson"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// fewest is how many rows a set must have, and leave out, so that it is not equal to
// another by chance.
const fewest = 10

// The checks of pairs of columns take the first ones, so that time stays linear in columns.
const (
	mostDetermined = 1000 // about a second for 20,000 rows
	mostCollinear  = 180  // numbers: with three rows each, the products that collinear may take
)

// A fact is the rows in which a column has a value.
type fact struct {
	column, code int
	rows         int
	hash         uint64 // of the set of rows: the sum of their random numbers
}

// facts returns the values of column j, of many numbers none, and its missing cells, each with its rows.
func (c *check) facts(j int) (facts []fact) {
	column := c.columns[j]
	for code := range column.groups {
		facts = append(facts, fact{j, code, column.groups[code].all(), 0})
	}
	for k, code := range column.codes {
		facts[code].hash += c.random[k]
	}
	if !column.few() {
		return facts[len(column.values):]
	}
	return facts
}

func (c *check) word(f fact) string {
	column := c.columns[f.column]
	text := column.text(column.groups[f.code].value)
	if !column.number && f.code < len(column.values) {
		return strconv.Quote(text)
	}
	return text
}

// aliases looks for values of different columns that occur in the same rows.
func (c *check) aliases() {
	if len(c.Use) < 2*fewest {
		return
	}
	var hashes []uint64 // in order of first appearance
	same := map[uint64][]fact{}
	for j := range c.columns {
		if c.settled[j] {
			continue
		}
		for _, f := range c.facts(j) {
			if same[f.hash] == nil {
				hashes = append(hashes, f.hash)
			}
			same[f.hash] = append(same[f.hash], f)
		}
	}
	var names []string // sets of columns, likewise
	sets := map[string][][]fact{}
	for _, hash := range hashes {
		facts := same[hash]
		if len(facts) == 1 {
			continue
		}
		var numbers []byte
		for _, f := range facts {
			numbers = fmt.Append(numbers, f.column, " ")
		}
		columns := string(numbers)
		if sets[columns] == nil {
			names = append(names, columns)
		}
		sets[columns] = append(sets[columns], facts)
	}
	var found []alias
	for _, columns := range names {
		groups := sets[columns]
		if slices.ContainsFunc(groups, func(f []fact) bool { return min(f[0].rows, len(c.Use)-f[0].rows) >= fewest }) {
			found = c.newAlias(groups).join(found)
		}
	}
	slices.SortStableFunc(found, func(a, b alias) int { return a.columns[0] - b.columns[0] })
	for _, a := range found {
		c.report(a)
	}
}

// An alias is facts of the same columns, each group of which has the same rows.
type alias struct {
	groups  [][]fact
	rows    int
	columns []int // in order: theirs, and those of aliases that have joined it
	joined  bool  // by any
}

func (c *check) newAlias(groups [][]fact) alias {
	a := alias{groups: groups}
	for _, facts := range groups {
		a.rows += facts[0].rows
	}
	for _, f := range groups[0] {
		a.columns = append(a.columns, f.column)
		for _, other := range groups[0] {
			if max(f.column, other.column) < mostDetermined {
				c.related[[2]int{f.column, other.column}] = true
			}
		}
	}
	return a
}

// join adds the alias to others. Those with two columns in common are one, for which the groups with the most
// rows speak: prices of a shop and of a month may be equal in many ways.
func (a alias) join(others []alias) (found []alias) {
	for _, other := range others {
		common := 0
		for _, column := range other.columns {
			common += metric.Indicator(slices.Contains(a.columns, column))
		}
		if common < 2 {
			found = append(found, other)
			continue
		}
		if other.rows >= a.rows {
			a.groups, a.rows = other.groups, other.rows
		}
		a.columns, a.joined = append(a.columns, other.columns...), true
		slices.Sort(a.columns)
		a.columns = slices.Compact(a.columns)
	}
	return append(found, a)
}

// report adds the finding of columns whose values occur in the same rows.
func (c *check) report(a alias) {
	const most = 3 // pairs of values are named
	var names []string
	for _, f := range a.groups[0] {
		names = append(names, c.columns[f.column].name)
	}
	var texts []string
	for _, facts := range a.groups {
		words, times := []string{}, map[string]int{}
		for _, f := range facts {
			if times[c.word(f)]++; times[c.word(f)] == 1 {
				words = append(words, c.word(f))
			}
		}
		for k, word := range words {
			if n := times[word]; n > 1 {
				words[k] = fmt.Sprintf("%s (in %d columns)", word, n)
			}
		}
		texts = append(texts, strings.Join(words, " and "))
	}
	texts = texts[:min(len(texts), most)]
	if a.rows == len(c.Use) {
		for _, f := range a.groups[0][1:] {
			c.settled[f.column] = true
		}
		c.add("alias", "each says in every row what the other says: "+strings.Join(texts, ", "),
			"leave out all but one with --ignore", 0, nil, names...)
		return
	}
	rows, words := c.estimate(a.rows)
	text := fmt.Sprintf("%s are the same %s rows", strings.Join(texts, ", "), words)
	for _, column := range a.columns {
		if name := c.columns[column].name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if a.joined {
		text += ", and so are other values of some of these columns"
	}
	c.add("alias", text, "one fact in several columns: read their coefficients together", rows, nil, names...)
}

// determined looks for columns whose value follows from that of another.
func (c *check) determined(q *dataset.Quality) {
	columns := c.columns[:min(len(c.columns), mostDetermined)]
	if len(columns) < len(c.columns) {
		q.Unchecked = append(q.Unchecked, fmt.Sprintf("whether one column determines another: beyond the first %d columns",
			mostDetermined))
	}
	for by, column := range columns {
		if c.settled[by] || len(column.values) < 3 || !c.tells(by) {
			continue
		}
		var names []string
		for j := range columns {
			if !c.related[[2]int{by, j}] && j != by && !c.settled[j] && c.columns[j].few() && c.follows(by, j) {
				names = append(names, c.columns[j].name)
			}
		}
		if len(names) > 0 {
			c.add("determined", "follows from "+strictjson.Printable(column.name)+", of which each value has one",
				"its weights repeat those of that column: leave one of them out with --ignore", 0, nil, names...)
		}
	}
}

// tells reports whether another column may follow from column by: with few rows a value, it would by chance.
func (c *check) tells(by int) bool {
	column := c.columns[by]
	return column.few() && len(column.values) < len(c.Use)/5
}

// follows reports whether rows with the same value of column by have the same value of column j, of which
// none is that of nearly all rows.
func (c *check) follows(by, j int) bool {
	codes := make([]int32, len(c.columns[by].groups))
	for k, code := range c.columns[by].codes {
		value := c.columns[j].codes[k] + 1
		if codes[code] != 0 && codes[code] != value {
			return false
		}
		codes[code] = value
	}
	return !slices.ContainsFunc(c.columns[j].groups, func(t tally) bool { return t.all() > len(c.Use)-fewest })
}

// collinear looks for numbers that others nearly determine, by their variance inflation
// factor, the diagonal of the inverse of their correlations:
//
//	VIF = 1/(1 − R²), R² of the regression of the number on the others
//
// (Belsley, Kuh & Welsch 1980); above 10 is the rule of thumb.
func (c *check) collinear(q *dataset.Quality) {
	const most, products = 10, 20_000_000
	var columns []*column
	for j, column := range c.columns {
		if column.number && !c.settled[j] && len(column.values) > 2 {
			columns = append(columns, column)
		}
	}
	if len(columns) > mostCollinear {
		columns = columns[:mostCollinear]
		q.Unchecked = append(q.Unchecked, fmt.Sprintf("collinear numbers: beyond the first %d", mostCollinear))
	}
	d := len(columns)
	step := 1 + len(c.Use)*d*d/products // a sample of the sample where there are many numbers
	rows := len(c.Use) / step
	if d < 2 || rows < 3*d {
		return
	}
	r := correlations(columns, rows, step)
	var factor mat.Cholesky
	var inverse mat.SymDense
	if !factor.Factorize(r) || factor.InverseTo(&inverse) != nil {
		return
	}
	var names, words []string
	for j, column := range columns {
		vif := inverse.At(j, j)
		if vif <= most {
			continue
		}
		with := 0
		for k := range columns {
			if k != j && (with == j || math.Abs(r.At(j, k)) > math.Abs(r.At(j, with))) {
				with = k
			}
		}
		names = append(names, column.name)
		words = append(words, fmt.Sprintf("%.4g %% of the variance of %s, whose correlation with %s is %.2f",
			100*(1-1/vif), strictjson.Printable(column.name), strictjson.Printable(columns[with].name), r.At(j, with)))
	}
	if len(names) > 0 {
		c.add("collinear", "other numbers determine "+strings.Join(words, ", and "),
			"their coefficients cannot be told apart: leave one out with --ignore", 0, nil, names...)
	}
}

// correlations returns those of numbers in so many rows of the sample, each a step behind the one before. The
// diagonal is a little above 1, for numbers that are determined exactly.
func correlations(columns []*column, rows, step int) *mat.SymDense {
	x := mat.NewDense(rows, len(columns), nil)
	for j, column := range columns {
		mean := 0.0 // stands for missing cells
		for k := range column.values {
			mean += column.values[k].value * float64(column.values[k].all()) / float64(column.present)
		}
		for k := range rows {
			if x.Set(k, j, mean); int(column.codes[k*step]) < len(column.values) {
				x.Set(k, j, column.values[column.codes[k*step]].value)
			}
		}
	}
	r := new(mat.SymDense)
	stat.CorrelationMatrix(r, x, nil)
	for j := range columns {
		r.SetSym(j, j, 1+1e-9)
		for k := range j {
			if math.IsNaN(r.At(j, k)) { // one of them is constant in these rows
				r.SetSym(j, k, 0)
			}
		}
	}
	return r
}
