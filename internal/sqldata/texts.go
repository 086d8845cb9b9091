package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"churn/internal/dataset"
	"churn/internal/sqlterms"

	"github.com/go-json-experiment/json"
)

// rawText is a distinct text of a column, and its value after cleaning.
type rawText struct {
	raw   string
	null  bool
	rows  int
	value dataset.Value
	code  int // of the level or of the class, or dropped
}

// dropped is the code of texts whose rows are left out.
const dropped = -2

// maxTexts is the number of distinct texts that a column may have: each is a line in the queries.
const maxTexts = 10_000

// readTexts queries the texts of the mapped columns, and how often each occurs.
func (v *view) readTexts(ctx context.Context) error {
	columns := v.all()
	var mapped []int
	var tuples []tuple
	var queries []string
	for i, c := range columns {
		raw := c.raw
		if c.decimal != "" {
			raw = fmt.Sprintf("CASE WHEN %s THEN '0' ELSE %s END", c.decimal, c.raw)
		}
		if c.mapped {
			mapped = append(mapped, i)
			tuples = append(tuples, tuple{raw, raw, manyValues})
		}
	}
	if err := v.guessValues(ctx, tuples); err != nil {
		return err
	}
	first := 0
	for chunk := range slices.Chunk(tuples, v.d.columnLimit) {
		rows := fmt.Sprintf("FROM %s t", v.sql)
		queries = append(queries, fmt.Sprintf(`SELECT j + %d, x, n
FROM (SELECT j, x, n, row_number() OVER (PARTITION BY j ORDER BY n DESC, x) AS k FROM (%s) g) q
WHERE k <= %d ORDER BY j, k`, first, v.d.counts(chunk, rows, rows), maxTexts+2)) // one too many, and plain decimals
		first += len(chunk)
	}
	var j, rows int
	var raw sql.NullString
	err := v.eachOf(ctx, "reading the texts", queries, []any{&j, &raw, &rows}, func() {
		switch c := columns[mapped[j]]; {
		case c.decimal != "" && isPlainDecimal(raw.String):
		case len(c.texts) == maxTexts:
			c.overflow = true
		default:
			c.texts = append(c.texts, rawText{raw: raw.String, null: !raw.Valid, rows: rows})
		}
	})
	joined := slices.DeleteFunc(columns, func(c *column) bool { return !c.joined() })
	for _, c := range joined {
		if len(joined) > v.d.joinLimit {
			c.textOf = v.d.textOf
		}
	}
	return err
}

// guessValues sets how many values the cells have by the first rows, for an engine where that saves scans.
func (v *view) guessValues(ctx context.Context, tuples []tuple) error {
	const first = 2000
	if v.d.scanLimit == 0 || len(tuples) == 0 {
		return nil
	}
	var parts []aggregates
	for i, t := range tuples {
		x := fmt.Sprintf("x%d", i)
		parts = append(parts, aggregates{[]string{t.cell + " AS " + x}, []string{fmt.Sprintf("count(DISTINCT %s)", x)}})
	}
	counts, err := v.aggregate(ctx, "looking at the first rows", parts, func(cells []string) string {
		return fmt.Sprintf("FROM (SELECT %s FROM %s t LIMIT %d) q", strings.Join(cells, ", "), v.sql, first)
	})
	for i, n := range counts {
		if tuples[i].values = int(n) + 1; n > first/4 { // with NULL
			tuples[i].values = manyValues
		}
	}
	return err
}

var isPlainDecimal = regexp.MustCompile(plainDecimal).MatchString

// inFile returns a text as a CSV file would contain it. A number of the engine is plain, whatever the notation of
// texts, unless it is a date.
func (c *column) inFile(raw string) string {
	f := c.feature
	marked := f != nil && f.Notation.Date == "" && f.Notation != (dataset.Notation{}) && c.of.kind != kindText &&
		!f.Missing(raw)
	if x, err := strconv.ParseFloat(raw, 64); c.rewritten && err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) {
		raw = strconv.FormatFloat(x, 'f', -1, 64)
	}
	if marked {
		return dataset.PlainMark + raw
	}
	return raw
}

// inFiles returns the texts as a CSV file would contain them.
func (c *column) inFiles() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 0; i < len(c.texts) && yield(c.inFile(c.texts[i].raw)); i++ {
		}
	}
}

// validateTexts cleans the texts, and adds them to the audit.
func (v *view) validateTexts(audit *dataset.Audit) {
	for j := range v.columns {
		c := &v.columns[j]
		if !c.mapped {
			continue
		}
		for i := range c.texts {
			t := &c.texts[i]
			var drop bool
			if t.value, drop = audit.Read(j, c.inFile(t.raw), t.rows); drop {
				t.code = dropped
			}
		}
		if c.overflow {
			audit.TooManyTexts(j, maxTexts)
		}
		c.assignCodes()
	}
	for i := range v.target.texts {
		t := &v.target.texts[i]
		label := v.schema.Label(v.target.inFile(t.raw))
		t.value.Missing = label.Missing
		if label.Positive {
			t.code = 1
		}
	}
}

// assignCodes gives the levels of a category their codes, in sorted order, so that they do
// not depend on frequencies.
func (c *column) assignCodes() {
	c.levels = nil
	if c.feature.Type != dataset.Category {
		return
	}
	for _, t := range c.significantTexts() {
		if t.code != dropped {
			c.levels = append(c.levels, t.value.Text)
		}
	}
	slices.Sort(c.levels)
	c.levels = slices.Compact(c.levels)
	for i := range c.texts {
		if t := &c.texts[i]; !t.value.Missing && t.code != dropped {
			t.code, _ = slices.BinarySearch(c.levels, t.value.Text)
		}
	}
}

// fewTexts is the number of texts up to which a query compares with each; more are joined.
const fewTexts = 8

// significantTexts returns the texts but those of missing cells.
func (c *column) significantTexts() []rawText {
	return slices.DeleteFunc(slices.Clone(c.texts), func(t rawText) bool {
		return t.null || t.value.Missing && t.code != dropped
	})
}

// joined reports whether the texts are joined to the rows.
func (c *column) joined() bool {
	return c.mapped && c.textOf == "" && len(c.significantTexts()) > fewTexts
}

// lookup returns the expression of a property of the row's text, and of missing for a
// missing cell. Where texts are joined it is the column name.
func (c *column) lookup(name string, of func(rawText) string, missing string) string {
	texts := c.significantTexts()
	switch {
	case len(texts) == 0:
		return missing
	case c.textOf != "":
		values, sqlType := map[string]string{}, "integer"
		for _, t := range texts {
			if values[t.raw] = codeOf(t); name == "x" {
				values[t.raw], sqlType = strconv.FormatFloat(t.value.Number, 'g', -1, 64), "double precision"
			}
		}
		object, _ := json.Marshal(values) // texts can be
		return fmt.Sprintf("COALESCE("+c.textOf+", %[4]s)", sqlterms.QuoteText(string(object)), c.raw, sqlType, missing)
	case len(texts) > fewTexts:
		return fmt.Sprintf("COALESCE(%s.%s, %s)", c.alias, name, missing)
	}
	var b strings.Builder
	b.WriteString("CASE " + c.raw)
	for _, t := range texts {
		fmt.Fprintf(&b, " WHEN %s THEN %s", sqlterms.QuoteText(t.raw), of(t))
	}
	return b.String() + " ELSE " + missing + " END"
}

func codeOf(t rawText) string { return fmt.Sprint(t.code) }

// code returns the expression of feature j's level code; a missing cell has the number of levels.
func (v *view) code(j int) string {
	c := &v.columns[j]
	return c.lookup("c", codeOf, fmt.Sprint(len(c.levels)))
}

// class returns the expression of a row's class, 1 for the positive one.
func (v *view) class() string {
	missing := "CAST(NULL AS integer)"
	if v.schema.Target.Blank { // an empty cell is negative
		missing = "0"
	}
	return v.target.lookup("c", codeOf, missing)
}

// join returns the join of the texts of a feature, or of the target, with the code and the
// value of a number.
func (v *view) join(c *column) string {
	names := "r, c"
	number := c.feature != nil && c.feature.Type == dataset.Number
	if number {
		names += ", x"
	}
	var rows []string
	for _, t := range c.significantTexts() {
		row := []string{sqlterms.QuoteText(t.raw), codeOf(t)}
		if number {
			row = append(row, v.d.Number(t.value.Number))
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	return fmt.Sprintf(" LEFT JOIN (VALUES %s) AS %s(%s) ON %s.r = %s",
		strings.Join(rows, ", "), c.alias, names, c.alias, c.raw)
}
