package sqldata

import (
	"fmt"
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
	if c.kind == kindOther {
		return column{}, fmt.Errorf("%s: a column of type %s is neither number nor text: leave it out with --ignore, or make a view with what it says", shown, c.engineType)
	}
	out := column{feature: f, alias: alias, mapped: true, plain: c.engineType == "double" || c.engineType == "real"}
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
	case c.kind != kindNumber:
		return raw, t.d.asDouble(raw)
	case c.engineType == "numeric":
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
