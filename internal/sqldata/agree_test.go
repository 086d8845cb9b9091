package sqldata

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/metric"
	"churn/internal/model"
	"churn/internal/testing/postgres"
)

// customers returns CSV with an id and the reference lab's columns, with missing cells.
func customers(n int) string {
	rng := rand.New(rand.NewPCG(1, 7))
	var b strings.Builder
	b.WriteString("id,tenure_months,num_complaints,avg_session_minutes,plan_type,region,churn\n")
	for i := range n {
		tenure, complaints, minutes := rng.IntN(60), rng.IntN(6), math.Round(100*max(0, 30+12*rng.NormFloat64()))/100
		plan, region := []string{"basic", "standard", "premium"}[rng.IntN(3)], []string{"EU", "NA", "AF", "AS"}[rng.IntN(4)]
		z := 0.8 - 0.06*float64(tenure) + 0.45*float64(complaints) - 0.03*minutes
		if plan == "basic" {
			z += 0.7
		}
		churn := 0
		if rng.Float64() < 1/(1+math.Exp(-z)) {
			churn = 1
		}
		cells := []string{fmt.Sprint(i), fmt.Sprint(tenure), fmt.Sprint(complaints), fmt.Sprint(minutes), plan, region}
		if rng.IntN(12) == 0 {
			cells[1+rng.IntN(5)] = ""
		}
		fmt.Fprintf(&b, "%s,%d\n", strings.Join(cells, ","), churn)
	}
	return b.String()
}

const customerColumns = `id bigint, tenure_months integer, num_complaints smallint, avg_session_minutes double ` +
	`precision, plan_type text, region varchar(10), churn integer`

// loaded returns a database with a table of customers.
func loaded(t *testing.T, columns, csv string) (*postgres.Cluster, Options) {
	t.Helper()
	c := postgres.Shared(t)
	db := c.CreateDatabase(t)
	c.Exec(t, db, "CREATE TABLE customers ("+columns+")")
	c.CopyCSV(t, db, "customers", csv)
	return c, Options{From: c.URL(db), Table: "customers", Key: "id"}
}

func openTable(t *testing.T, o Options) *Table {
	t.Helper()
	e, err := Open(t.Context(), o, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	table, err := e.OpenTable(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// inMemory returns the rows of a CSV file and which of them are in a part, by the
// hashes that the engine gives their keys with a seed.
func inMemory(t *testing.T, s *Source, text string, seed uint64) (*dataset.Table, func(dataset.HashRange) []int32) {
	t.Helper()
	ignored := s.v.schema
	if !slices.Contains(ignored.Ignore, s.v.keyName) {
		var err error
		if ignored, err = ignored.With([]string{s.v.keyName}, nil); err != nil {
			t.Fatal(err)
		}
	}
	table, err := csvdata.ReadTable(t.Context(), csvdata.Source{Reader: strings.NewReader(text), File: "customers"},
		ignored,
		dataset.Limits{MaxMissing: 1})
	if err != nil {
		t.Fatal(err)
	}
	table.Schema = s.v.schema
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at, column := map[string]int32{}, slices.Index(records[0], s.v.keyName)
	for i, record := range records[1:] {
		at[record[column]] = int32(i)
	}
	return table, func(p dataset.HashRange) []int32 {
		var rows []int32
		query := fmt.Sprintf("SELECT %s FROM %s t WHERE %s", s.v.d.AsText(s.v.key), s.v.sql, s.v.within(p, seed))
		err := s.v.query(t.Context(), "which", query, func(scan func(...any) error) error {
			var key string
			err := scan(&key)
			rows = append(rows, at[key])
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(rows)
		return rows
	}
}

func TestTrainsAsFromCSV(t *testing.T) {
	text := customers(3000)
	_, o := loaded(t, customerColumns, text)
	agree(t, o, dataset.Lab(), text)
}

// A public data set in a table of texts, whose schema is inferred.
func TestTrainsOnTelcoAsFromCSV(t *testing.T) {
	path := os.Getenv("CHURN_TELCO_CSV")
	if path == "" {
		t.Skip("SKIPPED: CHURN_TELCO_CSV names no copy of the telco data")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	header, _, _ := strings.Cut(strings.ReplaceAll(text, "\r", ""), "\n")
	_, o := loaded(t, `"`+strings.ReplaceAll(header, ",", `" text, "`)+`" text`, text)
	o.Key = "customerID"
	target, ignore := dataset.Target{Name: "Churn", Positive: "Yes"}, []string{"customerID"}
	got, _, err := openTable(t, o).Infer(t.Context(), target, false, ignore, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := csvdata.Infer(t.Context(), csvdata.Source{Reader: strings.NewReader(text), File: "telco"},
		csvdata.Inference{Target: target, Ignore: ignore})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Features, want.Features) || len(got.Features) != 19 {
		t.Errorf("the schema is %+v,\nof the file %+v", got, want)
	}
	agree(t, o, got, text)
}

// agree trains on a table and on the same rows in memory.
func agree(t *testing.T, o Options, schema *dataset.Schema, text string) {
	t.Helper()
	for _, opts := range []model.Options{
		{Seed: 42, TestSize: 0.25, C: 1, ClassWeight: model.WeightNone, Tune: model.TuneNone},
		{Seed: 7, TestSize: 0.25, C: 0.5, ClassWeight: model.WeightBalanced, Tune: model.TuneF1},
		{Seed: 1, TestSize: 0, C: 2, ClassWeight: model.WeightNone, Tune: model.TuneCost, CostFP: 10, CostFN: 40},
	} {
		table := openTable(t, o)
		s, err := table.Source(t.Context(), schema, dataset.Limits{MaxMissing: 1})
		if err != nil {
			t.Fatal(err)
		}
		before := s.v.queryCount()
		got, err := model.Train(t.Context(), s, opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d queries of %v", s.v.queryCount()-before, opts.Tune)
		memory, rows := inMemory(t, s, text, opts.Seed)
		test, train := rows(dataset.TestRange(opts.TestSize)), rows(dataset.TrainRange(opts.TestSize))
		if len(test)+len(train) != memory.Rows() {
			t.Fatalf("%d and %d rows of %d", len(test), len(train), memory.Rows())
		}
		want := trainOn(t, memory, train, test, opts)
		compareModels(t, got, want)
		if opts.TestSize == 0 {
			compareMetrics(t, got.Metrics, evaluateFolds(t, memory, opts, rows))
			continue
		}
		exact, err := got.Evaluate(t.Context(), model.InMemoryRows(memory, test))
		if err != nil {
			t.Fatal(err)
		}
		compareMetrics(t, got.Metrics, exact.Metrics)
	}
}

// trainOn trains on rows in memory. Without test rows the metrics are out of folds.
func trainOn(t *testing.T, memory *dataset.Table, train, test []int32, o model.Options) *model.Model {
	t.Helper()
	var held model.Source
	if len(test) > 0 {
		held = model.InMemoryRows(memory, test)
	}
	m, err := model.TrainOn(t.Context(), model.InMemoryRows(memory, train), held, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// evaluateFolds evaluates each fold's rows by a model of the others, which has an encoder
// of its own here.
func evaluateFolds(t *testing.T, memory *dataset.Table, o model.Options,
	rows func(dataset.HashRange) []int32) model.Metrics {
	t.Helper()
	o.Tune = model.TuneNone
	var p []float64
	var y []bool
	for k := range model.Folds {
		in, out := dataset.FoldRange(o.TestSize, k, model.Folds)
		m := trainOn(t, memory, rows(out), rows(in), o)
		for _, i := range rows(in) {
			values := make([]dataset.Value, len(memory.Columns))
			for j := range values {
				values[j] = memory.Value(int(i), j)
			}
			p, y = append(p, m.Score(values).Probability), append(y, memory.Positive[i])
		}
	}
	atHalf := metric.ConfusionAt(p, y, 0.5)
	return model.Metrics{
		Rows: len(p), Confusion: atHalf, F1AtHalf: atHalf.F1(), ROCAUC: metric.Rank(p, y).AUC(),
		AveragePrecision: metric.Rank(p, y).AveragePrecision(), LogLoss: metric.LogLoss(p, y), Brier: metric.Brier(p, y),
	}
}

// compareMetrics compares metrics counted by bin with those of each row. Answers
// counted at other thresholds than 0.5 and the model's are not compared: each fold has one.
func compareMetrics(t *testing.T, got, want model.Metrics) {
	t.Helper()
	near := func(what string, a, b, within float64) {
		if !(math.Abs(a-b) <= within) {
			t.Errorf("%s: %v, of each row %v", what, a, b)
		}
	}
	near("AUC", got.ROCAUC, want.ROCAUC, 1e-3)
	near("average precision", got.AveragePrecision, want.AveragePrecision, 1e-3)
	near("log loss", got.LogLoss, want.LogLoss, 1e-3)
	near("Brier", got.Brier, want.Brier, 1e-3)
	near("F1 at 0.5", got.F1AtHalf, want.F1AtHalf, 1e-3)
	if got.Rows == want.Rows && want.Confusion.TP+want.Confusion.FP > 0 && got.CostPerCustomer == nil &&
		got.Confusion != want.Confusion {
		t.Errorf("answers %+v, of each row %+v", got.Confusion, want.Confusion)
	}
}

// compareModels compares a model from a table with one from the same rows in memory.
func compareModels(t *testing.T, got, want *model.Model) {
	t.Helper()
	bytesOf := func(m *model.Model) []byte {
		b, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := model.Parse(bytesOf(got)); err != nil {
		t.Errorf("the model does not verify: %v", err)
	}
	bytesOf(want)
	near := func(what string, a, b, within float64) {
		if !(math.Abs(a-b) <= within) {
			t.Errorf("%s: %v, in memory %v", what, a, b)
		}
	}
	if len(got.Weights) != len(want.Weights) {
		t.Fatalf("%d weights, in memory %d", len(got.Weights), len(want.Weights))
	}
	for k, w := range want.Weights {
		if got.Weights[k].Name != w.Name {
			t.Fatalf("weight %d is %s, in memory %s", k, got.Weights[k].Name, w.Name)
		}
		near(w.Name, got.Weights[k].Value, w.Value, 1e-8)
	}
	near("intercept", got.Intercept, want.Intercept, 1e-8)
	for k, c := range want.Coefficients {
		if got.Coefficients[k].Name != c.Name {
			t.Fatalf("coefficient %d is %s, in memory %s", k, got.Coefficients[k].Name, c.Name)
		}
		near(c.Name+" std", got.Coefficients[k].StdError, c.StdError, 1e-8)
	}
	if !reflect.DeepEqual(roundedReference(got), roundedReference(want)) {
		t.Errorf("reference %+v,\nin memory %+v", roundedReference(got), roundedReference(want))
	}
	near("mean probability", got.Reference.Probability.Numbers.Mean, want.Reference.Probability.Numbers.Mean, 1e-9)
	near("std of the probability", got.Reference.Probability.Numbers.Std, want.Reference.Probability.Numbers.Std, 1e-9)
	near("threshold", got.Threshold, want.Threshold, 0.1) // folds differ
	if len(got.Golden) != len(want.Golden) {
		t.Errorf("%d golden rows, in memory %d", len(got.Golden), len(want.Golden))
	}
}

// roundedReference is the columns of a reference to ten digits.
func roundedReference(m *model.Model) string {
	var b bytes.Buffer
	for _, f := range m.Schema.Features {
		s := m.Reference.Columns[f.Name]
		if s.Numbers != nil {
			fmt.Fprintf(&b, "%s %.10g %.10g %v %v %v %v", f.Name, s.Numbers.Mean, s.Numbers.Std, s.Numbers.Min,
				s.Numbers.Max, s.Numbers.Cuts, s.Numbers.Counts)
		}
		fmt.Fprintf(&b, " %v %d %d\n", s.Levels, s.Rows, s.Missing)
	}
	return b.String()
}
