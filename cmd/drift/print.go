package main

import (
	"fmt"
	"io"

	"churn/internal/cli"
	"churn/internal/drift"
	"churn/internal/metric"
)

var styles = map[drift.Severity]cli.Style{drift.OK: cli.Good, drift.Watch: cli.Watch, drift.Alert: cli.Alert}

func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "the last %d predictions, %d of them by the current model\n\n", r.Records, r.ModelRecords)
	alertAt := fmt.Sprintf("alert at %.4g", r.ZThreshold)
	means := cli.NewTable(w, 1, "number", "mean train", "mean live", "std train", "z", alertAt)
	for _, z := range r.ReferenceZ {
		alert := cli.Cell{Text: "no"}
		if z.Alert {
			alert = cli.Cell{Style: cli.Alert, Text: "yes"}
		}
		row := []any{cli.Printable(z.Column)}
		for _, x := range []float64{z.MeanTrain, z.MeanLive, z.StdTrain} {
			row = append(row, fmt.Sprintf("%.5g", x))
		}
		means.AppendRow(append(row, fmt.Sprintf("%.4g", z.Z), alert))
	}
	means.Render()
	fmt.Fprintln(w)
	printChecks(w, r.Checks)
	for _, c := range r.Columns {
		if c.Reference.Always != nil {
			fmt.Fprintf(w, "%s was always %.6g in training\n", cli.Printable(c.Column), *c.Reference.Always)
		}
	}
	if r.Quality != nil {
		printQuality(w, r.Quality)
	}
	for _, c := range r.All() {
		if c.Severity == drift.Alert && (c.Column == drift.Outcomes || c.Column == drift.ExpectedQuality) {
			fmt.Fprintf(w, "\n%s", cli.Paint(w, cli.Alert, c.Sentence))
		}
	}
	said := string(r.Verdict) + ", " + r.Verdict.Sentence()
	if q := r.Quality; q != nil && q.Labelled != nil && q.Labelled.Reason != "" {
		said += "; the outcomes are not evaluated"
	}
	fmt.Fprintf(w, "\nverdict: %s\n", cli.Paint(w, styles[r.Verdict], said))
}

func printChecks(w io.Writer, list []drift.Check) {
	checks := cli.NewTable(w, 2, "column", "check", "rows", "statistic", "p (Holm)", "effect", "threshold", "severity")
	checks.Optional = []string{"threshold", "rows"}
	for _, c := range list {
		statistic := fmt.Sprintf("%.2f %%", 100*c.Statistic)
		if c.Symbol() != "" {
			statistic = fmt.Sprintf("%s = %.2f", c.Symbol(), c.Statistic)
		} else if c.P == 1 {
			continue // a share of none on either side, or as small as expected
		}
		effect := fmt.Sprintf("%.3f", c.Effect)
		if c.Constant() {
			effect = "constant"
		}
		checks.AppendRow([]any{
			cli.Printable(c.Column), cli.Printable(c.Title()), c.Rows, statistic,
			fmt.Sprintf("%.2g", c.PAdjusted), effect, fmt.Sprintf("%.4g %s", c.Threshold, c.Unit),
			cli.Cell{Style: styles[c.Severity], Text: string(c.Severity)},
		})
	}
	checks.Render()
}

const withoutOwnError = "these intervals lack the error of the model's weights, and nothing is concluded from them: " +
	"this document has no covariance\n"

func printQuality(w io.Writer, q *drift.Quality) {
	if q.Expected == nil {
		fmt.Fprintf(w, "\nquality: no estimate for the current model: %s\n", q.Reason)
	} else {
		fmt.Fprintf(w, "\nexpected quality of the %d predictions, while the probabilities are calibrated\n\n", q.Rows)
		t := cli.NewTable(w, 1, "metric", "expected", "95 %", "test")
		for _, row := range q.Table() {
			if row.Expected != (metric.Estimate{}) {
				t.AppendRow([]any{row.Name, decimals(row.Expected.Value), interval(row.Expected), decimals(row.Test)})
			}
		}
		t.Render()
		if !q.OwnError {
			fmt.Fprint(w, withoutOwnError)
		}
	}
	if l := q.Labelled; l != nil {
		printLabelled(w, l)
	}
	if len(q.Checks) > 0 {
		fmt.Fprintln(w)
		printChecks(w, q.Checks)
	}
}

func printLabelled(w io.Writer, l *drift.Labelled) {
	fmt.Fprintf(w, "\noutcomes in %s: %d, ", cli.Printable(l.File), l.Outcomes)
	fmt.Fprintf(w, "of these %d scored by %s, %d by another model, %d not in the log",
		l.Rows, cli.Printable(l.By()), l.Others, l.Unknown)
	if l.Outside > 0 {
		fmt.Fprintf(w, ", %d earlier than asked for", l.Outside)
	}
	fmt.Fprintln(w)
	if l.Realised == nil {
		fmt.Fprintf(w, "no realised metrics: %s\n", l.Reason)
		return
	}
	fmt.Fprintln(w)
	t := cli.NewTable(w, 1, "metric", "realised", "95 %", "expected", "95 %", "test")
	for _, row := range l.Table() {
		expected, between, test := "", "", ""
		if row.Expected != (metric.Estimate{}) {
			expected, between = decimals(row.Expected.Value), interval(row.Expected)
		}
		if !row.Refit {
			test = decimals(row.Test)
		}
		t.AppendRow([]any{row.Name, decimals(row.Observed.Value), interval(row.Observed), expected, between, test})
	}
	t.Render()
	if l.Expected != nil && !l.OwnError {
		fmt.Fprint(w, withoutOwnError)
	}
}

func decimals(x float64) string { return fmt.Sprintf("%.4f", x) }

func interval(e metric.Estimate) string {
	return decimals(e.Interval[0]) + " to " + decimals(e.Interval[1])
}
