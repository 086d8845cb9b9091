package sqldata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"churn/internal/csvdata"
	"churn/internal/dataset"
)

// tableCase is one table, and what its schema says.
type tableCase struct {
	schema *dataset.Schema
	limits dataset.Limits
	header []string
	types  []string // PostgreSQL's
	rows   cells
}

// compare checks that a table in a database is cleaned as Clean cleans the same rows in
// CSV: the quality report or the issues, the summaries, and each cleaned cell. It reports
// whether the rows were accepted.
func (d *tableCase) compare(t testing.TB, p *place, table string) (accepted bool) {
	t.Helper()
	header, types, rows := append([]string{"row no"}, d.header...), append([]string{"bigint"}, d.types...),
		make(cells, len(d.rows))
	for i, row := range d.rows {
		no := strconv.Itoa(i)
		rows[i] = append([]*string{&no}, row...)
	}
	schema, err := d.schema.With([]string{"row no"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	csv := rows.csv(header)
	want, summaries, rejected := csvdata.Clean(t.Context(), csvdata.Source{Reader: strings.NewReader(csv),
		File: "customers"}, nil, schema,
		d.limits, io.Discard)
	there := p.table(t, table, "row no", header, types, rows)
	s, err := there.Source(t.Context(), schema, d.limits)
	defer func() {
		if t.Failed() {
			b, _ := json.Marshal(d.schema)
			t.Fatalf("schema %s, limits %+v, types %q:\n%s", b, d.limits, types, csv)
		}
	}()
	d.compareInferred(t, there, csv)
	var first *dataset.ValidationError
	if errors.As(rejected, &first) {
		var second *dataset.ValidationError
		if !errors.As(err, &second) {
			t.Errorf("not rejected but %v; of CSV:\n%v", err, rejected)
			return false
		}
		if a, b := problems(first), problems(second); !slices.Equal(a, b) {
			t.Errorf("rejected for\n%s\nCSV for\n%s", strings.Join(b, "\n"), strings.Join(a, "\n"))
		}
		return false
	}
	if rejected != nil {
		t.Fatal(rejected)
	}
	if err != nil {
		t.Errorf("%v, but CSV is accepted", err)
		return false
	}
	got := *s.Quality()
	if a, b := report(t, *want), report(t, got); a != b {
		t.Errorf("quality:\n%s", difference(a, b))
	}
	described, err := s.Describe(t.Context())
	if err != nil {
		t.Error(err)
		return true
	}
	if described.Rows != want.RowsKept || described.Positives != positives(d.schema, want) {
		t.Errorf("%d rows, %d positive, of CSV %d, %d", described.Rows, described.Positives, want.RowsKept,
			positives(d.schema, want))
	}
	for j := range schema.Features {
		name := schema.Features[j].Name
		if a, b := summaries[name], described.Columns[j]; !sameSummary(&a, &b) {
			t.Errorf("%s: summary %s, of CSV %s", name, summary(&b), summary(&a))
		}
	}
	memory, err := csvdata.ReadTable(t.Context(), csvdata.Source{Reader: strings.NewReader(csv), File: "customers"},
		schema, d.limits)
	if err != nil {
		t.Fatal(err)
	}
	d.compareCells(t, s, memory)
	exact := memory.Describe(dataset.AllRows(memory.Rows()))
	for j := range schema.Features {
		if got, want := described.Scalings[j].Median, exact.Scalings[j].Median; !near(got, want, 1) {
			t.Errorf("%s: median %v, of CSV %v", schema.Features[j].Name, got, want)
		}
	}
	return true
}

// compareInferred compares the schemas that are made for the table and for its CSV,
// where types do not tell more than texts do.
func (d *tableCase) compareInferred(t testing.TB, table *Table, csv string) {
	t.Helper()
	if slices.ContainsFunc(d.types[:len(d.types)-1], func(kind string) bool { return kind != "text" }) ||
		d.schema.Features[0].Notation != (dataset.Notation{}) { // of a table notations are not found out
		return
	}
	want, _, err := csvdata.Infer(t.Context(), csvdata.Source{Reader: strings.NewReader(csv), File: "customers"},
		csvdata.Inference{Target: d.schema.Target, Ignore: []string{"row no"}, MissingValues: d.schema.MissingValues})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := table.Infer(t.Context(), d.schema.Target, false, []string{"row no"}, d.schema.MissingValues)
	if err != nil {
		t.Errorf("no schema: %v", err)
		return
	}
	a, _ := json.MarshalIndent(want, "", " ")
	b, _ := json.MarshalIndent(got, "", " ")
	if !bytes.Equal(a, b) {
		t.Errorf("inferred:\n%s", difference(string(a), string(b)))
	}
}

func positives(s *dataset.Schema, q *dataset.Quality) int {
	return q.Target.Labels[s.Target.Positive] // the tests write it as Labels do
}

// compareCells compares each cell after cleaning.
func (d *tableCase) compareCells(t testing.TB, s *Source, memory *dataset.Table) {
	t.Helper()
	v := s.v
	names, columns := v.cleaned()
	columns = append(columns, v.key+" AS id")
	i := 0
	err := v.query(t.Context(), "reading cells", fmt.Sprintf("SELECT y, %s %s ORDER BY id", strings.Join(names, ", "),
		v.selection(columns)),
		func(scan func(...any) error) error {
			row := make([]*float64, len(names)+1)
			at := make([]any, len(row))
			for k := range row {
				at[k] = &row[k]
			}
			if err := scan(at...); err != nil {
				return err
			}
			if i >= memory.Rows() {
				return fmt.Errorf("more than %d rows", i)
			}
			if (*row[0] == 1) != memory.Positive[i] {
				t.Errorf("row %d is of class %v, of CSV positive: %v", i, *row[0], memory.Positive[i])
			}
			for j := range names {
				want := memory.Value(i, j)
				var got dataset.Value
				switch cell := row[j+1]; {
				case v.columns[j].feature.Type == dataset.Number && cell == nil:
					got = dataset.Value{Missing: true}
				case v.columns[j].feature.Type == dataset.Number:
					got = dataset.Value{Number: *cell}
				case int(*cell) == len(v.columns[j].levels):
					got = dataset.Value{Missing: true, Level: true}
				default:
					got = dataset.Value{Text: v.columns[j].levels[int(*cell)], Level: true}
				}
				if got != want {
					t.Errorf("row %d, %s: %+v, of CSV %+v", i, v.columns[j].feature.Name, got, want)
				}
			}
			i++
			return nil
		})
	if err != nil || i != memory.Rows() {
		t.Errorf("%d rows, of CSV %d: %v", i, memory.Rows(), err)
	}
}

// report returns a quality report without its source.
func report(t testing.TB, q dataset.Quality) string {
	t.Helper()
	q.File, q.ProcessedSHA256 = "", ""
	q.Copies = 0 // which are counted in files alone
	q.Columns = slices.Clone(q.Columns)
	for j := range q.Columns { // what Prepare adds, by the summaries, which are compared too
		c := &q.Columns[j]
		c.Distinct, c.Min, c.Median, c.Max = 0, nil, nil, nil
	}
	b, err := json.MarshalIndent(q, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// difference returns the lines that two texts do not share.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out []string
	for i := range max(len(x), len(y)) {
		switch {
		case i >= len(x):
			out = append(out, y[i])
		case i >= len(y):
			out = append(out, "of CSV "+x[i])
		case x[i] != y[i]:
			out = append(out, y[i]+", of CSV "+x[i])
		}
	}
	return strings.Join(out, "\n")
}

func summary(s *dataset.Summary) string {
	if s.Numbers == nil {
		return fmt.Sprintf("%v, %d rows, %d missing", s.Levels, s.Rows, s.Missing)
	}
	return fmt.Sprintf("%+v, %d rows, %d missing", *s.Numbers, s.Rows, s.Missing)
}

// sameSummary compares means to 1e-9 of the size that the column's numbers have, and
// deviations to 1e-9 of themselves.
func sameSummary(a, b *dataset.Summary) bool {
	if a.Rows != b.Rows || a.Missing != b.Missing || (a.Numbers == nil) != (b.Numbers == nil) {
		return false
	}
	if a.Numbers == nil {
		return maps.Equal(a.Levels, b.Levels)
	}
	m, n := a.Numbers, b.Numbers
	size := max(math.Abs(m.Min), math.Abs(m.Max))
	return near(m.Mean, n.Mean, size) && math.Abs(m.Std-n.Std) <= 1e-9*m.Std+1e-14*size && m.Min == n.Min &&
		m.Max == n.Max &&
		slices.Equal(m.Cuts, n.Cuts) && slices.Equal(m.Counts, n.Counts)
}

func near(a, b, size float64) bool { return math.Abs(a-b) <= 1e-9*max(size, 1e-300) }

// unlike are the differences between issues of a table and of a file that are expected:
// rows of a table have no lines and no order. So there are no lines, the example of an
// invalid cell is another one, and of more than ten labels the most frequent are named,
// not the first. And no row is left out for its target.
var unlike = []struct{ expr, with string }{
	{`, lines? [^)]*\)(: if a blank .*)?$`, ")$1"},
	{`(?s)^".*"( is not a number| breaks the rule )`, "X$1"},
	{`(?s)^\S+( is not a whole number| is too large: | is (below|above|not below|not above) )`, "X$1"},
	{`(?s)but not ".*": if that`, "but not X: if that"},
	{`(?s)^more than two values \(.*, …\):`, "more than two values (…):"},
	{`^(?s)(more than two values .*: a target has two): .*$`, "$1"},
	{`^the target is missing: .*$`, "the target is missing"},
	{`^the file has a header but no rows$`, "there are no rows"},
}

// problems returns the columns and the problems of a validation error.
func problems(r *dataset.ValidationError) []string {
	var out []string
	for _, f := range r.Issues {
		text := f.Problem
		for _, u := range unlike {
			text = regexp.MustCompile(u.expr).ReplaceAllString(text, u.with)
		}
		out = append(out, fmt.Sprintf("%s: %s (%d)", f.Column, text, f.Count))
	}
	slices.Sort(out)
	return out
}
