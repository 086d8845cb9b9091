package main

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"churn/internal/alert"
	"churn/internal/cli"
	"churn/internal/drift"
	"churn/internal/metric"
	"churn/internal/model"
)

// result is what drift prints: what was found, and what became of the alert.
type result struct {
	drift.Result
	Alert *alert.Outcome `json:"alert,omitzero"` // nil without an address
}

// compare reads the references and the records, and compares them.
func compare(ctx context.Context, o options, stderr io.Writer) (*result, error) {
	refs, err := loadReferences(o.dir)
	if err != nil {
		return nil, err
	}
	if o.labels != "" && refs.model == nil {
		return nil, errors.New("--labels needs a current model, whose answers they are to be compared with")
	}
	if o.from.Given() {
		o.logs = []string{o.from.From + "#" + o.from.Table}
	}
	since := o.earliest
	if o.labels != "" {
		since = math.Inf(-1) // it says how many outcomes are of earlier records
	}
	logs, remove, err := o.from.Logs(ctx, stderr, o.logs, o.needed(), since, refs.schema())
	if err != nil {
		return nil, err
	}
	defer remove()
	o.logs = logs
	w, err := readWindow(ctx, o, refs, stderr)
	if err != nil {
		return nil, err
	}
	r, q, err := evaluate(w, refs, o)
	if err == nil {
		err = r.addWindows(ctx, o, refs, w)
	}
	if err == nil && o.labels != "" {
		var warnings []string
		warnings, err = readLabelled(ctx, stderr, o, w.logs, refs, q)
		r.Warnings = append(r.Warnings, warnings...)
	}
	if err != nil {
		return nil, err
	}
	if q != nil {
		r.AddQuality(q)
	}
	return r, nil
}

// needed returns how many records of a table are compared, the latest; 0 is all.
func (o *options) needed() int {
	if o.labels != "" || o.last > math.MaxInt32 {
		return 0
	}
	return o.last * max(o.windows, drift.Persistent)
}

// addWindows adds the windows asked for, and decides by the windows before whether a watch is an
// alert. The log is read again for that only if something is a watch.
func (r *result) addWindows(ctx context.Context, o options, refs *references, w *window) error {
	windows, watch := o.windows, func(c drift.Check) bool { return c.Severity == drift.Watch }
	separate := o.last > 0 // else no records are left
	if separate && slices.ContainsFunc(r.Checks, watch) {
		windows = max(windows, drift.Persistent)
	}
	if windows == 0 {
		return nil
	}
	history, err := readHistory(ctx, o, refs, w, windows)
	if separate {
		r.Persist(history)
	}
	if o.windows > 0 {
		r.Windows = history[max(0, len(history)-o.windows):]
	}
	return err
}

// evaluate compares a window with the references.
func evaluate(w *window, refs *references, o options) (*result, *drift.Quality, error) {
	if w.found.Records < o.minRows {
		few := drift.NotEnough(w.found.Records, "records in "+w.name, o.minRows)
		return nil, nil, errors.New(strings.Join(append([]string{few}, w.warnings()...), "; "))
	}
	r := &result{Result: drift.Result{
		Records: w.found.Records, Malformed: w.found.Malformed, Truncated: w.found.Truncated,
		Model: refs.modelName, ModelRecords: w.byModel.Rows, ReferenceZ: []drift.ReferenceZ{}, ZThreshold: o.zThreshold,
		Warnings: slices.Concat([]string{}, refs.warnings, w.warnings()),
	}}
	for _, c := range w.means {
		if c.Live.Rows >= o.minRows {
			r.ReferenceZ = append(r.ReferenceZ, drift.CompareReferenceZ(c, o.zThreshold))
		} else {
			r.TooFew = append(r.TooFew, c.Name)
		}
	}
	var columns []drift.Column
	for _, c := range w.columns {
		if c.Rows() >= o.minRows {
			columns = append(columns, c)
			continue
		}
		r.TooFew = append(r.TooFew, c.Name)
		r.Warnings = append(r.Warnings, cli.Printable(c.Name)+": "+drift.NotEnough(c.Rows(), "records", o.minRows))
	}
	if len(columns) == 0 {
		return nil, nil, errors.New(drift.NotEnough(0, "columns of the model in enough records", 1))
	}
	r.Compare(columns, w.pairs)
	if refs.model == nil {
		return r, nil, nil
	}
	return r, qualityOf(refs.model, w.byModel, o), nil
}

// qualityOf estimates how good the current model's answers in the window are.
func qualityOf(m *model.Model, e metric.Expectation, o options) *drift.Quality {
	q := &drift.Quality{
		Calibrated: m.Training.Calibrated(), Rows: e.Rows,
		Test: drift.MetricsOf(m.Metrics.Confusion, m.Metrics.LogLoss), Checks: []drift.Check{},
	}
	switch {
	case !q.Calibrated:
		q.Reason = "it was trained with class weights, so its probabilities are not shares of customers"
	case e.Rows < o.minRows:
		q.Reason = drift.NotEnough(e.Rows, "records scored by it", o.minRows)
	default:
		own := m.WeightError()
		q.Expected, q.OwnError = new(e.Estimates(own)), own != nil
		if q.OwnError {
			q.CheckExpected(e, testOf(m), o.quality.QualityLimits)
		}
	}
	return q
}

// alerts returns the checks that alert.
func (r *result) alerts() []alert.Check {
	var out []alert.Check
	for _, c := range r.All() {
		if c.Severity == drift.Alert {
			out = append(out, alert.Check{
				Column: c.Column, Kind: c.Title(), Sentence: c.Sentence,
				Value: math.Abs(c.Effect), Threshold: c.Threshold, Unit: c.Unit,
			})
		}
	}
	return out
}
