package training

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/status"

	"github.com/spf13/cobra"
)

// Report prints the result. A model that its gate rejected is an error with status 1.
func Report(cmd *cobra.Command, o Options, r *Result) error {
	cli.Warn(cmd, r.Warnings...)
	w, current := cmd.OutOrStdout(), r.current()
	if o.JSON {
		if err := cli.JSON(w, r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "models/%s: fitted to %d of %d rows of %s in %d iterations\n\n",
			r.ModelFile, r.Training.Rows, r.Data.Rows, cli.Printable(r.Data.File), r.Training.Iterations)
		printChoice(w, r.Training.Choice)
		PrintEvaluation(w, r.Assessment)
		r.TimeSplit.print(w)
		fmt.Fprintln(w)
		printEffects(w, r.Effects)
		printCoefficients(w, r.Coefficients)
		if r.Replay != nil {
			fmt.Fprint(w, "\nrehearsal: ")
			r.Replay.Print(w)
		}
		if r.PassedGate {
			state := r.ModelFile + " is current"
			if r.Candidate {
				state = fmt.Sprintf("%s is a candidate, and %s", r.ModelFile, current)
			}
			fmt.Fprintf(w, "\n%s: %s\n%s\n", cli.Paint(w, cli.Good, "passed"), r.Verdict.Why, state)
		}
	}
	switch {
	case r.refused != nil:
		return status.Reject("%s passed its gate, but %s: %w; make it current all the same with rollback --force %[1]s",
			r.ModelFile, current, r.refused)
	case r.PassedGate && r.Replay != nil:
		return r.Replay.Err()
	case r.PassedGate:
		return nil
	}
	return status.Reject("%s is registered but rejected: %s; %s; make it current all the same with rollback --force %[1]s",
		r.ModelFile, r.Verdict.Why, current)
}

// printChoice prints what was cross-validated, and what was chosen.
func printChoice(w io.Writer, c *model.Choice) {
	if c == nil {
		return
	}
	fmt.Fprintf(w, "terms: %s, chosen by %d-fold cross-validation on %d rows\n\n", c, c.Folds, c.Rows)
	t := cli.NewTable(w, 1, "candidate", "log loss", "gain", "std. error", "chosen")
	for i, d := range c.Candidates {
		gain, stdError, chosen := fmt.Sprintf("%.5f", d.Gain), fmt.Sprintf("%.5f", d.StdError), ""
		if d.Chosen {
			chosen = "yes"
		}
		if i == 0 {
			gain, stdError = "", ""
		}
		t.AppendRow([]any{d.Terms, fmt.Sprintf("%.5f", d.LogLoss), gain, stdError, chosen})
	}
	t.Render()
	fmt.Fprint(w, "\ngain: over the candidate chosen before; one is chosen for more than a standard error\n\n")
}

// PrintEvaluation prints metrics, and what else is known of the same rows.
func PrintEvaluation(w io.Writer, a model.Assessment) {
	printMetrics(w, a.MetricsOn, a.Metrics)
	if a.Detail != nil {
		printChampion(w, a.Champion)
		printActions(w, a)
	}
}

// printMetrics prints metrics as a table.
func printMetrics(w io.Writer, on string, f model.Metrics) {
	fmt.Fprintf(w, "%d %s rows, %d positive; churn is predicted from a probability of %.6g\n\n",
		f.Rows, on, f.Positives, f.Threshold)
	t := cli.NewTable(w, 1, "metric", "model", "always negative", "always positive")
	share := float64(f.Positives) / float64(f.Rows)
	row := func(name string, cells ...float64) {
		line := []any{name}
		for _, c := range cells {
			line = append(line, fmt.Sprintf("%.4f", c))
		}
		t.AppendRow(line)
	}
	row("F1", f.F1, f.BaselineF1, f.BaselineF1All)
	row("accuracy", f.Accuracy, 1-share, share)
	row("precision", f.Precision, 0, share)
	row("recall", f.Recall, 0, 1)
	row("F1 at 0.5", f.F1AtHalf)
	row("ROC AUC", f.ROCAUC, 0.5, 0.5)
	row("average precision", f.AveragePrecision, share, share)
	row("log loss", f.LogLoss)
	row("Brier", f.Brier)
	if f.CostPerCustomer != nil {
		row("cost per customer", *f.CostPerCustomer)
	}
	t.Render()
	fmt.Fprintf(w, "\nchurn was predicted for %d of %d churners and %d of %d non-churners\n",
		f.Confusion.TP, f.Positives, f.Confusion.FP, f.Rows-f.Positives)
}

// printEffects prints the terms, the most important first.
func printEffects(w io.Writer, effects []model.Effect) {
	if effects == nil {
		return
	}
	t := cli.NewTable(w, 1, "contribution", "term", "importance")
	for _, e := range model.ByImportance(effects) {
		t.AppendRow([]any{cli.Printable(e.Name), cmp.Or(e.Term, "pair"), fmt.Sprintf("%.4f", e.Std)})
	}
	t.Render()
	fmt.Fprint(w, "\nimportance: standard deviation of the contribution to the log-odds over the training rows\n\n")
}

// odds returns an odds ratio in words.
func odds(x float64) string {
	if x > 1e12 {
		return "∞"
	}
	if x >= 1e6 {
		return fmt.Sprintf("%.3g", x)
	}
	return fmt.Sprintf("%.3f", x)
}

func printCoefficients(w io.Writer, coefficients []model.Coefficient) {
	t := cli.NewTable(w, 1, "column", "estimate", "std. error", "z", "odds ratio", "95 % interval", "per")
	t.Optional = []string{"std. error", "z"} // the interval says as much
	note := ""
	for _, c := range coefficients {
		per, z := "", fmt.Sprintf("%.2f", c.Z)
		if c.Unidentified {
			z, note = "–", "\n–: the data hardly identify it beside the penalty, whose standard error it has"
		}
		if c.Per != 0 {
			per = fmt.Sprintf("%.4g", c.Per)
		}
		t.AppendRow([]any{
			cli.Printable(c.Name), fmt.Sprintf("%.4f", c.Estimate), fmt.Sprintf("%.4f", c.StdError),
			z, odds(c.OddsRatio), odds(c.Interval[0]) + " to " + odds(c.Interval[1]), per,
		})
	}
	t.Render()
	fmt.Fprintln(w, "\nlog-odds: a number's for one standard deviation (per) more, a level's against its feature's mean;"+
		" the model's file has the raw weights"+note)
}

// warnings returns in words what limits the metrics.
func warnings(m *model.Model) []string {
	out := []string{}
	f := m.Metrics
	if f.F1 <= f.BaselineF1All {
		out = append(out, fmt.Sprintf("always predicting churn has an F1 of %.4f, the model %.4f: "+
			"by F1 the model adds nothing, look at its ROC AUC of %.4f", f.BaselineF1All, f.F1, f.ROCAUC))
	}
	if f.Accuracy < f.BaselineAccuracy {
		out = append(out, fmt.Sprintf("always predicting the more frequent class has an accuracy of %.1f %%, "+
			"the model %.1f %%", 100*f.BaselineAccuracy, 100*f.Accuracy))
	}
	out = append(out, Limits(m, m.Evaluation, m.LineTests)...)
	for _, f := range m.Schema.Features {
		s := m.Reference.Columns[f.Name]
		unused := s.Constant() && (s.Missing == 0 || m.Encoder.Linear())
		if unused || len(s.Levels) == 1 && s.Missing == 0 {
			out = append(out, cli.Printable(f.Name)+
				": every training row has the same value, so the model learns nothing from it")
		}
	}
	if m.LackingPairs > 0 {
		out = append(out, fmt.Sprintf("the model lacks %d of the pairs asked for or chosen: no other gains more than by "+
			"chance among all training rows; to have one all the same, name it with --pairs", m.LackingPairs))
	}
	if !m.Training.Calibrated() {
		out = append(out, "with --raw-weights the probabilities are not calibrated: use them to rank, or leave it out")
	}
	return out
}

// Limits says in words what limits an evaluation of a model and its coefficients.
func Limits(m *model.Model, e *model.Evaluation, tests []model.LineTest) []string {
	return slices.Concat(aucWarning(e), penaltyWarning(m), lineWarnings(m, tests))
}

// aucWarning warns of a ROC AUC that may be off by more than a thousandth.
func aucWarning(e *model.Evaluation) []string {
	const most = 1e-3
	if e.AUCErrorBound <= most {
		return nil
	}
	return []string{fmt.Sprintf("most probabilities are in few of the 10,000 bins that they were counted by: "+
		"the ROC AUC may be off by %.4f", e.AUCErrorBound)}
}

// penaltyWarning warns of intervals that the penalty moves by more than their standard error:
// at that bias 95 % intervals cover 83 %, at twice that 48 %. It also warns where the penalty leaves the
// data hardly any of the coefficients: their standard errors are then the penalty's, as is the bias in these.
func penaltyWarning(m *model.Model) []string {
	const least = 0.05 // share of the coefficients: ordinary models with a C of 1 have 0.4 to 1
	df, width := m.Training.EffectiveDF, m.Encoder.Width()
	c, do := fmt.Sprintf("%g", m.Training.C), "take "
	if m.Training.Shrink > 0 {
		c, do = fmt.Sprintf("%s, of levels %.2g,", c, m.Training.C/m.Training.Shrink), "take --terms line or curve, or "
	}
	if df > 0 && df-1 < least*float64(width) && m.Training.C < max(1, m.Training.Shrink) { // older documents have no df
		return []string{fmt.Sprintf("the penalty of C = %s leaves the data %.2g of %d coefficients: their standard errors "+
			"and intervals are the penalty's, and say nothing of the effects; %sa larger --c", c, max(df-1, 0), width, do)}
	}
	if m.Training.PenaltyBias <= 1 {
		return nil
	}
	return []string{fmt.Sprintf("the penalty of C = %s moves coefficients by up to %.1f standard errors: their intervals "+
		"are of the penalised fit and do not cover the effects without it; for these %sa larger --c, "+
		"which helps no level that tells the outcome by itself", c, m.Training.PenaltyBias, do)}
}

// lineWarnings say which numbers bend, and what to do.
func lineWarnings(m *model.Model, tests []model.LineTest) []string {
	var out []string
	for _, t := range tests {
		if !t.Bends {
			continue
		}
		p, do := fmt.Sprintf("p = %.4f", t.P), "--terms curve or auto may fit it better"
		if t.P < 0.001 {
			p = "p < 0.001"
		}
		switch {
		case m.Schema.Features[m.Schema.Index(t.Name)].Term == model.TermsLine:
			do = `the schema says that it is a line: without its "term" a curve may fit it better`
		case m.Training.Terms == model.TermsAuto:
			do = "cross-validation chose lines for all numbers, but --terms curve may fit it better"
		}
		out = append(out, fmt.Sprintf("%s bends (%s, %.1f effective degrees of freedom): %s",
			cli.Printable(t.Name), p, t.DF, do))
	}
	return out
}
