package model

import (
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
)

// TestGateRates simulates who passes the gate: models of labels that no column explains, and
// models of 1,200 rows whose ROC AUC is 0.83. CHURN_SIMULATE=1 takes 200 seeds per cell.
func TestGateRates(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	seeds := uint64(10)
	if os.Getenv("CHURN_SIMULATE") != "" {
		seeds = 200
	}
	o := Options{Version: "v1", TestSize: 0.25, C: 1, Terms: TermsLine, Tune: TuneF1}
	passed := func(names string, rate, slope float64, gateF1 *float64) (share, gated, auc float64) {
		n := float64(seeds)
		for seed := range seeds {
			o.Seed = seed
			m := train(t, customersWith(names, 1200, rate, slope, seed), o)
			share += float64(metric.Indicator(m.Gate(m.Evaluation, nil, nil).Passed)) / n
			gated += float64(metric.Indicator(m.Gate(m.Evaluation, gateF1, nil).Passed)) / n
			auc += m.Metrics.ROCAUC / n
		}
		return share, gated, auc
	}
	slack := 0.0 // two standard errors
	if seeds < 200 {
		slack = 2 * math.Sqrt(0.05*0.95/float64(seeds))
	}
	for _, names := range []string{"a", "a b c"} {
		for _, rate := range []float64{0.02, 0.10, 0.3, 0.9} {
			noise, _, _ := passed(names, rate, 0, nil)
			t.Logf("%2.0f %% churn: with the numbers %s random labels pass %.1f %%", 100*rate, names, 100*noise)
			if noise > 0.05+slack {
				t.Errorf("%v churn, numbers %s: %.3f of the models of random labels pass", rate, names, noise)
			}
		}
	}
	for _, cell := range []struct{ rate, slope, least float64 }{
		{0.10, 1.5, 0.85}, {0.27, 1.64, 0.95}, {0.54, 1.68, 0.95}, {0.60, 1.68, 0.95},
	} {
		noise, gated, _ := passed("a b c d e", cell.rate, 0, new(0.70))
		good, _, auc := passed("a b c d e", cell.rate, cell.slope, nil)
		t.Logf("%2.0f %% churn: random labels pass %.1f %%, with a gate of F1 0.70 %.1f %%; AUC %.3f passes %.1f %%",
			100*cell.rate, 100*noise, 100*gated, auc, 100*good)
		if noise > 0.05+slack || gated > noise {
			t.Errorf("%v churn: %.3f of the models of random labels pass, %.3f with a gate of F1", cell.rate, noise, gated)
		}
		if good < cell.least-slack || math.Abs(auc-0.83) > 0.02 {
			t.Errorf("%v churn: %.3f of the models of AUC %.3f pass, at least %v", cell.rate, good, auc, cell.least)
		}
	}
}

// normalCustomers is customers with five normal numbers and log-odds of slope times their scaled sum, of
// which a share of rate churns.
func normalCustomers(rows int, rate, slope float64, seed uint64) *dataset.Table {
	return customersWith("a b c d e", rows, rate, slope, seed)
}

// customersWith is the same with these numbers.
func customersWith(names string, rows int, rate, slope float64, seed uint64) *dataset.Table {
	rng := rand.New(rand.NewPCG(seed, 3))
	s := &dataset.Schema{Format: 1, Target: dataset.Target{Name: "churn", Positive: "1"}}
	for _, name := range strings.Fields(names) {
		s.Features = append(s.Features, dataset.Feature{Name: name, Type: dataset.Number})
	}
	intercept := math.Log(rate/(1-rate)) * math.Sqrt(1+slope*slope*math.Pi/8) // about what keeps the rate
	table := dataset.NewTable(s)
	for range rows {
		var row dataset.Row
		sum := 0.0
		for range s.Features {
			x := rng.NormFloat64()
			sum += x
			row.Values = append(row.Values, dataset.Value{Number: x})
		}
		z := intercept + slope*sum/math.Sqrt(float64(len(s.Features)))
		row.Positive = rng.Float64() < logreg.Sigmoid(z)
		table.Append(&row)
	}
	return table
}

// The gate holds a model against the current one on the same rows, unless that was fitted to
// them, and says so.
func TestGateComparesWithTheCurrentModel(t *testing.T) {
	good, noise := normalCustomers(2000, 0.3, 1.85, 1), normalCustomers(2000, 0.3, 0, 1)
	o := Options{Version: "v1", TestSize: 0.25, C: 1, Terms: TermsLine, Tune: TuneNone, Seed: 1}
	champion, weak := train(t, good, o), o
	weak.C = 1e-4
	verdict := func(m, champion *Model) Verdict {
		t.Helper()
		c := compare(t, m, champion)
		c.ModelFile = "current.json"
		return m.Gate(m.Evaluation, nil, &c)
	}
	want := func(v Verdict, passed bool, why string) {
		t.Helper()
		if v.Passed != passed || !strings.Contains(v.Why, why) {
			t.Errorf("passed %t, want %t, %q: %s", v.Passed, passed, why, v.Why)
		}
	}
	want(verdict(champion, champion), true, "it is not significantly worse than current.json")
	want(verdict(train(t, good, weak), champion), false, "it is worse than current.json with 95 % confidence, by 0.")
	other := o
	other.Seed = 2
	want(verdict(train(t, good, other), champion), true, "it is not significantly worse than current.json "+
		"(0.0031 is allowed, since about 78.9 % of these rows equal rows that it was fitted to)")
	older := *champion // without the count of positives and a fingerprint
	older.Training.Positives, older.Fingerprint = 0, nil
	want(verdict(train(t, good, other), &older), true,
		"(0.0040 is allowed, since it may have been fitted to some of these rows)")
	other.C = 1e-4
	want(verdict(train(t, good, other), champion), false, "it is worse than current.json with 95 % confidence, by 0.")
	other.C, other.TestSize = 1, 0
	want(verdict(train(t, good, other), champion), true, " % of these rows equal rows that it was fitted to")
	fresh := verdict(train(t, normalCustomers(1000, 0.3, 1.85, 2), other), champion)
	if want(fresh, true, "it is not significantly worse than current.json"); strings.Contains(fresh.Why, "fitted") {
		t.Errorf("other customers, held out by nobody: %s", fresh.Why)
	}
	m := train(t, noise, o)
	want(m.Gate(m.Evaluation, nil, nil), false, "is not below")
	want(champion.Gate(champion.Evaluation, new(0.99), nil), false, "is below the gate of 0.99")
	if got, want := older.baseRate(), champion.baseRate(); math.Abs(got-want) > 1e-6 {
		t.Errorf("base rate of an older document %v, want %v", got, want)
	}
}

// A difference that only rounding makes is neither skill nor worse.
func TestGatePassesOverRounding(t *testing.T) {
	o := Options{Version: "v1", TestSize: 0.25, C: 1, Terms: TermsLine, Tune: TuneNone}
	for seed := range uint64(30) {
		table := normalCustomers(1200, 0.3, 1.85, seed)
		first := train(t, table, o)
		again := o
		again.C += 1e-9
		m := train(t, table, again)
		c := compare(t, m, first)
		if v := m.Gate(m.Evaluation, nil, &c); !v.Passed {
			t.Errorf("seed %d: the same fit again: %s (%+v)", seed, v.Why, v.Current)
		}
		for j := range table.Columns {
			table.Columns[j] = dataset.Column{Numbers: make([]float64, table.Rows())}
		}
		constant := train(t, table, o)
		if v := constant.Gate(constant.Evaluation, nil, nil); v.Passed {
			t.Errorf("seed %d: a model of nothing passes: %s (%+v)", seed, v.Why, v.Skill)
		}
	}
}

// A model that is fitted again to the rows of the current one is not worse, though its folds have fewer rows.
func TestGatePassesTheSameFit(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	const models = 30
	names := "a b c d e f g h i j k l m n o p q r s t u v w x y"
	o := Options{Version: "v1", C: 1, Terms: TermsLine, Tune: TuneNone, Seed: 1}
	refused := 0
	for seed := range uint64(models) {
		table := customersWith(names, 1200, 0.3, 1, seed)
		other := o
		other.Seed = 2
		m := train(t, table, other)
		c := compare(t, m, train(t, table, o))
		if v := m.Gate(m.Evaluation, nil, &c); !v.Passed {
			refused++
		}
	}
	if refused > models*15/100 {
		t.Errorf("%d of %d models are refused", refused, models)
	}
}
