// Evaluate fits a model, picks its threshold and evaluates it; or it evaluates a
// registered model.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	_ "churn/internal/filedata/parquet" // --in takes Parquet files

	"churn/cmd/internal/training"
	"churn/internal/cli"
	"churn/internal/input"
	"churn/internal/model"
	"churn/internal/registry"

	"github.com/spf13/cobra"
)

func main() {
	cli.SetGCPercent(training.GCPercent)
	cli.Main(command())
}

type options struct {
	training.Options
	name, page string // of a registered model, and of the file for its card; "" for none
	to         export
	rehearse   bool
}

func command() *cobra.Command {
	o := options{Options: training.Options{Options: model.Options{Tune: model.TuneF1, TestLines: true}, Compare: true}}
	cmd := &cobra.Command{
		Use:   "evaluate",
		Short: "Fit a model with the best threshold and add it to the registry, or evaluate a registered one",
		Long: `Evaluate does what train does, and picks the threshold: the one with the best F1, or
with --cost-fp and --cost-fn the cheapest, on out-of-fold probabilities of the training rows.
The metrics come from rows that were used for neither fit nor threshold, and
models/NAME.html, the model's card, shows them.

With --model it evaluates a registered model, and registers nothing.

Rows that need more than --memory are not held: they are written to a temporary file in data,
which each pass reads again.

With --from and --table the customers are in a table of a database, and each pass over them
is a query.

With --rehearse the model scores the last customers of logs/predictions*.log again before it is
registered, and its answers are compared with the recorded ones.`,
		Example: `  evaluate --version v2
  evaluate --cost-fp 10 --cost-fn 60
  evaluate --model churn_model_v1_20260101_120000.json --in lastmonth.csv --rehearse`,
		Args: cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			if cmd.Flags().Changed("model") {
				return evaluateModel(cmd, o)
			}
			return fit(cmd, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *options) flags(cmd *cobra.Command) {
	training.Flags(cmd, &o.Options, 0.70, model.TermsAuto)
	f := cmd.Flags()
	f.Float64Var(&o.CostFP, "cost-fp", 0, "`cost` of a false positive, above 0: a non-churner who is predicted to churn")
	f.Float64Var(&o.CostFN, "cost-fn", 0,
		"`cost` of a false negative, above 0, in the same unit: a churner who is not predicted to churn")
	f.StringVar(&o.name, "model", "", "`name` of a registered model to evaluate")
	f.StringVar(&o.AsOf, "as-of", "",
		"with --model: `date` of the customers' export, from which days of dates are counted back (default: the schema's)")
	o.Form.AddFlags(cmd)
	f.StringVar(&o.page, "html", "", "with --model: write the model's card for these customers to `file`")
	f.StringVar((*string)(&o.to), "export", "", "write the model to `file`.onnx too, for ONNX Runtime")
	f.BoolVar(&o.rehearse, "rehearse", false, "score the last logged customers with the model, and compare")
	f.IntVar(&o.Last, "last", 200, "number of `records` to replay, the latest of all logs; 0: all")
	f.Lookup("log").Usage = "`pattern` of the logs to read instead of logs/predictions*.log, or URL#TABLE " +
		"of a database that they were loaded into; repeatable"
	cmd.MarkFlagsRequiredTogether("cost-fp", "cost-fn")
	training.ActionFlags(cmd, &o.Actions)
	for _, flag := range strings.Fields(
		"version strict test-size time-column c class-weight raw-weights terms pairs cost-fp seed candidate force") {
		cmd.MarkFlagsMutuallyExclusive("model", flag) // which are for a new model
	}
	cmd.MarkFlagsMutuallyExclusive("as-of", "rehearse") // of the days of each record
}

// check rejects flags that do not go together.
func (o *options) check(cmd *cobra.Command) error {
	switch {
	case o.page != "" && o.name == "":
		return errors.New("--html goes with --model: without it the page is models/NAME.html, beside the model")
	case input.SameFile(o.page, cmp.Or(o.In, filepath.Join(o.Dir, "data", "processed.csv"))):
		return errors.New("--html is a file to read: write the page to another one")
	case o.AsOf != "" && o.name == "":
		return errors.New("--as-of goes with --model: for a new model prepare counts the days")
	}
	return cmp.Or(o.checkReplay(cmd.Flags().Changed), o.to.check(cmd))
}

// fit trains and registers a model, writes its card and its export, and reports.
func fit(cmd *cobra.Command, o options) error {
	if cmd.Flags().Changed("cost-fp") {
		o.Tune = model.TuneCost
	}
	const most = 1e12 // far from where sums over customers lose digits
	if o.Tune == model.TuneCost && !(o.CostFP > 0 && o.CostFN > 0 && o.CostFP <= most && o.CostFN <= most) {
		return fmt.Errorf("--cost-fp %g --cost-fn %g: both above 0, at most %g", o.CostFP, o.CostFN, most)
	}
	warnings := o.replayBefore()
	r, err := training.Run(cmd.Context(), o.Options)
	if err != nil {
		return err
	}
	r.Warnings = append(r.Warnings, *warnings...)
	// The model is registered even if its card cannot be written: report it before that error.
	card := filepath.Join(o.Dir, registry.Models, registry.CardName(r.ModelFile))
	cardErr := writeCard(card, registry.MaxCardBytes, r.Model, r.Data.File, r.Assessment)
	if cardErr != nil {
		cardErr = fmt.Errorf("%s is registered, but its card could not be written: %w", r.ModelFile, cardErr)
	}
	return cmp.Or(errors.Join(cardErr, o.to.write(r.Model, r.ModelFile)), training.Report(cmd, o.Options, r))
}
