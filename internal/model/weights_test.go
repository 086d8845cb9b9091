package model

import (
	"math"
	"slices"
	"testing"

	"churn/internal/logreg"
)

// With class weights the answers are those of the weighted fit, and the probabilities those of
// the base rate, whatever the penalty and the terms.
func TestClassWeightsKeepTheBaseRate(t *testing.T) {
	source := drawn(1, 3000, 4, 2, straight(1.5))
	train, _, err := source.Split(0.25, options().Seed)
	if err != nil {
		t.Fatal(err)
	}
	d, err := train.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	base := float64(d.Positives) / float64(d.Rows)
	for _, c := range []float64{0.001, 1, 100} {
		for _, terms := range []string{TermsLine, TermsCurve} {
			o := options()
			o.C, o.Terms, o.ClassWeight, o.TestSize = c, terms, WeightBalanced, 0.25
			m, err := Train(t.Context(), source, o)
			if err != nil {
				t.Fatal(err)
			}
			o.RawWeights = true
			raw, err := Train(t.Context(), source, o)
			if err != nil {
				t.Fatal(err)
			}
			near := within(t)
			near("mean probability", m.Reference.Probability.Numbers.Mean, base, 1e-9)
			near("threshold", m.Threshold, logreg.Sigmoid(*m.Training.InterceptShift), 0)
			last := len(m.weights) - 1
			if !slices.Equal(m.weights[:last], raw.weights[:last]) || m.Metrics.Confusion != raw.Metrics.Confusion {
				t.Errorf("C = %g, %s: other weights or answers than with raw weights", c, terms)
			}
			if m.Metrics.LogLoss > raw.Metrics.LogLoss-0.01 {
				t.Errorf("C = %g, %s: log loss %v, raw %v", c, terms, m.Metrics.LogLoss, raw.Metrics.LogLoss)
			}
			if !m.Training.Calibrated() || raw.Training.Calibrated() || raw.Threshold != 0.5 {
				t.Errorf("C = %g, %s: raw weights are calibrated, or the others not", c, terms)
			}
			b := document(t, m)
			checkGolden(t, "the document", b, mustParse(t, b))
		}
	}
}

// On a true model without a penalty the intercept is the population's.
func TestClassWeightsFindTheIntercept(t *testing.T) {
	o := options()
	o.C, o.ClassWeight, o.TestSize = 1e4, WeightBalanced, 0
	m, err := Train(t.Context(), drawn(2, 100_000, 4, 2, straight(1)), o)
	if err != nil {
		t.Fatal(err)
	}
	average := m.Coefficients[len(m.Coefficients)-1]
	if want := -1.5; math.Abs(average.Estimate-want) > 4*average.StdError { // half of the rows are premium, at −1
		t.Errorf("log-odds of the average customer %v ± %v, want %v", average.Estimate, average.StdError, want)
	}
}

// The levels of the public file are collinear beyond their features: "No internet service" is
// the same rows in seven columns. The reference is numpy's solution in a basis of full rank.
func TestTelcoWithAWeakPenalty(t *testing.T) {
	table := telcoTable(t)
	for c, want := range map[float64][2]float64{
		1e6: {-1.458943112849, -2.642333478503}, 1e8: {-1.458943175686, -2.642334650416},
	} {
		o := options()
		o.C = c
		f, err := fitTo(t.Context(), InMemory(table, nil), Terms{}, o, nil)
		if err != nil {
			t.Fatalf("C = %g: %v", c, err)
		}
		near := within(t)
		near("tenure", f.weights[slices.Index(f.encoder.names, "tenure")], want[0], 1e-9)
		near("intercept", f.weights[len(f.weights)-1], want[1], 1e-9)
		if f.fitted.Iterations > 10 {
			t.Errorf("C = %g: %d iterations", c, f.fitted.Iterations)
		}
	}
}
