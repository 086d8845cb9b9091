// Train fits a churn model to a prepared dataset and adds it to the registry.
package main

import (
	"churn/cmd/internal/training"
	"churn/internal/cli"
	"churn/internal/model"

	"github.com/spf13/cobra"
)

func main() {
	cli.SetGCPercent(training.GCPercent)
	cli.Main(command())
}

func command() *cobra.Command {
	o := training.Options{Options: model.Options{Tune: model.TuneNone}}
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Fit a model and add it to the registry",
		Long: `Train fits a logistic regression to the prepared customers, evaluates it on held-out rows
at a threshold of 0.5, registers it, and makes it current if it passes the gate.

Rows that need more than --memory are not held: they are written to a temporary file in data,
which each pass reads again. Those held out are then selected by a hash of their number.

With --from and --table the customers are in a table of a database: each pass over them is a
query, and those held out are selected by the hash of --key and the seed.`,
		Example: `  train --version v2
  train --test-size 0 --class-weight balanced
  train --from postgres://me@localhost/shop --table customers`,
		Args: cobra.ExactArgs(0),
	}
	training.Flags(cmd, &o, 0.65, model.TermsLine)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r, err := training.Run(cmd.Context(), o)
		if err != nil {
			return err
		}
		return training.Report(cmd, o, r)
	}
	return cmd
}
