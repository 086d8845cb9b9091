// Rollback makes an earlier model current again, or lists the models.
package main

import (
	"errors"
	"fmt"

	"churn/internal/cli"
	"churn/internal/registry"
	"churn/internal/replay"

	"github.com/spf13/cobra"
)

func main() { cli.Main(command()) }

type options struct {
	dir    string
	list   bool
	json   bool
	verify bool
	replay bool // --rehearse
	on     replay.On
	registry.Rollback
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "rollback [MODEL]",
		Short: "Make an earlier model current again",
		Long: `Rollback makes an earlier model current: the newest valid one that was registered before the
current model and passed its gate, or the one that is named. The model's hash, format and
golden rows (training rows stored with their probabilities) are checked first. Running it
twice goes back two models. serve switches to the model at once.

With --verify it changes nothing: every model, the journal (registry/history.jsonl) and the
pointer (registry/current_model.txt) are checked, and problems are listed, with status 1.

With --rehearse it changes nothing: the model that it would make current, or the named one,
scores the last records of logs/predictions*.log again, and its predictions are compared with
the logged ones. Those that the model made itself must be reproduced, else the status is 1.
This takes any registered model: the current one, and one that did not pass its gate.`,
		Example: `  rollback --list
  rollback --verify
  rollback --rehearse
  rollback --reason "alerts since Monday"
  rollback churn_model_v1_20260101_120000.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd, args); err != nil {
				return err
			}
			switch {
			case o.list:
				return list(cmd, o)
			case o.verify:
				return verify(cmd, o)
			case o.replay:
				return replayModel(cmd, o)
			}
			return rollback(cmd, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *options) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.BoolVar(&o.list, "list", false, "list the registered models and change nothing")
	f.BoolVar(&o.verify, "verify", false, "check every model, the journal and the pointer, and change nothing")
	f.BoolVar(&o.DryRun, "dry-run", false, "choose and check a model, and change nothing")
	f.StringVar(&o.Reason, "reason", "", "`text` for registry/history.jsonl")
	f.BoolVar(&o.Force, "force", false, "accept a named model that did not pass its gate")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.BoolVar(&o.replay, "rehearse", false, "replay the last records with the model, compare, and change nothing")
	f.IntVar(&o.on.Last, "last", 200, "number of `records` to replay, the latest of all logs; 0: all")
	f.StringArrayVar(&o.on.Logs, "log", nil,
		"with --rehearse: `pattern` of logs instead of logs/predictions*.log; repeatable")
	for _, flag := range []string{"dry-run", "reason", "force"} {
		cmd.MarkFlagsMutuallyExclusive("rehearse", flag)
	}
	for _, flag := range []string{"dry-run", "reason", "force", "last", "log"} {
		cmd.MarkFlagsMutuallyExclusive("list", flag)
		cmd.MarkFlagsMutuallyExclusive("verify", flag)
	}
	cmd.MarkFlagsMutuallyExclusive("list", "verify", "rehearse")
}

// check takes the model's name from args and rejects combinations that make no sense.
func (o *options) check(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		o.Target = args[0]
	}
	switch {
	case o.list && len(args) > 0:
		return errors.New("--list takes no MODEL")
	case o.verify && len(args) > 0:
		return errors.New("--verify takes no MODEL")
	case len(args) > 0 && o.Target == "":
		return errors.New("the model's name is empty: see rollback --list")
	case o.Force && o.Target == "":
		return errors.New("--force needs the model's name")
	case cmd.Flags().Changed("last") && !o.replay:
		return errors.New("--last goes with --rehearse")
	case cmd.Flags().Changed("log") && !o.replay:
		return errors.New("--log goes with --rehearse")
	case o.on.Last < 0:
		return fmt.Errorf("--last %d: at least 0", o.on.Last)
	}
	return nil
}
