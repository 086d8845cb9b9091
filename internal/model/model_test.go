package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// dirtyTable is the lab's rows with a few cells missing in every column.
func dirtyTable(t *testing.T) *dataset.Table {
	t.Helper()
	table := labTable(t)
	rng := rand.New(rand.NewPCG(1, 1))
	for j := range table.Columns {
		for i := range table.Positive {
			if rng.IntN(50) != 0 {
				continue
			}
			table.Columns[j].Codes[i] = dataset.MissingCode
		}
	}
	return table
}

func train(t *testing.T, table *dataset.Table, o Options) *Model {
	t.Helper()
	m, err := Train(t.Context(), InMemory(table), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// predict scores rows of a table.
func predict(t *testing.T, m *Model, table *dataset.Table, rows []int32) *rowPredictions {
	t.Helper()
	source := InMemoryRows(table, rows)
	p, err := source.Predict(t.Context(), m.classifier(source))
	if err != nil {
		t.Fatal(err)
	}
	return p.(*rowPredictions)
}

func document(t *testing.T, m *Model) []byte {
	t.Helper()
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseUndoesBytes(t *testing.T) {
	m := train(t, dirtyTable(t), options())
	b := document(t, m)
	back, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(document(t, back), b) {
		t.Error("a model read and written again differs")
	}
	if !slices.Equal(back.weights, m.weights) || back.Threshold != m.Threshold {
		t.Error("weights or threshold changed on the way")
	}
}

// The service scores a row by itself, the trainer many: both must give the same bits.
func TestScoringIsOne(t *testing.T) {
	table := dirtyTable(t)
	m := train(t, table, options())
	rows := dataset.AllRows(table.Rows())
	p := predict(t, m, table, rows).probabilities
	for i := range rows {
		values := make([]dataset.Value, len(table.Columns))
		for j := range values {
			values[j] = table.Value(i, j)
		}
		if got := m.Score(values).Probability; got != p[i] {
			t.Fatalf("row %d: Score gives %v, the trainer %v", i, got, p[i])
		}
	}
}

func TestRescalingAColumnChangesNoProbability(t *testing.T) {
	table := labTable(t)
	before := train(t, table, options())
	minutes := table.Columns[2].Values
	for code := range minutes {
		minutes[code] = 60*minutes[code] - 7
	}
	after := train(t, table, options())
	for i, g := range before.Golden {
		if math.Abs(after.Golden[i].Probability-g.Probability) > 1e-9 {
			t.Errorf("golden row %d: %v in minutes, %v in seconds", i, g.Probability, after.Golden[i].Probability)
		}
	}
}

func TestGoldenRowsHoldMissingCells(t *testing.T) {
	m := train(t, dirtyTable(t), options())
	missing := map[int]bool{}
	for _, g := range m.Golden {
		for j, v := range g.Row {
			missing[j] = missing[j] || v.Missing
		}
	}
	if len(m.Golden) != goldenRows {
		t.Errorf("%d golden rows, want %d", len(m.Golden), goldenRows)
	}
	for j, f := range m.Schema.Features {
		if !missing[j] {
			t.Errorf("no golden row lacks %s", f.Name)
		}
	}
}

// A model holds no row of a customer.
func TestGoldenRowsAreNobodys(t *testing.T) {
	table := mixedTable(1, 4000)
	m := train(t, table, options())
	for k, g := range m.Golden {
		for i := range table.Rows() {
			if slices.Equal(rowOf(table, i), g.Row) {
				t.Errorf("golden row %d is row %d: %v", k, i, g.Row)
			}
		}
	}
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := train(t, table, options()).Bytes()
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("the same rows give another model: %v", err)
	}
}

// sign puts the right checksum on a document that was changed.
func sign(b []byte) []byte {
	at := len(b) - len(documentEnd) - checksumDigits
	copy(b[at:], strings.Repeat("0", checksumDigits))
	sum := sha256.Sum256(b)
	copy(b[at:], hex.EncodeToString(sum[:]))
	return b
}

func TestParseRefuses(t *testing.T) {
	b := document(t, train(t, labTable(t), options()))
	check := func(doc []byte, want string) {
		t.Helper()
		if _, err := Parse(doc); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	replace := func(old, new string) []byte {
		if !bytes.Contains(b, []byte(old)) {
			t.Fatalf("the document has no %q", old)
		}
		return bytes.Replace(bytes.Clone(b), []byte(old), []byte(new), 1)
	}
	check(nil, "not a model")
	check([]byte("{}"), "no format")
	check([]byte("null"), "no format")
	check(b[:len(b)/2], "not a model")
	check(replace(`"format": 1`, `"format": 7`), "format 7, this program reads formats 1 to 2")
	check(replace(`"threshold": 0.5`, `"threshold": 0.4`), "checksum")
	check(bytes.TrimSpace(b), "checksum")
	weight := fmt.Sprintf(`"plan_type=basic": %v`, b2f(t, b, "plan_type=basic"))
	check(sign(replace(weight, `"plan_type=basic": 0.5`)), "golden row")
	check(sign(replace(weight, `"plan_type=other": 0.5`)), `is "plan_type=other"`)
	check(sign(replace(`"threshold": 0.5`, `"thresh": 0.5`)), "thresh")
	check(sign(replace(`"type": "number"`, `"type": "text"`)), "neither")
}

// b2f returns a weight of a document.
func b2f(t *testing.T, b []byte, name string) float64 {
	t.Helper()
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Weights {
		if w.Name == name {
			return w.Value
		}
	}
	t.Fatalf("no weight %q", name)
	return 0
}

func TestEveryFlippedByteIsNoticed(t *testing.T) {
	b := document(t, train(t, labTable(t), options()))
	for i := 0; i < len(b); i += 17 {
		changed := bytes.Clone(b)
		changed[i] ^= 1
		if _, err := Parse(changed); err == nil {
			t.Fatalf("byte %d of %d was flipped and the model loaded", i, len(b))
		}
	}
}

func TestWeightNamesMustDiffer(t *testing.T) {
	schema, err := dataset.ParseSchema([]byte(`{"format":1,"target":{"name":"y","positive":"1"},"features":[
		{"name":"a","type":"category"},{"name":"a=b","type":"category"}],"ignore":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	table := dataset.NewTable(schema)
	for i := range 40 {
		values := []dataset.Value{{Text: "b=c", Level: true}, {Text: "c", Level: true}}
		table.Append(&dataset.Row{Values: values, Positive: i%2 == 0})
	}
	_, err = Train(t.Context(), InMemory(table), options())
	if err == nil || !strings.Contains(err.Error(), "rename") {
		t.Errorf("error %v, want advice to rename", err)
	}
}

// The threshold is picked on rows that the metrics do not come from, and a
// held-out part has no effect on it.
func TestThresholdDoesNotSeeTheTestRows(t *testing.T) {
	table := labTable(t)
	o := options()
	o.Tune, o.TestSize = TuneF1, 0.25
	before := train(t, table, o)
	_, test, err := dataset.Split(table.Positive, o.TestSize, o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	var held []int32
	complaints := uint16(len(table.Columns[1].Values))
	table.Columns[1].Values = append(table.Columns[1].Values, 50)
	for _, i := range test { // swap the test rows' features for nonsense
		table.Columns[1].Codes[i] = complaints
		held = append(held, i)
	}
	after := train(t, table, o)
	if before.Threshold != after.Threshold || !slices.Equal(before.weights, after.weights) {
		t.Error("other test rows gave another threshold or other weights")
	}
	if before.Metrics == after.Metrics || len(held) != 300 {
		t.Error("other test rows gave the same metrics")
	}
	if before.Threshold == 0.5 || before.Metrics.Threshold != before.Threshold {
		t.Errorf("threshold %v, metrics at %v: want a tuned one in both", before.Threshold, before.Metrics.Threshold)
	}
}

func TestCheapestThreshold(t *testing.T) {
	p, y := []float64{0.9, 0.6, 0.4, 0.1}, []bool{true, false, true, false}
	check := func(fp, fn, low, high float64) {
		t.Helper()
		o := Options{Tune: TuneCost, CostFP: fp, CostFN: fn}
		got := o.threshold(metric.Rank(p, y))
		if !(got > low && got <= high) {
			t.Errorf("costs %v and %v: threshold %v, want above %v, at most %v", fp, fn, got, low, high)
		}
	}
	check(1, 10, 0.1, 0.4)  // false negatives cost more: positive from 0.4
	check(10, 1, 0.6, 0.9)  // false positives cost more: positive from 0.9
	check(1, 0.1, 0.6, 0.9) // still worth it for the most probable one
	costly := Options{Tune: TuneCost, CostFP: 1, CostFN: 0.1}
	if got := costly.threshold(metric.Rank([]float64{0.9, 0.5}, []bool{false, true})); got < 0.9 {
		t.Errorf("threshold %v where always negative is cheapest", got)
	}
}

// Five folds, each evaluated at the threshold that the other four picked.
func TestOutOfFoldMetrics(t *testing.T) {
	table := labTable(t)
	o := options()
	o.Tune = TuneF1
	m := train(t, table, o)
	if m.MetricsOn != "out-of-fold" || m.Metrics.Rows != 1200 || m.Training.Rows != 1200 {
		t.Errorf("metrics on %s of %d rows, fitted to %d", m.MetricsOn, m.Metrics.Rows, m.Training.Rows)
	}
	tuned := pool(m.Evaluation.sets).ConfusionAt(m.Threshold).F1()
	if m.Metrics.F1 > tuned {
		t.Errorf("F1 %v across the folds, more than %v at the threshold tuned on all of them", m.Metrics.F1, tuned)
	}
}

func TestContrastsOfAFeatureCancel(t *testing.T) {
	m := train(t, labTable(t), options())
	sum := map[string]float64{}
	for _, c := range m.Coefficients {
		if feature, level, ok := strings.Cut(c.Name, "="); ok {
			sum[feature] += c.Estimate * float64(m.Reference.Columns[feature].Levels[level])
		}
		if c.OddsRatio < c.Interval[0] || c.OddsRatio > c.Interval[1] || c.StdError <= 0 {
			t.Errorf("%+v: the odds ratio is not in its interval", c)
		}
	}
	for feature, s := range sum {
		if math.Abs(s) > 1e-8 {
			t.Errorf("%s: contrasts weighted by their rows add up to %v, want 0", feature, s)
		}
	}
	if len(m.Coefficients) != m.Encoder.Width()+1 {
		t.Errorf("%d coefficients, want one a weight and the intercept", len(m.Coefficients))
	}
}

func TestContributionsAddUpToTheLogit(t *testing.T) {
	table := dirtyTable(t)
	m := train(t, table, options())
	sums := make([]float64, len(table.Columns))
	for i := range table.Rows() {
		values := make([]dataset.Value, len(table.Columns))
		for j := range values {
			values[j] = table.Value(i, j)
		}
		x := m.Explain(values)
		z := x.Base
		for j, c := range x.Contributions {
			z += c
			sums[j] += c
		}
		if want, _ := m.Encoder.logit(values, m.weights); math.Abs(z-want) > 1e-12 {
			t.Fatalf("row %d: base and contributions add up to %v, the logit is %v", i, z, want)
		}
	}
	for j, s := range sums {
		if math.Abs(s) > 1e-8 {
			t.Errorf("%s: contributions over the training rows add up to %v, want 0", m.Schema.Features[j].Name, s)
		}
	}
}
