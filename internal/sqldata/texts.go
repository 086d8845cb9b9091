package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"churn/internal/dataset"
)

// rawText is one text of a column and what became of it.
type rawText struct {
	raw   string
	null  bool
	rows  int
	value dataset.Value
	drop  bool // rows with it are left out
	code  int  // of the level, or of the class
}

// mostTexts is how many different texts a column may have: each is a line in the queries.
const mostTexts = 10_000

// dropped is the code of rows that are left out.
const dropped = -2

// readTexts asks which texts the mapped columns have, and how often.
func (v *view) readTexts(ctx context.Context) error {
	var tuples [][]string
	ask := func(j int, c *column) {
		if c.mapped {
			raw := c.raw
			if c.decimal != "" {
				raw = fmt.Sprintf("CASE WHEN %s THEN '0' ELSE %s END", c.decimal, c.raw)
			}
			tuples = append(tuples, []string{fmt.Sprint(j), raw})
		}
	}
	for j := range v.columns {
		ask(j, &v.columns[j])
	}
	ask(len(v.columns), &v.target)
	query := fmt.Sprintf(`SELECT j, r, n FROM (SELECT j, r, n, row_number() OVER (PARTITION BY j ORDER BY n DESC, r) AS k
FROM (SELECT u.j, u.r, count(*) AS n FROM %s t %s GROUP BY u.j, u.r) g) q WHERE k <= %d ORDER BY j, k`,
		v.sql, v.d.unpivot(tuples, "u", "j", "r"), mostTexts+1)
	return v.query(ctx, "reading the texts", query, func(scan func(...any) error) error {
		var j, rows int
		var raw sql.NullString
		if err := scan(&j, &raw, &rows); err != nil {
			return err
		}
		c := &v.target
		if j < len(v.columns) {
			c = &v.columns[j]
		}
		switch {
		case c.decimal != "" && isPlainDecimal(raw.String):
		case len(c.texts) == mostTexts:
			c.more = true
		default:
			c.texts = append(c.texts, rawText{raw: raw.String, null: !raw.Valid, rows: rows})
		}
		return nil
	})
}

var isPlainDecimal = regexp.MustCompile(plainDecimal).MatchString

// file returns the text as a CSV file would have it.
func (c *column) file(raw string) string {
	if !c.rewritten {
		return raw
	}
	var x float64
	if _, err := fmt.Sscan(raw, &x); err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return raw
	}
	return plainNumber(x)
}

// judgeTexts cleans the texts, and tells the audit of them.
func (v *view) judgeTexts(audit *dataset.Audit) {
	for j := range v.columns {
		c := &v.columns[j]
		if !c.mapped {
			continue
		}
		for i := range c.texts {
			t := &c.texts[i]
			t.value, t.drop = audit.Read(j, c.file(t.raw), t.rows)
		}
		if c.more {
			audit.TooManyTexts(j, mostTexts)
		}
		c.number()
	}
	for i := range v.target.texts {
		t := &v.target.texts[i]
		label := v.schema.Label(v.target.file(t.raw))
		t.value.Missing = label.Missing
		if label.Positive {
			t.code = 1
		}
	}
}

// number gives a category's levels their codes, sorted, so that they do not hang on what is frequent.
func (c *column) number() {
	c.levels = nil
	if c.feature.Type != dataset.Category {
		return
	}
	for _, t := range c.texts {
		if !t.value.Missing && !t.drop && !slices.Contains(c.levels, t.value.Text) {
			c.levels = append(c.levels, t.value.Text)
		}
	}
	slices.Sort(c.levels)
	for i := range c.texts {
		if t := &c.texts[i]; !t.value.Missing && !t.drop {
			t.code, _ = slices.BinarySearch(c.levels, t.value.Text)
		}
	}
}

// fewTexts is how many texts are compared with one by one; more are joined.
const fewTexts = 8

// telling returns the texts that say something: all others are missing.
func (c *column) telling() []rawText {
	return slices.DeleteFunc(slices.Clone(c.texts), func(t rawText) bool { return t.null || t.value.Missing && !t.drop })
}

// joined tells whether the texts are joined to the rows.
func (c *column) joined() bool { return c.mapped && len(c.telling()) > fewTexts }

// lookup returns the expression of something about the row's text: of each, or
// other for one that says nothing. Where texts are joined it is the column of that name.
func (c *column) lookup(name string, of func(rawText) string, other string) string {
	texts := c.telling()
	switch {
	case len(texts) == 0:
		return other
	case len(texts) > fewTexts:
		return fmt.Sprintf("COALESCE(%s.%s, %s)", c.alias, name, other)
	}
	var b strings.Builder
	b.WriteString("CASE " + c.raw)
	for _, t := range texts {
		fmt.Fprintf(&b, " WHEN %s THEN %s", quoteText(t.raw), of(t))
	}
	return b.String() + " ELSE " + other + " END"
}

// codeOf is the code of a text, as a query has it.
func codeOf(t rawText) string {
	if t.drop {
		return fmt.Sprint(dropped)
	}
	return fmt.Sprint(t.code)
}

// code returns the expression of a category's level code; that of a missing cell is the number of levels.
func (v *view) code(j int) string {
	c := &v.columns[j]
	return c.lookup("c", codeOf, fmt.Sprint(len(c.levels)))
}

// class returns the expression of a row's class, 1 for the positive one.
func (v *view) class() string { return v.target.lookup("c", codeOf, "CAST(NULL AS integer)") }

// join returns the join of what became of the texts of feature j, or of the target:
// the code, the number of a number, and the level's weight of each scorer.
func (v *view) join(j int, c *column, scorers []scorer) string {
	names := []string{"r", "c"}
	number := c.feature != nil && c.feature.Type == dataset.Number
	if number {
		names = append(names, "x")
	} else {
		for k := range scorers {
			names = append(names, weightName(k))
		}
	}
	var rows []string
	for _, t := range c.telling() {
		row := []string{quoteText(t.raw), codeOf(t)}
		if number {
			row = append(row, v.d.number(t.value.Number))
		} else {
			for _, s := range scorers {
				row = append(row, v.d.number(s.levels[j].ofText(t)))
			}
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	return fmt.Sprintf(" LEFT JOIN (VALUES %s) AS %s(%s) ON %s.r = %s", strings.Join(rows, ", "), c.alias, strings.Join(names, ", "), c.alias, c.raw)
}

// weightName is the column of scorer k's weights in a join.
func weightName(k int) string { return fmt.Sprintf("w%d", k) }
