// Package datacheck looks for what makes a model worse, or look better than it is, in
// customers that are valid: columns that are known only after the outcome, copies of
// rows, identifiers, columns that say the same, constants, and numbers that mean missing.
//
// Its checks take a sample of the rows. They are rules of thumb, not tests: each names
// what it found, and a person decides.
package datacheck

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"

	"churn/internal/dataset"
	"churn/internal/metric"
	"churn/internal/pipeline"
	"churn/internal/strictjson"
)

// A check looks at one sample.
type check struct {
	*dataset.Sample
	target   string
	columns  []*column
	random   []uint64        // by row: one number each
	settled  map[int]bool    // columns that need no further finding
	related  map[[2]int]bool // pairs of columns, likewise
	findings []dataset.Finding
}

func newCheck(s *dataset.Sample) *check {
	c := &check{Sample: s, settled: map[int]bool{}, related: map[[2]int]bool{}}
	c.target = strictjson.Printable(s.Schema.Target.Name)
	cell, rng := make([][2]uint8, len(s.Use)), rand.NewPCG(1, 2) // any: the same each time
	for k, i := range s.Use {
		c.random = append(c.random, rng.Uint64())
		cell[k] = [2]uint8{uint8(c.random[k] >> 63), uint8(metric.Indicator(s.Positive[i]))}
	}
	c.columns = make([]*column, len(s.Columns))
	pipeline.Each(len(c.columns), runtime.GOMAXPROCS(0), func(_, j int) error {
		c.columns[j] = newColumn(s, j, cell)
		return nil
	})
	return c
}

// Check returns what it finds in prepared customers. Where there is no sample, of
// customers in a database, it looks at the counts alone.
func Check(q *dataset.Quality) []dataset.Finding {
	c := &check{settled: map[int]bool{}}
	if q.Sample != nil && len(q.Sample.Use) > 0 {
		c = newCheck(q.Sample)
		c.leaks()
	}
	c.counts(q)
	if c.Sample != nil {
		c.copies(q)
		for j, column := range c.columns {
			c.numbers(j, column, q)
		}
		c.aliases()
		c.determined(q)
		c.collinear(q)
	}
	return c.findings
}

func (c *check) add(kind, text, advice string, count int, lines []int, columns ...string) {
	c.findings = append(c.findings, dataset.Finding{
		Kind: kind, Columns: columns, Text: text, Advice: advice, Count: count, Lines: lines,
	})
}

// ignore returns the flag that leaves a column out; without its name where the flag's commas and quotes would be in it.
func ignore(name string) string {
	if strings.ContainsAny(name, `,"`) || strictjson.Printable(name) != name {
		return "--ignore"
	}
	return "--ignore " + strictjson.Word(name)
}

// lines returns the lines of the first rows that match, of those that have one.
func (c *check) lines(match func(row int) bool) (lines []int) {
	for _, i := range c.Use {
		if c.Lines != nil && c.Lines[i] > 0 && len(lines) < dataset.LinesShown && match(int(i)) {
			lines = append(lines, c.Lines[i])
		}
	}
	return lines
}

// estimate scales a count of the sample to all rows, as a number and in words.
func (c *check) estimate(count int) (int, string) {
	if c.All == len(c.Use) {
		return count, fmt.Sprint(count)
	}
	count = int(math.Round(float64(count) * float64(c.All) / float64(len(c.Use))))
	return count, fmt.Sprintf("about %d", count)
}

func (c *check) leaks() {
	const most = 0.98 // AUC of one column; no behaviour of customers foretells churn so well
	for j, column := range c.columns {
		byValue, byMissing := column.byValue, column.byMissing
		if !(max(byValue, byMissing) > most) { // or NaN: one half of the sample has rows of one class
			continue
		}
		c.settled[j] = true
		advice := "leave it out with prepare " + ignore(column.name) + ", unless it is known before the outcome"
		switch {
		case column.isTarget():
			g := column.groups
			if g[1].class(1) > 0 {
				g[0], g[1] = g[1], g[0]
			}
			c.add("target", fmt.Sprintf("it is %s under another name: %q where that is positive, else %q",
				c.target, column.text(g[0].value), column.text(g[1].value)), advice, 0, nil, column.name)
		case byMissing >= byValue-1e-3:
			c.add("leak", fmt.Sprintf("which of its cells are missing alone ranks %s with an AUC of %.4f",
				c.target, byMissing), advice, 0, nil, column.name)
		default:
			c.add("leak", fmt.Sprintf("it alone ranks %s with an AUC of %.4f", c.target, byValue), advice, 0, nil, column.name)
		}
	}
}

// counts looks at what is counted over all rows.
func (c *check) counts(q *dataset.Quality) {
	var constant []string
	for j := range q.Columns {
		f := &q.Columns[j]
		if f.Distinct == 1 && f.Missing == 0 {
			constant = append(constant, f.Name)
			c.settled[j] = true
		}
		if text, advice := f.NumbersButNot(); text != "" {
			c.add("text", text+", so that it is a category", advice, f.Present-f.Numeric, c.textLines(j), f.Name)
		}
	}
	if len(constant) > 0 && q.RowsKept > 1 {
		c.add("constant", "the same value in every row", "a model learns nothing from that: --ignore it", 0, nil, constant...)
	}
}

// textLines returns the lines of a category's cells that are no numbers.
func (c *check) textLines(j int) []int {
	if c.Sample == nil {
		return nil
	}
	return c.lines(func(i int) bool {
		v := c.Value(i, j)
		_, number := dataset.ParseNumber(v.Text)
		return !v.Missing && !number
	})
}

// copies looks for more copies of rows than customers who happen to be alike.
func (c *check) copies(q *dataset.Quality) {
	if !c.tooMany(q.Copies) {
		return
	}
	about := ""
	if c.All > len(c.Use) {
		about = "about "
	}
	c.add("copies", fmt.Sprintf("%s%d of %d rows (%.1f %%) are equal to an earlier one in every column",
		about, q.Copies, q.RowsKept, 100*float64(q.Copies)/float64(q.RowsKept)),
		"unless they are different customers, remove them: copies of training rows would be test rows", q.Copies, q.CopyLines)
}

// numbers looks for identifiers, and for numbers that mean missing.
func (c *check) numbers(j int, column *column, q *dataset.Quality) {
	if c.settled[j] {
		return
	}
	if column.identifies(c.Sample, q.Copies) {
		c.settled[j] = true
		c.add("identifier", fmt.Sprintf("whole numbers that are different in %d of %d rows, as an identifier has",
			len(column.values), column.present), "leave it out with "+ignore(column.name), 0, nil, column.name)
	} else if t := column.sentinel(); t != nil {
		value, others, written := column.text(t.value), "numbers", ""
		if n := &c.Schema.Features[j].Notation; n.Date != "" {
			value, others, written = n.Format(t.value), "dates", " or as the file writes it"
		}
		lines := c.lines(func(i int) bool { return c.Columns[j].Number(i) == t.value })
		count, words := c.estimate(t.all())
		c.add("sentinel", fmt.Sprintf("%s in %s rows is far beyond all other %s", value, words, others),
			"if it means missing, --missing-values "+value+written+", which holds for every column", count, lines, column.name)
	}
}
