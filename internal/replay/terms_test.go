package replay

import (
	"bytes"
	"cmp"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/predlog"
	"churn/internal/registry"
)

// registerWith is register with the terms of o.
func registerWith(
	t testing.TB, dir string, table *dataset.Table, version string, o model.Options,
) (string, *model.Model) {
	t.Helper()
	o.Version, o.Seed, o.TestSize, o.C = version, 1, 0.25, 1
	o.ClassWeight, o.Tune = model.WeightNone, model.TuneNone
	m, err := model.Train(t.Context(), model.InMemory(table), o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	entry := registry.Entry{Version: version, TrainedAtUTC: "2026-01-01T12:00:00Z"}
	e, err := modelstore.Open(dir).Add(t.Context(), b, "churn_model", entry, "")
	if err != nil {
		t.Fatal(err)
	}
	return e.ModelFile, m
}

// A pair is explained as such, and is the same however its features are ordered.
func TestPairsAreReasons(t *testing.T) {
	dir := t.TempDir()
	table := customers(t, 1, 0.6, "EU", "AS")
	train := func(version string, pairs ...model.Pair) (string, *model.Model) {
		t.Helper()
		return registerWith(t, dir, table, version, model.Options{Terms: model.TermsCurve,
			Pairs: model.PairOptions{Named: pairs}})
	}
	old, oldModel := train("v1", model.Pair{"region", "num_complaints"}, model.Pair{"plan_type", "region"})
	name, candidate := train("v2", model.Pair{"num_complaints", "region"}, model.Pair{"tenure_months", "plan_type"})
	features := len(candidate.Schema.Features)
	c := ScoreChange{values: row(table, 0), features: answer("r", old, oldModel, row(table, 0)).Features}
	c.explain(oldModel, candidate)
	before, after := oldModel.Explain(c.values), candidate.Explain(c.values)
	want := []Reason{
		{"num_complaints × region", after.Contributions[features] - before.Contributions[features]},
		{"plan_type × region", -before.Contributions[features+1]},
		{"tenure_months × plan_type", after.Contributions[features+1]},
	}
	for j, f := range candidate.Schema.Features {
		want = append(want, Reason{f.Name, after.Contributions[j] - before.Contributions[j]})
	}
	slices.SortStableFunc(want, func(a, b Reason) int { return cmp.Compare(math.Abs(b.LogOdds), math.Abs(a.LogOdds)) })
	if !reflect.DeepEqual(c.Reasons, want[:maxReasons]) {
		t.Errorf("the reasons are %v, want %v", c.Reasons, want[:maxReasons])
	}

	var records []*predlog.Record
	for i := range 50 {
		records = append(records, answer("r"+strconv.Itoa(i), old, oldModel, row(table, i)))
	}
	writeLog(t, dir, records...)
	got, err := Run(t.Context(), dir, name, candidate, On{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if got.Print(&text); !strings.Contains(text.String(), " × ") {
		t.Errorf("no pair is among the reasons:\n%s", text.String())
	}
}

// A number that is used as levels, and has another value, is counted with it.
func TestUnseenNumbers(t *testing.T) {
	dir := t.TempDir()
	table := customers(t, 1, 0.6, "EU", "AS")
	old, oldModel := register(t, dir, table, "v1")
	table.Schema.Features[1].Term = "levels"
	name, candidate := register(t, dir, table, "v2")
	values := row(table, 0)
	values[1].Number = 17
	writeLog(t, dir, answer("r1", old, oldModel, values), answer("r2", old, oldModel, row(table, 1)))
	got, err := Run(t.Context(), dir, name, candidate, On{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Unseen{{"num_complaints", "17", 1}}; !slices.Equal(got.Unseen, want) || got.UnseenRecords != 1 {
		t.Errorf("unseen: %v in %d records, want %v in 1", got.Unseen, got.UnseenRecords, want)
	}
}
