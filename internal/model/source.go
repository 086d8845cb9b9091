package model

import (
	"context"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
)

// A Source is customers to train on or to evaluate with: rows of a table in memory
// ([InMemory]) or in a database (package sqldata). It computes sums over its rows. How
// it selects the rows of a split or a fold is opaque to the trainer.
type Source interface {
	// Table returns the schema and the levels that occur. It has rows only if they are in memory.
	Table() *dataset.Table

	// Split returns the training rows and those held out, a share of testSize of all
	// rows; 0 holds out none, and test is nil. The seed decides which.
	Split(testSize float64, seed uint64) (train, test Source, err error)

	// Folds divides the rows into n parts for cross-validation. Its function returns
	// part k, held, and the rest of the rows.
	Folds(ctx context.Context, n int, seed uint64) (func(k int) (rest, held Source), error)

	// Sample returns a table with at most n of the rows, and which of its rows these are.
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

	// Hashes returns the rows' hashes by the schema's features, for fingerprints; nil if the
	// rows are not in memory.
	Hashes(s *dataset.Schema) []uint64
}

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
	Summarize() dataset.Summary

	// Pool returns these and others, of other rows of the same source, as one set.
	Pool(others ...Predictions) Predictions
}
