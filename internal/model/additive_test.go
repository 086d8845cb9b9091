package model

import (
	"math"
	"slices"
	"testing"

	"churn/internal/dataset"
)

// additiveReference is a fit of fixed terms in numpy, by Newton steps until none is above 1e-11.
type additiveReference struct {
	Smooth    float64            `json:"smooth"`
	Pairs     []Pair             `json:"pairs"`
	Objective float64            `json:"objective"`
	Intercept float64            `json:"intercept"`
	Weights   map[string]float64 `json:"weights"`
	First     []float64          `json:"probabilities_first_20"`
	LogLoss   float64            `json:"log_loss"`
}

// A fit of curves and pairs has the weights of the reference in numpy.
func TestAdditiveReference(t *testing.T) {
	table := telcoTable(t)
	var want additiveReference
	readJSON(t, "testdata/additive_reference.json", &want)
	o := options()
	o.Terms, o.Pairs.Named = TermsCurve, want.Pairs
	chosen, err := choose(t.Context(), InMemory(table), o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fitTo(t.Context(), InMemory(table), chosen.terms, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := newModel(f, o)
	near := within(t)
	checkWeights(t, m, want.Intercept, want.Weights)
	near("objective", m.Training.Objective, want.Objective, 1e-6)
	for i, p := range predict(t, m, table, dataset.AllRows(len(want.First))).probabilities {
		near("probability", p, want.First[i], 1e-9)
	}
	if !slices.Equal(m.Encoder.Pairs, want.Pairs) || math.IsNaN(m.Training.Objective) {
		t.Errorf("pairs %v, want %v", m.Encoder.Pairs, want.Pairs)
	}
}
