package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/metric"
	"churn/internal/pipeline"
	"churn/internal/status"
)

// Rows that metrics are of.
const (
	OnTest  = "test"        // held out from the fit
	OnFolds = "out-of-fold" // all, each with the probability of a model that was not fitted to it
	OnAll   = "all"         // all of a file, whether the model was fitted to them or not
)

// Metrics evaluate a model on some rows.
type Metrics struct {
	Rows      int              `json:"rows"`
	Positives int              `json:"positives"`
	Threshold float64          `json:"threshold"` // the model's
	Confusion metric.Confusion `json:"confusion"`

	Accuracy         float64 `json:"accuracy"`
	Precision        float64 `json:"precision"`
	Recall           float64 `json:"recall"`
	F1               float64 `json:"f1"`
	F1AtHalf         float64 `json:"f1_threshold_05"`
	ROCAUC           float64 `json:"roc_auc"`
	AveragePrecision float64 `json:"average_precision"`
	LogLoss          float64 `json:"log_loss"`
	Brier            float64 `json:"brier"`

	// What a constant answer reaches on the same rows.
	BaselineF1       float64  `json:"baseline_f1"`                // always negative: 0 on any rows
	BaselineF1All    float64  `json:"baseline_f1_always_1"`       // always positive
	BaselineAccuracy float64  `json:"baseline_accuracy"`          // the more frequent class
	CostPerCustomer  *float64 `json:"cost_per_customer,omitzero"` // with the costs of Options

	Intervals metric.Intervals `json:"intervals,omitzero"` // zeros in older documents
}

// measure returns the metrics of predictions that were ranked, and of answers that were
// counted, at one threshold; a nil cost is none.
func measure(p Predictions, r metric.Ranking, c metric.Confusion, threshold float64,
	cost func(metric.Confusion) float64) Metrics {
	positives, negatives := c.TP+c.FN, c.FP+c.TN
	all := metric.Confusion{TP: positives, FP: negatives}
	none := metric.Confusion{FN: positives, TN: negatives}
	logLoss := p.LogLoss()
	m := Metrics{
		Intervals: metric.Intervals{F1: c.F1Interval(), ROCAUC: r.AUCInterval(), LogLoss: r.LogLossInterval(logLoss)},
		Rows:      positives + negatives, Positives: positives, Threshold: threshold, Confusion: c,
		Accuracy: c.Accuracy(), Precision: c.Precision(), Recall: c.Recall(), F1: c.F1(),
		F1AtHalf:         p.ConfusionAt(0.5).F1(),
		ROCAUC:           r.AUC(),
		AveragePrecision: r.AveragePrecision(),
		LogLoss:          logLoss,
		Brier:            p.Brier(),
		BaselineF1:       none.F1(), BaselineF1All: all.F1(),
		BaselineAccuracy: max(all.Accuracy(), none.Accuracy()),
	}
	if cost != nil {
		m.CostPerCustomer = new(cost(c) / float64(m.Rows))
	}
	return m
}

// Scored is rows with the predictions that a classifier has made for them.
type Scored struct {
	Predictions
	Rows Source
	By   Classifier
}

func score(ctx context.Context, rows Source, by Classifier) (Scored, error) {
	p, err := rows.Predict(ctx, by)
	return Scored{p, rows, by}, err
}

// classifier returns the model as rows of its schema are scored by it.
func (m *Model) classifier(rows Source) Classifier {
	return Classifier{m.Encoder.Design(rows.Table()), m.weights, m.Threshold}
}

// pool returns the predictions of all sets, which have no row in common.
func pool(sets []Scored) Predictions {
	var others []Predictions
	for _, s := range sets[1:] {
		others = append(others, s.Predictions)
	}
	return sets[0].Pool(others...)
}

// An Evaluation is a model's metrics and curves on the same rows: those held out, or
// without a test part all of them, each row with the probability of the fit that it was
// not in, pooled.
//
// Pooled answers are counted at each fold's own threshold, so Metrics.Confusion
// need not be what Curves has at the model's.
type Evaluation struct {
	Metrics       Metrics
	AUCErrorBound float64 // how far the ROC AUC may be off: above 0 where probabilities were counted by bin

	model   *Model
	sets    []Scored
	ranking metric.Ranking
}

// Curves returns what is drawn of the evaluated rows.
func (e *Evaluation) Curves() metric.Curves {
	return e.ranking.Curves(e.model.Threshold, e.model.cost())
}

// Evaluate evaluates the model on the rows of a source of its schema, at its own threshold.
func (m *Model) Evaluate(ctx context.Context, rows Source) (*Evaluation, error) {
	s, err := score(ctx, rows, m.classifier(rows))
	if err != nil {
		return nil, err
	}
	return m.evaluation([]Scored{s}, s, s.ConfusionAt(m.Threshold)), nil
}

// evaluateFolds counts the answers of each fold at the threshold that the other folds
// picked, so that no row affects the threshold that it is evaluated at.
func (m *Model) evaluateFolds(folds []Scored, o Options) *Evaluation {
	var total metric.Confusion
	all := pool(folds)
	for k := range folds {
		if o.Tune != TuneNone {
			folds[k].By.Threshold = o.threshold(pool(slices.Concat(folds[:k], folds[k+1:])).Ranking())
		}
		total = total.Plus(folds[k].ConfusionAt(folds[k].By.Threshold))
	}
	return m.evaluation(folds, all, total)
}

func (m *Model) evaluation(sets []Scored, p Predictions, c metric.Confusion) *Evaluation {
	e := &Evaluation{AUCErrorBound: p.AUCErrorBound(), model: m, sets: sets, ranking: p.Ranking()}
	e.Metrics = measure(p, e.ranking, c, m.Threshold, m.cost())
	return e
}

// cost returns what answers cost, nil if the threshold was not picked for that.
func (m *Model) cost() func(metric.Confusion) float64 {
	if m.Training.Tune != TuneCost {
		return nil
	}
	return Options{CostFP: m.Training.CostFP, CostFN: m.Training.CostFN}.cost
}

// FoldMetrics are the metrics of one fold of cross-validation, at the model's threshold.
type FoldMetrics struct {
	Rows    int     `json:"rows"`
	F1      float64 `json:"f1"`
	ROCAUC  float64 `json:"roc_auc"`
	LogLoss float64 `json:"log_loss"`
}

// foldMetrics returns those of each fold; none where one has rows of one class only.
func foldMetrics(folds []Scored, threshold float64) []FoldMetrics {
	out := make([]FoldMetrics, len(folds))
	pipeline.Each(len(folds), runtime.GOMAXPROCS(0), func(_, k int) error {
		s, c := folds[k], folds[k].ConfusionAt(threshold)
		out[k] = FoldMetrics{c.Rows(), c.F1(), s.Ranking().AUC(), s.LogLoss()}
		return nil
	})
	if len(folds) == 0 || slices.ContainsFunc(out, func(f FoldMetrics) bool { return math.IsNaN(f.ROCAUC) }) {
		return nil
	}
	return out
}

// A TimeSplit is what a split by time shows beside the metrics.
type TimeSplit struct {
	Column   string     `json:"column"`
	From     string     `json:"test_from"` // the first time of the test rows
	Backtest []Backtest `json:"backtest"`
}

// A Backtest is the metrics of a fit to all rows before a time, on those from then on up to the
// next (rolling-origin evaluation; Tashman 2000, Out-of-sample tests of forecasting accuracy).
type Backtest struct {
	From      string   `json:"from"`
	TrainRows int      `json:"training_rows"`
	Metrics   *Metrics `json:"figures"`          // null: see Reason
	Reason    string   `json:"reason,omitempty"` // why there are no metrics
}

// BacktestByTime fits at four times, which divide the rows into fifths, or fewer of rows that share them. rows
// have times.
func BacktestByTime(ctx context.Context, rows Source, o Options) (*TimeSplit, error) {
	all := rows.(*memory)
	_, first := all.byTime(1 - o.TestSize)
	parts, from := all.byTime(0.2, 0.4, 0.6, 0.8)
	out := &TimeSplit{Column: o.TimeColumn, From: first[0], Backtest: []Backtest{}}
	o.TestLines, o.Progress = false, nil
	var before []int32
	for k, at := range from {
		before = append(before, parts[k].rows...)
		slices.Sort(before)
		if len(before) == 0 || len(parts[k+1].rows) == 0 {
			continue // the first time, or also the next one
		}
		b := Backtest{From: at, TrainRows: len(before)}
		m, err := TrainOn(ctx, InMemoryRows(all.table, slices.Clone(before)), parts[k+1], o)
		switch {
		case errors.Is(err, status.ErrRejected):
			b.Reason = err.Error()
		case err != nil:
			return nil, fmt.Errorf("backtest from %s: %w", at, err)
		default:
			b.Metrics = &m.Metrics
		}
		out.Backtest = append(out.Backtest, b)
	}
	return out, nil
}

// An Assessment is what is reported of a model and its metrics.
type Assessment struct {
	ModelFile    string        `json:"model_file"`
	ModelSHA256  string        `json:"model_sha256"`
	MetricsOn    string        `json:"figures_on"` // OnTest, OnFolds or OnAll
	Metrics      Metrics       `json:"figures"`
	GateF1       *float64      `json:"gate_f1"` // null: no gate of F1
	Verdict      Verdict       `json:"verdict"`
	PassedGate   bool          `json:"passed_gate"`
	Training     Training      `json:"training"`
	Data         Data          `json:"data"`
	Coefficients []Coefficient `json:"coefficients"`
	Effects      []Effect      `json:"effects,omitzero"`    // of terms that are not all lines and levels
	LineTests    []LineTest    `json:"line_tests,omitzero"` // of evaluate: of the training rows, or with --model of these
	Warnings     []string      `json:"warnings"`

	*Detail // of evaluate
}

// Detail is what evaluate reports beside the metrics, of the same rows.
type Detail struct {
	Curves   metric.Curves       `json:"curves"`
	Baseline metric.F1Difference `json:"always_positive"` // the model's F1 less that of the always-positive baseline
	Champion *Champion           `json:"champion"`        // null: there was no other current model

	// What can be expected of the actions asked for, by these rows.
	Capacity  *metric.Top      `json:"capacity,omitzero"`
	Profit    *metric.Profit   `json:"profit,omitzero"`
	SegmentBy string           `json:"segment_by,omitzero"`
	Segments  []metric.Segment `json:"segments,omitzero"`
}

// ActionOptions say what is to be done with a model's predictions.
type ActionOptions struct {
	Capacity int             // customers who can be called; 0: any number
	Campaign metric.Campaign // with the Value 0 there is none
	Segment  string          // feature to evaluate by; "" is none
}

// Act fills in what to expect of some actions among so many customers, of whom the evaluated rows are a sample.
func (d *Detail) Act(e *Evaluation, o ActionOptions, customers int) {
	d.Baseline = e.Metrics.Confusion.AgainstAlwaysPositive().Compare()
	d.SegmentBy = o.Segment
	if o.Capacity > 0 {
		d.Capacity = new(e.ranking.Top(o.Capacity, customers))
	}
	if o.Campaign.Value > 0 {
		d.Profit = e.ranking.Profit(o.Campaign, e.Metrics.Confusion)
		if t := d.Capacity; t != nil {
			t.Profit = new(o.Campaign.Calls(t.Capacity, t.Churners.Value))
		}
	}
	if o.Segment != "" {
		d.Segments = e.segments(o.Segment)
		metric.Segments(d.Segments)
	}
}

// segments divides rows in memory by the levels of a feature, or by a number's fifths of the training rows.
func (e *Evaluation) segments(feature string) (out []metric.Segment) {
	type key struct {
		upTo float64 // of a number; the missing cells are last
		name string
	}
	parts := map[key]*metric.Segment{}
	segment := e.segmentOf(feature)
	for _, s := range e.sets {
		rows, table := s.Predictions.(*rowPredictions), s.Rows.Table()
		j := table.Schema.Index(feature)
		for k, i := range rows.rows {
			upTo, name := segment(table.Value(int(i), j))
			p := parts[key{upTo, name}]
			if p == nil {
				p = &metric.Segment{Name: name}
				parts[key{upTo, name}] = p
			}
			p.Add(rows.probabilities[k], s.By.Threshold, rows.positive[k])
		}
	}
	inOrder := func(a, b key) int { return cmp.Or(cmp.Compare(a.upTo, b.upTo), strings.Compare(a.name, b.name)) }
	for _, of := range slices.SortedFunc(maps.Keys(parts), inOrder) {
		out = append(out, *parts[of])
	}
	return out
}

// segmentOf returns the function from a value to its segment and the order of that.
func (e *Evaluation) segmentOf(feature string) func(dataset.Value) (float64, string) {
	var cuts []float64
	if n := e.model.Reference.Columns[feature].Numbers; n != nil {
		if cuts = n.Cuts; len(cuts) == 9 { // of ten bins, take two together
			cuts = []float64{cuts[1], cuts[3], cuts[5], cuts[7]}
		}
	}
	return func(v dataset.Value) (float64, string) {
		i, _ := slices.BinarySearch(cuts, v.Number)
		switch {
		case v.Missing:
			return math.Inf(1), dataset.MissingLevel
		case v.Level:
			return 0, v.Text
		case len(cuts) == 0:
			return 0, "all numbers"
		case i == len(cuts):
			return math.MaxFloat64, fmt.Sprintf("above %.6g", cuts[i-1])
		case i > 0:
			return cuts[i], fmt.Sprintf("above %.6g, up to %.6g", cuts[i-1], cuts[i])
		}
		return cuts[i], fmt.Sprintf("up to %.6g", cuts[i])
	}
}
