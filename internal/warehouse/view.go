package warehouse

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"regexp"
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
	feature *dataset.Feature // nil for the target
	alias   string           // of what is joined to its texts
	raw     string           // the cell as text
	double  string           // the cell of a number as a number
	mapped  bool             // the cell is cleaned by its text
	decimal string           // of texts that are numbers: which are plain decimals, and so need not be mapped
	plain   bool             // the text of a number is rewritten, since the engine's is not a file's
	texts   []rawText        // those that occur, but for plain decimals
	more    bool             // there are others than texts
	sound   bool             // no number that is cleaned by an expression breaks a rule: it was counted
	levels  []string         // of a category, by code
}

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
	for _, c := range t.columns {
		known := func(name string) bool { col := t.column(name); return col != nil && col.name == c.name }
		if known(t.keyName) || known(s.Target.Name) || slices.ContainsFunc(s.Ignore, known) ||
			slices.ContainsFunc(s.Features, func(f dataset.Feature) bool { return known(f.Name) }) {
			continue
		}
		faults = append(faults, fmt.Sprintf("%s: the schema does not know this column: add it there, or ignore it with --ignore", strictjson.Printable(c.name)))
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
	if c.kind == other {
		return column{}, fmt.Errorf("%s: a column of type %s is neither number nor text: leave it out with --ignore, or make a view with what it says", shown, c.engineType)
	}
	out := column{feature: f, alias: alias, mapped: true, plain: c.engineType == "double" || c.engineType == "real"}
	out.raw, out.double = t.expressions(c)
	if f == nil || f.Type == dataset.Category {
		return out, nil
	}
	if _, bounds := f.Bounds(); bounds && c.kind != text {
		out.mapped = false
	} else if bounds {
		out.decimal = fmt.Sprintf(t.d.decimal, out.raw)
	}
	return out, nil
}

// expressions returns a column's cell as text and as a number. What is neither a
// number nor a plain decimal must not get to the second: the engine may call it an error.
func (t *Table) expressions(c *tableColumn) (raw, double string) {
	cell := "t." + quoteName(c.name)
	raw = t.d.asText(cell)
	if c.kind == single {
		raw = fmt.Sprintf(t.d.singleText, cell)
	}
	switch {
	case c.kind != number:
		return raw, t.d.asDouble(raw)
	case c.engineType == "numeric":
		return raw, fmt.Sprintf(t.d.wideNumber, cell, t.d.asDouble(cell))
	}
	return raw, t.d.asDouble(cell)
}

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
	return v.Query(ctx, "reading the texts", query, func(scan func(...any) error) error {
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
	if !c.plain {
		return raw
	}
	var x float64
	if _, err := fmt.Sscan(raw, &x); err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return raw
	}
	return plainNumber(x)
}

// judgeTexts cleans the texts, and tells the census of them.
func (v *view) judgeTexts(census *dataset.Census) {
	for j := range v.columns {
		c := &v.columns[j]
		if !c.mapped {
			continue
		}
		for i := range c.texts {
			t := &c.texts[i]
			t.value, t.drop = census.Read(j, c.file(t.raw), t.rows)
		}
		if c.more {
			census.TooManyTexts(j, mostTexts)
		}
		c.number()
	}
	for i := range v.target.texts {
		t := &v.target.texts[i]
		positive, missing := census.Positive(v.target.file(t.raw))
		t.value.Missing = missing
		if positive {
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

// rows returns the table with what is joined to it, and the condition of the rows
// of a part: FROM and WHERE. With all the rows that cleaning leaves out are there too.
func (v *view) rows(part dataset.Part, scorers []scorer, seed uint64, all bool) string {
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

// hash returns the expression of a row's place among all hashes.
func (v *view) hash(seed uint64) string {
	return fmt.Sprintf(v.d.keyHash, v.d.asText(v.key), int64(seed))
}

// within returns the condition of a part's rows.
func (v *view) within(part dataset.Part, seed uint64) string {
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
