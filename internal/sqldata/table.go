package sqldata

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/status"
)

// A Table is a table of customers, whose rows stay in it.
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
		if quoted[i] = quoteName(part); part == "" {
			return nil, fmt.Errorf("--table %q: a name, with its schema and a point before it if it needs one; of one that has points in it, make a view", o.Table)
		}
	}
	t.sql = strings.Join(quoted, ".")
	name := quoteText(strings.ToLower(parts[len(parts)-1]))
	catalog, schema := "", "current_schema"
	if len(parts) > 1 {
		schema = quoteText(strings.ToLower(parts[len(parts)-2]))
	}
	if len(parts) > 2 {
		catalog = quoted[0] + "."
	}
	err := e.query(ctx, "finding the columns", expand(t.d.describe, quoteText(t.sql), catalog, schema, name), func(scan func(...any) error) error {
		var c tableColumn
		var enum bool
		if err := scan(&c.name, &c.engineType, &enum); err != nil {
			return err
		}
		if c.kind = t.d.types[c.plainType()]; enum {
			c.kind = kindText
		}
		t.columns = append(t.columns, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(t.columns) == 0 {
		return nil, fmt.Errorf("%s has no table %q that you may read: name it as --table SCHEMA.NAME", e.url, o.Table)
	}
	if o.Key != "" {
		return t, t.findKey(o.Key)
	}
	return t, nil
}

// expand fills in the arguments that a template names, and nothing in them.
func expand(template string, args ...string) string {
	var pairs []string
	for i, a := range args {
		pairs = append(pairs, fmt.Sprintf("%%[%d]s", i+1), a)
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

// findKey finds the column that names the customers. Its text must be the same in
// every run, which a floating-point number's is not everywhere.
func (t *Table) findKey(name string) error {
	c := t.column(name)
	switch {
	case c == nil:
		return fmt.Errorf("--key %q: %s has no such column, but %s", name, t.name, t.list())
	case c.kind == kindSingle, c.kind == kindDouble:
		return fmt.Errorf("--key %q: a column of floating-point numbers names nobody: take one of whole numbers or of texts", name)
	case c.kind == kindOther:
		return fmt.Errorf("--key %q: a column of type %s names nobody: take one of whole numbers or of texts", name, c.engineType)
	}
	t.key, t.keyName = c.sql(), name
	return nil
}

// sql is the column's cell, as queries have it.
func (c *tableColumn) sql() string { return "t." + quoteName(c.name) }

// plainType is the type without what it is of: varchar(10), decimal(4,2).
func (c *tableColumn) plainType() string {
	plain, _, _ := strings.Cut(c.engineType, "(")
	return plain
}

// column returns a column by the name that a schema has it by, or nil. An engine
// that does not tell capitals from small letters may have changed them.
func (t *Table) column(name string) *tableColumn {
	same := func(c tableColumn) bool { return c.name == name }
	i := slices.IndexFunc(t.columns, same)
	if i < 0 && t.foldsNames {
		i = slices.IndexFunc(t.columns, func(c tableColumn) bool { return strings.EqualFold(c.name, name) })
	}
	if i < 0 {
		return nil
	}
	return &t.columns[i]
}

func (t *Table) list() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = fmt.Sprintf("%q", c.name)
	}
	return strings.Join(names, ", ")
}

// Name returns the table as a file would be named, for messages and documents: it
// has no secret.
func (t *Table) Name() string { return t.name + " in " + t.url }

// Infer makes a schema for the table, as Infer of package csvdata does for a file: a column of
// numbers, or of texts that all read as numbers, is a number, any other a category.
func (t *Table) Infer(ctx context.Context, target dataset.Target, ignore, missingValues []string) (*dataset.Schema, error) {
	skipped := map[*tableColumn]bool{t.column(t.keyName): true}
	for _, name := range append([]string{target.Name}, ignore...) {
		c := t.column(name)
		if c == nil {
			return nil, t.refuse("%q: the table has no such column, but %s", name, t.list())
		}
		skipped[c] = true
	}
	s := &dataset.Schema{Format: dataset.Format, Target: target, Ignore: ignore, MissingValues: missingValues}
	for i := range t.columns {
		c := &t.columns[i]
		if skipped[c] {
			continue
		}
		f := dataset.Feature{Name: c.name, Type: dataset.Category}
		if c.kind >= kindNumber {
			f.Type = dataset.Number
		}
		s.Features = append(s.Features, f)
	}
	if len(s.Features) == 0 {
		return nil, t.refuse("no column is left to predict from")
	}
	s, err := s.With(nil, nil) // checked
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	numbers, err := s.With(nil, nil) // as which texts are looked at first: plain decimals need not be told apart
	if err != nil {
		return nil, err
	}
	for j := range numbers.Features {
		numbers.Features[j].Type = dataset.Number
	}
	if numbers, err = numbers.With(nil, nil); err != nil {
		return nil, err
	}
	v, err := t.view(numbers, dataset.Limits{})
	if err != nil {
		return nil, err
	}
	if err := v.readTexts(ctx); err != nil {
		return nil, err
	}
	missing, err := v.missing(ctx)
	if err != nil {
		return nil, err
	}
	for j := range s.Features {
		f := &s.Features[j]
		f.Optional = missing[j]
		if f.Type == dataset.Category && v.columns[j].readsAs(&numbers.Features[j]) {
			f.Type = dataset.Number
		}
	}
	return s.With(nil, nil)
}

// readsAs tells whether all texts of a column are numbers.
func (c *column) readsAs(number *dataset.Feature) bool {
	return !slices.ContainsFunc(c.texts, func(t rawText) bool {
		_, problem := number.CheckText(t.raw)
		return problem != nil && problem.Kind == dataset.NotANumber // one that is too large is one
	})
}

// refuse returns the error for a table that may not be used.
func (t *Table) refuse(format string, args ...any) error {
	return status.Reject("%s: "+format, append([]any{t.Name()}, args...)...)
}
