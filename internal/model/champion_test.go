package model

import (
	"math"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// detailed are the options of evaluate.
func detailed(seed uint64, testSize float64) Options {
	o := options()
	o.Seed, o.TestSize, o.Tune, o.Detail = seed, testSize, TuneF1, true
	return o
}

func compare(t *testing.T, table *dataset.Table, m, champion *Model) Champion {
	t.Helper()
	c, err := m.Compare(t.Context(), table, m.Judgement, m.FiguresOn, champion)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The figures, the curves and the answers are of the same rows, out of folds too,
// where every fold has its own threshold.
func TestAJudgementIsOne(t *testing.T) {
	table := dirtyTable(t)
	for _, testSize := range []float64{0, 0.25} {
		m := train(t, table, detailed(42, testSize))
		j := m.Judgement
		var c metric.Confusion
		for i, row := range j.rows {
			c.Add(j.answers[i], table.Positive[row])
		}
		if c != m.Figures.Confusion || j.Figures != m.Figures {
			t.Errorf("test size %v: the answers add up to %+v, the figures to %+v", testSize, c, m.Figures.Confusion)
		}
		rows := 0
		for _, bin := range j.Curves.Calibration {
			rows += bin.Rows
		}
		if rows != m.Figures.Rows {
			t.Errorf("test size %v: the curves are of %d rows, the figures of %d", testSize, rows, m.Figures.Rows)
		}
		for _, at := range j.Curves.Thresholds {
			if testSize > 0 && at.Threshold == m.Threshold && at.F1 != m.Figures.F1 {
				t.Errorf("the curves have an F1 of %v at the model's threshold, the figures %v", at.F1, m.Figures.F1)
			}
		}
		plain := detailed(42, testSize)
		plain.Detail = false
		if p := train(t, table, plain); p.Judgement != nil || p.Figures != m.Figures {
			t.Errorf("test size %v: the detail changes the figures", testSize)
		}
	}
}

func TestTheDifferenceIsThatOfTheFigures(t *testing.T) {
	table := dirtyTable(t)
	champion := train(t, table, options())
	for _, testSize := range []float64{0, 0.25} {
		m := train(t, table, detailed(42, testSize))
		c := compare(t, table, m, champion)
		if !c.Comparable || math.Abs(c.Difference.F1-(m.Figures.F1-c.Figures.F1)) > 1e-15 {
			t.Errorf("test size %v: a difference of %v between %v and %v", testSize, c.Difference.F1, m.Figures.F1, c.Figures.F1)
		}
		if want, err := champion.Judge(t.Context(), table, m.Judgement.rows); err != nil || *c.Figures != want {
			t.Errorf("test size %v: the champion's figures %+v, alone %+v (%v)", testSize, *c.Figures, want, err)
		}
	}
	m := train(t, table, detailed(42, 0.25))
	if c := compare(t, table, m, m); *c.Difference != (metric.Difference{Better: 0.5}) || c.Reason != "" {
		t.Errorf("a model against itself: %+v, %q", *c.Difference, c.Reason)
	}
}

func TestWhomAComparisonFavours(t *testing.T) {
	table := labTable(t)
	m := train(t, table, detailed(42, 0.25))
	all := train(t, table, detailed(42, 0))
	moved := train(t, table, detailed(42, 0.25))
	moved.Data.SHA256 = "another file"
	check := func(name string, m, champion *Model, want string) {
		t.Helper()
		if got := compare(t, table, m, champion).Reason; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	const favoured = "it may have been fitted to some of these rows, which favours it"
	check("the same rows held out", m, train(t, table, detailed(42, 0.25)), "")
	check("another seed", m, train(t, table, detailed(43, 0.25)), favoured)
	check("another share", m, train(t, table, detailed(42, 0.2)), favoured)
	check("fitted to all rows", m, all, favoured)
	check("another file", m, moved, favoured)
	check("out-of-fold", all, all, favoured)
	c, err := m.Compare(t.Context(), table, m.Judgement, OnAll, all)
	if want := "it may have been fitted to some of these rows, and so may this model"; err != nil || c.Reason != want {
		t.Errorf("on all rows of a file: %q (%v), want %q", c.Reason, err, want)
	}
}

func TestCostsOfAComparisonAreTheCandidates(t *testing.T) {
	table := labTable(t)
	o := detailed(42, 0.25)
	o.Tune, o.CostFP, o.CostFN = TuneCost, 10, 60
	costly, plain := train(t, table, o), train(t, table, detailed(42, 0.25))
	f := compare(t, table, costly, plain).Figures
	if want := float64(10*f.Confusion.FP+60*f.Confusion.FN) / float64(f.Rows); f.CostPerCustomer == nil || *f.CostPerCustomer != want {
		t.Errorf("the champion costs %v, want %v", f.CostPerCustomer, want)
	}
	if f := compare(t, table, plain, costly).Figures; f.CostPerCustomer != nil {
		t.Errorf("the champion costs %v where the candidate has no costs", *f.CostPerCustomer)
	}
	for _, at := range costly.Judgement.Curves.Thresholds {
		if at.Threshold == costly.Threshold && *at.Cost != *costly.Figures.CostPerCustomer {
			t.Errorf("the curves cost %v at the model's threshold, the figures %v", *at.Cost, *costly.Figures.CostPerCustomer)
		}
	}
}

func TestModelsOfOtherCustomersAreNotCompared(t *testing.T) {
	table := labTable(t)
	m := train(t, table, detailed(42, 0.25))
	check := func(want string, change func(s *dataset.Schema)) {
		t.Helper()
		other, schema := *m, *m.Schema
		schema.Features = append([]dataset.Feature{}, schema.Features...)
		change(&schema)
		other.Schema = &schema
		c := compare(t, table, m, &other)
		if c.Comparable || c.Figures != nil || c.Difference != nil || !strings.Contains(c.Reason, want) {
			t.Errorf("%+v, want %q", c, want)
		}
	}
	check(`it predicts "left" = "1", this model "churn" = "1"`, func(s *dataset.Schema) { s.Target.Name = "left" })
	check(`it predicts "churn" = "0"`, func(s *dataset.Schema) { s.Target.Positive = "0" })
	check("it has 4 features, this model 5", func(s *dataset.Schema) { s.Features = s.Features[1:] })
	check(`its feature 1 is "num_complaints", this model's "tenure_months"`, func(s *dataset.Schema) {
		s.Features[0], s.Features[1] = s.Features[1], s.Features[0]
	})
	check(`its feature "tenure_months" is a category, this model's a number`, func(s *dataset.Schema) { s.Features[0].Type = dataset.Category })
	check(`its feature "region" is kept in lower case, this model's in upper`, func(s *dataset.Schema) { s.Features[4].Case = "lower" })
	check(`its feature "region" is kept in its own case`, func(s *dataset.Schema) { s.Features[4].Case = "" })
}
