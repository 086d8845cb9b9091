package sqldata

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"churn/internal/dataset"
	"churn/internal/sqlterms"
	"churn/internal/status"
	"churn/internal/strictjson"
)

// A Table is a table of a database.
type Table struct {
	*Engine
	d       *dialect
	name    string // as the user wrote it
	sql     string // quoted
	key     string // quoted; "" without one
	keyName string
	columns []tableColumn
}

// tableColumn is a column as the engine describes it.
type tableColumn struct {
	name, engineType string
	kind             kind
}

// OpenTable finds a table and its columns.
func (e *Engine) OpenTable(ctx context.Context, o Options) (*Table, error) {
	t := &Table{Engine: e, d: e.dialect, name: o.Table}
	parts := strings.Split(o.Table, ".")
	if len(parts) > 3 {
		parts = []string{""}
	}
	quoted := make([]string, len(parts))
	for i, part := range parts {
		if quoted[i] = sqlterms.QuoteName(part); part == "" {
			return nil, fmt.Errorf("--table %q: expected NAME or SCHEMA.NAME; "+
				"make a view of a table whose name has points in it", o.Table)
		}
	}
	t.sql = strings.Join(quoted, ".")
	name := sqlterms.QuoteText(strings.ToLower(parts[len(parts)-1]))
	catalog, schema := "", "current_schema"
	if len(parts) > 1 {
		schema = sqlterms.QuoteText(strings.ToLower(parts[len(parts)-2]))
	}
	if len(parts) > 2 {
		catalog = quoted[0] + "."
	}
	query := expand(t.d.describe, sqlterms.QuoteText(t.sql), catalog, schema, name)
	var c tableColumn
	var enum bool
	err := e.each(ctx, "finding the columns", query, []any{&c.name, &c.engineType, &enum}, func() {
		if c.kind = t.d.types[c.plainType()]; enum {
			c.kind = kindText
		}
		t.columns = append(t.columns, c)
	})
	if err != nil {
		return nil, err
	}
	if len(t.columns) == 0 {
		return nil, fmt.Errorf("%s has no table %q that this user may read: name it as SCHEMA.NAME in --table, or in --log "+
			"behind the #", e.url, o.Table)
	}
	if o.Key != "" {
		return t, t.findKey(o.Key)
	}
	return t, nil
}

// expand replaces %[1]s, %[2]s … of a template by the arguments, in which it replaces nothing.
func expand(template string, args ...string) string {
	var pairs []string
	for i, a := range args {
		pairs = append(pairs, fmt.Sprintf("%%[%d]s", i+1), a)
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

// findKey finds the column that identifies customers. Its text must be the same in every
// run, which that of a floating-point number is not everywhere.
func (t *Table) findKey(name string) error {
	c := t.column(name)
	switch {
	case c == nil:
		return fmt.Errorf("--key %q: %s has no such column, but %s", name, t.name, t.list())
	case c.kind >= kindDouble:
		return fmt.Errorf("--key %q: a column of floating-point numbers identifies no customer: "+
			"expected whole numbers or texts", name)
	case c.kind == kindOther:
		return fmt.Errorf("--key %q: a column of type %s identifies no customer: "+
			"expected whole numbers or texts", name, c.engineType)
	}
	t.key, t.keyName = c.sql(), name
	return nil
}

// sql returns the column's cell in queries.
func (c *tableColumn) sql() string { return "t." + sqlterms.QuoteName(c.name) }

// plainType returns the type without parameters: varchar(10), decimal(4,2).
func (c *tableColumn) plainType() string {
	plain, _, _ := strings.Cut(c.engineType, "(")
	return plain
}

// column returns a column by its name in a schema, or nil.
func (t *Table) column(name string) *tableColumn {
	i := slices.IndexFunc(t.columns, func(c tableColumn) bool { return c.name == name })
	if i < 0 {
		i = slices.IndexFunc(t.columns, func(c tableColumn) bool { return dataset.Same(c.name, name) })
	}
	if i < 0 && t.foldsNames {
		i = slices.IndexFunc(t.columns, func(c tableColumn) bool { return strings.EqualFold(c.name, name) })
	}
	if i < 0 {
		return nil
	}
	return &t.columns[i]
}

// list returns the names of the columns, for messages.
func (t *Table) list() string {
	quoted := sqlterms.Texts(slices.Values(t.columns), func(c tableColumn) string { return strconv.Quote(c.name) })
	return strings.Join(quoted, ", ")
}

// Name returns the table and the URL without secrets, for messages and documents.
func (t *Table) Name() string { return t.name + " in " + t.url }

// Infer returns a schema for the table, as Infer of package csvdata does for a file: a
// column of numbers, or of texts that all read as numbers, is a number, any other a category. With words
// a word for yes among the target's values is taken as positive, as a note then says.
func (t *Table) Infer(ctx context.Context, target dataset.Target, words bool, ignore, missingValues []string,
) (s *dataset.Schema, notes []string, err error) {
	skipped := map[*tableColumn]bool{t.column(t.keyName): true}
	for _, name := range append([]string{target.Name}, ignore...) {
		c := t.column(name)
		if c == nil {
			return nil, nil, t.reject("%q: the table has no such column, but %s", name, t.list())
		}
		skipped[c] = true
	}
	s = &dataset.Schema{Format: dataset.Format, Target: target, Ignore: ignore, MissingValues: missingValues}
	var isNumber []bool
	for i := range t.columns {
		if c := &t.columns[i]; !skipped[c] {
			// Read as numbers, texts need not be distinguished if they are plain decimals.
			s.Features = append(s.Features, dataset.Feature{Name: dataset.Trim(c.name), Type: dataset.Number})
			isNumber = append(isNumber, c.kind >= kindNumber)
		}
	}
	if len(s.Features) == 0 {
		return nil, nil, t.reject("no column is left to predict from")
	}
	s, err = s.With(nil, nil) // checked
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	v, err := t.view(s, dataset.Limits{})
	if err != nil {
		return nil, nil, err
	}
	if err := v.readTexts(ctx); err != nil {
		return nil, nil, err
	}
	missing, err := v.missing(ctx)
	if err != nil {
		return nil, nil, err
	}
	for j := range s.Features {
		f := &s.Features[j]
		notNumber := func(t rawText) bool {
			_, problem := f.CheckText(t.raw)
			return problem != nil && problem.Kind == dataset.NotANumber // a number may be too large
		}
		if !isNumber[j] && slices.ContainsFunc(v.columns[j].texts, notNumber) {
			f.Type = dataset.Category
			var note string
			if f.Map, note = dataset.Spellings(v.columns[j].inFiles()); note != "" {
				notes = append(notes, strictjson.Printable(f.Name)+": "+note)
			}
		}
		f.Optional = missing[j]
	}
	if words {
		if note := s.Target.TakeWord(v.target.inFiles()); note != "" {
			notes = append(notes, note)
		}
	}
	s, err = s.With(nil, nil)
	return s, notes, err
}

// reject returns the error for a table that fails the checks.
func (t *Table) reject(format string, args ...any) error {
	return status.Reject("%s: "+format, append([]any{t.Name()}, args...)...)
}
