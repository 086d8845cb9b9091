package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/filedata"
	_ "churn/internal/filedata/parquet" // --labels takes Parquet files
	"churn/internal/fingerprint"
	"churn/internal/metric"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/predlog"

	"github.com/spf13/cobra"
)

// answer is a logged prediction of a customer whose outcome is known.
type answer struct {
	outcome     int32  // its number
	model       string // that gave it; "" of an outcome without an answer
	positive    bool   // predicted
	chosen      bool   // in the window asked for
	ts          float64
	probability float64
}

// outcomes are the outcomes of a file with the answers that they belong to.
type outcomes struct {
	*csvdata.Outcomes
	answers []answer // by outcome, so that sums have one order
}

// readLabelled joins the outcomes of o.labels to all records of the log. Of two
// answers to a request the one with the later time counts, of equal ones the later
// in the log, as when prepare adds outcomes to its rows.
func readLabelled(ctx context.Context, stderr io.Writer, o options, logs predlog.Logs, refs *references,
	q *drift.Quality) (
	warnings []string, err error,
) {
	var labels *csvdata.Outcomes
	labels, o.labels, err = filedata.ReadOutcomes(ctx, "drift", o.labels, o.form, refs.model.Schema, stderr)
	if invalid, ok := errors.AsType[*dataset.ValidationError](err); ok {
		return nil, errors.New(invalid.Error()) // status 2: a status of 1 would mean that there is drift
	}
	if err != nil {
		return nil, err
	}
	all := &outcomes{labels, make([]answer, len(labels.Positive))}
	repeated := 0
	_, err = predlog.Fold[*[]answer]{
		New: func() *[]answer { return new([]answer) },
		Add: func(chunk *[]answer, r *predlog.Record) {
			if n, known := all.Number(r.RequestID); known {
				*chunk = append(*chunk, answer{
					outcome: int32(n), model: r.ModelVersion, positive: r.Prediction == 1, ts: r.TS, probability: r.Probability,
				})
			}
		},
		Merge: func(chunk *[]answer) error {
			for _, a := range *chunk {
				old := &all.answers[a.outcome]
				if old.model != "" {
					repeated++
				}
				if old.model == "" || a.ts >= old.ts {
					*old = a
				}
			}
			return nil
		},
		IDs: true,
	}.Read(ctx, logs, 0)
	if err != nil {
		return nil, err
	}
	by := all.judged(o, refs)
	if q.Labelled = all.choose(o, by); by != refs {
		learned, err := all.learned(ctx, logs, refs)
		if err != nil {
			return nil, err
		}
		if learned { // there is nothing in them that it does not know
			by, q.Labelled = refs, all.choose(o, refs)
		}
	}
	if q.Labelled.Earlier = by != refs; q.Labelled.Earlier {
		warnings = append(warnings, fmt.Sprintf("fewer than %d outcomes are of customers whom the current model scored: "+
			"those of %s are compared, which answered before it", o.minRows, by.modelName))
	}
	if q.Labelled.Reason == "" {
		var sums *gradient
		if sums, err = all.gradient(ctx, logs, by); err == nil {
			all.compare(o, by, sums, q)
		}
	}
	if warnings = append(warnings, labels.Warnings(o.labels)...); repeated > 0 {
		warnings = append(warnings,
			fmt.Sprintf("%d records are of requests that have a later record, which counts", repeated))
	}
	if reason := q.Labelled.Reason; reason != "" {
		warnings = append(warnings, "no verdict on the outcomes: "+reason)
	}
	return warnings, err
}

// judged returns the model whose answers are compared: the current one or, while that has too few with an outcome,
// the one of those with enough, and of the same target, that answered last.
func (all *outcomes) judged(o options, refs *references) *references {
	rows, last := map[string]int{}, map[string]float64{}
	for _, a := range all.answers {
		if a.model != "" && a.ts >= o.earliest {
			rows[a.model]++
			last[a.model] = max(last[a.model], a.ts)
		}
	}
	if rows[refs.modelName] >= o.minRows {
		return refs
	}
	latest := func(a, b string) int { return cmp.Or(cmp.Compare(last[b], last[a]), strings.Compare(a, b)) }
	for _, name := range slices.SortedFunc(maps.Keys(rows), latest) {
		if rows[name] < o.minRows {
			continue
		}
		m, err := model.Read(name, modelstore.Open(o.dir).ReadModel)
		now := refs.model.Schema.Target
		if err == nil && m.Schema.Target.Name == now.Name && m.Schema.Target.Positive == now.Positive {
			return &references{modelName: name, model: m}
		}
	}
	return refs
}

// choose picks the answers of a model that were asked for, and no others.
func (all *outcomes) choose(o options, by *references) *drift.Labelled {
	l := &drift.Labelled{
		File: o.labels, Model: by.modelName, Outcomes: len(all.answers),
		Test: drift.MetricsOf(by.model.Metrics.Confusion, by.model.Metrics.LogLoss),
	}
	var chosen []*answer
	for n := range all.answers {
		a := &all.answers[n]
		a.chosen = false
		switch {
		case a.model == "":
			l.Unknown++
		case a.model != by.modelName:
			l.Others++
		case a.ts < o.earliest:
			l.Outside++
		default:
			chosen = append(chosen, a)
		}
	}
	if early := len(chosen) - o.last; o.lastGiven && o.last > 0 && early > 0 {
		slices.SortStableFunc(chosen, func(a, b *answer) int { return cmp.Compare(a.ts, b.ts) })
		l.Outside += early
		chosen = chosen[early:]
	}
	const least = 5 // outcomes of either class
	churned := 0
	for _, a := range chosen {
		a.chosen = true
		churned += metric.Indicator(all.Positive[a.outcome])
	}
	l.Rows = len(chosen)
	switch {
	case l.Rows < o.minRows:
		l.Reason = drift.NotEnough(l.Rows, "outcomes of customers scored by the current model", o.minRows)
	case min(churned, l.Rows-churned) < least:
		l.Reason = fmt.Sprintf("%d of the %d outcomes are positive, and a verdict needs %d of each class: "+
			"give the outcomes of all customers of a period, not of those alone who churned or stayed", churned, l.Rows, least)
	}
	return l
}

// compare fills in the realised metrics of the chosen answers, and compares them with the
// expected ones and with those of the test rows.
func (all *outcomes) compare(o options, refs *references, sums *gradient, q *drift.Quality) {
	var e metric.Expectation
	var probabilities []float64
	var predicted, positive []bool
	for n, a := range all.answers {
		if a.chosen {
			e.Add(a.probability, a.positive)
			probabilities, predicted = append(probabilities, a.probability), append(predicted, a.positive)
			positive = append(positive, all.Positive[n])
		}
	}
	l, r, own := q.Labelled, metric.Realise(probabilities, predicted, positive), refs.model.WeightError()
	l.Realised = new(drift.MetricsOf(r.Confusion, r.LogLoss.Value))
	l.Observed, l.Calibration = &r.Estimates, r.Calibration
	if refs.model.Training.Calibrated() {
		if sums != nil {
			e.Gradient = sums.Gradient
		}
		l.Expected, l.OwnError = new(e.Estimates(own)), own != nil
		if r.Calibration != nil {
			intercept, slope := r.Calibration.Expected(e, own)
			l.ExpectedCalibration = &metric.Calibration{Intercept: intercept, Slope: slope}
		}
	}
	q.CheckRealised(r, testOf(refs.model), o.quality.QualityLimits)
}

// gradient adds up the derivatives of the chosen answers, which needs their features and so the
// log once more; nil without the covariance of the weights.
func (all *outcomes) gradient(ctx context.Context, logs predlog.Logs, refs *references) (*gradient, error) {
	total := newGradient(refs)
	if total == nil {
		return nil, nil
	}
	_, err := predlog.Fold[*gradient]{
		New: func() *gradient { return newGradient(refs) },
		Add: func(g *gradient, r *predlog.Record) {
			if _, chosen := all.chosen(r); chosen {
				g.add(r)
			}
		},
		Merge: func(g *gradient) error { total.Merge(g.Gradient); return nil },
		IDs:   true,
	}.Read(ctx, logs, 0)
	return total, err
}

// chosen reports whether a record is a chosen answer, and the number of its outcome.
func (all *outcomes) chosen(r *predlog.Record) (n int, yes bool) {
	n, known := all.Number(r.RequestID)
	if !known {
		return n, false
	}
	a := &all.answers[n]
	return n, a.chosen && a.model == r.ModelVersion && a.ts == r.TS && a.probability == r.Probability
}

// learned reports whether most of the chosen answers, of an earlier model, are among the rows that the current one
// was fitted to, as after prepare --log.
func (all *outcomes) learned(ctx context.Context, logs predlog.Logs, refs *references) (bool, error) {
	m, hashes := refs.model, []uint64(nil)
	_, err := predlog.Fold[*dataset.Table]{
		New: func() *dataset.Table { return dataset.NewTable(m.Schema) },
		Add: func(t *dataset.Table, r *predlog.Record) {
			if n, chosen := all.chosen(r); chosen {
				values := make([]dataset.Value, len(m.Schema.Features))
				readValues(m.Schema, r, refs.days[r.ModelVersion], values)
				t.Append(&dataset.Row{Values: values, Positive: all.Positive[n]})
			}
		},
		Merge: func(t *dataset.Table) error {
			hashes = append(hashes, fingerprint.Hashes(t, m.Schema, dataset.AllRows(t.Rows()))...)
			return nil
		},
		IDs: true,
	}.Read(ctx, logs, 0)
	in, of := fingerprint.Overlap(m.Fingerprint, hashes)
	return 2*in > of, err
}

// gradient is a metric.Gradient of records that a model answered.
type gradient struct {
	*metric.Gradient
	model  *model.Model
	values []dataset.Value // of a record, in the schema's order
}

// newGradient returns one of no records, nil if the model does not have the covariance.
func newGradient(refs *references) *gradient {
	if refs.model == nil || refs.model.Covariance == nil {
		return nil
	}
	m := refs.model
	return &gradient{metric.NewGradient(m.Encoder.Width() + 1), m, make([]dataset.Value, len(m.Schema.Features))}
}

// readValues puts the features of a record in a schema's order. days is what is added to its dates.
func readValues(s *dataset.Schema, r *predlog.Record, days map[string]float64, values []dataset.Value) {
	for j, f := range s.Features {
		values[j] = dataset.Value{Missing: true, Level: f.Type == dataset.Category}
	}
	for i, f := range r.Features {
		if i >= len(values) || s.Features[i].Name != f.Name {
			i = s.Index(f.Name)
		}
		if i >= 0 && (f.Value.Missing || f.Value.Level == values[i].Level) {
			values[i] = f.Value
			values[i].Number += days[f.Name]
		}
	}
}

func (g *gradient) add(r *predlog.Record) {
	readValues(g.model.Schema, r, nil, g.values)
	g.Rows++
	g.model.Numbers(g.values, func(k int, x float64) { g.Gradient.Add(k, x, r.Probability, r.Prediction == 1) })
}

// testOf returns what the test rows say of a model.
func testOf(m *model.Model) drift.Test {
	return drift.Test{Confusion: m.Metrics.Confusion, LogLoss: m.Metrics.LogLoss}
}

// qualityFlags are the flags about a fall in quality.
type qualityFlags struct {
	drift.QualityLimits
	slope []float64
}

func (q *qualityFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Float64Var(&q.Drop, "quality-drop", 0.05, "fall in F1 or accuracy worth acting on, 0 to 1")
	f.Float64Var(&q.LossRise, "loss-rise", 0.1, "rise of the log loss worth acting on, relative")
	f.Float64SliceVar(&q.slope, "slope", []float64{0.7, 1.4}, "calibration slopes `from,to` that are not worth acting on")
}

func (q *qualityFlags) check() error {
	switch {
	case !(q.Drop > 0 && q.Drop < 1):
		return fmt.Errorf("--quality-drop %g: above 0 and below 1", q.Drop)
	case !(q.LossRise > 0 && q.LossRise < math.MaxFloat64):
		return fmt.Errorf("--loss-rise %g: above 0", q.LossRise)
	case len(q.slope) != 2 || !(q.slope[0] < 1) || !(q.slope[1] > 1) || math.IsInf(q.slope[1]-q.slope[0], 0):
		return fmt.Errorf("--slope %v: two numbers, below 1 and above 1, such as 0.7,1.4", q.slope)
	}
	q.SlopeFrom = [2]float64(q.slope)
	return nil
}
