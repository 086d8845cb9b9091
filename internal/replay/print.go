package replay

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"churn/internal/cli"
	"churn/internal/dataset"
)

const unit = 1e-4 // of a probability as printed

// signed formats a number with its sign; what rounds to 0 has none.
func signed(x float64, decimals int) string {
	if math.Abs(x) < 0.5*math.Pow10(-decimals) {
		return fmt.Sprintf("%.*f", decimals, 0.0)
	}
	return fmt.Sprintf("%+.*f", decimals, x)
}

// Print prints the result: sentences, and a table of the largest score changes.
func (r *Result) Print(w io.Writer) {
	line := func(style cli.Style, format string, args ...any) {
		fmt.Fprintln(w, cli.Paint(w, style, fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(w, "%s on the last %d records; churn is predicted from a probability of %.6g\n\n",
		r.Model, r.Records, r.Threshold)
	if r.Compared > 0 {
		fmt.Fprintf(w, "%d of %d labels change: %d to positive, %d to negative; ",
			r.LabelChanges, r.Compared, r.ToPositive, r.ToNegative)
		fmt.Fprintf(w, "predicted positive: %d before, %d after (%.1f %% and %.1f %%)\n",
			r.PositivesBefore, r.PositivesAfter, 100*r.ShareBefore, 100*r.ShareAfter)
		if len(r.Changes) == 0 || r.Changes[0].size() < 0.5*unit {
			fmt.Fprintln(w, "the probabilities do not change")
		} else {
			fmt.Fprintf(w, "mean change of the probability: %s, absolute %.4f\n", signed(r.MeanChange, 4), r.MeanAbsChange)
		}
	}
	if r.Audited > 0 && r.Passed() {
		line(cli.Good, "audit: the model reproduces all %d of its logged predictions", r.Audited)
	} else if r.Audited > 0 {
		line(cli.Alert, "audit: the model does not reproduce %d of its %d logged predictions", r.NotReproduced, r.Audited)
	}
	if r.OtherTarget > 0 {
		line(cli.Watch, "records of models that predict another column, which are not compared: %d", r.OtherTarget)
	}
	if r.NotScorable > 0 {
		line(cli.Watch, "records that cannot be scored: %d", r.NotScorable)
		for _, u := range r.Unscorable {
			fmt.Fprintf(w, "  %d: %s, first request %s\n", u.Records, u.text(), cli.Printable(u.RequestID))
		}
	}
	if r.UnknownFields > 0 {
		line(cli.Watch, "scored records that the service would refuse, for a field that the model neither uses nor ignores: "+
			"%d", r.UnknownFields)
	}
	if r.UnseenRecords > 0 {
		line(cli.Watch, "records with a level unknown to the model, scored as none of the known levels: %d", r.UnseenRecords)
		for _, u := range r.Unseen {
			fmt.Fprintf(w, "  %d: %s = %s\n", u.Records, cli.Printable(u.Feature), cli.Printable(u.Level))
		}
	}
	r.printDifferences(w)
	r.printChanges(w)
}

func (r *Result) printDifferences(w io.Writer) {
	if len(r.Differences) == 0 {
		return
	}
	fmt.Fprintln(w, "\nthe first predictions that are not reproduced:")
	t := cli.NewTable(w, 1, "request", "logged", "new", "label")
	for _, d := range r.Differences {
		probability, labels := fmt.Sprintf("%.6f", d.New), fmt.Sprintf("%d to %d", d.Before, d.After)
		if d.Refused != "" {
			probability, labels = "none", d.Refused
		}
		t.AppendRow([]any{cli.Printable(d.RequestID), fmt.Sprintf("%.6f", d.Logged), probability, labels})
	}
	t.Render()
}

func (r *Result) printChanges(w io.Writer) {
	if len(r.Changes) == 0 {
		return
	}
	fmt.Fprintln(w, "\nthe largest score changes:")
	t := cli.NewTable(w, 2, "request", "reasons (log-odds)", "logged", "new", "label")
	t.Wrap = true
	for _, c := range r.Changes {
		var reasons []string
		for _, reason := range c.Reasons {
			if change := signed(reason.LogOdds, 2); change != "0.00" {
				reasons = append(reasons, cli.Printable(reason.Feature)+" "+change)
			}
		}
		if len(reasons) == 0 && c.size() < unit {
			reasons = []string{"the threshold only"}
		}
		label := cli.Cell{Text: strconv.Itoa(c.After)}
		if c.Before != c.After {
			label = cli.Cell{Style: cli.Watch, Text: fmt.Sprintf("%d to %d", c.Before, c.After)}
		}
		t.AppendRow([]any{
			cli.Printable(c.RequestID), strings.Join(reasons, ", "),
			fmt.Sprintf("%.4f", c.Logged), fmt.Sprintf("%.4f", c.New), label,
		})
	}
	t.Render()
}

// text says why records cannot be scored.
func (u *Unscorable) text() string {
	name := cli.Printable(u.Feature)
	switch u.Reason {
	case dataset.Absent:
		return name + " is missing, and not optional"
	case dataset.OtherType:
		return name + " has a value of another type"
	}
	return name + ": " + u.Detail
}
