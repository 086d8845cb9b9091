package model

import (
	"math"
	"math/rand/v2"
	"os"
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
		f, err := fitTo(t.Context(), InMemory(table), Terms{}, o, nil)
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

// PenaltyBias is above 1, at which a warning is given, where intervals do not cover the
// population's effects for the penalty's sake, and not where they do.
func TestPenaltyBiasTellsWhereIntervalsFail(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	cells, seeds := []struct {
		rows int
		c    float64
	}{{300, 1}, {1200, 1}, {1200, 0.01}}, 40
	if os.Getenv("CHURN_SIMULATE") != "" {
		cells, seeds = cells[:0], 200
		for _, rows := range []int{300, 1200, 5000} {
			for _, c := range []float64{1, 0.3, 0.1, 0.03, 0.01, 0.001} {
				cells = append(cells, struct {
					rows int
					c    float64
				}{rows, c})
			}
		}
	}
	truth := []float64{1, 0.7, -0.5, 0.3, 0}
	for _, cell := range cells {
		covered, warned := make([]int, len(truth)), 0
		for seed := range seeds {
			o := options()
			o.C = cell.c
			m, err := Train(t.Context(), drawn(uint64(seed), cell.rows, len(truth), 0,
				func(rng *rand.Rand, n []float64, _ []string) float64 {
					z := -1.2
					for j := range n {
						n[j] = rng.NormFloat64()
						z += truth[j] * n[j]
					}
					return z
				}), o)
			if err != nil {
				t.Fatal(err)
			}
			for j, c := range m.Coefficients[:len(truth)] {
				if math.Abs(c.Estimate-truth[j]*c.Per) < 1.96*c.StdError {
					covered[j]++
				}
			}
			if m.Training.PenaltyBias > 1 {
				warned++
			}
		}
		worst := float64(slices.Min(covered)) / float64(seeds)
		share := float64(warned) / float64(seeds)
		t.Logf("%5d rows, C = %-5g: worst coverage %.2f, bias above 1 in %.2f", cell.rows, cell.c, worst, share)
		if worst < 0.6 && share < 0.95 || worst > 0.85 && share > 0.2 {
			t.Errorf("%d rows, C = %g: worst coverage %.2f, bias above 1 in %.2f", cell.rows, cell.c, worst, share)
		}
	}
}
