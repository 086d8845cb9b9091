package main

import (
	"fmt"

	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/registry"
	"churn/internal/replay"

	"github.com/spf13/cobra"
)

// rehearse has a model, or the one that a rollback would go to, score the last
// customers again. Nothing changes.
func rehearse(cmd *cobra.Command, o options) error {
	if o.on.Last < 0 {
		return fmt.Errorf("--last %d: at least 0", o.on.Last)
	}
	name := o.Target
	if name == "" {
		change, warnings, err := registry.Open(o.dir, model.Verify, nil).Rollback(cmd.Context(), registry.Rollback{DryRun: true})
		cli.Warn(cmd, warnings...)
		if err != nil {
			return err
		}
		name = change.To
	}
	r, err := replay.Run(cmd.Context(), o.dir, name, o.on, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	cli.Warn(cmd, r.Warnings()...)
	if o.json {
		if err := cli.JSON(cmd.OutOrStdout(), r); err != nil {
			return err
		}
	} else {
		r.Print(cmd.OutOrStdout())
	}
	return r.Err()
}
