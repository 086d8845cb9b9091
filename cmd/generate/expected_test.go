package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"churn/internal/metric"
	"churn/internal/model"
)

// The metrics that drift estimates without labels, against the realised ones. Like the
// alarm rates they are tested here, where the population is known.

// qualities summarises many windows.
type qualities struct {
	near               float64 // fraction with the expected F1 within 0.03 of the realised one
	inside             float64 // fraction with the realised F1 in the interval
	expected, realised float64 // mean F1
}

// compareQuality draws 500 windows of 1,000 customers; the model is refitted every 25
// windows, to three quarters of n customers. flip is the fraction of labels inverted.
func compareQuality(t *testing.T, n int, flip float64, shifts ...string) (q qualities) {
	t.Helper()
	const windows, rows, perReference = 500, 1000, 25
	p, err := newPopulation(shifts)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(uint64(n), 2))
	live := newSampler(p, rand.NewPCG(uint64(n), 1))
	var m *model.Model
	var c customer
	for w := range windows {
		if w%perReference == 0 {
			m = reference(t, uint64(n+w), n, model.TuneF1)
		}
		var e metric.Expectation
		var truth metric.Confusion
		for range rows {
			live.draw(&c)
			s := m.Score(c.values())
			e.Add(math.Round(1e6*s.Probability)/1e6, s.Churn)
			truth.Add(s.Churn, c.churned != (rng.Float64() < flip))
		}
		f1 := e.Estimates(nil).F1
		q.expected += f1.Value / windows
		q.realised += truth.F1() / windows
		if math.Abs(f1.Value-truth.F1()) <= 0.03 {
			q.near += 1.0 / windows
		}
		if truth.F1() >= f1.Interval[0] && truth.F1() <= f1.Interval[1] {
			q.inside += 1.0 / windows
		}
	}
	t.Logf("fitted to 3/4 of %6d, %.0f %% of labels inverted, %v: expected F1 %.3f, realised %.3f; "+
		"within 0.03: %.1f %%, in the interval: %.1f %%",
		n, 100*flip, shifts, q.expected, q.realised, 100*q.near, 100*q.inside)
	return q
}

func TestExpectedQualityIsRealised(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	compareQuality(t, 1200, 0) // logged only: with few rows the model's own error is added
	for _, shifts := range [][]string{nil, {"avg_session_minutes=6"}, {"tenure_months=-8"}} {
		if q := compareQuality(t, 12_000, 0, shifts...); q.near < 0.95 {
			t.Errorf("%v: %.1f %% of the windows are within 0.03 of the expected F1, want at least 95 %%", shifts, 100*q.near)
		}
	}
	// It cannot detect concept drift.
	if q := compareQuality(t, 12_000, 0.2); q.expected-q.realised < 0.03 {
		t.Errorf("expected %v, realised %v: documented as not detected", q.expected, q.realised)
	}
}
