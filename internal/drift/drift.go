// Package drift compares live rows with the rows that a model was trained on. It
// works on counts and means, never on the rows themselves.
//
// Each column gets a few checks, defined in checks.go. A check alerts only if its
// difference is significant, after a correction for the number of checks, and
// large enough to act on: the first keeps small windows from false alarms, the
// second keeps large ones from alarms about trifles.
package drift

import (
	"fmt"
	"math"
	"slices"

	"churn/internal/dataset"
	"churn/internal/metric"
)

const (
	Alpha       = 0.01            // chance that any check at all is significant without drift
	MinRows     = 30              // fewer rows have no verdict, unless the caller sets another minimum
	Persistent  = 3               // windows in a row from which a watch is an alert
	Probability = "(probability)" // name of the predicted probability among the columns
)

// Severity is the outcome of a check, or of all.
type Severity string

// Severities, in ascending order, and what stands for one without enough rows.
const (
	OK    Severity = "ok"    // nothing significant
	Watch Severity = "watch" // significant, too small to act on
	Alert Severity = "alert" // significant and worth acting on

	NotEnoughData Severity = "not_enough_data"
	Off           Severity = "off" // the service keeps no rows to compare
)

var severities = []Severity{OK, Watch, Alert}

// Compare orders severities: negative if s is less severe than t, positive if more.
func (s Severity) Compare(t Severity) int {
	return slices.Index(severities, s) - slices.Index(severities, t)
}

// Sentence says what the severity means for all checks together.
func (s Severity) Sentence() string {
	switch s {
	case Alert:
		return "drift"
	case Watch:
		return "a difference too small to act on"
	case NotEnoughData:
		return fmt.Sprintf("not enough rows: at least %d", MinRows)
	case Off:
		return "drift is not checked"
	}
	return "no drift"
}

// NotEnough says that there are n of something where at least least are needed.
func NotEnough(n int, of string, least int) string {
	return fmt.Sprintf("not enough data: %d %s, at least %d", n, of, least)
}

// A Column is live rows, tallied over the bins or levels of their reference.
type Column struct {
	Name      string
	Reference *dataset.Summary
	Live      *dataset.Tally
}

// NewColumns returns the columns of no live rows for a model's references: those of its features, in the
// schema's order, and then that of the probability.
func NewColumns(s *dataset.Schema, references []*dataset.Summary) []Column {
	columns := make([]Column, len(references))
	for j, ref := range references {
		columns[j] = Column{Name: Probability, Reference: ref, Live: dataset.NewTally(ref)}
		if j < len(s.Features) {
			columns[j].Name = s.Features[j].Name
		}
	}
	return columns
}

// Rows returns the number of live rows, with a value or without.
func (c *Column) Rows() int { return c.Live.Rows + c.Live.Missing }

// A Check is the outcome of one check of a column.
type Check struct {
	Column    string   `json:"column"`
	Kind      string   `json:"kind"`             // one of Kinds; of quality in words, such as "F1 vs test"
	With      string   `json:"with,omitzero"`    // other column of a correlation
	Rows      int      `json:"rows"`             // live rows that it is based on
	Statistic float64  `json:"statistic"`        // Symbol says which
	DF        int      `json:"df,omitzero"`      // degrees of freedom of a chi-squared
	P         float64  `json:"p"`                // two-sided; of a fall in quality one-sided
	PAdjusted float64  `json:"p_adjusted"`       // by Holm's method, for all checks, or all of quality
	Effect    float64  `json:"effect"`           // in Unit
	Threshold float64  `json:"effect_threshold"` // least effect worth acting on
	Unit      string   `json:"unit"`             // std, times, TV (total variation), share, r; others of quality
	Severity  Severity `json:"level"`
	Sentence  string   `json:"sentence,omitzero"` // what is different; "" if nothing significant is

	symbol string // of the statistic
	minor  bool   // too small to act on, whatever Threshold says
}

// key is what is the same for a check in any window.
func (c Check) key() string { return c.Column + " " + c.Title() }

// Title is the kind, and the other column of a correlation.
func (c Check) Title() string {
	if c.With != "" {
		return c.Kind + " with " + c.With
	}
	return c.Kind
}

// Compare runs the checks of every column and pair of columns, and corrects for their number.
// It returns them in the order of the columns, the pairs last, and the highest severity.
func Compare(columns []Column, pairs Pairs) ([]Check, Severity) {
	checks := []Check{}
	for _, c := range columns {
		for _, k := range kinds {
			if check, applies := k.measure(&c); applies {
				check.Column, check.Kind, check.symbol, check.Threshold, check.Unit = c.Name, k.name, k.symbol, k.threshold, k.unit
				check.Sentence = k.sentence(&c, check.Effect)
				checks = append(checks, check)
			}
		}
	}
	checks = append(checks, pairs.checks()...)
	return checks, grade(checks)
}

// grade corrects checks for their number, fills in their severities, and returns the highest.
func grade(checks []Check) Severity {
	var p []float64
	for _, c := range checks {
		p = append(p, c.P)
	}
	verdict := OK
	for i, adjusted := range metric.Holm(p) {
		c := &checks[i]
		switch c.PAdjusted = adjusted; {
		case c.PAdjusted > Alpha:
			c.Severity, c.Sentence = OK, ""
		case math.Abs(c.Effect) < c.Threshold || c.minor:
			c.Severity = Watch
		default:
			c.Severity = Alert
		}
		if c.Severity.Compare(verdict) > 0 {
			verdict = c.Severity
		}
	}
	return verdict
}
