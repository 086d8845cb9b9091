package model

import (
	"math"
	"testing"

	"churn/internal/dataset"
)

// A model that was read again has the covariance that its standard errors are from, the numbers of a
// customer whose weighted sum is the score, and about as many degrees of freedom as weights.
func TestWeightError(t *testing.T) {
	table := dirtyTable(t)
	for _, terms := range []string{TermsLine, TermsCurve} {
		o := options()
		o.Terms = terms
		m, err := Parse(document(t, train(t, table, o)))
		if err != nil {
			t.Fatal(err)
		}
		own := m.WeightError()
		values := make([]dataset.Value, len(table.Columns))
		for j := range values {
			values[j] = table.Value(3, j)
		}
		g, z := make([]float64, len(m.weights)), 0.0
		m.Numbers(values, func(k int, x float64) { g[k], z = x, z+x*m.weights[k] })
		if want, _ := m.Encoder.logit(values, m.weights); math.Abs(z-want) > 1e-12 {
			t.Errorf("%s: the weighted numbers add up to %v, the score is %v", terms, z, want)
		}
		if own.Freedom < 3 || own.Freedom > float64(len(m.weights)) || !(own.Variance(g) > 0) {
			t.Errorf("%s: %v degrees of freedom of %d weights, variance %v", terms, own.Freedom, len(m.weights), own.Variance(g))
		}
		if terms == TermsLine {
			clear(g)
			g[0] = 1
			if want := m.Coefficients[0].StdError; math.Abs(math.Sqrt(own.Variance(g))/want-1) > 1e-6 {
				t.Errorf("%s: a standard error of %v, want %v", m.Coefficients[0].Name, math.Sqrt(own.Variance(g)), want)
			}
		}
		m.Covariance = m.Covariance[4:]
		if _, err := Parse(document(t, m)); err == nil {
			t.Errorf("%s: a covariance of another size was accepted", terms)
		}
	}
}

// The weaker the penalty, the more degrees of freedom, but none of directions that the data do not have.
func TestFreedomOfAWeakPenalty(t *testing.T) {
	table, freedom := labTable(t), []float64(nil)
	for _, c := range []float64{1e6, 1e12} {
		o := options()
		o.C = c
		freedom = append(freedom, train(t, table, o).WeightError().Freedom)
	}
	if !(math.Abs(freedom[1]-freedom[0]) < 0.01) {
		t.Errorf("%v degrees of freedom", freedom)
	}
}
