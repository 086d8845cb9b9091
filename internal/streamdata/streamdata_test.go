package streamdata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/filedata"
	"churn/internal/model"
	"churn/internal/status"
)

const schemaText = `{"format": 1, "target": {"name": "y", "positive": "1"}, "features": [
	{"name": "coded", "type": "number", "optional": true}, {"name": "wide", "type": "number", "optional": true},
	{"name": "city", "type": "category", "max_levels": 150}, {"name": "plan", "type": "category", "optional": true}]}`

var limits = dataset.Limits{MaxMissing: 1, Plain: true}

// customers returns rows of all kinds of columns, of more than one block and more than
// dataset.MaxCodedValues different numbers, of which a share is missing. So are other cells.
func customers(rows int, missing float64) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := []byte("coded,wide,city,plan,y\n")
	cell := func(share float64, text string) string {
		if rng.Float64() < share {
			return ""
		}
		return text
	}
	for range rows {
		x, z, city := rng.IntN(50), rng.NormFloat64(), rng.IntN(120)
		y := 0
		if rng.Float64() < 1/(1+math.Exp(-0.05*float64(x-25)-z-float64(city%3)+1)) {
			y = 1
		}
		b = fmt.Appendf(b, "%s,%s,city %d,%s,%d\n", cell(0.1, fmt.Sprint(x)), cell(missing, fmt.Sprintf("%.9f", 1e6+z)), city,
			cell(0.2, []string{"basic", "premium"}[rng.IntN(2)]), y)
	}
	return b
}

func schema(t *testing.T) *dataset.Schema {
	t.Helper()
	path := filepath.Join(t.TempDir(), "schema.json")
	if err := os.WriteFile(path, []byte(schemaText), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := dataset.ReadSchema(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open streams a text; change, if not nil, is called with its path once it has been read for the first time.
func open(t *testing.T, text []byte, change func(path string)) (*Source, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "rows.csv")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := filedata.Open(t.Context(), path, filedata.Options{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	first, err := f.Read("")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		first.Reader = io.MultiReader(first.Reader, readFunc(func() { change(path) }))
	}
	s, _, err := Open(t.Context(), f, first, schema(t), limits, dir)
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	if names, _ := filepath.Glob(dir + "/.*"); len(names) > 0 {
		t.Errorf("the rows are in %q, want no name", names)
	}
	return s, err
}

type readFunc func()

func (f readFunc) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

var options = model.Options{Version: "v1", Seed: 7, TestSize: 0.25, C: 1, Terms: model.TermsLine,
	ClassWeight: model.WeightNone, Tune: model.TuneNone}

func train(t *testing.T, rows, test model.Source, o model.Options) *model.Model {
	t.Helper()
	m, err := model.TrainOn(t.Context(), rows, test, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSameAsInMemory(t *testing.T) {
	text := customers(40_000, 0.05)
	s, err := open(t, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last := s.blocks[len(s.blocks)-1]; last.first == 0 || last.first+last.n != 40_000 {
		t.Fatalf("the last block is %+v, want more blocks", last)
	}
	table, err := csvdata.ReadTable(t.Context(), csvdata.Source{Reader: bytes.NewReader(text)}, s.empty.Schema, limits)
	if err != nil {
		t.Fatal(err)
	}
	var rows [2][]int32
	for i := range table.Rows() {
		k := 0
		if dataset.TestRange(options.TestSize).Has(i, options.Seed) {
			k = 1
		}
		rows[k] = append(rows[k], int32(i))
	}
	for _, weight := range []string{model.WeightNone, model.WeightBalanced} {
		o := options
		o.ClassWeight = weight
		in, out, err := s.Split(o.TestSize, o.Seed)
		if err != nil {
			t.Fatal(err)
		}
		got := train(t, in, out, o)
		want := train(t, model.InMemoryRows(table, rows[0]), model.InMemoryRows(table, rows[1]), o)
		for i, c := range got.Reported() {
			if d := c.Estimate - want.Reported()[i].Estimate; !(math.Abs(d) < 1e-9) {
				t.Errorf("%s: %s is %v off", weight, c.Name, d)
			}
		}
		g, w := got.Metrics, want.Metrics
		if g.Rows != len(rows[1]) || g.Confusion != w.Confusion || !(math.Abs(g.LogLoss-w.LogLoss) < 1e-9) ||
			!(math.Abs(g.Brier-w.Brier) < 1e-9) || !(math.Abs(g.ROCAUC-w.ROCAUC) <= got.Evaluation.AUCErrorBound) {
			t.Errorf("%s: %+v, want %+v", weight, g, w)
		}
		coded, of := got.Reference.Columns["coded"], want.Reference.Columns["coded"]
		if coded.Missing != of.Missing || coded.Numbers.Mean != of.Numbers.Mean ||
			coded.Numbers.Cuts[4] != of.Numbers.Cuts[4] {
			t.Errorf("coded: %+v, want %+v", coded.Numbers, of.Numbers)
		}
		if n := len(got.Reference.Correlations); n != len(want.Reference.Correlations) || n == 0 {
			t.Errorf("%d correlations", n)
		}
		sketch, all := got.Reference.Columns["wide"].Numbers, want.Reference.Columns["wide"].Numbers
		if !(math.Abs(sketch.Mean-all.Mean) < 1e-9) || !(math.Abs(sketch.Cuts[4]-all.Cuts[4]) < 0.01) {
			t.Errorf("wide: %+v, want %+v", sketch, all)
		}
	}
}

// All that evaluate does, with the same bytes on any number of cores.
func TestCoresDoNotMatter(t *testing.T) {
	text := customers(40_000, 0.05)
	var want []byte
	for _, cores := range []int{1, 3} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		s, err := open(t, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		o := options
		o.Terms, o.Tune, o.TestLines = model.TermsAuto, model.TuneF1, true
		in, out, err := s.Split(o.TestSize, o.Seed)
		if err != nil {
			t.Fatal(err)
		}
		m := train(t, in, out, o)
		if len(m.Training.Folds) != model.Folds || len(m.Golden) == 0 || m.Training.Choice == nil {
			t.Errorf("%d folds, %d golden rows, chosen: %v", len(m.Training.Folds), len(m.Golden), m.Training.Choice)
		}
		got, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		} else if !bytes.Equal(got, want) {
			t.Errorf("the model of %d cores is another one", cores)
		}
	}
}

// A block without a row of a part adds none to it, instead of all.
func TestNoRowOfABlock(t *testing.T) {
	s, err := open(t, customers(1000, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := train(t, s, s, options)
	e, err := m.Evaluate(t.Context(), s.of(dataset.TestRange(1e-9), options.Seed, nil))
	if err != nil || e.Metrics.Rows != 0 {
		t.Errorf("%+v of no rows, error %v", e.Metrics, err)
	}
}

func TestRefusals(t *testing.T) {
	text := customers(40_000, 0.05)
	check := func(text []byte, change func(string), want string) {
		t.Helper()
		if _, err := open(t, text, change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	lines[39_000] = []byte("many,1,city 1,basic,1\n")
	check(bytes.Join(lines, nil), nil, `rows.csv:39001: coded: "many" is not a number`)
	check(text, func(path string) {
		if err := os.WriteFile(path, append(text, "1,1,city 1,basic,1\n"...), 0o600); err != nil {
			t.Error(err)
		}
	}, "rows.csv was changed while it was read")

	few, err := open(t, []byte("coded,wide,city,plan,y\n1,2,a,b,1\n3,4,a,b,0\n5,6,a,b,0\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := few.Folds(t.Context(), 5, 1); !errors.Is(err, status.ErrRejected) {
		t.Errorf("folds of three rows: %v", err)
	}
}

func TestInterrupted(t *testing.T) {
	s, err := open(t, customers(40_000, 0.05), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	o := options
	o.TestSize, o.Progress = 0, func(int) { stop() }
	if _, err := model.TrainOn(ctx, s, nil, o); !errors.Is(err, context.Canceled) {
		t.Errorf("a training that is interrupted in its first pass: %v", err)
	}
}

func TestSample(t *testing.T) {
	s, err := open(t, customers(40_000, 0.05), nil)
	if err != nil {
		t.Fatal(err)
	}
	const n = 5000
	table, rows, err := s.Sample(t.Context(), n, 1)
	if err != nil || len(rows) > n || len(rows) < n-10*71 || table.Rows() < len(rows) {
		t.Errorf("%d of %d rows, error %v", len(rows), table.Rows(), err)
	}
	if all, rows, err := s.Sample(t.Context(), 40_000, 1); err != nil || all.Rows() != 40_000 || len(rows) != 40_000 {
		t.Errorf("%d of all rows, error %v", len(rows), err)
	}
	if all, rows, _ := s.Sample(t.Context(), n, 1); all.Rows() != 40_000 || len(rows) != n || rows[n-1] < 39_000 {
		t.Errorf("%d rows of a larger sample, the last is %d", len(rows), rows[len(rows)-1])
	}
}

// The rows held out have no cell of a column with many different numbers.
func TestAllCellsMissing(t *testing.T) {
	held := dataset.TestRange(0.01)
	lines := bytes.SplitAfter(customers(18_000, 0), []byte("\n"))
	for i, line := range lines[1 : len(lines)-1] {
		if held.Has(i, 7) {
			cells := bytes.Split(line, []byte(","))
			cells[1] = nil
			lines[i+1] = bytes.Join(cells, []byte(","))
		}
	}
	s, err := open(t, bytes.Join(lines, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, test, err := s.Split(0.01, 7)
	if err != nil {
		t.Fatal(err)
	}
	d, err := test.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Columns[1]; d.Rows == 0 || got.Missing != d.Rows || got.Rows != 0 {
		t.Errorf("of %d rows %d are missing, and %d are not", d.Rows, got.Missing, got.Rows)
	}
}
