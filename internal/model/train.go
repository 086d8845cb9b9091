package model

import (
	"cmp"
	"context"
	"math"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
)

// Options say how to train. The zero value is not usable; cmd has the defaults.
type Options struct {
	Version     string
	Seed        uint64
	TestSize    float64 // share of rows held out for the figures; 0: none, figures from out-of-fold probabilities
	C           float64 // inverse strength of the penalty
	ClassWeight string  // WeightNone or WeightBalanced
	Tune        string  // how to pick the threshold: TuneNone, TuneF1 or TuneCost
	CostFP      float64 // of calling a customer who stays, for TuneCost
	CostFN      float64 // of missing one who leaves
	Detail      bool    // leave a Judgement in the model

	Progress func(rows int) // called after each pass over some rows, by any goroutine; nil: nobody wants to know
}

// Values of Options.ClassWeight and Options.Tune.
const (
	WeightNone     = "none"
	WeightBalanced = "balanced" // n/(2nₖ) for the rows of class k

	TuneNone = "0.5"
	TuneF1   = "f1"
	TuneCost = "cost"
)

// Train fits a model to a table and judges it on rows that it was not fitted to.
// Data that cannot be split is refused; a fit that does not converge is
// logreg.ErrNotConverged.
func Train(ctx context.Context, t *dataset.Table, o Options) (*Model, error) {
	train, test := dataset.AllRows(t.Rows()), []int32(nil)
	if o.TestSize > 0 {
		var err error
		if train, test, err = dataset.Split(t.Positive, o.TestSize, o.Seed); err != nil {
			return nil, err
		}
	}
	return TrainOn(ctx, t, o, train, test)
}

// TrainOn is Train with a given split. Without test rows the figures come from
// out-of-fold probabilities of the training rows.
func TrainOn(ctx context.Context, t *dataset.Table, o Options, train, test []int32) (*Model, error) {
	m, rows, err := fit(ctx, t, o, train, nil)
	if err != nil {
		return nil, err
	}
	if err := m.inferRows(ctx, rows); err != nil {
		return nil, err
	}
	m.Threshold = 0.5
	var held *outOfFold
	if o.Tune != TuneNone || len(test) == 0 {
		if held, err = crossPredict(ctx, t, o, train, m.weights); err != nil {
			return nil, err
		}
		m.Threshold = o.threshold(metric.Rank(held.probabilities, held.positive))
	}
	described := make(chan error, 1) // beside the figures: neither has work for all cores all the time
	go func() { described <- m.describe(ctx, t, rows) }()
	j := &Judgement{}
	switch {
	case len(test) == 0:
		answers, counted := held.answer(o)
		j = m.conclude(held.probabilities, held.positive, counted, o.Detail)
		j.rows, j.answers = train, answers
		m.FiguresOn = OnFolds
	case o.Detail:
		j, err = m.Examine(ctx, t, test)
		m.FiguresOn = OnTest
	default:
		j.Figures, err = m.Judge(ctx, t, test)
		m.FiguresOn = OnTest
	}
	if err := cmp.Or(<-described, err); err != nil {
		return nil, err
	}
	m.Figures = j.Figures
	if o.Detail {
		m.Judgement = j
	}
	m.addGolden(t, train)
	return m, nil
}

// describe fills in the reference: the training rows and their probabilities.
func (m *Model) describe(ctx context.Context, t *dataset.Table, rows *logreg.Rows) error {
	p, err := rows.Probabilities(ctx, m.weights)
	if err != nil {
		return err
	}
	metric.Sort(p) // on all cores: the summary sorts too, and is quick with what is in order
	d := &dataset.Description{}
	for j := range t.Columns {
		d.Columns = append(d.Columns, t.Summarize(j, rows.Use))
	}
	m.refer(d, dataset.SummarizeNumbers(p))
	return nil
}

// fit fits the encoder and the weights to some rows.
func fit(ctx context.Context, t *dataset.Table, o Options, use []int32, start []float64) (*Model, *logreg.Rows, error) {
	encoder, err := FitEncoder(t, use)
	if err != nil {
		return nil, nil, err
	}
	rows := encoder.Rows(t, use)
	if o.ClassWeight == WeightBalanced {
		rows.ClassWeight = balanced(t.Positive, use)
	}
	if len(start) != encoder.Width()+1 {
		start = nil
	}
	fitted, err := minimise(ctx, rows, o.C, start, o.Progress)
	if err != nil {
		return nil, nil, err
	}
	return newModel(t.Schema, encoder, o, len(use), fitted), rows, nil
}

// newModel returns a model that was fitted to so many rows, without all that is found out about it.
func newModel(schema *dataset.Schema, encoder *Encoder, o Options, rows int, fitted *logreg.Fitted) *Model {
	return &Model{
		Format: Format, Version: o.Version, Schema: schema, Encoder: encoder, weights: fitted.Weights,
		Training: Training{
			Rows: rows, Seed: o.Seed, TestSize: o.TestSize, C: o.C, ClassWeight: o.ClassWeight, Tune: o.Tune,
			CostFP: o.CostFP, CostFN: o.CostFN,
			Iterations: fitted.Iterations, Objective: fitted.Objective, GradientNorm: fitted.GradientNorm, NewtonStep: fitted.NewtonStep,
		},
		sums: fitted.Sums,
	}
}

// minimise fits weights to the rows, from start or from zeros.
func minimise(ctx context.Context, rows *logreg.Rows, c float64, start []float64, progress func(rows int)) (*logreg.Fitted, error) {
	grouped, err := rows.Group(ctx)
	if err != nil {
		return nil, err
	}
	pass := func(ctx context.Context, w []float64, sums *logreg.Sums) error {
		if progress != nil {
			defer func() { progress(len(rows.Use)) }()
		}
		return grouped.Pass(ctx, w, sums)
	}
	return logreg.Fit(ctx, rows.Width, pass, c, start)
}

// balanced returns n/(2nₖ) for both classes.
func balanced(positive []bool, use []int32) [2]float64 {
	positives := 0
	for _, i := range use {
		positives += number(positive[i])
	}
	n, ones := float64(len(use)), float64(positives)
	return [2]float64{n / (2 * (n - ones)), n / (2 * ones)}
}

// number is 1 for true: labels and folds are random, and a processor that
// guesses at a branch guesses wrong.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func pick(positive []bool, rows []int32) []bool {
	out := make([]bool, len(rows))
	for k, i := range rows {
		out[k] = positive[i]
	}
	return out
}

// threshold picks the threshold as the options say.
func (o Options) threshold(r metric.Ranking) float64 {
	switch o.Tune {
	case TuneF1:
		t, _ := r.BestThreshold(metric.Confusion.F1)
		return t
	case TuneCost:
		t, cost := r.BestThreshold(func(c metric.Confusion) float64 { return -o.cost(c) })
		if nobody := o.cost(r.AlwaysNegative()); nobody < -cost {
			return math.Nextafter(1, 2) // calling nobody is cheapest, not even for a probability of 1
		}
		return t
	}
	return 0.5
}

func (o Options) cost(c metric.Confusion) float64 {
	return o.CostFP*float64(c.FP) + o.CostFN*float64(c.FN)
}
