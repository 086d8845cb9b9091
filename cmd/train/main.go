// Train fits a churn model to a prepared dataset and adds it to the registry.
package main

import (
	"context"

	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/training"
	"churn/internal/warehouse"

	"github.com/spf13/cobra"
)

func main() { cli.Main(command()) }

func command() *cobra.Command {
	o := training.Options{Options: model.Options{Tune: model.TuneNone}}
	var from warehouse.Options
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Fit a model and add it to the registry",
		Long: `Train fits a logistic regression to the prepared customers, judges it on rows it has
not seen at a threshold of 0.5, registers it, and makes it current if it passes the gate.

With --from and --table the customers are in a table of a database, and stay there: each pass
over them is a query, and those held out are chosen by the hash of --key and the seed.`,
		Example: `  train --version v2
  train --test-size 0 --class-weight balanced
  train --from postgres://me@localhost/shop --table customers`,
		Args: cobra.ExactArgs(0),
	}
	training.Flags(cmd, &o, 0.65)
	from.Flags(cmd.Flags())
	from.KeyFlag(cmd.Flags())
	cmd.MarkFlagsMutuallyExclusive("from", "in")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := from.Check(); err != nil {
			return err
		}
		if from.Given() {
			o.Open = func(ctx context.Context, schema *dataset.Schema) (training.Source, []string, error) {
				return warehouse.OpenPrepared(ctx, from, warehouse.Wanted{Dir: o.Dir, Schema: schema, Limits: dataset.Limits{MaxMissing: 1}, Seed: o.Seed}, o.Stderr)
			}
		}
		r, err := training.Run(cmd.Context(), o)
		if err != nil {
			return err
		}
		return training.Report(cmd, o, r)
	}
	return cmd
}
