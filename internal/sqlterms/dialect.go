// Package sqlterms writes the terms of models as SQL: for the passes of package sqldata, and as a SELECT
// that scores the rows of a table. It has neither a connection nor a driver.
package sqlterms

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Dialect is the SQL of an engine, in parts of which %s is an expression.
type Dialect struct {
	Double     string // the type of floating-point numbers
	Text       string // a cell as a text that is compared bytewise, whatever the collation of its column
	ArrayLimit int    // elements; longer arrays are concatenated by ||

	// Fence is a column that keeps the engine from replacing the columns of a subquery by
	// their expressions, which would then be computed for each use.
	Fence string
}

// Postgres and Trino are the dialects.
var (
	Postgres = &Dialect{
		Double: "double precision", Text: `CAST(%s AS text) COLLATE "C"`, ArrayLimit: 10_000,
		Fence: "pg_is_in_recovery()", // volatile, so a fence; unlike OFFSET 0 it leaves plans parallel
	}
	Trino = &Dialect{
		Double: "double", Text: "CAST(%s AS varchar)", ArrayLimit: 254,
	}
)

// QuoteName returns the name of a column or table as SQL, whatever it contains.
func QuoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// QuoteText returns a text as SQL.
func QuoteText(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// Number returns a number as SQL, to the last bit.
func (d *Dialect) Number(x float64) string {
	text := strconv.FormatFloat(x, 'e', -1, 64)
	if math.IsInf(x, 0) {
		text = strings.Replace(text[:1], "+", "", 1) + "Infinity" // Trino does not know +Inf
	}
	return d.Double + " '" + text + "'"
}

// AsDouble returns an expression as a floating-point number.
func (d *Dialect) AsDouble(sql string) string { return fmt.Sprintf("CAST(%s AS %s)", sql, d.Double) }

// AsText returns a cell as a text that is compared bytewise.
func (d *Dialect) AsText(sql string) string { return "(" + fmt.Sprintf(d.Text, sql) + ")" }

// Fenced adds the fence to the columns of a subquery, under the given name.
func (d *Dialect) Fenced(columns []string, name string) []string {
	if d.Fence == "" {
		return columns
	}
	return append(columns, d.Fence+" AS "+name)
}

// Array returns an array of expressions.
func (d *Dialect) Array(cells []string) string {
	array := func(some []string) string { return "ARRAY[" + strings.Join(some, ", ") + "]" }
	return strings.Join(Texts(slices.Chunk(cells, d.ArrayLimit), array), " || ")
}

// Lookup returns an element of an array, counted from 0.
func (d *Dialect) Lookup(cells []string, index string) string {
	return fmt.Sprintf("(%s)[%s + 1]", d.Array(cells), index)
}

// Combine returns parts with an associative operator between them, nested so that an engine
// does not recurse into thousands.
func Combine(parts []string, operator string) string {
	const most = 100 // fewer keep their order of evaluation
	inner := func(some []string) string { return "(" + strings.Join(some, operator) + ")" }
	for len(parts) > most {
		parts = Texts(slices.Chunk(parts, most), inner)
	}
	return strings.Join(parts, operator)
}

// Numbers returns numbers as SQL.
func (d *Dialect) Numbers(xs []float64) []string { return Texts(slices.Values(xs), d.Number) }

// Texts returns a text for each of some values.
func Texts[T any](values iter.Seq[T], text func(T) string) (out []string) {
	for x := range values {
		out = append(out, text(x))
	}
	return out
}
