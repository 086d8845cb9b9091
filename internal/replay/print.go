package replay

import (
	"fmt"
	"io"
	"math"
	"strings"

	"churn/internal/cli"
	"churn/internal/dataset"
)

const unit = 1e-4 // of a probability as it is printed

// signed writes a number with its sign and so many decimals; what rounds to 0 has none.
func signed(x float64, decimals int) string {
	if math.Abs(x) < 0.5*math.Pow10(-decimals) {
		return fmt.Sprintf("%.*f", decimals, 0.0)
	}
	return fmt.Sprintf("%+.*f", decimals, x)
}

// Print prints the result: sentences, and a table of the largest moves.
func (r *Result) Print(w io.Writer) {
	fmt.Fprintf(w, "%s on the last %d customers, called at a probability of %.6g\n\n", r.Model, r.Records, r.Threshold)
	if r.Compared > 0 {
		fmt.Fprintf(w, "%d of %d answers flip: %d more calls, %d fewer; calls go from %d to %d (%.1f %% to %.1f %%)\n",
			r.Flips, r.Compared, r.MoreCalls, r.FewerCalls, r.CallsBefore, r.CallsAfter, 100*r.ShareBefore, 100*r.ShareAfter)
		if r.MeanAbsMove < 0.5*unit {
			fmt.Fprintln(w, "the probabilities stay as they are")
		} else {
			fmt.Fprintf(w, "the probability moves by %s in the mean, by %.4f whichever way\n", signed(r.MeanMove, 4), r.MeanAbsMove)
		}
	}
	switch {
	case r.Audited == 0:
	case r.Passed():
		fmt.Fprintln(w, cli.Paint(w, cli.Good, fmt.Sprintf("audit: it answered %d of them itself, and gives every answer again", r.Audited)))
	default:
		fmt.Fprintln(w, cli.Paint(w, cli.Alert, fmt.Sprintf("audit: it answered %d of them itself, and does not give %d of these answers again", r.Audited, r.NotReproduced)))
	}
	if r.NotScorable > 0 {
		fmt.Fprintln(w, cli.Paint(w, cli.Watch, fmt.Sprintf("it cannot score %d:", r.NotScorable)))
		for _, x := range r.Refused {
			fmt.Fprintf(w, "  %d: %s, first request %s\n", x.Records, x.text(), cli.Printable(x.RequestID))
		}
	}
	if r.UnseenRecords > 0 {
		fmt.Fprintln(w, cli.Paint(w, cli.Watch, fmt.Sprintf("%d have a level that it does not know, scored as none of the known ones:", r.UnseenRecords)))
		for _, u := range r.Unseen {
			fmt.Fprintf(w, "  %d: %s = %s\n", u.Records, cli.Printable(u.Feature), cli.Printable(u.Level))
		}
	}
	r.printDifferences(w)
	r.printMoves(w)
}

func (r *Result) printDifferences(w io.Writer) {
	if len(r.Differences) == 0 {
		return
	}
	fmt.Fprintln(w, "\nthe first answers that it does not give again:")
	t := cli.NewTable(w, 1, "request", "logged", "now", "answer")
	for _, d := range r.Differences {
		now, answers := fmt.Sprintf("%.6f", d.New), fmt.Sprintf("%d to %d", d.Before, d.After)
		if d.Refused != "" {
			now, answers = "none", d.Refused
		}
		t.AppendRow([]any{cli.Printable(d.RequestID), fmt.Sprintf("%.6f", d.Logged), now, answers})
	}
	t.Render()
}

func (r *Result) printMoves(w io.Writer) {
	if len(r.Moves) == 0 {
		return
	}
	fmt.Fprintln(w, "\nthe largest moves:")
	t := cli.NewTable(w, 2, "request", "because (log-odds)", "logged", "new", "call")
	t.Wrap = true
	for _, m := range r.Moves {
		var because []string
		for _, c := range m.Because {
			if change := signed(c.LogOdds, 2); change != "0.00" {
				because = append(because, cli.Printable(c.Feature)+" "+change)
			}
		}
		if len(because) == 0 && m.size() < unit {
			because = []string{"the threshold alone"}
		}
		call := cli.Cell{Text: map[int]string{0: "no", 1: "yes"}[m.After]}
		if m.Before != m.After {
			call = cli.Cell{Look: cli.Watch, Text: map[int]string{0: "yes to no", 1: "no to yes"}[m.After]}
		}
		t.AppendRow([]any{cli.Printable(m.RequestID), strings.Join(because, ", "), fmt.Sprintf("%.4f", m.Logged), fmt.Sprintf("%.4f", m.New), call})
	}
	t.Render()
}

// text puts a reason in words.
func (x *Reason) text() string {
	name := cli.Printable(x.Feature)
	switch x.Reason {
	case dataset.Absent:
		return name + " is missing, and not optional"
	case dataset.OtherType:
		return name + " has a value of another type"
	}
	return name + ": " + x.Detail
}
