package model

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
	"churn/internal/pipeline"
	"churn/internal/status"
)

// A Source is customers to train on or to evaluate with: rows of a table in memory
// ([InMemory]), in a database (package sqldata), or in a file that is read in each pass
// (package streamdata). It computes sums over its rows. How it selects the rows of a split
// or a fold is opaque to the trainer.
type Source interface {
	// Table returns the schema and the levels that occur. It has rows only if they are in memory.
	Table() *dataset.Table

	// Split returns the training rows and those held out, a share of testSize of all
	// rows; 0 holds out none, and test is nil. The seed decides which.
	Split(testSize float64, seed uint64) (train, test Source, err error)

	// Folds divides the rows into n parts for cross-validation. Its function returns
	// part k, held, and the rest of the rows.
	Folds(ctx context.Context, n int, seed uint64) (func(k int) (rest, held Source), error)

	// Sample returns at most n of the rows: a table, and which of its rows these are.
	Sample(ctx context.Context, n int, seed uint64) (*dataset.Table, []int32, error)

	// Describe summarises the rows. That of a fold may be that of all folds' rows,
	// where a description is expensive.
	Describe(ctx context.Context) (*dataset.Description, error)

	// CountLevels summarises the categories alone; other features are left zero.
	CountLevels(ctx context.Context) ([]dataset.Summary, error)

	// Pass returns the pass over the rows that Fit needs. design is that of an encoder for Table.
	Pass(ctx context.Context, design *logreg.Rows) (logreg.Pass, error)

	// Predict returns the rows' labels and the probabilities that a classifier gives them.
	Predict(ctx context.Context, c Classifier) (Predictions, error)

	// Pair compares two classifiers, which have scored the rows.
	Pair(ctx context.Context, current, candidate Scored) (metric.Paired, error)

	// Hashes returns the rows' hashes by the schema's features, for fingerprints; nil if they are not in memory.
	Hashes(s *dataset.Schema) []uint64
}

// A FoldSource is a Source that sums up or predicts all folds of Folds together.
type FoldSource interface {
	Source

	// FoldPass returns a pass over all rows that adds the sums of each of n folds to its own.
	FoldPass(ctx context.Context, design *logreg.Rows, n int,
	) (func(ctx context.Context, w []float64, sums []*logreg.Sums) error, error)

	// PredictFolds is Predict of each fold by its own classifier. These differ in their weights only.
	PredictFolds(ctx context.Context, by []Classifier) ([]Predictions, error)
}

// foldSums are rows that keep the sums of each fold where the last pass of the first design was.
type foldSums struct {
	FoldSource
	design *logreg.Rows // nil before the first
	w      []float64
	sums   []*logreg.Sums
}

// Pass adds up the sums of the folds.
func (s *foldSums) Pass(ctx context.Context, design *logreg.Rows) (logreg.Pass, error) {
	s.design = cmp.Or(s.design, design)
	if s.design != design {
		return s.FoldSource.Pass(ctx, design)
	}
	pass, err := s.FoldPass(ctx, design, Folds)
	return func(ctx context.Context, w []float64, sums *logreg.Sums) error {
		s.w, s.sums = slices.Clone(w), nil
		for range Folds {
			s.sums = append(s.sums, logreg.NewSums(design.Width))
		}
		err := pass(ctx, w, s.sums)
		for _, part := range s.sums {
			sums.Add(part)
		}
		return err
	}, err
}

// restOf is rows without a fold, of which the first sums are known.
type restOf struct {
	Source
	all  *foldSums
	fold int
}

// Pass needs no pass over the rows where all's last was.
func (s *restOf) Pass(ctx context.Context, design *logreg.Rows) (logreg.Pass, error) {
	pass, err := s.Source.Pass(ctx, design)
	return func(ctx context.Context, w []float64, sums *logreg.Sums) error {
		if !slices.Equal(w, s.all.w) || design.ClassWeight != s.all.design.ClassWeight {
			return pass(ctx, w, sums)
		}
		for k, part := range s.all.sums {
			if k != s.fold {
				sums.Add(part)
			}
		}
		return nil
	}, err
}

// Folds is the number of parts for out-of-fold probabilities.
const Folds = 5

// foldsAtOnce folds are fitted at a time: the serial parts of one leave a core to the
// other. More would take more memory.
const foldsAtOnce = 2

// crossFit predicts each fold of the training rows by a fit to the others, which
// starts from the fit to all. Its terms are those chosen, or with nil are chosen for each fold.
func crossFit(ctx context.Context, train Source, o Options, all *fit, by *chosen) ([]Scored, error) {
	fold, err := train.Folds(ctx, Folds, o.Seed)
	if err != nil {
		return nil, err
	}
	out := make([]Scored, Folds)
	shared, _ := train.(*foldSums)
	if by == nil {
		shared = nil // the folds differ in more than weights
	}
	err = pipeline.Each(Folds, foldsAtOnce, func(_, k int) (err error) {
		rest, held := fold(k)
		by, o := by, o
		if by == nil {
			if by, err = choose(ctx, rest, o); err != nil {
				return inFold(k, err)
			}
		}
		o.C = by.c
		start := all.fitted.Weights
		if shared != nil {
			rest, start = &restOf{rest, shared, k}, shared.w
		}
		f, err := fitTo(ctx, rest, by.terms, o, start)
		if err != nil {
			return inFold(k, err)
		}
		if out[k].Rows, out[k].By = held, f.classifier(all.threshold()); shared == nil {
			out[k], err = score(ctx, held, out[k].By)
		}
		return err
	})
	if err != nil || shared == nil {
		return out, err
	}
	var classifiers []Classifier
	for _, s := range out {
		classifiers = append(classifiers, s.By)
	}
	predicted, err := shared.PredictFolds(ctx, classifiers)
	for k, p := range predicted {
		out[k].Predictions = p
	}
	return out, err
}

func inFold(k int, err error) error { return fmt.Errorf("fold %d of %d: %w", k+1, Folds, err) }

// sumsAt returns the sums of one pass.
func sumsAt(ctx context.Context, rows Source, design *logreg.Rows, w []float64) (*logreg.Sums, error) {
	pass, err := rows.Pass(ctx, design)
	if err != nil {
		return nil, err
	}
	sums := logreg.NewSums(design.Width)
	return sums, pass(ctx, w, sums)
}

// A Classifier is what a source needs of a model to score its rows.
type Classifier struct {
	Design    *logreg.Rows // how rows become numbers; it has no rows of its own
	Weights   []float64    // d+1, the intercept last
	Threshold float64      // the answer is positive for a probability of at least this
}

// Predictions are a scored set: labelled probabilities, row by row or counted by bin.
type Predictions interface {
	Ranking() metric.Ranking

	// ConfusionAt is exact at 0.5, at the classifier's threshold, and at a threshold that
	// was picked from such a Ranking.
	ConfusionAt(threshold float64) metric.Confusion
	LogLoss() float64
	LossesAbove(base float64) metric.LossSums // less those of one constant probability
	Brier() float64
	AUCErrorBound() float64 // 0 where the ranking is exact

	// Pool returns these and others, of other rows of the same source, as one set.
	Pool(others ...Predictions) Predictions
}

// BinnedPredictions are Predictions counted by bin.
type BinnedPredictions struct{ metric.Binned }

// Bin counts predictions of rows in memory.
func Bin(p Predictions, threshold float64) BinnedPredictions {
	rows := p.(*rowPredictions)
	return BinnedPredictions{metric.BinRows(rows.probabilities, rows.positive, threshold)}
}

// Pool adds others, of the same threshold.
func (p BinnedPredictions) Pool(others ...Predictions) Predictions {
	parts := []metric.Binned{p.Binned}
	for _, other := range others {
		parts = append(parts, other.(BinnedPredictions).Binned)
	}
	return BinnedPredictions{metric.Pool(parts...)}
}

const (
	startRows  = 200_000   // of rows that are not in memory; their minimum is some 0.01 from that of all
	startCells = 2_000_000 // fewer of wide ones
)

// StartSize is how many rows are fetched to start from, of those that are not in memory.
func StartSize(rows Source) int { return min(startRows, startCells/len(rows.Table().Columns)) }

// sampleStart returns weights to start from for rows that are not in memory: the minimum for a sample,
// by the encoder for all rows. nil is none.
func sampleStart(ctx context.Context, rows Source, d *dataset.Description, e *Encoder, o Options) ([]float64, error) {
	table, use, err := rows.Sample(ctx, StartSize(rows), o.Seed)
	if err != nil {
		return nil, err
	}
	o.Progress = nil
	o.C *= float64(d.Rows) / float64(len(use))
	f, err := fitWeights(ctx, InMemoryRows(table, use), d, e, o, nil, 0)
	if err != nil {
		return nil, ctx.Err() // it may have rows of one class only
	}
	return f.fitted.Weights, nil
}

// RequireClasses rejects rows that are not in memory for folds that are chosen by a hash, if one class has few: with
// enough the chance of none outside a fold of five is (1/5)⁵⁰.
func RequireClasses(d *dataset.Description) error {
	const least = 50
	if min(d.Positives, d.Rows-d.Positives) >= least {
		return nil
	}
	return status.Reject("%d rows of %d are positive: folds of rows that are not held in memory need %d of each class: "+
		"prepare more rows, or raise --memory", d.Positives, d.Rows, least)
}
