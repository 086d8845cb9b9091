package sqldata

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
)

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
