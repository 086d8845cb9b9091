package csvdata

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"churn/internal/dataset"
)

// schemaOf returns the text of a schema with these features.
func schemaOf(features string) string {
	return `{"format":1,"target":{"name":"churn","positive":"1"},"features":[` + features + `],"ignore":["id"]}`
}

// parse returns a schema that must be valid.
func parse(t testing.TB, text string) *dataset.Schema {
	t.Helper()
	s, err := dataset.ParseSchema([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// people is a schema with a bit of everything.
func people(t testing.TB) *dataset.Schema {
	return parse(t, `{"format":1,"target":{"name":"churn","positive":"1"},"features":[
		{"name":"age","type":"number","validate":"gte=0,lte=120","integer":true,"clip_min":0},
		{"name":"plan","type":"category","case":"lower"}],"ignore":["id"],"missing_values":["?"]}`)
}

// A scanned row has the values of ReadTable and the cells that Clean writes.
type scanned struct {
	Values   []dataset.Value
	Positive bool
	Cells    []string
}

// scan reads a file as prepare does and as train does, which must agree.
func scan(s *dataset.Schema, text string, limits dataset.Limits) (*dataset.Quality, []scanned, error) {
	sc := newScanner(s, "x.csv", limits)
	sc.sampler = newSampler(s)
	var cleaned bytes.Buffer
	err := sc.scan(context.Background(), Source{Reader: strings.NewReader(text)}, func(p *partial) error {
		cleaned.Write(p.csv)
		return nil
	})
	table, tableErr := ReadTable(context.Background(), Source{Reader: strings.NewReader(text), File: "x.csv"}, s, limits)
	if fmt.Sprint(err) != fmt.Sprint(tableErr) {
		panic(fmt.Sprintf("Clean: %v, ReadTable: %v", err, tableErr))
	}
	if err != nil {
		return sc.audit.Quality, nil, err
	}
	records, err := csv.NewReader(&cleaned).ReadAll()
	if err != nil || len(records) != table.Rows() {
		panic(fmt.Sprintf("Clean wrote %d records, %v; ReadTable has %d", len(records), err, table.Rows()))
	}
	var rows []scanned
	for i, cells := range records {
		row := scanned{Positive: table.Positive[i], Cells: cells}
		for j := range s.Features {
			row.Values = append(row.Values, table.Value(i, j))
		}
		rows = append(rows, row)
	}
	return sc.audit.Quality, rows, nil
}

// rejected checks that the file is rejected with exactly these issues.
func rejected(t *testing.T, s *dataset.Schema, text string, limits dataset.Limits, want ...string) {
	t.Helper()
	_, _, err := scan(s, text, limits)
	var invalid *dataset.ValidationError
	if !errors.As(err, &invalid) {
		t.Errorf("Scan(%.200q): %v, want a validation error", text, err)
	} else if got := invalid.Error(); got != strings.Join(want, "\n") {
		t.Errorf("Scan(%.200q):\n%s\nwant\n%s", text, got, strings.Join(want, "\n"))
	}
}

func accepted(t *testing.T, s *dataset.Schema, text string, limits dataset.Limits) (*dataset.Quality, []scanned) {
	t.Helper()
	q, rows, err := scan(s, text, limits)
	if err != nil {
		t.Fatalf("Scan(%.200q): %v", text, err)
	}
	return q, rows
}

func TestScanCleansAndFindsColumnsByName(t *testing.T) {
	q, rows := accepted(t, people(t), "churn,id,plan, age \n1,x,Basic,30\n 0 ,y,,-5\n1.0,z,basic,6.0\n",
		dataset.Limits{MaxMissing: 1})
	want := []scanned{
		{[]dataset.Value{{Number: 30}, {Text: "basic", Level: true}}, true, []string{"30", "basic", "1"}},
		{[]dataset.Value{{Number: 0}, {Missing: true, Level: true}}, false, []string{"0", "", "0"}},
		{[]dataset.Value{{Number: 6}, {Text: "basic", Level: true}}, true, []string{"6.0", "basic", "1.0"}},
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("rows = %v, want %v", rows, want)
	}
	wantQ := &dataset.Quality{File: "x.csv", RowsRead: 3, RowsKept: 3,
		Target: dataset.TargetQuality{Name: "churn", Positive: "1", Labels: map[string]int{"0": 1, "1": 2}},
		Columns: []dataset.ColumnQuality{
			{Name: "age", Type: dataset.Number, Clipped: 1, Present: 3},
			{Name: "plan", Type: dataset.Category, Missing: 1, MissingShare: 1. / 3, Recased: 1,
				Levels: map[string]int{"basic": 2}, Present: 2, Texts: []dataset.Text{{Level: "basic", Line: 2}}},
		}}
	if !reflect.DeepEqual(q, wantQ) {
		t.Errorf("quality = %+v, want %+v", q, wantQ)
	}
}

func TestAllIssuesAreReportedAtOnceWithTheirLines(t *testing.T) {
	rejected(t, people(t), `age,plan,churn
30,a,1
abc,(missing),1
121,b,?
x,b,0
1.5,b,0,5
1.5,b,0
200,b,0
`, dataset.Limits{MaxMissing: 1},
		`x.csv:3: age: "abc" is not a number (2 times, lines 3, 5)`,
		`x.csv:3: plan: "(missing)" is reserved for missing cells`,
		`x.csv:4: age: 121 is above 120 (2 times, lines 4, 8)`,
		`x.csv:4: churn: the target is missing: --drop-invalid leaves such rows out`,
		`x.csv:6: 4 cells, the header has 3`,
		`x.csv:7: age: 1.5 is not a whole number`)
}

func TestOnlyTheFirstLinesAreShown(t *testing.T) {
	rejected(t, people(t), "age,plan,churn\n1,a,1\n1,a,0\n"+strings.Repeat("x,a,1\n", 7), dataset.Limits{},
		`x.csv:4: age: "x" is not a number (7 times, lines 4, 5, 6, 7, 8, …)`)
	rejected(t, people(t), "age,plan,churn\n1,a,1\n1,a,0\n"+strings.Repeat("x,a,1\n", 5), dataset.Limits{},
		`x.csv:4: age: "x" is not a number (5 times, lines 4, 5, 6, 7, 8)`)
}

func TestColumnsThatAreAbsentOrUnknownAreNamed(t *testing.T) {
	rejected(t, people(t), "Age,plan,extra,id\n1,a,1,1\n", dataset.Limits{},
		`x.csv:1: age: the column is missing: the file has Age, plan, extra, id: did you mean Age?`,
		`x.csv:1: churn: the target column is missing: the file has Age, plan, extra, id`,
		`x.csv:1: Age: the schema does not know this column: add it there, or ignore it with --ignore`,
		`x.csv:1: extra: the schema does not know this column: add it there, or ignore it with --ignore`)
}

func TestDroppedRowsAreCountedAndLeftOut(t *testing.T) {
	text := "age,plan,churn\n30,a,1\n121,b,1\n1.5,b,0\n40,b,0\n-3,b,0\n"
	q, rows := accepted(t, people(t), text, dataset.Limits{DropInvalid: true})
	if len(rows) != 3 || rows[1].Cells[0] != "40" || rows[2].Cells[0] != "0" {
		t.Errorf("rows = %v, want those of 30, 40 and the clipped -3", rows)
	}
	if q.RowsRead != 5 || q.RowsKept != 3 || q.RowsDropped != 2 || q.Columns[0].Invalid != 2 || q.Columns[0].Clipped != 1 {
		t.Errorf("quality = %+v, want 5 read, 3 kept, 2 dropped", q)
	}
	if want := (map[string]int{"0": 2, "1": 1}); !reflect.DeepEqual(q.Target.Labels, want) {
		t.Errorf("labels = %v, want %v", q.Target.Labels, want)
	}
	// a text that is no value is not dropped
	rejected(t, people(t), text+"x,b,0\n121,b,\n", dataset.Limits{DropInvalid: true}, `x.csv:7: age: "x" is not a number`)
	rejected(t, people(t), "age,plan,churn\n121,a,1\n122,b,0\n", dataset.Limits{DropInvalid: true},
		`x.csv: every row breaks the schema's rules, so none is left`)
}

func TestMissingCellsUpToTheLimit(t *testing.T) {
	file := func(rows, missing int) string {
		var b strings.Builder
		b.WriteString("age,plan,churn\n")
		for i := range rows {
			age := "30"
			if i < missing {
				age = []string{"", " ", "?"}[i%3]
			}
			fmt.Fprintf(&b, "%s,a,%d\n", age, i%2)
		}
		return b.String()
	}
	q, _ := accepted(t, people(t), file(100, 5), dataset.Limits{MaxMissing: 0.05})
	if c := q.Columns[0]; c.Missing != 5 || c.MissingShare != 0.05 {
		t.Errorf("age: %+v, want 5 missing, a share of 0.05", c)
	}
	accepted(t, people(t), file(60, 3), dataset.Limits{MaxMissing: 0.05})
	accepted(t, people(t), file(20, 0), dataset.Limits{MaxMissing: 0})
	rejected(t, people(t), file(100, 6), dataset.Limits{MaxMissing: 0.05},
		`x.csv: age: 6.0 % missing, at most 5 % (6 of 100 rows, lines 2, 3, 4, 5, 6, …): `+
			`if a blank means something, --max-missing 0.06 keeps it, with a weight of its own`)
	rejected(t, people(t), file(60, 4), dataset.Limits{MaxMissing: 0.05},
		`x.csv: age: 6.7 % missing, at most 5 % (4 of 60 rows, lines 2, 3, 4, 5): `+
			`if a blank means something, --max-missing 0.07 keeps it, with a weight of its own`)
	rejected(t, people(t), file(20, 20), dataset.Limits{MaxMissing: 1},
		`x.csv: age: every cell is missing: leave the column out with --ignore`)
}

func TestIdentifiersAreRejectedByName(t *testing.T) {
	file := func(rows, levels int, level string) string {
		var b strings.Builder
		b.WriteString("age,plan,churn\n")
		for i := range rows {
			fmt.Fprintf(&b, "30,"+level+",%d\n", i%levels, i%2)
		}
		return b.String()
	}
	s := people(t)
	accepted(t, s, file(19, 19, "c%d"), dataset.Limits{}) // too few rows to tell
	accepted(t, s, file(20, 18, "c%d"), dataset.Limits{}) // 90 %
	rejected(t, s, file(20, 19, "c%d"), dataset.Limits{},
		`x.csv: plan: 19 different values in 20 rows, as an identifier has: leave it out with --ignore`)
	accepted(t, s, file(1000, 100, "c%d"), dataset.Limits{})
	rejected(t, s, file(1000, 101, "c%d"), dataset.Limits{},
		`x.csv: plan: more than 100 different values, as an identifier has: leave it out with --ignore, or raise its `+
			`limit with --max-levels plan=N`)

	raised := parse(t, schemaOf(`{"name":"age","type":"number"},{"name":"plan","type":"category","max_levels":101}`))
	accepted(t, raised, file(1000, 101, "c%d"), dataset.Limits{})
	lowered := parse(t, schemaOf(`{"name":"age","type":"number"},{"name":"plan","type":"category","max_levels":3}`))
	rejected(t, lowered, file(1000, 4, "c%d"), dataset.Limits{},
		`x.csv: plan: more than 3 different values, as an identifier has: leave it out with --ignore, or raise its `+
			`limit with --max-levels plan=N`)
	// missing cells are not a level and do not count as rows
	accepted(t, s, file(19, 19, "c%d")+strings.Repeat("30,,1\n", 10), dataset.Limits{MaxMissing: 1})
	rejected(t, s, file(20, 20, "c%d")+strings.Repeat("30,,1\n", 10), dataset.Limits{MaxMissing: 1},
		`x.csv: plan: 20 different values in 20 rows, as an identifier has: leave it out with --ignore`)
	const many = "more than 100 different values, as an identifier has: leave it out with --ignore, or raise its limit " +
		"with --max-levels plan=N"
	// a text among numbers is likely to mean missing
	rejected(t, s, file(1000, 101, "%d")+"30,N/A,1\n", dataset.Limits{},
		`x.csv: plan: 1000 of its 1001 cells are numbers, but not "n/a": correct that or, if that means missing, name it in `+
			`--missing-values; otherwise it has `+many)
	rejected(t, s, file(1000, 101, "%d")+"30,unknown,1\n30,-,0\n30,unknown,1\n30,none,1\n30,later,1\n", dataset.Limits{},
		`x.csv: plan: 1000 of its 1005 cells are numbers, but not "unknown", "-", "none": correct that or, if these mean `+
			`missing, name them in --missing-values; otherwise it has `+many)
	rejected(t, s, file(1000, 101, "\"%d,5\""), dataset.Limits{Several: []string{"plan"}},
		`x.csv: plan: its cells are not in one notation: correct those that are written otherwise; otherwise it has `+many)
}

func TestTargetHasTwoClasses(t *testing.T) {
	const third = ": name both with --positive and --negative, and rows with a third are left out"
	yes := parse(t, `{"format":1,"target":{"name":"churn","positive":"Yes"},"features":[{"name":"age","type":"number"}]}`)
	file := func(labels ...string) string { return "age,churn\n1," + strings.Join(labels, "\n1,") + "\n" }
	check := func(s *dataset.Schema, want int, labels ...string) {
		t.Helper()
		_, rows := accepted(t, s, file(labels...), dataset.Limits{})
		positive := 0
		for _, r := range rows {
			if r.Positive {
				positive++
			}
		}
		if positive != want {
			t.Errorf("%v: %d positive rows, want %d", labels, positive, want)
		}
	}
	number := func(positive string) *dataset.Schema {
		return parse(t, `{"format":1,"target":{"name":"churn","positive":"`+positive+`"},
			"features":[{"name":"age","type":"number"}]}`)
	}
	one := number("1")
	check(one, 3, "1", "0", "1.0", " 01", "0.00")
	check(one, 1, "1", "no", "no")
	check(number("1.0"), 2, "1", "1.0", "0")
	check(number("0"), 2, "1", "0", "-0") // one number
	check(yes, 2, "Yes", "No", " Yes ")
	check(yes, 3, "Yes", "yes", "YES", "no", "No") // spellings of one word

	rejected(t, one, file("1", "0", "2", "0"), dataset.Limits{},
		`x.csv: churn: more than two values ("0" in 2 rows, "1" in 1 row, "2" in 1 row): a target has two`+third)
	rejected(t, one, file("1", "1.0"), dataset.Limits{}, `x.csv: churn: every row is "1": a target has two values`)
	rejected(t, one, file("Yes", "No", "No"), dataset.Limits{},
		`x.csv: churn: no row has the positive value "1", but "No" in 2 rows, "Yes" in 1 row: name one with --positive`)
	named := *yes
	named.Target.Negative = "stayed"
	rejected(t, &named, file("Yes", "No", "Maybe"), dataset.Limits{},
		`x.csv: churn: no row has the negative value "stayed": name it with --negative, beside --positive Yes`)
	rejected(t, yes, file("Yes", "No", "Maybe"), dataset.Limits{},
		`x.csv: churn: more than two values ("Maybe" in 1 row, "No" in 1 row, "Yes" in 1 row): a target has two`+third)
	rejected(t, one, file("1", "", "0"), dataset.Limits{},
		`x.csv:3: churn: the target is missing: --drop-invalid leaves such rows out`)
	rejected(t, one, file("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"), dataset.Limits{},
		`x.csv: churn: more than two values ("a" in 1 row, "b" in 1 row, "c" in 1 row, "d" in 1 row, "e" in 1 row, `+
			`"f" in 1 row, "g" in 1 row, "h" in 1 row, "i" in 1 row, "j" in 1 row, …): a target has two`+third)
}

func TestErrorOfTheWriterEndsTheScan(t *testing.T) {
	text := "age,plan,churn\n" + strings.Repeat("1,a,1\n2,b,0\n", chunkBytes/4)
	w := &fullDisk{room: 2 * chunkBytes}
	_, _, err := Clean(t.Context(), Source{Reader: strings.NewReader(text), File: "x.csv"}, nil, people(t),
		dataset.Limits{}, w)
	if err != errFullDisk || w.calls > 4 {
		t.Errorf("Clean: %v after %d writes, want the writer's error and no write after it", err, w.calls)
	}
}

var errFullDisk = errors.New("disk full")

// A fullDisk fails once room bytes are written.
type fullDisk struct{ room, calls int }

func (d *fullDisk) Write(b []byte) (int, error) {
	d.calls++
	if d.room -= len(b); d.room < 0 {
		return 0, errFullDisk
	}
	return len(b), nil
}

func TestACancelEndsTheScan(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Clean(ctx, Source{Reader: strings.NewReader("age,plan,churn\n1,a,1\n2,b,0\n"), File: "x.csv"}, nil,
		people(t),
		dataset.Limits{}, io.Discard); err != context.Canceled {
		t.Errorf("Clean: %v after a cancel", err)
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("age,plan,churn\n30,a,1\n,b,0\n"), false)
	f.Add([]byte("\xef\xbb\xbfage,plan,churn,id\r\n-1,\"a\nb\",1,\"\"\"\"\r\n121,?,0,\r\n"), true)
	f.Add([]byte("age;plan;churn\n1;a;1\n"), false)
	f.Add([]byte("age,plan,churn\n1,\xff,1\n1,a\"b,1\n"), true)
	s := people(f)
	f.Fuzz(func(t *testing.T, b []byte, drop bool) {
		q, rows, err := scan(s, string(b), dataset.Limits{MaxMissing: 1, DropInvalid: drop})
		if q == nil {
			t.Fatalf("no quality: %v", err)
		}
		if err == nil && (len(rows) != q.RowsKept || q.RowsKept+q.RowsDropped != q.RowsRead) {
			t.Fatalf("%d rows of %+v", len(rows), q)
		}
		if err != nil || q.RowsDropped > 0 { // the rows that are left may be too few
			return
		}
		var again bytes.Buffer
		w := csv.NewWriter(&again)
		w.Write(s.Columns())
		for _, r := range rows {
			if strings.Contains(r.Cells[1], "\r") { // which a CSV reader does not keep before a line feed
				return
			}
			w.Write(r.Cells)
		}
		w.Flush()
		_, rows2, err := scan(s, again.String(), dataset.Limits{MaxMissing: 1})
		if err != nil || !reflect.DeepEqual(rows2, rows) {
			t.Fatalf("rows %v written as %q are %v, %v", rows, again.Bytes(), rows2, err)
		}
	})
}

func TestAppendRowAgreesWithTheCSVWriter(t *testing.T) {
	for _, text := range []string{"", "a", `\.`, `\`, "a,b", `a"b`, "a\rb", "a\nb", "é", "-1.50", "#", "'", ";", "\t|"} {
		cells := []string{strings.TrimSpace(text), "x"}
		var want strings.Builder
		w := csv.NewWriter(&want)
		w.Write(cells)
		w.Flush()
		if got := AppendRow(nil, cells); string(got) != want.String() {
			t.Errorf("AppendRow(%q) = %q, want %q", cells, got, want.String())
		}
	}
}
