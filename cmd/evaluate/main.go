// Evaluate fits a model, picks its threshold, and judges it; or judges a model
// that is registered already.
package main

import (
	"cmp"
	"errors"
	"fmt"

	"churn/cmd/internal/training"
	"churn/internal/cli"
	"churn/internal/model"

	"github.com/spf13/cobra"
)

func main() { cli.Main(command()) }

func command() *cobra.Command {
	o := training.Options{Options: model.Options{Tune: model.TuneF1}, Compare: true}
	var name, page string
	var on stage
	cmd := &cobra.Command{
		Use:   "evaluate",
		Short: "Fit a model with the best threshold and add it to the registry, or judge a registered one",
		Long: `Evaluate does what train does, and picks the threshold: the one with the best F1, or
with --cost-fp and --cost-fn the cheapest, on probabilities of customers that each was not
fitted to. The figures come from rows that had no part in either, and all that they show is
drawn in models/NAME.html, the model's card.

With --model it judges a registered model, and registers nothing.

With --from and --table the customers are in a table of a database, and stay there.

With --rehearse the model scores the last customers of logs/predictions*.log again before it is
registered, and its answers are compared with those that were given.`,
		Example: `  evaluate --version v2
  evaluate --cost-fp 10 --cost-fn 60
  evaluate --model churn_model_v1_20260101_120000.json --in lastmonth.csv --rehearse`,
		Args: cobra.ExactArgs(0),
	}
	training.Flags(cmd, &o, 0.70)
	f := cmd.Flags()
	f.Float64Var(&o.CostFP, "cost-fp", 0, "`cost` of calling a customer who would have stayed, above 0")
	f.Float64Var(&o.CostFN, "cost-fn", 0, "`cost` of missing a customer who leaves, above 0, in the same unit")
	f.StringVar(&name, "model", "", "`name` of a registered model to judge")
	f.StringVar(&page, "html", "", "with --model: write the page of what it finds to `file`")
	f.BoolVar(&on.wanted, "rehearse", false, "score the last customers again with the model, and compare")
	f.IntVar(&on.Last, "last", 200, "number of `records` to rehearse on, the latest of all logs; 0: all")
	f.StringArrayVar(&on.Logs, "log", nil, "with --rehearse: `pattern` of the logs to read instead of logs/predictions*.log; repeatable")
	cmd.MarkFlagsRequiredTogether("cost-fp", "cost-fn")
	for _, flag := range []string{"version", "test-size", "c", "class-weight", "cost-fp", "seed"} {
		cmd.MarkFlagsMutuallyExclusive("model", flag) // they shape a fit, and there is none
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if page != "" && name == "" {
			return errors.New("--html goes with --model: without it the page is models/NAME.html, beside the model")
		}
		if err := on.check(cmd); err != nil {
			return err
		}
		if f.Changed("model") {
			return evaluateModel(cmd, o, name, page, on)
		}
		if f.Changed("cost-fp") {
			const most = 1e12 // more than any customer is worth
			if !(o.CostFP > 0 && o.CostFN > 0 && o.CostFP <= most && o.CostFN <= most) {
				return fmt.Errorf("--cost-fp %g --cost-fn %g: both above 0, at most %g", o.CostFP, o.CostFN, most)
			}
			o.Tune = model.TuneCost
		}
		doubts := on.before(cmd, &o)
		r, err := training.Run(cmd.Context(), o)
		if err != nil {
			return err
		}
		r.Warnings = append(r.Warnings, *doubts...)
		// The model is registered, come what may: the report is first, the trouble after it.
		cardErr := writeCard(cardPath(o.Dir, r.ModelFile), r.Model, verdictOf(r))
		if cardErr != nil {
			cardErr = fmt.Errorf("%s is registered, but its card could not be written: %w", r.ModelFile, cardErr)
		}
		return cmp.Or(cardErr, training.Report(cmd, o, r))
	}
	return cmd
}
