package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
)

// tuned are the options of evaluate.
func tuned(seed uint64, testSize float64) Options {
	o := options()
	o.Seed, o.TestSize, o.Tune = seed, testSize, TuneF1
	return o
}

func compare(t *testing.T, m, champion *Model) Champion {
	t.Helper()
	c, err := m.Compare(t.Context(), m.Evaluation, m.MetricsOn, champion)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The metrics, the curves and the answers are of the same rows, out of folds too,
// where every fold has its own threshold.
func TestAnEvaluationIsOfTheSameRows(t *testing.T) {
	table := dirtyTable(t)
	for _, testSize := range []float64{0, 0.25} {
		m := train(t, table, tuned(42, testSize))
		e := m.Evaluation
		var c metric.Confusion
		for _, set := range e.sets {
			p := set.Predictions.(*rowPredictions)
			for i, probability := range p.probabilities {
				if p.positive[i] != table.Positive[p.rows[i]] {
					t.Fatalf("test size %v: row %d has another label", testSize, p.rows[i])
				}
				c.Add(probability >= set.By.Threshold, p.positive[i])
			}
		}
		if c != m.Metrics.Confusion || e.Metrics != m.Metrics {
			t.Errorf("test size %v: the answers add up to %+v, the metrics to %+v", testSize, c, m.Metrics.Confusion)
		}
		rows := 0
		for _, bin := range e.Curves().Calibration {
			rows += bin.Rows
		}
		if rows != m.Metrics.Rows {
			t.Errorf("test size %v: the curves are of %d rows, the metrics of %d", testSize, rows, m.Metrics.Rows)
		}
		for _, at := range e.Curves().Thresholds {
			if testSize > 0 && at.Threshold == m.Threshold && at.F1 != m.Metrics.F1 {
				t.Errorf("the curves have an F1 of %v at the model's threshold, the metrics %v", at.F1, m.Metrics.F1)
			}
		}
	}
}

func TestTheDifferenceIsThatOfTheMetrics(t *testing.T) {
	table := dirtyTable(t)
	champion := train(t, table, options())
	for _, testSize := range []float64{0, 0.25} {
		m := train(t, table, tuned(42, testSize))
		c := compare(t, m, champion)
		if !c.Comparable || math.Abs(c.Difference.F1-(m.Metrics.F1-c.Metrics.F1)) > 1e-15 {
			t.Errorf("test size %v: a difference of %v between %v and %v", testSize, c.Difference.F1, m.Metrics.F1, c.Metrics.F1)
		}
		rows := pool(m.Evaluation.sets).(*rowPredictions).rows
		if want, err := champion.Evaluate(t.Context(), InMemoryRows(table, rows)); err != nil || *c.Metrics != want.Metrics {
			t.Errorf("test size %v: the champion's metrics %+v, alone %+v (%v)", testSize, *c.Metrics, want.Metrics, err)
		}
	}
	m := train(t, table, tuned(42, 0.25))
	same := metric.F1Difference{Better: 0.5, Verdict: metric.NotApart}
	if c := compare(t, m, m); *c.Difference != same || c.Reason != "" {
		t.Errorf("a model against itself: %+v, %q", *c.Difference, c.Reason)
	}
}

func TestWhomAComparisonFavours(t *testing.T) {
	table := labTable(t)
	m := train(t, table, tuned(42, 0.25))
	all := train(t, table, tuned(42, 0))
	moved := train(t, table, tuned(42, 0.25))
	moved.Data.SHA256 = "another file"
	check := func(name string, m, champion *Model, want string) {
		t.Helper()
		if got := compare(t, m, champion).Reason; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	const favoured = "about %v %% of these rows equal rows that it was fitted to, which favours it"
	share := func(percent float64) string { return fmt.Sprintf(favoured, percent) }
	check("the same rows held out", m, train(t, table, tuned(42, 0.25)), "")
	check("another seed", m, train(t, table, tuned(43, 0.25)), share(76.7))
	check("another share", m, train(t, table, tuned(42, 0.2)), share(18.3))
	check("fitted to all rows", m, all, share(100))
	check("another file, the same rows held out", m, moved, "")
	check("out-of-fold", all, all, share(100))
	check("all rows, of which it was fitted to a part", all, m, share(74.5))
	older := *moved
	older.Fingerprint = nil
	const guess = "it may have been fitted to some of these rows, which favours it"
	check("another file, no fingerprint", m, &older, guess)
	streamed := *m
	streamed.Fingerprint, streamed.Data.Key = nil, "row"
	check("rows held out by another rule", m, &streamed, guess)
	c, err := m.Compare(t.Context(), all.Evaluation, OnAll, all)
	want := "about 100 % of these rows equal rows that it was fitted to, and this model may have been too"
	if err != nil || c.Reason != want {
		t.Errorf("on all rows of a file: %q (%v), want %q", c.Reason, err, want)
	}
	own := "this model may have been fitted to some of these rows, which favours this model"
	if c, err = all.Compare(t.Context(), m.Evaluation, OnAll, m); err != nil || c.Reason != own || c.Fitted {
		t.Errorf("on rows that only the champion held out: %q (%v), want %q", c.Reason, err, own)
	}
}

func TestCostsOfAComparisonAreTheCandidates(t *testing.T) {
	table := labTable(t)
	o := tuned(42, 0.25)
	o.Tune, o.CostFP, o.CostFN = TuneCost, 10, 60
	costly, plain := train(t, table, o), train(t, table, tuned(42, 0.25))
	f := compare(t, costly, plain).Metrics
	want := float64(10*f.Confusion.FP+60*f.Confusion.FN) / float64(f.Rows)
	if f.CostPerCustomer == nil || *f.CostPerCustomer != want {
		t.Errorf("the champion costs %v, want %v", f.CostPerCustomer, want)
	}
	if f := compare(t, plain, costly).Metrics; f.CostPerCustomer != nil {
		t.Errorf("the champion costs %v where the candidate has no costs", *f.CostPerCustomer)
	}
	for _, at := range costly.Evaluation.Curves().Thresholds {
		if at.Threshold == costly.Threshold && *at.Cost != *costly.Metrics.CostPerCustomer {
			t.Errorf("the curves cost %v at the model's threshold, the metrics %v", *at.Cost, *costly.Metrics.CostPerCustomer)
		}
	}
}

func TestModelsOfOtherCustomersAreNotCompared(t *testing.T) {
	table := labTable(t)
	m := train(t, table, tuned(42, 0.25))
	check := func(want string, change func(s *dataset.Schema)) {
		t.Helper()
		other, schema := *m, *m.Schema
		schema.Features = append([]dataset.Feature{}, schema.Features...)
		change(&schema)
		other.Schema = &schema
		c := compare(t, m, &other)
		if c.Comparable || c.Metrics != nil || c.Difference != nil || !strings.Contains(c.Reason, want) {
			t.Errorf("%+v, want %q", c, want)
		}
	}
	check(`it predicts "left" = "1", this model "churn" = "1"`, func(s *dataset.Schema) { s.Target.Name = "left" })
	check(`it predicts "churn" = "0"`, func(s *dataset.Schema) { s.Target.Positive = "0" })
	check(`its feature "tenure" is not among these customers' columns`, func(s *dataset.Schema) {
		s.Features[0].Name = "tenure"
	})
	check(`its feature "tenure_months" is a category, this model's a number`, func(s *dataset.Schema) {
		s.Features[0].Type = dataset.Category
	})
	check(`its feature "region" is kept in lower case, this model's in upper`, func(s *dataset.Schema) {
		s.Features[4].Case = "lower"
	})
	check(`its feature "region" is kept in its own case`, func(s *dataset.Schema) { s.Features[4].Case = "" })
}

// columnsOf returns a table of some columns of another, in the given order.
func columnsOf(table *dataset.Table, names ...string) *dataset.Table {
	schema := *table.Schema
	out := &dataset.Table{Schema: &schema, Positive: table.Positive}
	schema.Features = nil
	for _, name := range names {
		j := table.Schema.Index(name)
		schema.Features = append(schema.Features, table.Schema.Features[j])
		out.Columns = append(out.Columns, table.Columns[j])
	}
	return out
}

// A champion with fewer features, or in another order, or with other terms is compared: its
// metrics are those that it has on a table of its own columns.
func TestAChampionOfOtherFeaturesIsCompared(t *testing.T) {
	table := dirtyTable(t)
	own := map[string]*dataset.Table{
		"the same":      table,
		"fewer":         columnsOf(table, "tenure_months", "plan_type", "region"),
		"another order": columnsOf(table, "region", "avg_session_minutes", "plan_type", "tenure_months", "num_complaints"),
		"one":           columnsOf(table, "avg_session_minutes"),
	}
	bent := options()
	bent.Terms, bent.Pairs.Named = TermsCurve, []Pair{{"region", "tenure_months"}}
	for _, testSize := range []float64{0, 0.25} {
		candidates := []*Model{train(t, table, tuned(42, testSize))}
		o := bent
		o.Tune, o.TestSize = TuneF1, testSize
		candidates = append(candidates, train(t, table, o))
		for name, columns := range own {
			champions := []*Model{train(t, columns, tuned(42, testSize))}
			if columns.Schema.Index("region") >= 0 {
				champions = append(champions, train(t, columns, bent))
			}
			for _, champion := range champions {
				for _, m := range candidates {
					c := compare(t, m, champion)
					rows := pool(m.Evaluation.sets).(*rowPredictions).rows
					want, err := champion.Evaluate(t.Context(), InMemoryRows(columns, rows))
					if err != nil {
						t.Fatal(err)
					}
					if !c.Comparable || *c.Metrics != want.Metrics || strings.Contains(c.Reason, "level of") {
						t.Errorf("%s, format %d against %d: %+v", name, champion.Format, m.Format, c)
					}
				}
			}
		}
	}
}

// Unknown levels are counted for the champion's own features.
func TestUnseenLevelsOfAChampionOfOtherFeatures(t *testing.T) {
	table := dirtyTable(t)
	m := train(t, table, tuned(42, 0.25))
	champion := train(t, columnsOf(labTable(t), "region", "tenure_months"), tuned(42, 0.25))
	missing := 0
	for _, i := range m.Evaluation.sets[0].Predictions.(*rowPredictions).rows {
		if table.Value(int(i), 4).Missing {
			missing++
		}
	}
	want := fmt.Sprintf(`%d rows have a level of "region" that it has no weight for`, missing)
	if c := compare(t, m, champion); missing == 0 || c.Reason != want {
		t.Errorf("reason %q, want %q", c.Reason, want)
	}
}

func TestAChampionThatNeedsMoreIsNotCompared(t *testing.T) {
	table := labTable(t)
	champion := train(t, table, tuned(42, 0.25))
	m := train(t, columnsOf(table, "plan_type", "tenure_months", "num_complaints", "region"), tuned(42, 0.25))
	c, want := compare(t, m, champion), `its feature "avg_session_minutes" is not among these customers' columns`
	if c.Comparable || c.Reason != want {
		t.Errorf("%+v, want the reason %q", c, want)
	}
}

func TestDecimalsDistinguish(t *testing.T) {
	check := func(x, y float64, want int) {
		t.Helper()
		if got := decimals(x, y); got != want {
			t.Errorf("decimals(%v, %v) = %d, want %d", x, y, got, want)
		}
	}
	check(0.71, 0.7, 4)
	check(0.7, 0.7, 4)
	check(0.69998, 0.7, 5)
	check(0.6999999, 0.7, 7)
	check(0, 0.65, 4)
}

// The current model knows its own spellings of levels among rows that another schema cleaned, and counts days to its
// own date, as in service. It is not compared where numbers are read otherwise.
func TestTheChampionReadsCellsByItsOwnSchema(t *testing.T) {
	cleaned := func(unit, yes, spellings string, later int) *dataset.Table { // by so many days
		date := fmt.Sprintf(`"date": "ymd", "as_of": "2025-03-%02d"`, 1+later)
		s, err := dataset.ParseSchema(fmt.Appendf(nil, `{"format": 1, "target": {"name": "left", "positive": "1"},
			"features": [{"name": "x", "type": "number"}, {"name": "share", "type": "number", "unit": %q},
			{"name": "since", "type": "number", "optional": true, %s},
			{"name": "seen", "type": "number", "term": "levels", %[2]s},
			{"name": "flag", "type": "category", "map": {%[3]s}}], "pairs": [["x", "flag"], ["since", "flag"]]}`,
			unit, date, spellings))
		if err != nil {
			t.Fatal(err)
		}
		rng, table := rand.New(rand.NewPCG(5, 1)), dataset.NewTable(s)
		for range 1500 {
			x, share, flag, since, seen := rng.NormFloat64(), rng.Float64(), rng.IntN(2), rng.IntN(300), rng.IntN(4)
			z := math.Sin(2*x) + share + 2*float64(flag) + math.Sin(float64(since)/40) + float64(seen%2) - 2
			table.Append(&dataset.Row{Positive: rng.Float64() < logreg.Sigmoid(z), Values: []dataset.Value{
				{Number: x}, {Number: share}, {Number: float64(since + later), Missing: rng.IntN(9) == 0},
				{Number: float64(seen + later)}, {Text: []string{"no", yes}[flag], Level: true},
			}})
		}
		return table
	}
	const spellings = `"YES": "yes"`
	for _, terms := range []string{TermsLine, TermsCurve} {
		o := tuned(42, 0.25)
		o.Terms = terms
		champion := train(t, cleaned("%", "yes", spellings, 0), o)
		c := compare(t, train(t, cleaned("%", "YES", `"yes": "YES"`, 30), o), champion)
		if !c.Comparable || c.Metrics.Confusion != champion.Metrics.Confusion ||
			math.Abs(c.Metrics.LogLoss-champion.Metrics.LogLoss) > 1e-12 || strings.Contains(c.Reason, "no weight") {
			t.Errorf("%s: %+v, %q, of its own spelling %+v", terms, c.Metrics, c.Reason, champion.Metrics)
		}
		const other = `its feature "share" has numbers, percent: 18 % is 0.18, this model's numbers, unit €`
		if c := compare(t, train(t, cleaned("€", "yes", spellings, 0), o), champion); c.Reason != other {
			t.Errorf("%s: %q, want %q", terms, c.Reason, other)
		}
	}
}
