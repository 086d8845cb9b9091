package drift

import (
	"cmp"
	"slices"
	"strconv"

	"churn/internal/metric"
)

// A Result is what drift found in a window of the log. It is the document that the
// command prints as JSON; its table and its page show the same.
type Result struct {
	Verdict      Severity        `json:"verdict"`
	Drift        bool            `json:"drift"`   // an alert of either sort
	Records      int             `json:"records"` // in the window
	Malformed    int             `json:"bad_lines"`
	Truncated    bool            `json:"torn_last_line"`
	Model        string          `json:"current_model"`         // "" without one
	ModelRecords int             `json:"current_model_records"` // of the records, answered by it
	ReferenceZ   []ReferenceZ    `json:"lab"`
	ZThreshold   float64         `json:"z_threshold"` // from which a reference z score alerts
	Checks       []Check         `json:"checks"`
	Columns      []Distribution  `json:"columns"`
	Windows      []WindowSummary `json:"windows,omitempty"` // the oldest first, if requested
	Quality      *Quality        `json:"quality,omitzero"`  // of the current model
	Warnings     []string        `json:"warnings"`

	TooFew []string `json:"-"` // columns without enough rows for a verdict
}

// Compare fills in the checks of the columns and pairs and the verdict, which is an alert if a
// reference z score alerts.
func (r *Result) Compare(columns []Column, pairs Pairs) {
	r.Checks, r.Verdict = Compare(columns, pairs)
	for _, z := range r.ReferenceZ {
		if z.Alert {
			r.Verdict = Alert
		}
	}
	r.Drift = r.Verdict == Alert
	for _, c := range columns {
		r.Columns = append(r.Columns, c.distribution())
	}
}

// Persist makes a watch an alert if the same check was significant in the windows before, Persistent in all:
// a difference that stays is no chance, and small ones add up. The last of the windows is that of r.
func (r *Result) Persist(windows []WindowSummary) {
	if len(windows) < Persistent {
		return
	}
	before := windows[len(windows)-Persistent : len(windows)-1]
	for i := range r.Checks {
		c := &r.Checks[i]
		ended := func(w WindowSummary) bool { return !slices.Contains(w.Significant, c.key()) }
		if c.Severity == Watch && !slices.ContainsFunc(before, ended) {
			c.Severity, c.Sentence = Alert, c.Sentence+", in "+strconv.Itoa(Persistent)+" windows in a row"
			r.Verdict, r.Drift = Alert, true
		}
	}
}

// All returns the reference z scores as checks, and then the checks.
func (r *Result) All() []Check {
	var all []Check
	for _, z := range r.ReferenceZ {
		all = append(all, z.Check(r.ZThreshold))
	}
	all = append(all, r.Checks...)
	if r.Quality != nil {
		all = append(all, r.Quality.Checks...)
	}
	return all
}

// Quality is how good the current model's predictions are: what to expect of those in
// the window, and what was realised where the outcomes are known.
type Quality struct {
	Calibrated bool              `json:"holds"`     // its probabilities can be taken for shares of customers
	Reason     string            `json:"reason"`    // why Expected is null
	Rows       int               `json:"rows"`      // of the window that it answered
	Expected   *metric.Estimates `json:"expected"`  // of those
	Test       Metrics           `json:"test"`      // when it was trained
	OwnError   bool              `json:"own_error"` // the intervals of Expected contain the error of the model's weights
	Checks     []Check           `json:"checks"`    // whether it has fallen, corrected for their number
	Labelled   *Labelled         `json:"labelled,omitzero"`
}

// Labelled is about the customers whose outcome is known, wherever in the log they are, since
// outcomes are mostly older than the window; with a time, or a number given, the latest of them.
type Labelled struct {
	File     string            `json:"file"`
	Outcomes int               `json:"outcomes"`     // different ids in it with an outcome
	Rows     int               `json:"rows"`         // of them that the current model answered
	Others   int               `json:"other_models"` // that another model answered
	Unknown  int               `json:"unknown"`      // that no record has
	Outside  int               `json:"outside"`      // that the current model answered too early for what was asked
	Realised *Metrics          `json:"realised"`     // of Rows; null where they are too few or of one class
	Observed *metric.Estimates `json:"observed"`     // the same, with intervals
	Expected *metric.Estimates `json:"expected"`     // of the same; null without calibrated probabilities
	OwnError bool              `json:"own_error"`    // the intervals of Expected contain the error of the model's weights
	Reason   string            `json:"reason"`       // why Realised is null

	Calibration         *metric.Calibration `json:"calibration"`          // refit to the outcomes
	ExpectedCalibration *metric.Calibration `json:"expected_calibration"` // about 0 and 1
}

// Metrics are metrics of predictions whose outcome is known.
type Metrics struct {
	Precision    float64 `json:"precision"`
	Recall       float64 `json:"recall"`
	F1           float64 `json:"f1"`
	Accuracy     float64 `json:"accuracy"`
	PositiveRate float64 `json:"positive_rate"`
	LogLoss      float64 `json:"log_loss,omitzero"`
}

// MetricsOf returns the metrics of a confusion matrix, and the log loss.
func MetricsOf(c metric.Confusion, logLoss float64) Metrics {
	return Metrics{
		Precision: c.Precision(), Recall: c.Recall(), F1: c.F1(), Accuracy: c.Accuracy(),
		PositiveRate: metric.Ratio(c.TP+c.FN, c.Rows()), LogLoss: logLoss,
	}
}

// A QualityRow is one metric: on the test rows, in the window, and where outcomes are known.
type QualityRow struct {
	Name     string
	Test     float64
	Expected metric.Estimate // 0 without Quality.Expected
	Observed metric.Estimate // 0 without Labelled.Observed
	Labelled metric.Estimate // expected of the same rows as Observed; 0 without Labelled.Expected
	Refit    bool            // a calibration: it has neither Test nor Expected
}

// Table returns the quality by metric.
func (q *Quality) Table() []QualityRow {
	list := func(e *metric.Estimates) (out [6]metric.Estimate) {
		if e != nil {
			out = [6]metric.Estimate{e.Precision, e.Recall, e.F1, e.Accuracy, e.PositiveRate, e.LogLoss}
		}
		return out
	}
	l := cmp.Or(q.Labelled, &Labelled{})
	expected, observed, labelled, t := list(q.Expected), list(l.Observed), list(l.Expected), q.Test
	test := [6]float64{t.Precision, t.Recall, t.F1, t.Accuracy, t.PositiveRate, t.LogLoss}
	var table []QualityRow
	for k, name := range [6]string{"precision", "recall", "F1", "accuracy", "churn rate", "log loss"} {
		table = append(table, QualityRow{name, test[k], expected[k], observed[k], labelled[k], false})
	}
	if refit := l.Calibration; refit != nil {
		ideal := cmp.Or(l.ExpectedCalibration, &metric.Calibration{})
		table = append(table,
			QualityRow{Name: "calibration intercept", Observed: refit.Intercept, Labelled: ideal.Intercept, Refit: true},
			QualityRow{Name: "calibration slope", Observed: refit.Slope, Labelled: ideal.Slope, Refit: true})
	}
	return table
}
