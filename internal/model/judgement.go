package model

import (
	"context"
	"fmt"
	"math"
	"slices"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// A Judgement is a model's figures with all that a page about it shows of the same
// rows: those held out, or with no test part all of them, each row with the
// probability of the fold that was not fitted to it, pooled.
//
// Pooled answers are counted at each fold's own threshold, so Figures.Confusion
// need not be what Curves have at the model's.
type Judgement struct {
	Figures Figures
	Curves  metric.Curves
	Doubt   float64 // how far the ROC AUC may be off: above 0 where probabilities were counted by bin

	rows    []int32 // of the table
	answers []bool  // those that Figures counts

	source Source // instead of a table
	asked  []asked
}

// Judge computes the model's figures on rows of a table of its schema, at its own threshold.
func (m *Model) Judge(ctx context.Context, t *dataset.Table, rows []int32) (Figures, error) {
	p, y, err := m.predict(ctx, t, rows)
	if err != nil {
		return Figures{}, err
	}
	return m.conclude(p, y, metric.ConfusionAt(p, y, m.Threshold), false).Figures, nil
}

// Examine is Judge with all of a judgement.
func (m *Model) Examine(ctx context.Context, t *dataset.Table, rows []int32) (*Judgement, error) {
	p, y, err := m.predict(ctx, t, rows)
	if err != nil {
		return nil, err
	}
	j := m.conclude(p, y, metric.ConfusionAt(p, y, m.Threshold), true)
	j.rows, j.answers = rows, reach(p, m.Threshold)
	return j, nil
}

// predict returns the probabilities of rows and their labels.
func (m *Model) predict(ctx context.Context, t *dataset.Table, rows []int32) ([]float64, []bool, error) {
	p, err := m.Encoder.Rows(t, rows).Probabilities(ctx, m.weights)
	if err != nil {
		return nil, nil, err
	}
	if i := slices.IndexFunc(p, math.IsNaN); i >= 0 {
		return nil, nil, fmt.Errorf("the weights are so large that row %d has no probability", rows[i]+1)
	}
	return p, pick(t.Positive, rows), nil
}

// conclude judges probabilities and answers that were counted.
func (m *Model) conclude(p []float64, y []bool, c metric.Confusion, detail bool) *Judgement {
	return m.concludeFrom(counted(p, y), c, detail)
}

func (m *Model) concludeFrom(n counts, c metric.Confusion, detail bool) *Judgement {
	j := &Judgement{Figures: figures(n, c, m.Threshold)}
	cost := m.cost()
	j.Figures.addCost(cost)
	if detail {
		j.Curves = n.ranking.Curves(m.Threshold, cost)
	}
	return j
}

// reach tells which probabilities call for the answer churn.
func reach(p []float64, threshold float64) []bool {
	answers := make([]bool, len(p))
	for i, p := range p {
		answers[i] = p >= threshold
	}
	return answers
}

// cost returns what answers cost, nil if the threshold was not picked for that.
func (m *Model) cost() func(metric.Confusion) float64 {
	if m.Training.Tune != TuneCost {
		return nil
	}
	return Options{CostFP: m.Training.CostFP, CostFN: m.Training.CostFN}.cost
}

// addCost fills in what the answers cost; a nil cost is none.
func (f *Figures) addCost(cost func(metric.Confusion) float64) {
	f.CostPerCustomer = nil
	if cost != nil {
		each := cost(f.Confusion) / float64(f.Rows)
		f.CostPerCustomer = &each
	}
}
