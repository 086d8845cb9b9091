package replay

import (
	"errors"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/predlog"
	"churn/internal/status"
)

// A promotion to a model with other columns is told with what it refuses of the log.
func TestPromotionToOtherColumns(t *testing.T) {
	dir := t.TempDir()
	table := customers(t, 1, 0.6, "EU", "AS")
	old, m := register(t, dir, table, "v1")
	check := func(change func(*dataset.Schema), rejected bool, want ...string) {
		t.Helper()
		candidate := *m
		schema := *m.Schema
		schema.Features = append([]dataset.Feature{}, schema.Features...)
		candidate.Schema = &schema
		change(&schema)
		warnings, err := Promotion(t.Context(), dir, old, "", &candidate, nil, false)
		if err != nil {
			warnings = append(warnings, err.Error())
		}
		if len(warnings) != len(want) || errors.Is(err, status.ErrRejected) != rejected {
			t.Fatalf("Promotion = %q, %v, want %q, rejected %v", warnings, err, want, rejected)
		}
		for i := range want {
			if !strings.Contains(warnings[i], want[i]) {
				t.Errorf("%q has no %q", warnings[i], want[i])
			}
		}
	}
	same := func(*dataset.Schema) {}
	ruled := func(s *dataset.Schema) { s.Features[0].Validate, s.Ignore = "gte=0", []string{"area"} }
	renamed := func(s *dataset.Schema) { s.Features[4].Name = "area" }
	dropped := func(s *dataset.Schema) { renamed(s); s.Features[4].Optional = true }
	const (
		asks    = "v1_20260101_120000.json: area is required; region is refused"
		refuses = "region is refused, being neither"
	)

	check(renamed, false, asks, "no customers are logged")
	var records []*predlog.Record
	for i := range 4 {
		records = append(records, answer("r", old, m, row(table, i)))
		if i%2 == 1 {
			records[i].Features = append(records[i].Features, predlog.Feature{Name: "area", Value: row(table, i)[4]})
		}
	}
	writeLog(t, dir, records...)
	check(same, false)
	check(ruled, false, `tenure_months has the rule "gte=0"`)
	check(renamed, true, asks, "would refuse 4 (area is missing, and not optional)")
	check(func(s *dataset.Schema) { renamed(s); s.Ignore = []string{"region"} }, false, "area is required",
		"of the last 4 customers that other models answered, the new one would refuse 2 (area is missing")
	check(dropped, true, refuses, "would refuse 4")
	check(func(s *dataset.Schema) { dropped(s); s.Ignore = []string{"region"} }, false)
	check(func(s *dataset.Schema) { s.Features[0].Type = dataset.Category }, true,
		"tenure_months is a category", "would refuse 4 (tenure_months has a value of another type)")
	check(func(s *dataset.Schema) { s.Features[2].Integer = true }, true, "avg_session_minutes is whole numbers",
		"would refuse 4 (avg_session_minutes: ")
	check(func(s *dataset.Schema) {
		s.Features[4].Notation = dataset.Notation{Date: dataset.YearFirst, Part: dataset.Month}
	}, true, "region is the month of a date", "would refuse 4 (region: ")
	check(func(s *dataset.Schema) {
		marked, err := s.With([]string{"area"}, []string{table.Value(0, 4).Text})
		if err != nil {
			t.Fatal(err)
		}
		*s = *marked
	}, false, `" means missing`, "(region is missing, and not optional)")

	warnings, err := Promotion(t.Context(), dir, "missing.json", "", &model.Model{}, nil, false)
	if err != nil || warnings != nil {
		t.Errorf("with no valid current model: %q, %v", warnings, err)
	}
}
