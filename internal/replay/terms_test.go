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

	"churn/internal/model"
	"churn/internal/predlog"
)

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
