package main

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/model"
)

// The false alarm rate and the power of the drift checks on a known population. The
// tests are here because no other package may know its coefficients.

// values returns the customer as read from the file that generate writes.
func (c *customer) values() []dataset.Value {
	minutes, err := strconv.ParseFloat(strconv.FormatFloat(c.minutes, 'f', 2, 64), 64)
	if err != nil {
		panic(err)
	}
	return []dataset.Value{
		{Number: float64(c.tenure)}, {Number: float64(c.complaints)}, {Number: minutes},
		{Text: plans[c.plan], Level: true}, {Text: regions[c.region], Level: true},
	}
}

// reference trains a model on three quarters of n customers, with other options than lines set by each.
func reference(t *testing.T, seed uint64, n int, tune string, set ...func(*model.Options)) *model.Model {
	t.Helper()
	lab, err := newPopulation(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newSampler(lab, rand.NewPCG(seed, 0))
	table := dataset.NewTable(dataset.Lab())
	var c customer
	for range n {
		s.draw(&c)
		table.Append(&dataset.Row{Values: c.values(), Positive: c.churned})
	}
	o := model.Options{
		Version:     "v1",
		Seed:        seed,
		TestSize:    0.25,
		C:           1,
		ClassWeight: model.WeightNone,
		Tune:        tune,
	}
	for _, with := range set {
		with(&o)
	}
	m, err := model.Train(t.Context(), model.InMemory(table), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// alarms reports whether a window of n customers raises an alert, as the drift command does.
func alarms(m *model.Model, s *sampler, n int) bool {
	var columns []drift.Column
	for _, f := range m.Schema.Features {
		ref := m.Reference.Columns[f.Name]
		columns = append(columns, drift.Column{Name: f.Name, Reference: &ref, Live: dataset.NewTally(&ref)})
	}
	scores := dataset.NewTally(&m.Reference.Probability)
	columns = append(columns, drift.Column{Name: "(probability)", Reference: &m.Reference.Probability, Live: scores})
	var names []string
	references := map[string]*dataset.Summary{}
	for _, c := range columns {
		names, references[c.Name] = append(names, c.Name), c.Reference
	}
	pairs := drift.Pairs{Reference: m.Reference.Correlations, Live: dataset.NewPairs(names[:len(names)-1], references)}
	var c customer
	for range n {
		s.draw(&c)
		values := c.values()
		for j, v := range values {
			columns[j].Live.Add(v)
			if j < 3 {
				pairs.Live.Put(j, v)
			}
		}
		pairs.Live.Next()
		p := math.Round(1e6*m.Score(values).Probability) / 1e6 // as in the log
		scores.Add(dataset.Value{Number: p})
	}
	_, verdict := drift.Compare(columns, pairs)
	for _, c := range columns[:3] {
		if drift.CompareReferenceZ(c, 2.5).Alert {
			return true
		}
	}
	return verdict == drift.Alert
}

// alarmRate returns the fraction of 2,000 windows that raise an alert; the reference is
// redrawn every 100 windows.
func alarmRate(t *testing.T, n int, shifts ...string) float64 {
	t.Helper()
	const windows, perReference = 2000, 100
	p, err := newPopulation(shifts)
	if err != nil {
		t.Fatal(err)
	}
	live := newSampler(p, rand.NewPCG(uint64(n), 1))
	var m *model.Model
	count := 0
	for w := range windows {
		if w%perReference == 0 {
			m = reference(t, uint64(w), 1200, model.TuneNone)
		}
		if alarms(m, live, n) {
			count++
		}
	}
	return float64(count) / windows
}

func TestDriftAlarmRates(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	for _, quiet := range []struct {
		rows int
		most float64
	}{{30, 0.015}, {60, 0.015}, {200, 0.01}, {1000, 0.01}} {
		rate := alarmRate(t, quiet.rows)
		t.Logf("%4d rows, no drift: %.2f %% alarms", quiet.rows, 100*rate)
		if rate > quiet.most {
			t.Errorf("%d rows, no drift: %.2f %% alarms, at most %.1f %%", quiet.rows, 100*rate, 100*quiet.most)
		}
	}
	// Each shift is half a standard deviation of the population.
	for _, shift := range []string{
		"avg_session_minutes=6", "num_complaints=0.5477", "tenure_months=8.515",
		"avg_session_minutes=-6", "tenure_months=-8.515",
	} {
		rate := alarmRate(t, 200, shift)
		t.Logf(" 200 rows, %s: %.2f %% alarms", shift, 100*rate)
		if rate < 0.99 {
			t.Errorf("200 rows, %s: %.2f %% alarms, at least 99 %%", shift, 100*rate)
		}
	}
}
