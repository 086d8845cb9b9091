package main

import (
	"fmt"
	"io"
	"strings"

	"churn/internal/alert"
	"churn/internal/cli"
	"churn/internal/drift"
)

// answer is what drift answers with.
type answer struct {
	Verdict      drift.Level          `json:"verdict"`
	Drift        bool                 `json:"drift"`   // an alert of either kind
	Records      int                  `json:"records"` // looked at
	Bad          int                  `json:"bad_lines"`
	Torn         bool                 `json:"torn_last_line"`
	Model        string               `json:"current_model"`
	ModelRecords int                  `json:"current_model_records"` // of the records, answered by it
	Lab          []drift.Lab          `json:"lab"`
	ZThreshold   float64              `json:"z_threshold"` // from which the lab's z alarms
	Checks       []drift.Check        `json:"checks"`
	Columns      []drift.Distribution `json:"columns"`
	Windows      []drift.Outcome      `json:"windows,omitempty"` // if they were asked for
	Quality      *quality             `json:"quality,omitzero"`  // of the current model
	Warnings     []string             `json:"warnings"`

	Alert    *alert.Outcome `json:"alert,omitzero"` // nil without an address
	unjudged []string       // columns with too few records
}

// judge fills in the checks and the verdict, to which the lab's z has a say.
func (r *answer) judge(columns []drift.Column) {
	r.Checks, r.Verdict = drift.Compare(columns)
	for _, l := range r.Lab {
		if l.Alert {
			r.Verdict = drift.Alert
		}
	}
	r.Drift = r.Verdict == drift.Alert
	if r.Warnings == nil {
		r.Warnings = []string{}
	}
}

// alerts names what alarmed, by column.
func (r *answer) alerts() string {
	var order []string
	kinds := map[string][]string{}
	note := func(column, kind string) {
		if kinds[column] == nil {
			order = append(order, column)
		}
		kinds[column] = append(kinds[column], kind)
	}
	for _, l := range r.Lab {
		if l.Alert {
			note(l.Column, "the lab's z")
		}
	}
	for _, c := range r.Checks {
		if c.Level == drift.Alert {
			note(c.Column, c.Kind)
		}
	}
	for i, column := range order {
		order[i] = fmt.Sprintf("%s (%s)", cli.Printable(column), strings.Join(kinds[column], ", "))
	}
	return strings.Join(order, "; ")
}

func (r *answer) print(w io.Writer, o options) {
	fmt.Fprintf(w, "the last %d predictions, %d of them by the current model\n\n", r.Records, r.ModelRecords)
	lab := cli.NewTable(w, 1, "number", "mean train", "mean live", "std train", "z", fmt.Sprintf("alert at %.4g", o.zThreshold))
	for _, l := range r.Lab {
		lab.AppendRow([]any{cli.Printable(l.Column), fmt.Sprintf("%.5g", l.MeanTrain), fmt.Sprintf("%.5g", l.MeanLive), fmt.Sprintf("%.5g", l.StdTrain),
			fmt.Sprintf("%.4g", l.Z), cli.Cell{Look: looks[labLevel(l)], Text: yesNo(l.Alert)}})
	}
	lab.Render()
	fmt.Fprintln(w)
	checks := cli.NewTable(w, 2, "column", "check", "rows", "statistic", "p (Holm)", "effect", "worth acting", "level")
	checks.Spare = []string{"worth acting", "rows"}
	for _, c := range r.Checks {
		if c.P == 1 && (c.Kind == "missing" || c.Kind == "unseen") {
			continue // none on either side, or none the less as expected
		}
		checks.AppendRow([]any{cli.Printable(c.Column), c.Kind, c.Rows, statistic(c), fmt.Sprintf("%.2g", c.PAdjusted),
			fmt.Sprintf("%.3f", c.Effect), fmt.Sprintf("%.1f %s", c.Least, unit(c)), cli.Cell{Look: looks[c.Level], Text: string(c.Level)}})
	}
	checks.Render()
	if r.Quality != nil {
		r.Quality.print(w)
	}
	fmt.Fprintf(w, "\nverdict: %s\n", cli.Paint(w, looks[r.Verdict], map[drift.Level]string{
		drift.OK:    "ok, no drift",
		drift.Watch: "watch, there is a difference, too small to act on",
		drift.Alert: "alert, drift",
	}[r.Verdict]))
}

var looks = map[drift.Level]cli.Look{drift.OK: cli.Good, drift.Watch: cli.Watch, drift.Alert: cli.Alert}

// labLevel is the lab's verdict as a level; no alert is no praise.
func labLevel(l drift.Lab) drift.Level {
	if l.Alert {
		return drift.Alert
	}
	return ""
}

func statistic(c drift.Check) string {
	switch c.Kind {
	case "mean":
		return fmt.Sprintf("z = %.2f", c.Statistic)
	case "missing", "unseen":
		return fmt.Sprintf("%.2f %%", 100*c.Statistic)
	}
	return fmt.Sprintf("chi2(%d) = %.1f", c.DF, c.Statistic)
}

func unit(c drift.Check) string {
	if c.Kind == "mean" {
		return "std"
	}
	return "PSI"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
