package model

import (
	"context"
	"errors"
	"fmt"
	"math"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
)

// A Source is customers that stay where they are, such as in a database. It is asked
// for sums over parts of them, and knows no model.
type Source interface {
	Table() *dataset.Table // without rows: the schema, and the levels that occur

	Describe(ctx context.Context, part dataset.Subset) (*dataset.Description, error)
	Levels(ctx context.Context, part dataset.Subset) ([]dataset.Summary, error) // of the categories alone
	// Sums adds loss, gradient and Hessian, or with meat logreg's Meat. rows are the
	// encoder's for Table.
	Sums(ctx context.Context, part dataset.Subset, rows *logreg.Rows, w []float64, meat bool, sums *logreg.Sums) error
	Histogram(ctx context.Context, part dataset.Subset, rows *logreg.Rows, w []float64, threshold float64) (metric.Binned, error)
	// Pair counts the answers of two models, each at its own threshold.
	Pair(ctx context.Context, part dataset.Subset, rows [2]*logreg.Rows, w [2][]float64, thresholds [2]float64) (metric.Paired, error)
	// Golden returns at most so many customers of a part that has rows.
	Golden(ctx context.Context, part dataset.Subset, rows, most int) ([][]dataset.Value, error)
}

// TrainFrom is Train for the customers of a source. The split and the folds are by
// the hash of a key. The folds share the encoder of all training rows, and what
// hangs on the order of probabilities is as exact as metric.Binned's bins.
func TrainFrom(ctx context.Context, s Source, o Options) (*Model, error) {
	f := &sourceFit{Source: s, o: o, train: dataset.TrainSubset(o.TestSize)}
	m, err := f.fit(ctx)
	if err != nil {
		return nil, err
	}
	m.Threshold = 0.5
	var folds *sourceFolds
	if o.Tune != TuneNone || o.TestSize == 0 {
		if folds, err = f.cross(ctx); err != nil {
			return nil, err
		}
		m.Threshold = o.threshold(folds.all().Ranking())
	}
	p, err := s.Histogram(ctx, f.train, f.rows, m.weights, m.Threshold)
	if err != nil {
		return nil, err
	}
	m.refer(f.described, summarizeBinned(p))
	var j *Judgement
	if o.TestSize > 0 {
		j, err = m.judgeSource(ctx, s, dataset.TestSubset(o.TestSize), o.Detail)
		m.FiguresOn = OnTest
	} else {
		j = folds.judge(m)
		m.FiguresOn = OnFolds
	}
	if err != nil {
		return nil, err
	}
	m.Figures, m.Doubt = j.Figures, j.Doubt
	if o.Detail {
		m.Judgement = j
	}
	golden, err := s.Golden(ctx, f.train, f.described.Rows, goldenRows)
	for _, row := range golden {
		m.Golden = append(m.Golden, GoldenRow{row, m.Score(row).Probability})
	}
	return m, err
}

// sourceFit is one training on a source.
type sourceFit struct {
	Source
	o         Options
	train     dataset.Subset
	described *dataset.Description // of the training rows
	rows      *logreg.Rows         // the encoder's plan
	weights   []float64            // of the model
}

// fit describes the training rows and fits a model to them.
func (f *sourceFit) fit(ctx context.Context) (*Model, error) {
	t := f.Table()
	var err error
	if f.described, err = f.Describe(ctx, f.train); err != nil {
		return nil, err
	}
	d := f.described
	if d.Positives == 0 || d.Positives == d.Rows {
		return nil, tooFew("training", d.Rows, d.Positives)
	}
	encoder, err := encoderOf(t.Schema, d)
	if err != nil {
		return nil, err
	}
	f.rows = encoder.Rows(t, nil)
	if f.o.ClassWeight == WeightBalanced {
		n, ones := float64(d.Rows), float64(d.Positives)
		f.rows.ClassWeight = [2]float64{n / (2 * (n - ones)), n / (2 * ones)}
	}
	fitted, err := f.minimise(ctx, f.train, f.o.C, nil)
	if err != nil {
		return nil, err
	}
	if fitted.Sums.Rows != d.Rows {
		return nil, errMoved
	}
	m := newModel(t.Schema, encoder, f.o, d.Rows, fitted)
	f.weights = m.weights
	var meat *logreg.Sums
	if f.o.ClassWeight == WeightBalanced {
		meat = logreg.NewSums(encoder.Width())
		if err := f.Sums(ctx, f.train, f.rows, m.weights, true, meat); err != nil {
			return nil, err
		}
	}
	return m, m.infer(meat, encoder.shares(d))
}

// minimise is the function minimise.
func (f *sourceFit) minimise(ctx context.Context, part dataset.Subset, c float64, start []float64) (*logreg.Fitted, error) {
	pass := func(ctx context.Context, w []float64, sums *logreg.Sums) error {
		if err := f.Sums(ctx, part, f.rows, w, false, sums); err != nil || sums.Rows > 0 {
			return err
		}
		return tooFew("training", 0, 0)
	}
	return logreg.Fit(ctx, f.rows.Width, pass, c, start)
}

var errMoved = errors.New("the rows were changed while they were read: run this again when nobody writes")

func tooFew(part string, rows, positives int) error {
	return dataset.Refuse("%d %s rows, %d of them positive: each part needs both classes", rows, part, positives)
}

// encoderOf is FitEncoder for rows that were described.
func encoderOf(schema *dataset.Schema, d *dataset.Description) (*Encoder, error) {
	e := &Encoder{Numbers: map[string]Scaling{}, Levels: map[string][]string{}}
	for j := range schema.Features {
		f, s := &schema.Features[j], &d.Columns[j]
		if f.Type == dataset.Category {
			e.Levels[f.Name] = sortedLevels(s)
			continue
		}
		if s.Rows == 0 {
			return nil, errAllMissing(f.Name)
		}
		e.Numbers[f.Name] = filledScaling(s, d.Medians[j])
	}
	return e, e.bind(schema)
}

// filledScaling returns the mean and the deviation of a summary's rows with the
// missing ones at the median: the sums of both groups, about their common mean.
func filledScaling(s *dataset.Summary, median float64) Scaling {
	n, missing := float64(s.Rows), float64(s.Missing)
	all := n + missing
	squares := 0.0
	if !s.Constant() {
		squares = (n - 1) * s.Numbers.Std * s.Numbers.Std
	}
	out := Scaling{Median: median, Mean: s.Numbers.Mean + (median-s.Numbers.Mean)*(missing/all)}
	off, fill := s.Numbers.Mean-out.Mean, median-out.Mean
	out.Std = math.Sqrt((squares + n*off*off + missing*fill*fill) / all)
	if s.Constant() || out.Std < leastStd {
		out.Std = 1
	}
	return out
}

// sourceFolds are the probabilities of each fold of the training rows by a model
// that was fitted to the others.
type sourceFolds struct {
	f       *sourceFit
	parts   [Folds]dataset.Subset
	weights [Folds][]float64
	binned  [Folds]metric.Binned
}

func (f *sourceFit) cross(ctx context.Context) (*sourceFolds, error) {
	h := &sourceFolds{f: f}
	if err := f.checkFolds(ctx); err != nil {
		return nil, err
	}
	for k := range Folds {
		in, out := dataset.Fold(f.o.TestSize, k, Folds)
		fitted, err := f.minimise(ctx, out, f.o.C, f.weights)
		if err == nil {
			h.parts[k], h.weights[k] = in, fitted.Weights
			h.binned[k], err = f.Histogram(ctx, in, f.rows, fitted.Weights, 0.5)
		}
		if err != nil {
			return nil, fmt.Errorf("fold %d of %d: %w", k+1, Folds, err)
		}
	}
	all := h.all().Confusion()
	if all.TP+all.FN+all.FP+all.TN != f.described.Rows {
		return nil, errMoved
	}
	return h, nil
}

// checkFolds refuses folds of which the others have one class alone. Of many rows
// of either class some are in each: (1/5)⁵⁰ is the chance of none.
func (f *sourceFit) checkFolds(ctx context.Context) error {
	const many = 50
	d := f.described
	if min(d.Positives, d.Rows-d.Positives) >= many {
		return nil
	}
	for k := range Folds {
		_, out := dataset.Fold(f.o.TestSize, k, Folds)
		b, err := f.Histogram(ctx, out, f.rows, make([]float64, f.rows.Width+1), 0.5)
		if err != nil {
			return err
		}
		if c := b.Confusion(); c.TP+c.FN == 0 || c.FP+c.TN == 0 {
			return dataset.Refuse("%d rows of %d are positive: without fold %d of %d, chosen by the hash of the key, there are %d of %d: more rows are needed, of either class",
				d.Positives, d.Rows, k+1, Folds, c.TP+c.FN, c.TP+c.FN+c.FP+c.TN)
		}
	}
	return nil
}

// but returns the training rows without those of fold k; −1 leaves out none.
func (h *sourceFolds) but(k int) metric.Binned {
	var parts []metric.Binned
	for i, b := range h.binned {
		if i != k {
			parts = append(parts, b)
		}
	}
	return metric.Pool(parts...)
}

func (h *sourceFolds) all() metric.Binned { return h.but(-1) }

// judge counts each fold's answers at the threshold that the others picked, so that
// no row has a say in the threshold it is judged at.
func (h *sourceFolds) judge(m *Model) *Judgement {
	var total metric.Confusion
	var answers []asked
	for k := range Folds {
		threshold := h.f.o.threshold(h.but(k).Ranking())
		c := h.binned[k].ConfusionAt(threshold)
		total = metric.Confusion{TP: total.TP + c.TP, FP: total.FP + c.FP, FN: total.FN + c.FN, TN: total.TN + c.TN}
		answers = append(answers, asked{h.parts[k], h.f.rows, h.weights[k], threshold})
	}
	j := m.concludeBinned(h.all(), total, h.f.o.Detail)
	j.source, j.asked = h.f.Source, answers
	return j
}
