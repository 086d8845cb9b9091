package training

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"churn/internal/cli"
	"churn/internal/metric"
	"churn/internal/model"

	"github.com/spf13/cobra"
)

// ActionFlags declares the flags for what is to be done with the predictions.
func ActionFlags(cmd *cobra.Command, o *model.ActionOptions) {
	f, c := cmd.Flags(), &o.Campaign
	f.IntVar(&o.Capacity, "capacity", 0, "`number` of customers, of all in the data, who can be called")
	f.StringVar(&o.Segment, "segment", "", "`feature` to evaluate by: each level, or each fifth of a number")
	f.Float64Var(&c.Value, "value", 0, "`value` of a churner who is kept, for the profit of a campaign")
	f.Float64Var(&c.CostContact, "cost-contact", 0, "`cost` of each call, in the same unit")
	f.Float64Var(&c.CostOffer, "cost-offer", 0, "`cost` of the offer to each who accepts it: all non-churners called do")
	f.Float64Var(&c.SuccessRate, "success-rate", 0, "`fraction` of the churners called who accept and stay")
	cmd.MarkFlagsRequiredTogether("value", "cost-contact", "success-rate")
}

// checkActions rejects options that are out of range.
func (o *Options) checkActions() error {
	const most = 1e12 // far from where sums over customers lose digits
	c := o.Actions.Campaign
	switch {
	case o.Actions.Capacity < 0:
		return fmt.Errorf("--capacity %d: at least 1", o.Actions.Capacity)
	case o.Actions.Segment != "" && o.Database.Given():
		return errors.New("--segment needs the customers in a file: those of a database are counted there, " +
			"by probability alone; give a part of them with --table instead, a view with one segment")
	case c == metric.Campaign{}:
		return nil
	case !(c.CostContact >= 0 && c.CostOffer >= 0 && c.CostOffer < c.Value && max(c.Value, c.CostContact) <= most):
		return fmt.Errorf("--value %g --cost-contact %g --cost-offer %g: costs from 0, the value above that of the offer, "+
			"at most %g", c.Value, c.CostContact, c.CostOffer, most)
	case !(c.SuccessRate > 0 && c.SuccessRate < 1):
		return fmt.Errorf("--success-rate %g: a fraction above 0 and below 1", c.SuccessRate)
	}
	return nil
}

// printActions prints what can be acted on: intervals, the tenths, and what was asked for. The curves are on the card.
func printActions(w io.Writer, a model.Assessment) {
	if i := a.Metrics.Intervals; i != (metric.Intervals{}) {
		fmt.Fprintf(w, "\n95 %% intervals: F1 %.4f to %.4f, ROC AUC %.4f to %.4f, log loss %.4f to %.4f\n",
			i.F1[0], i.F1[1], i.ROCAUC[0], i.ROCAUC[1], i.LogLoss[0], i.LogLoss[1])
	}
	if folds := a.Training.Folds; len(folds) > 0 {
		byF1 := func(a, b model.FoldMetrics) int { return cmp.Compare(a.F1, b.F1) }
		low, high := slices.MinFunc(folds, byF1).F1, slices.MaxFunc(folds, byF1).F1
		fmt.Fprintf(w, "F1 of the %d folds of the training rows: %.4f to %.4f\n", len(folds), low, high)
	}
	if g := a.Curves.Gains; len(g) > 0 {
		fmt.Fprintf(w, "calling the top %.0f %% finds %.0f %% of the churners (95 %%: %.0f to %.0f), a lift of %.2f\n",
			100*g[0].Called, 100*g[0].Gain.Value, 100*g[0].Gain.Interval[0], 100*g[0].Gain.Interval[1], g[0].Lift.Value)
		printGains(w, g)
	}
	if t := a.Capacity; t != nil {
		fmt.Fprintf(w, "\ncall %d of %d customers, those from a probability of %.6g: "+
			"expect %.0f churners (95 %%: %.0f to %.0f),\na precision of %.4f and a recall of %.4f\n",
			t.Capacity, t.Customers, t.Threshold, t.Churners.Value,
			t.Churners.Interval[0], t.Churners.Interval[1], t.Precision.Value, t.Recall)
		if t.Profit != nil {
			fmt.Fprintf(w, "profit of these %d calls: %.4g\n", t.Capacity, *t.Profit)
		}
		if t.Tied > 0 {
			fmt.Fprintf(w, "%d more of the rows here have the same probability: choose among them at random\n", t.Tied)
		}
	}
	if p := a.Profit; p != nil {
		fmt.Fprintf(w, "\nhighest profit per customer on these rows, others bring less: %.4g (95 %%: %.4g to %.4g)\n"+
			"from calling %.0f %%, those from a probability of %.6g; %.4g at the model's threshold,\n"+
			"%.4g from calling everybody; expected maximum %.4g, from calling %.0f %%\n",
			p.Maximum.Value, p.Maximum.Interval[0], p.Maximum.Interval[1], 100*p.Called, p.Threshold,
			p.AtOwn, p.AtAll, p.Expected, 100*p.ExpectedCalled)
	}
	printSegments(w, a)
}

func printGains(w io.Writer, gains []metric.Gain) {
	fmt.Fprintln(w)
	t := cli.NewTable(w, 0, "called", "of the churners", "95 %", "lift of this tenth", "95 %")
	for _, g := range gains {
		t.AppendRow([]any{fmt.Sprintf("%.0f %%", 100*g.Called), fmt.Sprintf("%.0f %%", 100*g.Gain.Value),
			fmt.Sprintf("%.0f to %.0f", 100*g.Gain.Interval[0], 100*g.Gain.Interval[1]),
			fmt.Sprintf("%.2f", g.Lift.Value), fmt.Sprintf("%.2f to %.2f", g.Lift.Interval[0], g.Lift.Interval[1])})
	}
	t.Render()
}

func printSegments(w io.Writer, a model.Assessment) {
	if a.SegmentBy == "" {
		return
	}
	fmt.Fprintln(w)
	t := cli.NewTable(w, 1, cli.Printable(a.SegmentBy), "rows", "churn", "95 %", "predicted",
		"F1", "95 %", "log loss", "95 %")
	worse := 0
	for _, s := range a.Segments {
		t.AppendRow([]any{cli.Printable(s.Name), s.Rows, fmt.Sprintf("%.1f %%", 100*s.Rate.Value),
			fmt.Sprintf("%.1f to %.1f", 100*s.Rate.Interval[0], 100*s.Rate.Interval[1]),
			fmt.Sprintf("%.1f %%", 100*s.MeanProbability), fmt.Sprintf("%.3f", s.F1.Value),
			fmt.Sprintf("%.3f to %.3f", s.F1.Interval[0], s.F1.Interval[1]), fmt.Sprintf("%.3f", s.LogLoss.Value),
			fmt.Sprintf("%.3f to %.3f", s.LogLoss.Interval[0], s.LogLoss.Interval[1])})
	}
	t.Render()
	for _, s := range a.Segments {
		if len(s.Worse) > 0 {
			worse++
			fmt.Fprintf(w, "\nworse where %s is %s (%d rows): %s", cli.Printable(a.SegmentBy), cli.Printable(s.Name), s.Rows,
				strings.Join(s.Worse, "; "))
		}
	}
	fmt.Fprintf(w, "\n%d of %d segments of %s are worse than their probabilities promise\n",
		worse, len(a.Segments), cli.Printable(a.SegmentBy))
}
