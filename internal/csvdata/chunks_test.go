package csvdata

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"churn/internal/dataset"
)

// FuzzChunks: a file read in small chunks, by several workers, gives the same result
// as in one.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("age,plan,churn\n30,a,1\n,b,0\n"), uint8(3), false)
	f.Add([]byte("\xef\xbb\xbfage,plan,churn,id\r\n-1,\"a\nb\",1,\"\"\"\"\r\n121,?,0,\r\n\r\n1,\"x\n\n\",0,z"),
		uint8(0), true)
	f.Add([]byte("age,plan,churn\n1,\xff,1\n1,a\"b,1\n2,\"open,0\n3,c,1\n"), uint8(9), true)
	f.Add([]byte("plan,age,churn\n"+strings.Repeat("a ,5,1\nB,x,0\n\n,7,0\n", 9)+"\r"), uint8(30), false)
	levels := "age,plan,churn\n" // more than a category may have, all but one numbers
	for i := range 400 {
		levels += fmt.Sprintf("1,%d,%d\n", i%200, i%2)
	}
	f.Add([]byte(levels+"1,x,1\n"), uint8(99), false)
	s := people(f)
	f.Fuzz(func(t *testing.T, text []byte, size uint8, drop bool) {
		read := func(size int) (*dataset.Quality, string, error) {
			sc := newScanner(s, "x.csv", dataset.Limits{MaxMissing: 1, DropInvalid: drop})
			sc.sampler, sc.chunkSize = newSampler(s), size
			var out bytes.Buffer
			err := sc.scan(t.Context(), Source{Reader: bytes.NewReader(text)}, func(p *partial) error {
				out.Write(p.csv)
				return nil
			})
			return sc.audit.Quality, out.String(), err
		}
		wantQuality, wantText, want := read(chunkBytes)
		quality, got, err := read(max(int(size), 1))
		if fmt.Sprint(err) != fmt.Sprint(want) {
			t.Fatalf("in chunks of %d bytes: %v, in one: %v", size, err, want)
		}
		if err == nil && (got != wantText || !reflect.DeepEqual(quality, wantQuality)) {
			t.Fatalf("in chunks of %d bytes: %q %+v, in one: %q %+v", size, got, quality, wantText, wantQuality)
		}
	})
}

// FuzzPlainRecords: text without quotes is split as by encoding/csv.
func FuzzPlainRecords(f *testing.F) {
	f.Add([]byte("a,b\n1,2\r\n\n,\r\r\n\"\n"))
	f.Add([]byte("0123456,12345678,123456789,,\n12345678901234567,\r"))
	f.Fuzz(func(t *testing.T, text []byte) {
		text = bytes.ReplaceAll(text, []byte{'"'}, nil)
		type found struct {
			line  int
			cells []string
		}
		read := func(viaCSV bool) (all []found, issues dataset.Issues) {
			in := newChunkReader(Source{Reader: bytes.NewReader(text)})
			b, err := in.next(nil)
			if err == io.EOF {
				return nil, issues
			}
			var rs records
			rs.reset(b, 2, &issues)
			if viaCSV && rs.csv == nil {
				rs.csv = csv.NewReader(bytes.NewReader(b.text))
				rs.csv.FieldsPerRecord, rs.csv.ReuseRecord = -1, true
			}
			for rs.next() {
				record := found{line: rs.line}
				for _, cell := range rs.cells {
					record.cells = append(record.cells, string(cell))
				}
				all = append(all, record)
			}
			return all, issues
		}
		got, issues := read(false)
		want, wantIssues := read(true)
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(issues, wantIssues) {
			t.Fatalf("%q: %v %v, encoding/csv has %v %v", text, got, issues, want, wantIssues)
		}
	})
}

// A record that never ends is an issue, and takes bounded memory.
func TestARecordWithoutEndIsRejected(t *testing.T) {
	for _, text := range []string{"plan,churn\na,1\nb,\"0\n", "plan,churn\na,1\nb"} {
		r := io.MultiReader(strings.NewReader(text), io.LimitReader(endless{}, 1<<40))
		_, err := ReadTable(t.Context(), Source{Reader: r, File: "x.csv"}, plain(t), dataset.Limits{})
		if err == nil || !strings.HasPrefix(err.Error(),
			"x.csv:3: a record of more than 16 MB: is there a quote that is not closed?") {
			t.Errorf("%q and so on: %.200v", text, err)
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// A number of high cardinality is read and summarised like one of low cardinality.
func TestHighCardinality(t *testing.T) {
	s := parse(t, `{"format":1,"target":{"name":"churn","positive":"1"},"features":[
		{"name":"x","type":"number"},{"name":"n","type":"number"}],"ignore":[]}`)
	rng := rand.New(rand.NewPCG(1, 1))
	var text strings.Builder
	text.WriteString("x,n,churn\n")
	var values []float64
	missing := 0
	for i := range 10 * dataset.MaxCodedValues {
		switch {
		case rng.IntN(100) == 0:
			missing++
		default:
			values = append(values, 1e6+1e3*rng.NormFloat64())
			if i == 0 {
				values[0] = 0 // far from the others
			}
			text.WriteString(strconv.FormatFloat(values[len(values)-1], 'g', -1, 64))
		}
		fmt.Fprintf(&text, ",%d,%d\n", i%7, i%2)
	}
	table, err := ReadTable(t.Context(), Source{Reader: strings.NewReader(text.String()), File: "x.csv"}, s,
		dataset.Limits{MaxMissing: 1})
	if err != nil {
		t.Fatal(err)
	}
	if c := &table.Columns[0]; len(c.Numbers) != 10*dataset.MaxCodedValues || c.Codes != nil {
		t.Fatalf("x has %d numbers and %d codes, want numbers", len(c.Numbers), len(c.Codes))
	}
	if c := &table.Columns[1]; c.Numbers != nil || len(c.Values) != 7 {
		t.Fatalf("n has %d numbers of %d values, want codes", len(c.Numbers), len(c.Values))
	}
	next := 0
	for i := range table.Rows() {
		if v := table.Value(i, 0); !v.Missing {
			if v.Number != values[next] {
				t.Fatalf("row %d: x = %v, want %v", i, v.Number, values[next])
			}
			next++
		}
	}
	exact := dataset.SummarizeNumbers(slices.Clone(values))
	got := table.Summarize(0, dataset.AllRows(table.Rows()))
	if got.Missing != missing || !reflect.DeepEqual(got.Numbers, exact.Numbers) {
		t.Errorf("Summarize: %+v, %+v, want %+v", got, got.Numbers, exact.Numbers)
	}
	_, summaries, err := Clean(t.Context(), Source{Reader: strings.NewReader(text.String()), File: "x.csv"}, nil, s,
		dataset.Limits{MaxMissing: 1}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	got, want := summaries["x"], exact
	near := func(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance*math.Abs(b) }
	if got.Rows != len(values) || got.Missing != missing || got.Numbers.Min != want.Numbers.Min ||
		got.Numbers.Max != want.Numbers.Max ||
		!near(got.Numbers.Mean, want.Numbers.Mean, 1e-12) || !near(got.Numbers.Std, want.Numbers.Std, 1e-9) {
		t.Errorf("Clean: %+v %+v, want %+v", got, got.Numbers, want.Numbers)
	}
	for i, cut := range got.Numbers.Cuts {
		if math.Abs(cut-want.Numbers.Cuts[i]) > want.Numbers.Std/100 {
			t.Errorf("cut %d is %v, want %v", i, cut, want.Numbers.Cuts[i])
		}
	}
	tally := dataset.NewTally(&got)
	for _, x := range values {
		tally.Add(dataset.Value{Number: x})
	}
	if !slices.Equal(tally.Counts, got.Numbers.Counts) {
		t.Errorf("counts %v, the rows between the cuts are %v", got.Numbers.Counts, tally.Counts)
	}
}

// Rows added to a file are read like its own, however the file ends and its header is
// written; but no message names their lines.
func TestCleanWithMore(t *testing.T) {
	s := people(t)
	for i := range s.Features {
		s.Features[i].Optional = true
	}
	const rows = "b,0,3\nb,1,4\n"
	check := func(file string) {
		t.Helper()
		var got, want strings.Builder
		var columns []string
		more := func(names []string) ([]byte, error) { columns = names; return []byte(rows), nil }
		q, summaries, err := Clean(t.Context(), Source{Reader: strings.NewReader(file), File: "x.csv"}, more, s,
			dataset.Limits{MaxMissing: 1}, &got)
		if err != nil {
			t.Errorf("%q: %v", file, err)
			return
		}
		whole := strings.TrimRight(file, "\r\n") + "\n" + rows
		wantQ, wantSummaries, err := Clean(t.Context(), Source{Reader: strings.NewReader(whole), File: "x.csv"}, nil, s,
			dataset.Limits{MaxMissing: 1}, &want)
		if err != nil {
			t.Fatal(err)
		}
		if lines := q.Sample.Lines; !slices.Equal(lines[len(lines)-2:], []int{0, 0}) {
			t.Errorf("%q: rows in lines %v, want none of those added", file, lines)
		}
		q.Sample, wantQ.Sample = nil, nil
		for _, q := range []*dataset.Quality{q, wantQ} {
			for _, column := range q.Columns {
				for k := range column.Texts[min(1, len(column.Texts)):] {
					column.Texts[k+1].Line = 0 // of a row that was added
				}
			}
		}
		if got.String() != want.String() || !reflect.DeepEqual(q, wantQ) || !reflect.DeepEqual(summaries, wantSummaries) {
			t.Errorf("%q: %q %+v, want %q %+v", file, got.String(), q, want.String(), wantQ)
		}
		if !slices.Equal(columns, []string{"plan", "churn", "age"}) {
			t.Errorf("%q: columns %q", file, columns)
		}
	}
	check("plan,churn,age\na,1,1\na,0,2\n")
	check("plan,churn,age\r\na,1,1\r\na,0,2")
	check("\ufeff\"plan\",churn,age\na,1,1\n\"a\",0,2")
	check("\n\n plan ,churn,age\na,1,1\n\n")
	check("plan,churn,age")

	rejected := func(file, rows, want string) {
		t.Helper()
		more := func([]string) ([]byte, error) { return []byte(rows), nil }
		_, _, err := Clean(t.Context(), Source{Reader: strings.NewReader(file), File: "x.csv"}, more, s,
			dataset.Limits{MaxMissing: 0.1},
			io.Discard)
		if err == nil || err.Error() != want {
			t.Errorf("%q and %q: %v, want %s", file, rows, err, want)
		}
	}
	rejected("plan,churn,age\na,1,\na,0,2\n", "b,0,\n",
		"x.csv: age: 66.7 % missing, at most 10 % (2 of 3 rows, lines 2, …): if a blank means something, "+
			"--max-missing 0.67 keeps it, with a weight of its own")
	rejected("plan,churn,age\na,1,1\na,0,2\n", "b,0,\n",
		"x.csv: age: 33.3 % missing, at most 10 % (1 of 3 rows, all in the rows added): "+
			"if a blank means something, --max-missing 0.34 keeps it, with a weight of its own")
	rejected("plan,churn,age\na,1,\"1\na,0,2\n", "b,0,3\n", `x.csv:2: not CSV: extraneous or missing " in quoted-field`)
}

// Values of rows that are left out, and missing cells, take no codes from others,
// however the chunks fall to workers.
func TestWorkersDoNotMatter(t *testing.T) {
	s := parse(t, `{"format":1,"target":{"name":"churn","positive":"1"},"features":[
		{"name":"age","type":"number","validate":"gte=0"},{"name":"plan","type":"category","max_levels":5},
		{"name":"x","type":"number","optional":true}],"ignore":[]}`)
	var text strings.Builder
	text.WriteString("age,plan,x,churn\n1,a,,1\n")
	for i := range dataset.MaxCodedValues {
		fmt.Fprintf(&text, "%d,p%d,%d.5,%d\n", i%50, i%4, i, i%2)
		if i%3 == 0 {
			fmt.Fprintf(&text, "-1,bad%d,-%d,0\n", i, i)
		}
	}
	for _, workers := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
			for _, size := range []int{512, chunkBytes} {
				table := dataset.NewTable(s)
				sc := newScanner(s, "x.csv", dataset.Limits{MaxMissing: 1, DropInvalid: true})
				sc.chunkSize = size
				if err := sc.scan(t.Context(), Source{Reader: strings.NewReader(text.String())}, appendTo(table, 0)); err != nil {
					t.Fatalf("chunks of %d bytes: %v", size, err)
				}
				table.Columns[2].UseCodes()
				if x := &table.Columns[2]; len(x.Values) != dataset.MaxCodedValues || table.Rows() != dataset.MaxCodedValues+1 {
					t.Errorf("chunks of %d bytes: %d rows, %d values in codes, want %d", size, table.Rows(), len(x.Values),
						dataset.MaxCodedValues)
				}
			}
		})
	}
}
