package sqldata

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/sqlterms"
	"churn/internal/strictjson"
)

// A view is a table cleaned by a schema: the second implementation of
// dataset.Feature.Clean. It has no rules of its own for texts: Clean cleans each distinct
// text of a column, and the results are joined to the rows. Numbers are cleaned by
// expressions.
type view struct {
	*Table
	schema  *dataset.Schema
	limits  dataset.Limits
	columns []column // by feature
	target  column

	hashes dataset.HashRange // of the rows' keys; nil: all rows
	seed   uint64            // of the hash
	folds  int               // that scored has a column of; 0: none

	hashTexts bool // for fingerprints, not cells: see rowHash
}

// column is a column of the table that the schema names.
type column struct {
	feature   *dataset.Feature // nil for the target
	of        *tableColumn
	alias     string    // of what is joined to its texts
	raw       string    // the cell as text
	double    string    // the cell of a number as a number
	mapped    bool      // cells are cleaned by their texts
	decimal   string    // of texts that are numbers: whether it is a plain decimal, which need not be mapped
	rewritten bool      // the text of a number is not as in a file
	texts     []rawText // those that occur, except plain decimals
	overflow  bool      // there are more texts
	textOf    string    // how a query finds one, if not by a join: see dialect
	valid     bool      // all numbers that are cleaned by an expression are valid
	levels    []string  // of a category, by code
}

// view finds the schema's columns in the table.
func (t *Table) view(s *dataset.Schema, limits dataset.Limits) (*view, error) {
	v := &view{Table: t, schema: s, limits: limits, hashTexts: t.d.textHash == ""}
	var issues []string
	add := func(name, format string, args ...any) {
		issues = append(issues, strictjson.Printable(name)+": "+fmt.Sprintf(format, args...))
	}
	bind := func(name string, f *dataset.Feature, alias string) column {
		c, err := t.bind(name, f, alias)
		if err != nil {
			add(name, "%v", err)
		}
		return c
	}
	for j := range s.Features {
		v.columns = append(v.columns, bind(s.Features[j].Name, &s.Features[j], fmt.Sprintf("m%d", j)))
	}
	v.target = bind(s.Target.Name, nil, "my")
	known := map[*tableColumn]string{}
	for _, name := range s.Columns() {
		c := t.column(name)
		if other, twice := known[c]; twice && c != nil {
			add(name, "it is the column of %s too: names that differ only in capitals are the same here",
				strictjson.Printable(other))
		}
		known[c] = name
	}
	for _, name := range append([]string{t.keyName}, s.Ignore...) {
		known[t.column(name)] = name
	}
	for i := range t.columns {
		if c := &t.columns[i]; known[c] == "" {
			add(c.name, "the schema does not know this column: add it there, or have prepare --ignore it")
		}
	}
	if len(issues) > 0 {
		return nil, t.reject("%s", strings.Join(issues, "\n"+t.Name()+": "))
	}
	return v, nil
}

// of returns the rows whose keys have hashes in some ranges.
func (v *view) of(hashes dataset.HashRange, seed uint64) *view {
	part := *v
	part.hashes, part.seed = hashes, seed
	return &part
}

// inFolds returns the view with its rows in n folds.
func (v *view) inFolds(n int) *view {
	parts := *v
	parts.folds = n
	return &parts
}

// encode returns a design with Terms in SQL: see sqlterms.
func (v *view) encode(rows *logreg.Rows, w [][]float64, k int) *sqlterms.Encoded {
	return v.d.Encode(rows, w, k, v.packs(len(rows.Bases)))
}

// packs reports whether the stages of a design with so many bases are arrays: a subquery has
// the cells, three columns for each basis and one for a group, and those that pass adds.
func (v *view) packs(bases int) bool {
	return v.d.packLimit > 0 && len(v.columns)+4*bases > v.d.packLimit
}

// all returns the columns of the features, then that of the target.
func (v *view) all() []*column {
	var all []*column
	for j := range v.columns {
		all = append(all, &v.columns[j])
	}
	return append(all, &v.target)
}

// bind finds the column of a feature or, with nil, of the target.
func (t *Table) bind(name string, f *dataset.Feature, alias string) (column, error) {
	c := t.column(name)
	switch {
	case c == nil && f == nil:
		return column{}, errors.New("the target column is missing")
	case c == nil:
		return column{}, errors.New("the column is missing")
	case c.kind < kindText:
		return column{}, fmt.Errorf("a column of type %s is neither number nor text: "+
			"leave it out with --ignore, or make a view that converts it", c.engineType)
	}
	out := column{feature: f, of: c, alias: alias, mapped: true, rewritten: t.d.rewritesFloat && c.kind >= kindDouble}
	out.raw, out.double = t.expressions(c)
	if f == nil || f.Type == dataset.Category {
		return out, nil
	}
	switch _, bounds := f.Bounds(); {
	case bounds && c.kind != kindText && f.Notation.Date == "":
		out.mapped = false
	case bounds && c.kind == kindText && f.Notation == dataset.Notation{}:
		out.decimal = fmt.Sprintf(t.d.decimal, out.raw)
	}
	return out, nil
}

// expressions returns a column's cell as text and as a number. The second is only for
// numbers and plain decimals: the engine may report an error for anything else.
func (t *Table) expressions(c *tableColumn) (raw, double string) {
	cell := c.sql()
	raw = t.d.AsText(cell)
	if c.kind == kindSingle {
		raw = fmt.Sprintf(t.d.singleText, cell)
	}
	switch {
	case c.kind < kindNumber, c.kind == kindSingle:
		return raw, t.d.AsDouble(raw)
	case c.kind == kindNumeric:
		return raw, fmt.Sprintf(t.d.wideNumber, cell, t.d.AsDouble(cell))
	}
	return raw, t.d.AsDouble(cell)
}

// rows returns FROM and WHERE of the view's rows, with what is joined to them. With all,
// those that cleaning leaves out are included.
func (v *view) rows(all bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "FROM %s t", v.sql)
	for _, c := range v.all() {
		if c.joined() {
			b.WriteString(v.join(c))
		}
	}
	var conditions []string
	if v.hashes != nil {
		conditions = append(conditions, v.within(v.hashes, v.seed))
	}
	if !all && v.kept() != "TRUE" {
		conditions = append(conditions, v.kept())
	}
	if len(conditions) > 0 {
		b.WriteString(" WHERE " + strings.Join(conditions, " AND "))
	}
	return b.String()
}

// hash returns the expression of the hash of a row's key, or without one of its cells.
func (v *view) hash(seed uint64) string {
	if v.key == "" {
		return v.rowHash()
	}
	return fmt.Sprintf(v.d.keyHash, v.d.AsText(v.key), int64(seed))
}

// testSize returns the share of hashes below those of the view's rows.
func (v *view) testSize() float64 {
	if v.hashes == nil {
		return 0
	}
	return v.hashes[0].From
}

// fold returns the expression of a row's fold by its hash.
func (v *view) fold(hash string) string {
	var b strings.Builder
	for k := range v.folds - 1 {
		next, _ := dataset.FoldRange(v.testSize(), k+1, v.folds)
		at, _ := bound(next[0].From)
		fmt.Fprintf(&b, "WHEN %s < %s THEN %d ", hash, at, k)
	}
	return fmt.Sprintf("CASE %sELSE %d END", &b, v.folds-1)
}

// within returns the condition of keys whose hashes are in some ranges. Of two bounds that which more hashes fail is
// first: the engine takes the hash again for the other.
func (v *view) within(hashes dataset.HashRange, seed uint64) string {
	var ranges []string
	for _, s := range hashes {
		var conditions []string
		if from, ok := bound(s.From); !ok {
			continue
		} else if s.From > 0 {
			conditions = append(conditions, fmt.Sprintf("%s >= %s", v.hash(seed), from))
		}
		if to, ok := bound(s.To); ok {
			at := len(conditions)
			if s.To < 1-s.From {
				at = 0
			}
			conditions = slices.Insert(conditions, at, fmt.Sprintf("%s < %s", v.hash(seed), to))
		}
		ranges = append(ranges, cmp.Or(strings.Join(conditions, " AND "), v.hash(seed)+" IS NOT NULL"))
	}
	if len(ranges) == 0 {
		return "FALSE"
	}
	return "(" + strings.Join(ranges, " OR ") + ")"
}

// value returns the expression of feature j's number after cleaning; NULL is missing.
func (v *view) value(j int) string {
	c := &v.columns[j]
	mapped := ""
	if c.mapped {
		number := func(t rawText) string { return v.d.Number(t.value.Number) }
		if mapped = c.lookup("x", number, v.d.AsDouble("NULL")); c.decimal == "" {
			return mapped
		}
	}
	f, x := c.feature, v.unmarked(c.feature, c.double)
	if f.ClipMin != nil {
		limit := v.d.Number(*f.ClipMin)
		x = v.unmarked(f, fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", v.below(x, *f.ClipMin), limit, x))
	}
	var marks []string // of missing cells among what both engines write for no number
	for _, text := range []string{"NaN", "Infinity", "-Infinity"} {
		if !c.mapped && f.Missing(text) {
			marks = append(marks, sqlterms.QuoteText(text))
		}
	}
	if len(marks) > 0 {
		x = fmt.Sprintf("CASE WHEN %s IN (%s) THEN NULL ELSE %s END", c.raw, strings.Join(marks, ", "), x)
	}
	if c.decimal != "" {
		x = fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", c.decimal, x, mapped)
	}
	return x
}

// unmarked returns the expression of a number without those that mark missing cells.
func (v *view) unmarked(f *dataset.Feature, x string) string {
	for _, mark := range f.MissingNumbers() {
		x = fmt.Sprintf("NULLIF(%s, %s)", x, v.d.Number(mark))
	}
	return x
}

// below returns the condition of numbers below a limit, −Infinity excluded.
func (v *view) below(x string, least float64) string {
	return fmt.Sprintf("%s < %s AND %s >= %s", x, v.d.Number(least), x, v.d.Number(-math.MaxFloat64))
}

// problem returns the expression of what is wrong with feature j's number x after
// cleaning: one of the numbers below, or 0.
func (v *view) problem(j int, x string) string {
	f := v.columns[j].feature
	var cases []string
	add := func(condition string, n int) {
		cases = append(cases, fmt.Sprintf("WHEN NOT (%s) THEN %d", condition, n))
	}
	add(fmt.Sprintf("abs(%s) <= %s", x, v.d.Number(math.MaxFloat64)), notFinite) // false for NaN
	add(fmt.Sprintf("abs(%s) <= %s", x, v.d.Number(dataset.MaxNumber)), tooLarge)
	if f.Integer {
		add(fmt.Sprintf("floor(%s) = %s", x, x), notWhole)
	}
	bounds, _ := f.Bounds()
	for i, b := range bounds {
		if math.IsNaN(b.Limit) {
			add("FALSE", breaksRule+i) // PostgreSQL orders NaN above all numbers
			continue
		}
		add(fmt.Sprintf("%s %s %s", x, sqlterms.Comparisons[b.Tag], v.d.Number(b.Limit)), breaksRule+i)
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN 0 %s ELSE 0 END", x, strings.Join(cases, " "))
}

// Results of problem.
const (
	notFinite = iota + 1
	tooLarge
	notWhole
	breaksRule // plus the index of the bound
)

// kept returns the condition of rows that are not left out.
func (v *view) kept() string {
	var all []string
	for j := range v.columns {
		c := &v.columns[j]
		if !v.limits.DropInvalid {
			break
		}
		if slices.ContainsFunc(c.texts, func(t rawText) bool { return t.code == dropped }) {
			all = append(all, fmt.Sprintf("%s <> %d", c.lookup("c", codeOf, "0"), dropped))
		}
		if bounds, _ := c.feature.Bounds(); c.byExpression() && !c.valid && (len(bounds) > 0 || c.feature.Integer) {
			invalid := c.guarded(fmt.Sprintf("%s >= %d", v.problem(j, v.value(j)), notWhole))
			all = append(all, fmt.Sprintf("NOT (%s)", invalid))
		}
	}
	if len(all) == 0 {
		return "TRUE"
	}
	return strings.Join(all, " AND ")
}
