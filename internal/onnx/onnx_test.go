package onnx_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/onnx"
	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// run runs a script of Python with an input in JSON, and reads its output in JSON.
func run(t *testing.T, input, output any, args ...string) {
	t.Helper()
	in, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, output)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, &stderr)
	}
}

// customers are columns of cells by feature: a number, a text or nil.
type customers map[string][]any

// scores returns what the model itself says of customers, cleaned as the service does but
// without the schema's rules, so that all models meet the same extremes.
func scores(m *model.Model, c customers) (out []model.Score) {
	for i := range c[m.Schema.Features[0].Name] {
		var values []dataset.Value
		for j := range m.Schema.Features {
			f := &m.Schema.Features[j]
			v := dataset.Value{Missing: true, Level: f.Type == dataset.Category}
			switch cell := c[f.Name][i].(type) {
			case float64:
				v, _ = f.CheckNumber(cell)
			case string:
				v, _ = f.CheckText(cell)
			}
			values = append(values, v)
		}
		out = append(out, m.Score(values))
	}
	return out
}

// mixed returns n customers with cells of the training rows, missing ones, unknown levels,
// and numbers between, beyond and at the ones that the model knows.
func mixed(m *model.Model, n int) customers {
	rng := rand.New(rand.NewPCG(3, 4))
	c := customers{}
	for _, f := range m.Schema.Features {
		s := m.Reference.Columns[f.Name]
		var known []any
		if f.Type == dataset.Category {
			for _, level := range m.Encoder.Levels[f.Name] {
				known = append(known, level)
			}
			known = append(known, "a level that is unknown", "ÉÇ\u0000\"")
			for _, mark := range m.Schema.MissingValues {
				known = append(known, mark)
			}
			for _, from := range slices.Sorted(maps.Keys(f.Map)) {
				known = append(known, from)
			}
		} else {
			lo, hi := s.Numbers.Min, s.Numbers.Max
			for range 40 {
				known = append(known, lo+(hi-lo)*(1.2*rng.Float64()-0.1))
			}
			for _, x := range []float64{lo, hi, -1e9, 1e9, -dataset.MaxNumber, dataset.MaxNumber, 0, math.Copysign(0, -1)} {
				known = append(known, x)
			}
			for _, b := range []*model.Basis{m.Encoder.Curves[f.Name], m.Encoder.Grids[f.Name]} {
				if b != nil {
					for _, x := range slices.Concat(b.Knots, b.Values) {
						known = append(known, x, math.Nextafter(x, math.Inf(1)))
					}
				}
			}
			for _, mark := range f.MissingNumbers() {
				known = append(known, mark)
			}
		}
		c[f.Name] = []any{}
		for range n {
			cell := known[rng.IntN(len(known))]
			if rng.IntN(8) == 0 || cell == dataset.MissingLevel {
				cell = nil
			}
			c[f.Name] = append(c[f.Name], cell)
		}
	}
	return c
}

// parsed returns a model as it is read from its document, with that.
func parsed(t *testing.T, m *model.Model) (*model.Model, []byte) {
	t.Helper()
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	back, err := model.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return back, b
}

func write(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const rows = 500

// A model under ONNX Runtime has the model's probabilities and labels.
func TestExportedModels(t *testing.T) {
	interpreter := need.Python(t, "onnx, onnxruntime, numpy")
	for name, m := range models(t) {
		t.Run(name, func(t *testing.T) {
			b, err := onnx.Bytes(m)
			if err != nil {
				t.Fatal(err)
			}
			m, _ = parsed(t, m)
			if again, err := onnx.Bytes(m); err != nil || !bytes.Equal(again, b) {
				t.Errorf("a model that was read exports otherwise: %v", err)
			}
			path := write(t, filepath.Join(t.TempDir(), "model.onnx"), b)
			batches := []customers{mixed(m, rows), mixed(m, 1), mixed(m, 0)}
			var got []struct {
				Shapes        [][]int
				Probabilities []float64
				Labels        []int
			}
			probability, label := "probability", "label"
			if m.Schema.Index(label) >= 0 {
				probability, label = "probability_2", "label_2"
			}
			run(t, batches, &got, interpreter, "testdata/score.py", path, probability, label)
			worst, positive := 0.0, 0
			for k, batch := range batches {
				wants := scores(m, batch)
				if shapes := fmt.Sprintf("[[%d] [%d]]", len(wants), len(wants)); fmt.Sprint(got[k].Shapes) != shapes {
					t.Fatalf("outputs of shapes %v, want %v", got[k].Shapes, shapes)
				}
				for i, want := range wants {
					p, label := got[k].Probabilities[i], got[k].Labels[i]
					d := math.Abs(p - want.Probability)
					if worst = max(worst, d); !(d <= 1e-12) || (label == 1) != want.Churn {
						t.Fatalf("customer %d: probability %v and label %d, want %+v", i, p, label, want)
					}
					positive += label
				}
			}
			if positive < rows/20 || positive > rows-rows/20 {
				t.Errorf("%d of %d labels are 1: labels are hardly tested", positive, rows)
			}
			t.Logf("%d bytes; at most %.1e from the model's probability", len(b), worst)
		})
	}
}

// The example of docs/model.md runs a graph.
func TestPageRunsTheGraph(t *testing.T) {
	interpreter := need.Python(t, "onnxruntime, numpy")
	m := models(t)["lines"]
	b, err := onnx.Bytes(m)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "churn.onnx"), b)
	script := strings.Replace(programs.PageBlock(t, "docs/model.md", "python", "churn.onnx"), "churn.onnx", path, 1) +
		"import json\nprint(json.dumps([probability.tolist(), label.tolist()]))\n"
	var got [2][]float64
	run(t, nil, &got, interpreter, write(t, filepath.Join(dir, "run.py"), []byte(script)))
	for i, want := range scores(m, customers{
		"tenure_months": {6.0, 48.0}, "num_complaints": {3.0, nil}, "avg_session_minutes": {21.5, 40.0},
		"plan_type": {"basic", "premium"}, "region": {"NA", nil},
	}) {
		if !(math.Abs(got[0][i]-want.Probability) <= 1e-12) || (got[1][i] == 1) != want.Churn {
			t.Errorf("customer %d: probability %v and label %v, want %+v", i+1, got[0][i], got[1][i], want)
		}
	}
}

// The lines of docs/model.md score a customer from the document alone.
func TestPageScoresFromTheDocument(t *testing.T) {
	interpreter := need.Python(t, "numpy")
	block := programs.PageBlock(t, "docs/model.md", "python", "models/NAME.json")
	if n := strings.Count(block, "\n"); n != 14 {
		t.Errorf("docs/model.md says fourteen lines, they are %d", n)
	}
	for name, m := range models(t) {
		t.Run(name, func(t *testing.T) {
			m, document := parsed(t, m)
			dir := t.TempDir()
			path := write(t, filepath.Join(dir, "model.json"), document)
			script := strings.Replace(block, "models/NAME.json", path, 1) + `
import sys
columns = json.load(sys.stdin)
rows = [{f: cell for f, cell in zip(columns, row) if cell is not None} for row in zip(*columns.values())]
print(json.dumps([probability(row) for row in rows]))
`
			c := mixed(m, rows)
			for f, cells := range c {
				feature := &m.Schema.Features[m.Schema.Index(f)]
				for i, cell := range cells { // these lines leave the schema's spellings and marks to the caller
					switch cell := cell.(type) {
					case string:
						v, _ := feature.CheckText(cell)
						if cells[i] = v.Text; v.Missing {
							cells[i] = nil
						}
					case float64:
						if slices.Contains(feature.MissingNumbers(), cell) {
							cells[i] = nil
						}
					}
				}
			}
			var got []float64
			run(t, c, &got, interpreter, write(t, filepath.Join(dir, "score.py"), []byte(script)))
			for i, want := range scores(m, c) {
				if !(math.Abs(got[i]-want.Probability) <= 1e-12) {
					t.Fatalf("customer %d: %v, want %v", i, got[i], want.Probability)
				}
			}
			golden, want := customers{}, []float64{}
			for _, g := range m.Golden { // as the program that made the model scored them
				want = append(want, g.Probability)
				for j, v := range g.Row {
					cell := any(v.Number)
					if v.Level {
						cell = v.Text
					}
					if v.Missing {
						cell = nil
					}
					f := m.Schema.Features[j].Name
					golden[f] = append(golden[f], cell)
				}
			}
			run(t, golden, &got, interpreter, filepath.Join(dir, "score.py"))
			for i := range want {
				if !(math.Abs(got[i]-want[i]) <= 1e-9) {
					t.Errorf("golden row %d: %v, want %v", i+1, got[i], want[i])
				}
			}
		})
	}
}

// A model whose weights its terms do not account for is not exported.
func TestWeightsMustBelongToTerms(t *testing.T) {
	m, _ := parsed(t, models(t)["lines"])
	m.Weights = m.Weights[1:]
	if b, err := onnx.Bytes(m); b != nil || err == nil || !strings.Contains(err.Error(), "weights") {
		t.Errorf("Bytes = %d bytes, %v; want an error", len(b), err)
	}
}

var fitted map[string]*model.Model // what models returns

// models returns models with terms of all kinds.
func models(t *testing.T) map[string]*model.Model {
	t.Helper()
	if fitted != nil {
		return fitted
	}
	fit := func(csv string, s *dataset.Schema, o model.Options) *model.Model {
		t.Helper()
		table, err := csvdata.ReadTable(t.Context(), csvdata.Source{Reader: strings.NewReader(csv), File: "test.csv"}, s,
			dataset.Limits{MaxMissing: 1})
		if err != nil {
			t.Fatal(err)
		}
		o.Version, o.Seed, o.C, o.ClassWeight, o.Tune = "v1", 42, 1, model.WeightNone, model.TuneF1
		m, err := model.Train(t.Context(), model.InMemory(table), o)
		if err == nil {
			_, err = m.Bytes() // as the registry has it
		}
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	lab := programs.ReadFile(t, "../model/testdata/lab_raw.csv")
	schema := parse(t, telcoSchema)
	all := map[string]*model.Model{
		"lines":                   fit(lab, dataset.Lab(), model.Options{Terms: model.TermsLine}),
		"lines, cells missing":    fit(withGaps(lab), dataset.Lab(), model.Options{Terms: model.TermsLine}),
		"weights of missing":      fit(blankThird(), parse(t, blankSchema), model.Options{Terms: model.TermsAuto}),
		"curves, levels, a pair":  fit(telco(), schema, model.Options{Terms: model.TermsCurve}),
		"lines, pairs with rests": fit(telco(), schema, model.Options{Terms: model.TermsLine, Pairs: telcoPairs}),
	}
	checkTerms(t, all)
	fitted = all
	return all
}

// checkTerms fails if the models together lack a kind of term.
func checkTerms(t *testing.T, all map[string]*model.Model) {
	t.Helper()
	found := map[string]bool{}
	for _, m := range all {
		e := m.Encoder
		found[fmt.Sprint("format ", m.Format)] = true
		found["line with missing"] = found["line with missing"] || len(e.Missing) > 0
		for _, b := range e.Curves {
			found[fmt.Sprintf("curve %v, missing %v", len(b.Knots) > 0, b.Missing)] = true
		}
		for f, b := range e.Grids {
			missing := b.Missing || slices.Contains(b.Levels, dataset.MissingLevel)
			_, number := e.Numbers[f]
			found[fmt.Sprintf("grid of a number %v, rest %v, missing %v", number, b.Rest, missing)] = true
		}
		for _, levels := range e.Levels {
			found[fmt.Sprint("levels with missing ", slices.Contains(levels, dataset.MissingLevel))] = true
		}
	}
	for _, kind := range []string{
		"format 1", "format 2", "line with missing",
		"curve true, missing false", "curve true, missing true", "curve false, missing false", "curve false, missing true",
		"grid of a number true, rest false, missing false", "grid of a number true, rest false, missing true",
		"grid of a number false, rest false, missing false", "grid of a number false, rest false, missing true",
		"grid of a number false, rest true, missing false", "grid of a number false, rest true, missing true",
		"levels with missing false", "levels with missing true",
	} {
		if !found[kind] {
			t.Fatalf("no model has %s; they have %v", kind, found)
		}
	}
}
