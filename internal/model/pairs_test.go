package model

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// normalNumbers is customers with that many normal numbers, of which the first two matter by slope times their
// product alone.
func normalNumbers(features, rows int, slope float64, seed uint64) *dataset.Table {
	rng := rand.New(rand.NewPCG(seed, 5))
	s := &dataset.Schema{Format: 1, Target: dataset.Target{Name: "churn", Positive: "1"}}
	for j := range features {
		s.Features = append(s.Features, dataset.Feature{Name: fmt.Sprint("x", j), Type: dataset.Number})
	}
	table := dataset.NewTable(s)
	for range rows {
		var row dataset.Row
		for range features {
			row.Values = append(row.Values, dataset.Value{Number: rng.NormFloat64()})
		}
		row.Positive = rng.Float64() < logreg.Sigmoid(slope*row.Values[0].Number*row.Values[1].Number)
		table.Append(&row)
	}
	return table
}

// A pair that cross-validation has chosen is in the model, also where its features contribute less in all rows than
// the 40 that are paired there. One that is not found is counted.
func TestChosenPairsAreInTheModel(t *testing.T) {
	if testing.Short() {
		t.Skip("it fits many models")
	}
	o := Options{Version: "v1", TestSize: 0.25, C: 1, Terms: TermsLine, ClassWeight: WeightNone, Tune: TuneNone}
	o.Pairs.Auto = true
	chosen := 0
	for seed := range uint64(2) {
		o.Seed = seed
		m := train(t, normalNumbers(50, 600, 4, seed), o)
		if m.Training.Choice.String() == "" {
			continue
		}
		chosen++
		if len(m.Encoder.Pairs) == 0 || m.Encoder.Pairs[0] != (Pair{"x0", "x1"}) || m.LackingPairs != 0 {
			t.Errorf("seed %d: %s, but the model has %v and lacks %d", seed, m.Training.Choice, m.Encoder.Pairs,
				m.LackingPairs)
		}
	}
	if chosen == 0 {
		t.Error("no pair was chosen: the test tests nothing")
	}
	o.Seed = 40 // one fold finds a pair, and gains more than a standard error by it
	if m := train(t, normalNumbers(3, 120, 1, 40), o); m.LackingPairs != 1 || m.Training.Choice.String() != "0 pairs" {
		t.Errorf("%q was chosen, of which the model lacks %d, want none and 1", m.Training.Choice, m.LackingPairs)
	}
	o.Pairs = PairOptions{N: 3}
	if m := train(t, normalNumbers(3, 300, 0, 1), o); len(m.Encoder.Pairs)+m.LackingPairs != 3 || m.LackingPairs == 0 {
		t.Errorf("of noise %v, and %d are lacking, want 3 together", m.Encoder.Pairs, m.LackingPairs)
	}
}
