package sqldata

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/strictjson"
)

// A view is a table as a schema cleans it: the second interpreter of what
// dataset.Feature.Clean says. It has no rules of its own for texts: each different
// text of a column is cleaned by Clean, and the result is joined to the rows.
// Numbers are cleaned by expressions.
type view struct {
	*Table
	schema  *dataset.Schema
	limits  dataset.Limits
	columns []column // by feature
	target  column
}

// column is a column of the table as the schema wants it.
type column struct {
	feature   *dataset.Feature // nil for the target
	alias     string           // of what is joined to its texts
	raw       string           // the cell as text
	double    string           // the cell of a number as a number
	mapped    bool             // the cell is cleaned by its text
	decimal   string           // of texts that are numbers: which are plain decimals, and so need not be mapped
	rewritten bool             // the text of a number is not as in a file
	texts     []rawText        // those that occur, but for plain decimals
	more      bool             // there are others than texts
	sound     bool             // no number that is cleaned by an expression breaks a rule: it was counted
	levels    []string         // of a category, by code
}

// view finds the schema's columns in the table.
func (t *Table) view(s *dataset.Schema, limits dataset.Limits) (*view, error) {
	v := &view{Table: t, schema: s, limits: limits}
	var faults []string
	for j := range s.Features {
		f := &s.Features[j]
		c, err := t.bind(f.Name, f, fmt.Sprintf("m%d", j))
		if err != nil {
			faults = append(faults, err.Error())
		}
		v.columns = append(v.columns, c)
	}
	var err error
	if v.target, err = t.bind(s.Target.Name, nil, "my"); err != nil {
		faults = append(faults, err.Error())
	}
	known := map[*tableColumn]string{}
	for _, name := range s.Columns() {
		c := t.column(name)
		if other, twice := known[c]; twice && c != nil {
			faults = append(faults, fmt.Sprintf("%s: it is the column of %s too: names that differ in capitals alone are one here", strictjson.Printable(name), strictjson.Printable(other)))
		}
		known[c] = name
	}
	for _, name := range append([]string{t.keyName}, s.Ignore...) {
		known[t.column(name)] = name
	}
	for i := range t.columns {
		if c := &t.columns[i]; known[c] == "" {
			faults = append(faults, fmt.Sprintf("%s: the schema does not know this column: add it there, or have prepare --ignore it", strictjson.Printable(c.name)))
		}
	}
	if len(faults) > 0 {
		return nil, t.refuse("%s", strings.Join(faults, "\n"+t.Name()+": "))
	}
	return v, nil
}

// bind finds a feature's column, or with nil the target's.
func (t *Table) bind(name string, f *dataset.Feature, alias string) (column, error) {
	c := t.column(name)
	shown := strictjson.Printable(name)
	switch {
	case c == nil && f == nil:
		return column{}, fmt.Errorf("%s: the target column is missing", shown)
	case c == nil:
		return column{}, fmt.Errorf("%s: the column is missing", shown)
	}
	if c.kind < kindText {
		return column{}, fmt.Errorf("%s: a column of type %s is neither number nor text: leave it out with --ignore, or make a view with what it says", shown, c.engineType)
	}
	out := column{feature: f, alias: alias, mapped: true, rewritten: t.d.rewritesFloat && c.kind >= kindDouble}
	out.raw, out.double = t.expressions(c)
	if f == nil || f.Type == dataset.Category {
		return out, nil
	}
	if _, bounds := f.Bounds(); bounds && c.kind != kindText {
		out.mapped = false
	} else if bounds {
		out.decimal = fmt.Sprintf(t.d.decimal, out.raw)
	}
	return out, nil
}

// expressions returns a column's cell as text and as a number. What is neither a
// number nor a plain decimal must not get to the second: the engine may call it an error.
func (t *Table) expressions(c *tableColumn) (raw, double string) {
	cell := c.sql()
	raw = t.d.asText(cell)
	if c.kind == kindSingle {
		raw = fmt.Sprintf(t.d.singleText, cell)
	}
	switch {
	case c.kind < kindNumber, c.kind == kindSingle:
		return raw, t.d.asDouble(raw)
	case c.kind == kindNumeric:
		return raw, fmt.Sprintf(t.d.wideNumber, cell, t.d.asDouble(cell))
	}
	return raw, t.d.asDouble(cell)
}

// rows returns the table with what is joined to it, and the condition of the rows
// of a part: FROM and WHERE. With all the rows that cleaning leaves out are there too.
func (v *view) rows(part dataset.HashRange, scorers []scorer, seed uint64, all bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "FROM %s t", v.sql)
	for j := range v.columns {
		if c := &v.columns[j]; c.joined() {
			b.WriteString(v.join(j, c, scorers))
		}
	}
	if v.target.joined() {
		b.WriteString(v.join(-1, &v.target, nil))
	}
	conditions := []string{}
	if part != nil {
		conditions = append(conditions, v.within(part, seed))
	}
	if !all && v.kept() != "TRUE" {
		conditions = append(conditions, v.kept())
	}
	if len(conditions) > 0 {
		b.WriteString(" WHERE " + strings.Join(conditions, " AND "))
	}
	return b.String()
}

// hash returns the expression of a row's place among all hashes.
func (v *view) hash(seed uint64) string {
	return fmt.Sprintf(v.d.keyHash, v.d.asText(v.key), int64(seed))
}

// within returns the condition of a part's rows.
func (v *view) within(part dataset.HashRange, seed uint64) string {
	var any []string
	for _, s := range part {
		from, ok := bound(s.From)
		if !ok {
			continue
		}
		condition := fmt.Sprintf("%s >= %s", v.hash(seed), from)
		if to, ok := bound(s.To); ok {
			condition += fmt.Sprintf(" AND %s < %s", v.hash(seed), to)
		}
		any = append(any, condition)
	}
	if len(any) == 0 {
		return "FALSE"
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

// value returns the expression of a number after cleaning; null is missing.
func (v *view) value(j int) string {
	c := &v.columns[j]
	mapped := func() string {
		return c.lookup("x", func(t rawText) string { return v.d.number(t.value.Number) }, v.d.asDouble("NULL"))
	}
	if c.mapped && c.decimal == "" {
		return mapped()
	}
	f, x := c.feature, c.double
	missing := func() {
		for _, mark := range f.MissingNumbers() {
			x = fmt.Sprintf("NULLIF(%s, %s)", x, v.d.number(mark))
		}
	}
	missing()
	if f.ClipMin != nil {
		x = fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", v.below(x, *f.ClipMin), v.d.number(*f.ClipMin), x)
		missing()
	}
	if marks := c.unnumbers(); marks != "" {
		x = fmt.Sprintf("CASE WHEN %s IN (%s) THEN NULL ELSE %s END", c.raw, marks, x)
	}
	if c.decimal != "" {
		x = fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", c.decimal, x, mapped())
	}
	return x
}

// below returns the condition of numbers that are below another; −Infinity is none.
func (v *view) below(x string, least float64) string {
	return fmt.Sprintf("%s < %s AND %s >= %s", x, v.d.number(least), x, v.d.number(-math.MaxFloat64))
}

// unnumbers returns, quoted, what the schema calls missing of a column's cells that
// are no numbers.
func (c *column) unnumbers() string {
	var marks []string
	for _, text := range []string{"NaN", "Infinity", "-Infinity"} { // in either engine's words
		if !c.mapped && c.feature.Missing(text) {
			marks = append(marks, quoteText(text))
		}
	}
	return strings.Join(marks, ", ")
}

// problem returns the expression of what is wrong with feature j's number x after
// cleaning, 0 for nothing.
func (v *view) problem(j int, x string) string {
	f := v.columns[j].feature
	var cases []string
	add := func(condition string, n int) {
		cases = append(cases, fmt.Sprintf("WHEN NOT (%s) THEN %d", condition, n))
	}
	add(fmt.Sprintf("abs(%s) <= %s", x, v.d.number(math.MaxFloat64)), notFinite) // false for NaN in either engine
	add(fmt.Sprintf("abs(%s) <= %s", x, v.d.number(dataset.MaxNumber)), tooLarge)
	if f.Integer {
		add(fmt.Sprintf("floor(%s) = %s", x, x), notWhole)
	}
	bounds, _ := f.Bounds()
	for i, b := range bounds {
		if math.IsNaN(b.Limit) {
			add("FALSE", breaksRule+i) // nothing is above or below it, though PostgreSQL says so
			continue
		}
		add(fmt.Sprintf("%s %s %s", x, comparisons[b.Tag], v.d.number(b.Limit)), breaksRule+i)
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN 0 %s ELSE 0 END", x, strings.Join(cases, " "))
}

// What problem returns.
const (
	notFinite = iota + 1
	tooLarge
	notWhole
	breaksRule // and the place of the bound
)

var comparisons = map[string]string{"gte": ">=", "min": ">=", "lte": "<=", "max": "<=", "gt": ">", "lt": "<"}

// kept returns the condition of rows that are not left out.
func (v *view) kept() string {
	var all []string
	for j := range v.columns {
		c := &v.columns[j]
		switch {
		case !v.limits.DropInvalid:
		case c.mapped && slices.ContainsFunc(c.texts, func(t rawText) bool { return t.drop }):
			all = append(all, fmt.Sprintf("%s <> %d", c.lookup("c", codeOf, "0"), dropped))
			if !c.byExpression() || c.sound {
				break
			}
			fallthrough
		case c.byExpression() && !c.sound:
			if bounds, _ := c.feature.Bounds(); len(bounds) > 0 || c.feature.Integer {
				all = append(all, fmt.Sprintf("NOT (%s)", c.guarded(fmt.Sprintf("%s >= %d", v.problem(j, v.value(j)), notWhole))))
			}
		}
	}
	if len(all) == 0 {
		return "TRUE"
	}
	return strings.Join(all, " AND ")
}
