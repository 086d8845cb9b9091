package drift

import "churn/internal/metric"

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

// Compare fills in the checks of the columns and the verdict, which is an alert if a
// reference z score alerts.
func (r *Result) Compare(columns []Column) {
	r.Checks, r.Verdict = Compare(columns)
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

// All returns the reference z scores as checks, and then the checks.
func (r *Result) All() []Check {
	var all []Check
	for _, z := range r.ReferenceZ {
		all = append(all, z.Check(r.ZThreshold))
	}
	return append(all, r.Checks...)
}

// Quality is how good the current model's predictions are: what to expect of those in
// the window, and what was realised where the outcomes are known.
type Quality struct {
	Calibrated bool              `json:"holds"`    // its probabilities can be taken for shares of customers
	Reason     string            `json:"reason"`   // why Expected is null
	Rows       int               `json:"rows"`     // of the window that it answered
	Expected   *metric.Estimates `json:"expected"` // of those
	Test       Metrics           `json:"test"`     // when it was trained
	Labelled   *Labelled         `json:"labelled,omitzero"`
}

// Labelled is about the customers whose outcome is known, wherever in the log they
// are: outcomes are mostly older than the window.
type Labelled struct {
	File     string            `json:"file"`
	Outcomes int               `json:"outcomes"`     // different ids in it with an outcome
	Rows     int               `json:"rows"`         // of them that the current model answered
	Others   int               `json:"other_models"` // that another model answered
	Unknown  int               `json:"unknown"`      // that no record has
	Realised *Metrics          `json:"realised"`     // of Rows; null where they are too few
	Expected *metric.Estimates `json:"expected"`     // of the same; null without calibrated probabilities
	Reason   string            `json:"reason"`       // why Realised is null
}

// Metrics are metrics of predictions whose outcome is known.
type Metrics struct {
	Precision    float64 `json:"precision"`
	Recall       float64 `json:"recall"`
	F1           float64 `json:"f1"`
	Accuracy     float64 `json:"accuracy"`
	PositiveRate float64 `json:"positive_rate"`
}

// MetricsOf returns the metrics of a confusion matrix.
func MetricsOf(c metric.Confusion) Metrics {
	return Metrics{
		Precision: c.Precision(), Recall: c.Recall(), F1: c.F1(), Accuracy: c.Accuracy(),
		PositiveRate: ratio(c.TP+c.FN, c.TP+c.FN+c.FP+c.TN),
	}
}

// A QualityRow is one metric: on the test rows, in the window, and where outcomes are known.
type QualityRow struct {
	Name     string
	Test     float64
	Expected metric.Estimate // 0 without Quality.Expected
	Realised float64         // 0 without Labelled.Realised
	Labelled metric.Estimate // expected of the same rows as Realised; 0 without Labelled.Expected
}

// Table returns the quality by metric.
func (q *Quality) Table() []QualityRow {
	var e, l metric.Estimates
	var r Metrics
	if q.Expected != nil {
		e = *q.Expected
	}
	if q.Labelled != nil && q.Labelled.Realised != nil {
		r = *q.Labelled.Realised
	}
	if q.Labelled != nil && q.Labelled.Expected != nil {
		l = *q.Labelled.Expected
	}
	t := q.Test
	return []QualityRow{
		{Name: "precision", Test: t.Precision, Expected: e.Precision, Realised: r.Precision, Labelled: l.Precision},
		{Name: "recall", Test: t.Recall, Expected: e.Recall, Realised: r.Recall, Labelled: l.Recall},
		{Name: "F1", Test: t.F1, Expected: e.F1, Realised: r.F1, Labelled: l.F1},
		{Name: "accuracy", Test: t.Accuracy, Expected: e.Accuracy, Realised: r.Accuracy, Labelled: l.Accuracy},
		{
			Name: "churn rate", Test: t.PositiveRate, Expected: e.PositiveRate,
			Realised: r.PositiveRate, Labelled: l.PositiveRate,
		},
	}
}
