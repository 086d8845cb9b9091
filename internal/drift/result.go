package drift

import (
	"slices"
	"strconv"
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
	if slices.ContainsFunc(r.ReferenceZ, func(z ReferenceZ) bool { return z.Alert }) {
		r.Verdict = Alert
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

// AddQuality corrects the checks of quality for their number, and the verdict is theirs if
// it is more severe.
func (r *Result) AddQuality(q *Quality) {
	r.Quality = q
	if severity := grade(q.Checks); severity.Compare(r.Verdict) > 0 {
		r.Verdict = severity
	}
	r.Drift = r.Verdict == Alert
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

// A WindowSummary is a window of the log in a line. It counts the checks of Compare,
// without reference z scores.
type WindowSummary struct {
	From            float64  `json:"from"` // unix seconds of the first record
	To              float64  `json:"to"`   // and of the last
	Records         int      `json:"records"`
	Checks          int      `json:"checks"`
	Watches         int      `json:"watches"`
	Alerts          int      `json:"alerts"`
	AlertShare      float64  `json:"alert_share"`               // of the checks
	PositiveShare   float64  `json:"called_share"`              // of the records, predicted positive
	MeanProbability *float64 `json:"mean_probability,omitzero"` // of those that the current model answered

	Significant []string `json:"-"` // keys of the checks that watch or alert
}

// Count counts the checks by severity.
func (w *WindowSummary) Count(checks []Check) {
	w.Checks = len(checks)
	for _, c := range checks {
		switch c.Severity {
		case Watch:
			w.Watches++
		case Alert:
			w.Alerts++
		default:
			continue
		}
		w.Significant = append(w.Significant, c.key())
	}
	if len(checks) > 0 {
		w.AlertShare = float64(w.Alerts) / float64(len(checks))
	}
}
