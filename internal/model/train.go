package model

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"churn/internal/dataset"
	"churn/internal/fingerprint"
	"churn/internal/logreg"
	"churn/internal/metric"
	"churn/internal/status"
)

// Options say how to train. The zero value is not usable; cmd has the defaults.
type Options struct {
	Version     string
	Seed        uint64
	TimeColumn  string  // of a table's times; "" without
	TestSize    float64 // share of rows held out for the metrics; 0: none, metrics from out-of-fold probabilities
	C           float64 // inverse strength of the penalty
	AutoC       bool    // choose C by cross-validation
	Terms       string  // TermsLine, TermsCurve or TermsAuto
	Pairs       PairOptions
	ClassWeight string  // WeightNone or WeightBalanced
	RawWeights  bool    // with WeightBalanced: keep the intercept that the weights lead to
	Tune        string  // how to pick the threshold: TuneNone, TuneF1 or TuneCost
	CostFP      float64 // cost of a false positive, for TuneCost
	CostFN      float64 // cost of a false negative
	TestLines   bool    // fill in Model.LineTests

	Progress func(rows int) // if not nil, called after each pass over some rows, by any goroutine
}

const correlationRows = 50_000 // of more, a sample: its error is far below what is worth acting on

// Values of Options.ClassWeight and Options.Tune.
const (
	WeightNone     = "none"
	WeightBalanced = "balanced" // n/(2nₖ) for the rows of class k

	TuneNone = "0.5" // with class weights it is that probability by the weighted odds: see fit.threshold
	TuneF1   = "f1"
	TuneCost = "cost"
)

// Train fits a model to a source's training rows, and evaluates it on rows that it was
// not fitted to. Data that cannot be split is rejected; a fit that does not converge is
// logreg.ErrNotConverged.
func Train(ctx context.Context, s Source, o Options) (*Model, error) {
	train, test, err := s.Split(o.TestSize, o.Seed)
	if err != nil {
		return nil, err
	}
	return TrainOn(ctx, train, test, o)
}

// TrainOn is Train with a given split. If test is nil the metrics come from
// out-of-fold probabilities of the training rows.
func TrainOn(ctx context.Context, train, test Source, o Options) (*Model, error) {
	needFolds := o.Tune != TuneNone || test == nil
	if s, ok := train.(FoldSource); ok && needFolds {
		train = &foldSums{FoldSource: s}
	}
	m, f, chosen, err := fitModel(ctx, train, o)
	if err != nil {
		return nil, err
	}
	m.Threshold = f.threshold()
	var folds []Scored
	if needFolds {
		if test == nil && chosen.report != nil { // choose in each fold, or the metrics would be too good
			chosen = nil
		}
		if folds, err = crossFit(ctx, train, o, f, chosen); err != nil {
			return nil, err
		}
		if o.Tune != TuneNone {
			m.Threshold = o.threshold(pool(folds).Ranking())
		}
	}
	summarized := make(chan error, 1) // runs beside the evaluation, since neither keeps all cores busy
	go func() { summarized <- m.summarize(ctx, train, f) }()
	if test != nil {
		m.Evaluation, err = m.Evaluate(ctx, test)
		m.MetricsOn = OnTest
	} else {
		m.Evaluation = m.evaluateFolds(folds, o)
		m.MetricsOn = OnFolds
	}
	if err := cmp.Or(<-summarized, err); err != nil {
		return nil, err
	}
	m.Training.Folds = foldMetrics(folds, m.Threshold)
	m.Metrics = m.Evaluation.Metrics
	if c := m.Metrics.Confusion; c.TP+c.FN == 0 || c.FP+c.TN == 0 {
		return nil, tooFew("test", c.Rows(), c.TP+c.FN)
	}
	for _, row := range m.madeUp(goldenRows) {
		m.Golden = append(m.Golden, GoldenRow{row, m.Score(row).Probability})
	}
	return m, nil
}

// fitModel chooses the terms and fits them: the model has its weights with their standard errors,
// and neither threshold nor metrics.
func fitModel(ctx context.Context, train Source, o Options) (*Model, *fit, *chosen, error) {
	if train.Table().Rows() == 0 { // first, so that the choice is by a part of the same sample
		if _, _, err := train.Sample(ctx, StartSize(train), o.Seed); err != nil {
			return nil, nil, nil, err
		}
	}
	chosen, err := choose(ctx, train, o)
	if err != nil {
		return nil, nil, nil, err
	}
	o.C = chosen.c
	f, err := fitTo(ctx, train, chosen.terms, o, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	m := newModel(f, o)
	m.LackingPairs = chosen.lacking
	if m.Training.Choice = chosen.report; o.Terms != TermsLine {
		m.Training.Terms = o.Terms
	}
	errs, err := m.covariance(ctx, train, f)
	if err != nil {
		return nil, nil, nil, err
	}
	m.Training.EffectiveDF = f.fitted.EffectiveDF
	m.Covariance = covarianceFactor(errs.cov)
	if f.encoder.Linear() {
		m.infer(errs, f.encoder.means(f.described), nil)
	} else {
		over, err := f.moments(ctx, train)
		if err != nil {
			return nil, nil, nil, err
		}
		pure := m.summarizeEffects(over)
		m.addPoints(over, pure, errs, f, chosen.sample)
		m.infer(errs, over.means, pure)
	}
	if o.TestLines {
		m.LineTests, err = m.TestLines(ctx, train)
	}
	return m, f, chosen, err
}

// summarize fills in the reference: the training rows and their probabilities. Of rows that are not in memory
// probabilities, correlations and kurtosis are those of the sample that the fit began with.
func (m *Model) summarize(ctx context.Context, train Source, f *fit) error {
	rows, by := train, f.classifier(m.Threshold)
	m.Reference.Columns = map[string]dataset.Summary{}
	for j, feature := range m.Schema.Features {
		m.Reference.Columns[feature.Name] = f.described.Columns[j]
	}
	if train.Table().Rows() == 0 {
		table, use, err := train.Sample(ctx, StartSize(train), m.Training.Seed)
		if err != nil {
			return err
		}
		rows, by.Design = InMemoryRows(table, use), f.encoder.Design(table)
		for j, feature := range m.Schema.Features {
			if s := f.described.Columns[j]; s.Numbers != nil && !s.Constant() && s.Numbers.Kurtosis == 0 {
				n := *s.Numbers
				n.Kurtosis, s.Numbers = table.Summarize(j, use).Numbers.Kurtosis, &n
				m.Reference.Columns[feature.Name] = s
			}
		}
	}
	p, err := rows.Predict(ctx, by)
	if err != nil {
		return err
	}
	m.Reference.Probability = dataset.SummarizeNumbers(slices.Clone(p.(*rowPredictions).probabilities))
	m.Fingerprint = fingerprint.Of(train.Hashes(m.Schema))
	table, use, err := rows.Sample(ctx, correlationRows, m.Training.Seed)
	if err == nil {
		m.Reference.Correlations = table.Correlations(use, f.described.Columns)
	}
	return err
}

// madeUp returns n customers that are nobody's: each cell is drawn by itself from its column's
// summary. Of the first n/2 columns with missing cells each has one missing, in a row of its own.
func (m *Model) madeUp(n int) [][]dataset.Value {
	rows, missing := make([][]dataset.Value, n), 0
	for j, f := range m.Schema.Features {
		summary := m.Reference.Columns[f.Name]
		levels := slices.Sorted(maps.Keys(summary.Levels))
		var numbers []float64
		if s := summary.Numbers; s != nil {
			numbers = append(append(numbers, s.Min, s.Max), s.Cuts...)
		}
		empty := -1
		if summary.Missing > 0 && missing < n/2 {
			empty, missing = missing, missing+1
		}
		rng := rand.New(rand.NewPCG(uint64(j), uint64(n)))
		for i := range rows {
			v := dataset.Value{Level: f.Type == dataset.Category}
			switch v.Missing = i == empty || summary.Rows == 0; {
			case v.Missing:
			case v.Level:
				v.Text = levels[rng.IntN(len(levels))]
			default:
				v.Number = numbers[rng.IntN(len(numbers))]
			}
			rows[i] = append(rows[i], v)
		}
	}
	return rows
}

func tooFew(part string, rows, positives int) error {
	return status.Reject("%d %s rows, %d of them positive: each part needs both classes: prepare more rows",
		rows, part, positives)
}

// fit is an encoder and weights fitted to some rows.
type fit struct {
	described *dataset.Description
	encoder   *Encoder
	design    *logreg.Rows
	fitted    *logreg.Fitted
	weights   []float64 // fitted.Weights; with class weights their intercept is calibrated, unless Options.RawWeights
}

func (f *fit) classifier(threshold float64) Classifier {
	return Classifier{f.design, f.weights, threshold}
}

// shift is what was added to the intercept for the class weights.
func (f *fit) shift() float64 { return f.weights[f.design.Width] - f.fitted.Weights[f.design.Width] }

// threshold is the probability that is 0.5 before the shift.
func (f *fit) threshold() float64 { return logreg.Sigmoid(f.shift()) }

// calibrate makes the mean probability of the rows that of the positive ones, as it is without
// class weights. These have multiplied the odds by their ratio, which is where the search begins:
// the prior correction of King & Zeng (2001, Logistic Regression in Rare Events Data, section
// 4.1). It is the answer where the model is true and there is no penalty.
func (f *fit) calibrate(ctx context.Context, rows Source) error {
	last, design := f.design.Width, *f.design
	design.ClassWeight = [2]float64{1, 1}
	pass, err := rows.Pass(ctx, &design)
	if err != nil {
		return err
	}
	intercept := func(ctx context.Context, w []float64, sums *logreg.Sums) error {
		all := logreg.NewSums(last)
		err := pass(ctx, append(f.weights[:last:last], w[0]), all)
		sums.Rows, sums.Loss = all.Rows, all.Loss
		sums.Gradient[0], sums.Hessian[0] = all.Gradient[last], all.Hessian[len(all.Hessian)-1]
		return err
	}
	ratio := f.design.ClassWeight[1] / f.design.ClassWeight[0]
	fitted, err := logreg.Fit(ctx, intercept, logreg.Problem{C: 1, Start: []float64{f.weights[last] - math.Log(ratio)}})
	if err != nil {
		return fmt.Errorf("calibrating the intercept: %w", err)
	}
	f.weights = append(f.weights[:last:last], fitted.Weights[0])
	return nil
}

// foldTolerance is on the last Newton step of a fit to nearly the same rows as start: its square
// remains, far below what the probabilities differ by between folds.
const foldTolerance = 1e-5

const (
	unverified     = 1e-8 // bound on the error of a weight from rows that are not in memory
	unverifiedFold = 1e-4 // where it is only for out-of-fold probabilities, which are counted in bins of 1e-4
)

// fitTo fits to rows, beginning at start if it has as many weights as the fit. Without a start it begins
// at zeros or, if the rows are not in memory, at the minimum for a sample.
func fitTo(ctx context.Context, rows Source, terms Terms, o Options, start []float64) (*fit, error) {
	d, err := rows.Describe(ctx)
	if err != nil {
		return nil, err
	}
	encoder, err := newEncoder(rows.Table().Schema, d, terms)
	if err != nil {
		return nil, err
	}
	tolerance := 0.0
	if start != nil {
		tolerance = foldTolerance
	} else if rows.Table().Rows() == 0 {
		if start, err = sampleStart(ctx, rows, d, encoder, o); err != nil {
			return nil, err
		}
	}
	f, err := fitWeights(ctx, rows, d, encoder, o, start, tolerance)
	if err == nil && o.ClassWeight == WeightBalanced && !o.RawWeights {
		err = f.calibrate(ctx, rows)
	}
	return f, err
}

// fitWeights is fitTo for rows that were described and encoded, with a tolerance of the Newton step, or 0.
func fitWeights(ctx context.Context, rows Source, d *dataset.Description, encoder *Encoder, o Options,
	start []float64, tolerance float64) (*fit, error) {
	if d.Positives == 0 || d.Positives == d.Rows {
		return nil, tooFew("training", d.Rows, d.Positives)
	}
	table := rows.Table()
	f := &fit{described: d, encoder: encoder, design: encoder.Design(table)}
	if o.ClassWeight == WeightBalanced {
		n, ones := float64(d.Rows), float64(d.Positives)
		f.design.ClassWeight = [2]float64{n / (2 * (n - ones)), n / (2 * ones)}
	}
	sum, err := rows.Pass(ctx, f.design)
	if err != nil {
		return nil, err
	}
	pass := func(ctx context.Context, w []float64, sums *logreg.Sums) error {
		err := sum(ctx, w, sums)
		if o.Progress != nil {
			o.Progress(sums.Rows)
		}
		return err
	}
	if len(start) != encoder.Width()+1 {
		start = make([]float64, encoder.Width()+1)
	}
	problem := logreg.Problem{
		C: o.C, Penalty: encoder.penalty, Start: start, Tolerance: tolerance, Monotone: encoder.monotone,
	}
	if table.Rows() == 0 {
		problem.Unverified = unverified
		if _, fold := rows.(*restOf); fold {
			problem.Unverified = unverifiedFold
		}
		problem.LogitChange = func(step []float64) float64 { return encoder.logitChange(d, step) }
	}
	f.fitted, err = logreg.Fit(ctx, pass, problem)
	if err != nil {
		return nil, err
	}
	f.weights = f.fitted.Weights
	return f, nil
}

// newModel returns the model of a fit, without coefficients, metrics and reference.
func newModel(f *fit, o Options) *Model {
	m := &Model{
		Format: Format, Version: o.Version,
		Schema: f.encoder.schema, Encoder: f.encoder, weights: f.weights,
		Training: Training{
			Rows: f.described.Rows, Positives: f.described.Positives, Seed: o.Seed,
			TestSize: o.TestSize, TimeColumn: o.TimeColumn,
			C: o.C, Shrink: f.encoder.shrink, ShrinkPairs: f.encoder.shrinkPairs, ClassWeight: o.ClassWeight,
			Tune: o.Tune, CostFP: o.CostFP, CostFN: o.CostFN,
			Iterations: f.fitted.Iterations, Objective: f.fitted.Objective,
			GradientNorm: f.fitted.GradientNorm, NewtonStep: f.fitted.NewtonStep,
		},
	}
	if !f.encoder.Linear() {
		m.Format = FormatTerms
	}
	if o.ClassWeight == WeightBalanced && !o.RawWeights {
		m.Training.InterceptShift = new(f.shift())
	}
	return m
}

// threshold picks the threshold by Tune.
func (o Options) threshold(r metric.Ranking) float64 {
	switch o.Tune {
	case TuneF1:
		t, _ := r.BestThreshold(metric.Confusion.F1)
		return t
	case TuneCost:
		t, cost := r.BestThreshold(func(c metric.Confusion) float64 { return -o.cost(c) })
		if none := o.cost(r.AlwaysNegative()); none < -cost {
			return math.Nextafter(1, 2) // predicting no churn at all is cheapest: no probability reaches it
		}
		return t
	}
	return 0.5
}

func (o Options) cost(c metric.Confusion) float64 {
	return o.CostFP*float64(c.FP) + o.CostFN*float64(c.FN)
}
