package warehouse

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

	"churn/internal/dataset"
)

// dirt is one table, and what its schema says.
type dirt struct {
	schema *dataset.Schema
	limits dataset.Limits
	header []string
	types  []string // PostgreSQL's
	rows   cells
}

// compare holds what a database makes of a table to what Clean makes of the same
// rows as CSV: the quality report, or what it is refused for; the summaries; and each
// cleaned cell. It returns whether the rows were accepted.
func (d *dirt) compare(t testing.TB, p *place, table string) (accepted bool) {
	t.Helper()
	header, types, rows := append([]string{"row no"}, d.header...), append([]string{"bigint"}, d.types...), make(cells, len(d.rows))
	for i, row := range d.rows {
		no := strconv.Itoa(i)
		rows[i] = append([]*string{&no}, row...)
	}
	schema, err := d.schema.With([]string{"row no"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	csv := rows.csv(header)
	want, summaries, refused := schema.Clean(t.Context(), strings.NewReader(csv), "customers", d.limits, io.Discard)
	there := p.table(t, table, "row no", header, types, rows)
	s, err := there.Source(t.Context(), schema, d.limits, 1)
	defer func() {
		if t.Failed() {
			b, _ := json.Marshal(d.schema)
			t.Fatalf("schema %s, limits %+v, types %q:\n%s", b, d.limits, types, csv)
		}
	}()
	d.compareInferred(t, there, csv)
	var first *dataset.Refusal
	if errors.As(refused, &first) {
		var second *dataset.Refusal
		if !errors.As(err, &second) {
			t.Errorf("no refusal but %v; of CSV:\n%v", err, refused)
			return false
		}
		if a, b := problems(first), problems(second); !slices.Equal(a, b) {
			t.Errorf("refused for\n%s\nCSV for\n%s", strings.Join(b, "\n"), strings.Join(a, "\n"))
		}
		return false
	}
	if refused != nil {
		t.Fatal(refused)
	}
	if err != nil {
		t.Errorf("%v, but CSV is accepted", err)
		return false
	}
	got := *s.Quality()
	if a, b := report(t, *want), report(t, got); a != b {
		t.Errorf("quality:\n%s", difference(a, b))
	}
	described, err := s.Describe(t.Context(), nil)
	if err != nil {
		t.Error(err)
		return true
	}
	if described.Rows != want.RowsKept || described.Positives != positives(d.schema, want) {
		t.Errorf("%d rows, %d positive, of CSV %d, %d", described.Rows, described.Positives, want.RowsKept, positives(d.schema, want))
	}
	for j := range schema.Features {
		name := schema.Features[j].Name
		if a, b := summaries[name], described.Columns[j]; !sameSummary(&a, &b) {
			t.Errorf("%s: summary %s, of CSV %s", name, summary(&b), summary(&a))
		}
	}
	memory, err := dataset.ReadTable(t.Context(), strings.NewReader(csv), "customers", schema, d.limits)
	if err != nil {
		t.Fatal(err)
	}
	d.compareCells(t, s, memory)
	for j := range schema.Features {
		if schema.Features[j].Type != dataset.Number {
			continue
		}
		median := 0.0
		if values, weights, _ := memory.Sorted(j, dataset.AllRows(memory.Rows())); len(values) > 0 {
			median = dataset.Median(values, weights)
		}
		if !near(described.Medians[j], median, 1) {
			t.Errorf("%s: median %v, of CSV %v", schema.Features[j].Name, described.Medians[j], median)
		}
	}
	return true
}

// compareInferred compares the schemas that are made for the table and for its CSV,
// where types do not tell more than texts do.
func (d *dirt) compareInferred(t testing.TB, table *Table, csv string) {
	t.Helper()
	if slices.ContainsFunc(d.types[:len(d.types)-1], func(kind string) bool { return kind != "text" }) {
		return
	}
	want, err := dataset.Infer(t.Context(), strings.NewReader(csv), "customers", d.schema.Target, []string{"row no"}, d.schema.MissingValues)
	if err != nil {
		t.Fatal(err)
	}
	got, err := table.Infer(t.Context(), d.schema.Target, []string{"row no"}, d.schema.MissingValues)
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
func (d *dirt) compareCells(t testing.TB, s *Source, memory *dataset.Table) {
	t.Helper()
	v := s.v
	names, columns := v.cleaned()
	columns = append(columns, v.key+" AS id")
	i := 0
	err := v.Query(t.Context(), "reading cells", fmt.Sprintf("SELECT y, %s %s ORDER BY id", strings.Join(names, ", "), v.selection(nil, 0, columns)),
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

// report is a quality report without the name of what it is of.
func report(t testing.TB, q dataset.Quality) string {
	t.Helper()
	q.File, q.ProcessedSHA256 = "", ""
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
	return near(m.Mean, n.Mean, size) && math.Abs(m.Std-n.Std) <= 1e-9*m.Std+1e-14*size && m.Min == n.Min && m.Max == n.Max &&
		slices.Equal(m.Cuts, n.Cuts) && slices.Equal(m.Counts, n.Counts)
}

func near(a, b, size float64) bool { return math.Abs(a-b) <= 1e-9*max(size, 1e-300) }

// What the two interpreters cannot say alike: rows of a table have no lines and no
// order. So there are no lines, the example of what is wrong is another one, and of
// more than ten labels those that are named are the most frequent, not the first.
var unlike = []struct{ expr, with string }{
	{`, lines? [^)]*\)$`, ")"},
	{`(?s)^".*"( is not a number| breaks the rule )`, "X$1"},
	{`(?s)^\S+( is not a whole number| is too large: | is (below|above|not below|not above) )`, "X$1"},
	{`(?s)but not ".*": if that`, "but not X: if that"},
	{`(?s)^more than two values \(.*, …\):`, "more than two values (…):"},
	{`^the file has a header but no rows$`, "there are no rows"},
}

// problems are a refusal's columns and problems.
func problems(r *dataset.Refusal) []string {
	var out []string
	for _, f := range r.Failures {
		text := f.Problem
		for _, u := range unlike {
			text = regexp.MustCompile(u.expr).ReplaceAllString(text, u.with)
		}
		out = append(out, fmt.Sprintf("%s: %s (%d)", f.Column, text, f.Count))
	}
	slices.Sort(out)
	return out
}

// schemaOf reads features, a line each, with the target y that is positive for 1.
func schemaOf(t testing.TB, positive, marks string, features ...string) *dataset.Schema {
	t.Helper()
	if marks == "" {
		marks = "[]"
	}
	s, err := dataset.ParseSchema([]byte(fmt.Sprintf(`{"format": 1, "target": {"name": "y", "positive": %q}, "features": [%s], "ignore": [], "missing_values": %s}`,
		positive, strings.Join(features, ", "), marks)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// repeated returns rows of one column x, each n times, with labels 0 and 1 in turn.
func repeated(n int, texts ...string) cells {
	var out cells
	for i := range n {
		for k, text := range texts {
			out = append(out, row(text, fmt.Sprint((i+k)%2)))
		}
	}
	return out
}

func TestDirt(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		anything := dataset.Limits{MaxMissing: 1}
		dropping := dataset.Limits{MaxMissing: 1, DropInvalid: true}
		check := func(name string, accepted bool, d *dirt) {
			t.Helper()
			t.Run(name, func(t *testing.T) {
				if got := d.compare(t, p, "dirt7_dirt"); got != accepted {
					t.Errorf("accepted: %v, want %v", got, accepted)
				}
			})
		}
		one := func(name string, accepted bool, limits dataset.Limits, kind, feature, marks string, texts ...string) {
			t.Helper()
			check(name, accepted, &dirt{schemaOf(t, "1", marks, `{"name": "x", `+feature+`}`), limits, []string{"x", "y"}, []string{kind, "text"}, repeated(4, texts...)})
		}
		const number, category = `"type": "number"`, `"type": "category"`
		one("white space", true, anything, "text", number, "", " 1", "2 ", "\t3", "4\u00a0", "\u20035\u2003", "\u30006", "7\n", "\v8\f", "9\u0085", "10")
		one("white space of levels", true, anything, "text", category, "", " a", "a ", "\ta", "a\u00a0", "b\u2003", "\u3000b", "b\n", "\va\f", "b\u0085", "a", "b")
		one("no white space", true, anything, "text", category, "", "a", "\u200ba", "\u001ca", "a\ufeff", "a\u001f")
		one("line ends", true, anything, "text", category, "", "a\nb", "a\rb", "a\r", "a\r\n", "a")
		for _, letters := range []string{"lower", "upper"} {
			one(letters+" case", true, anything, "text", category+`, "case": "`+letters+`"`, `["n/a", "ΝΑΙ"]`,
				"ß", "ẞ", "ss", "SS", "İ", "i̇", "i", "I", "ı", "Σ", "σ", "ς", "ΌΔΟΣ", "όδος", "É", "é", "e\u0301", "N/A", "n/a", "N/a", "ναι", "Ναι", "ǅ", "ŉ", "ﬀ", "Ა")
		}
		one("reserved", false, anything, "text", category+`, "case": "lower"`, "", "a", "(MISSING)", " (missing) ")
		one("reserved in its case", true, anything, "text", category, "", "a", "(MISSING)")
		one("reserved, dropping", false, dropping, "text", category, "", "a", "(missing)")
		one("quotes", true, anything, "text", category, "", "'", "''", `"`, `\`, `\'`, `\\'`, "%s", "%[1]s", "$1", "?", ";--", "a,b", "E'\\n'", "'); DROP TABLE customers; --", "NULL", "null", "😀", `\.`)
		one("odd numbers", true, anything, "text", number, "", "+5", ".5", "5.", "1e3", "1E+3", "-.5e-3", "1e-400", "-1e-400", " 7 ", "00012", "-0", "0", "12345678901234567", "123456789012345678901234567890",
			"0.12345678901234567890", "9007199254740993", "999999999999999.999999999999999", "2.2250738585072011e-308", "5e-324", "2e-324", "1e100", "-1e100", "1e00000000000000000000001")
		for _, text := range []string{"1e400", "-1e400", "0x10", "NaN", "Infinity", "-inf", "1_000", "1,5", "--5", "+-5", "５", "1e", "e5", ".", "-", "+", "1 2", "(missing)", "1e101", "-1e101", "1.7976931348623159e308", "0b1", "1d", "1f", "٣", "1\u200b", "1\n2"} {
			one("number "+text, false, anything, "text", number, "", "1", text)
		}
		one("marks", true, anything, "text", number, `["-999", "N/A", "NaN", " ? ", "0x10", "1e400"]`, "1", "-999", "-999.0", "-9.99e2", "-00999", "N/A", " N/A ", "NaN", "?", "0x10", "1e400", "", " ", `\N`)
		one("marks of levels", true, anything, "text", category, `["-999", "N/A", " ? "]`, "1", "-999", "-999.0", "N/A", " N/A ", "n/a", "?", "", " ", `\N`)
		one("a mark in the wrong case", false, anything, "text", number, `["N/A"]`, "1", "n/a")
		one("clip", true, anything, "text", number+`, "clip_min": 0, "validate": "gte=0"`, `["-1"]`, "1", "-1", "-1.0", "-2", "-0", "-1e99", "-1e200", "-.5", "0")
		one("clip onto a mark", true, anything, "text", number+`, "clip_min": -1`, `["-1"]`, "1", "-1", "-1.0", "-2", "-3.5e0")
		one("clip below the rule", false, anything, "text", number+`, "clip_min": -5, "validate": "gte=0"`, "", "1", "-7", "-6e0")
		one("clip below the rule, dropping", true, dropping, "text", number+`, "clip_min": -5, "validate": "gte=0"`, "", "1", "2", "-7", "-6e0")
		one("whole numbers", true, anything, "text", number+`, "integer": true`, "", "6.0", "6", "6.", "60e-1", "-0.0", "1e20")
		one("fractions", false, anything, "text", number+`, "integer": true`, "", "6.0", "6.5", "6.5e0", "1e-1")
		one("fractions, dropping", true, dropping, "text", number+`, "integer": true`, "", "6.0", "7", "6.5", "6.5e0", "1e-1", "1e-400")
		for _, rule := range []string{"gte=1,lte=3", "gt=1,lt=3", "min=1,max=3", "gte=1.5", "lt=2.5", "ne=2", "eq=1|eq=2", "gte=-1,ne=3", "gt=0.1,lt=1e9", "lte=inf", "gte=-inf,lte=2", "gt=nan"} {
			feature := number + `, "validate": "` + rule + `"`
			one("rule "+rule, rule == "lte=inf", anything, "text", feature, "", "1", "2", "3", "3.0", "1e0", "\t2", "-999", "5")
			one("rule "+rule+", dropping", rule != "gt=nan", dropping, "text", feature, `["-999"]`, "1", "2", "3", "3.0", "1e0", "\t2", "-999", "5", "1.9")
			one("rule "+rule+" of doubles, dropping", rule != "gt=nan", dropping, "double precision", feature, `["-999"]`, "1", "2", "3", "-999", "5", "1.9", `\N`)
		}
		for _, rule := range []string{"oneof=a b c", "len=1", "alpha", "max=2", "ne=b", "lowercase", "email|len=1"} {
			feature := category + `, "validate": "` + rule + `"`
			one("rule "+rule, rule == "max=2" || rule == "lowercase", anything, "text", feature, "", "a", "b", " a", "b7")
			one("rule "+rule+", dropping", true, dropping, "text", feature, "", "a", "a", "b", "é", " a", "b777", "A")
		}
		one("all missing", false, anything, "text", number, `["?"]`, "", "?", `\N`)
		one("all missing levels", false, anything, "text", category, `["?"]`, "", "?", `\N`)
		one("all missing doubles", false, anything, "double precision", number, `["-1"]`, "-1", `\N`)
		one("all null", false, anything, "text", number, "", `\N`)
		one("too much missing", false, dataset.Limits{MaxMissing: 0.3}, "text", number, "", "", "1", "2")
		one("too much missing in doubles", false, dataset.Limits{MaxMissing: 0.3}, "double precision", number, "", `\N`, "1", "2")
		one("just enough", true, dataset.Limits{MaxMissing: 1. / 3}, "text", category, "", "", "1", "2")
		one("all dropped", false, dropping, "text", number+`, "validate": "gt=5"`, "", "1", "2")
		one("all dropped doubles", false, dropping, "double precision", number+`, "validate": "gt=5"`, "", "1", "2")

		one("doubles", true, anything, "double precision", number, `["-999", "N/A"]`, "1", "0.1", "-999", "5e-324", "1.7e-308", "-0", "0", "1e100", "-1e100", "123456789.123456789", `\N`)
		for _, text := range []string{"NaN", "Infinity", "-Infinity", "1e101", "-1e300"} {
			one("double "+text, false, anything, "double precision", number, "", "1", text)
			one("double "+text+", dropping", false, dropping, "double precision", number+`, "validate": "gte=0,lte=5"`, "", "1", text)
			one("double "+text+" and a clip", text == "-1e300", anything, "double precision", number+`, "clip_min": 0`, "", "1", "2", text)
			one("double "+text+" as a mark", true, anything, "double precision", number+`, "clip_min": 0`, `["`+text+`"]`, "1", "2", text)
		}
		for _, text := range []string{"NaN", "Infinity", "-Infinity"} {
			one("real "+text, false, anything, "real", number, "", "1", text)
			one("double "+text+" as a level", true, anything, "double precision", category, "", "1", text)
		}
		one("doubles far from zero", true, anything, "double precision", number, "", "1e9", "1000000000.001", "1000000000.002", "1000000000.004", `\N`)
		one("doubles very far from zero", true, anything, "double precision", number, "", "1e15", "1000000000000001", "1000000000000003", `\N`)
		one("reals", true, anything, "real", number, `["0.1"]`, "1", "0.1", "0.2", "3.4e38", "1e-30", "16777216", `\N`)
		one("reals with a bound", true, anything, "real", number+`, "validate": "lte=0.3", "clip_min": 0.1`, "", "0.1", "0.2", "0.3", "0.05", `\N`)
		one("integers", true, anything, "bigint", number+`, "integer": true, "validate": "lte=9223372036854775807"`, `["-1"]`, "1", "-1", "9007199254740993", "-9223372036854775808", "9223372036854775807", `\N`)
		one("decimals", true, anything, "numeric(20,6)", number, `["-999"]`, "1.000000", "-999.000000", "0.100000", "99999999999999.999999", `\N`)
		if p.engine.Scheme() == "postgres" { // Trino's decimals have 38 digits at most
			one("wide decimals", true, anything, "numeric", number+`, "clip_min": -5`, `["Infinity"]`, "1", "1.50", "1e-400", "-1e-400", "3e-324", "-1e200", "Infinity", `\N`)
			for _, text := range []string{"1e400", "-1e400", "NaN", "Infinity", "1e308"} {
				one("decimal "+text, false, anything, "numeric", number+`, "clip_min": -5`, "", "1", text)
			}
		}
		one("fractions in decimals", false, anything, "numeric(20,6)", number+`, "integer": true`, "", "1.000000", "1.500000")
		one("numbers as levels", true, anything, "integer", category, `["-1"]`, "1", "-1", "12", `\N`)
		one("decimals as levels", true, anything, "numeric(20,2)", category, `["-1.00"]`, "1.00", "-1.00", "12.50", `\N`)
		one("doubles as levels", true, anything, "double precision", category, "", "1", "0.1", "-2.5", `\N`)
		one("reals as levels", true, anything, "real", category, "", "1", "0.1", "-2.5", `\N`)
		one("truth values", true, anything, "boolean", category+`, "case": "upper"`, "", "true", "false", `\N`)
		one("truth values as numbers", false, anything, "boolean", number, "", "true", "false")

		many := make([]string, 150)
		for i := range many {
			many[i] = fmt.Sprint(i)
		}
		one("too many levels", false, anything, "text", category, "", append(many, "n/a")...)
		one("too many levels, no numbers", false, anything, "text", category, "", append(many, strings.Split("a b c d e f g h i j k l m n o p q r s t u v w x y z", " ")...)...)
		one("too many numbers as levels", false, anything, "integer", category, "", many...)
		one("an empty table", false, anything, "text", number, "")

		target := func(name string, accepted bool, kind, positive, marks string, texts ...string) {
			t.Helper()
			var rows cells
			for i := range 24 {
				rows = append(rows, row(fmt.Sprint(i%5), texts[i%len(texts)]))
			}
			check("target "+name, accepted, &dirt{schemaOf(t, positive, marks, `{"name": "x", "type": "number"}`), anything, []string{"x", "y"}, []string{"integer", kind}, rows})
		}
		target("of texts", true, "text", "yes", "", "yes", " yes", "no\u00a0", "no")
		target("in another case", false, "text", "yes", "", "yes", "Yes", "no")
		target("1 and 1.0", true, "text", "1", "", "1", "1.0", " 1e0", "0", "-0", "00")
		target("missing", false, "text", "1", `["?"]`, "1", "0", "", "?", `\N`)
		target("of three values", false, "text", "1", "", "1", "0", "2")
		target("constant", false, "text", "1", "", "1", "1.0")
		target("without the positive value", false, "text", "7", "", "1", "0")
		target("of doubles", true, "double precision", "1", "", "1", "0")
		target("of truth values", true, "boolean", "true", "", "true", "false")
		target("of decimals", true, "numeric(5,2)", "1", "", "1.00", "0.00")
		target("of doubles that are not numbers", false, "double precision", "1", "", "1", "0", "NaN")
		target("of many values", false, "text", "1", "", append([]string{"1"}, many[2:20]...)...)
		target("with quotes", true, "text", `it's "\ `+"'x", "", `it's "\ `+"'x", `it's`)

		// A target with rows that are left out counts those that are kept.
		check("a class that is left out", false, &dirt{schemaOf(t, "1", "", `{"name": "x", "type": "number", "validate": "lt=5"}`), dropping,
			[]string{"x", "y"}, []string{"text", "text"}, cells{row("1", "0"), row("2", "0"), row("7", "1"), row("8e0", "")}})
		check("a level that is left out", true, &dirt{schemaOf(t, "1", "", `{"name": "x", "type": "number", "validate": "lt=5"}`, `{"name": "c", "type": "category"}`), dropping,
			[]string{"y", "c", "x"}, []string{"text", "text", "double precision"},
			cells{row("0", "a", "1"), row("1", "b", "2"), row("2", "d", "7"), row("1", "e", "9"), row("", `\N`, "9"), row("0", `\N`, `\N`)}})
	})
}
