// Rollback makes an earlier model current again, or lists the models.
package main

import (
	"errors"
	"fmt"

	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/registry"
	"churn/internal/replay"

	"github.com/spf13/cobra"
)

func main() { cli.Main(command()) }

type options struct {
	dir      string
	list     bool
	json     bool
	verify   bool
	rehearse bool
	on       replay.On
	registry.Rollback
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "rollback [MODEL]",
		Short: "Make an earlier model current again",
		Long: `Rollback makes the newest model current that was registered before the current one,
passed its gate and verifies; or the model that is named. The model's hash, format and golden
rows are checked first. Run twice it goes back twice. serve follows at once.

With --verify it changes nothing: every model, the journal and the pointer are checked, and
what is off is listed, with status 1.

With --rehearse it changes nothing: the model that it would go to, or that is named, scores the
last customers of logs/predictions*.log again, and its answers are compared with those that were
given. Answers that the model gave itself must come out again, else the status is 1. A model
that its gate refused may be rehearsed, and the current one.`,
		Example: `  rollback --list
  rollback --verify
  rollback --rehearse
  rollback --reason "alerts since Monday"
  rollback churn_model_v1_20260101_120000.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.list {
				if len(args) > 0 {
					return errors.New("--list takes no model")
				}
				return list(cmd, o)
			}
			if o.verify {
				if len(args) > 0 {
					return errors.New("--verify takes no model")
				}
				return verify(cmd, o)
			}
			if len(args) > 0 {
				o.Target = args[0]
				if o.Target == "" {
					return errors.New("the model's name is empty: see rollback --list")
				}
			}
			if o.Force && o.Target == "" {
				return errors.New("--force goes with the model to go to")
			}
			if o.rehearse {
				return rehearse(cmd, o)
			}
			if cmd.Flags().Changed("last") {
				return errors.New("--last goes with --rehearse")
			}
			if cmd.Flags().Changed("log") {
				return errors.New("--log goes with --rehearse")
			}
			return rollback(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.BoolVar(&o.list, "list", false, "list the registered models and change nothing")
	f.BoolVar(&o.verify, "verify", false, "check every model, the journal and the pointer, and change nothing")
	f.BoolVar(&o.DryRun, "dry-run", false, "choose and check a model, and change nothing")
	f.StringVar(&o.Reason, "reason", "", "`text` for registry/history.jsonl")
	f.BoolVar(&o.Force, "force", false, "accept a named model that its gate refused")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.BoolVar(&o.rehearse, "rehearse", false, "score the last customers again with the model, compare, and change nothing")
	f.IntVar(&o.on.Last, "last", 200, "number of `records` to rehearse on, the latest of all logs; 0: all")
	f.StringArrayVar(&o.on.Logs, "log", nil, "with --rehearse: `pattern` of the logs to read instead of logs/predictions*.log; repeatable")
	for _, flag := range []string{"dry-run", "reason", "force"} {
		cmd.MarkFlagsMutuallyExclusive("list", flag)
		cmd.MarkFlagsMutuallyExclusive("verify", flag)
		cmd.MarkFlagsMutuallyExclusive("rehearse", flag)
	}
	cmd.MarkFlagsMutuallyExclusive("list", "verify", "rehearse")
	for _, flag := range []string{"last", "log"} {
		cmd.MarkFlagsMutuallyExclusive("list", flag)
		cmd.MarkFlagsMutuallyExclusive("verify", flag)
	}
	return cmd
}

func rollback(cmd *cobra.Command, o options) error {
	change, warnings, err := registry.Open(o.dir, model.Verify, nil).Rollback(cmd.Context(), o.Rollback)
	cli.Warn(cmd, warnings...)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if o.json {
		return cli.JSON(w, struct {
			From    string `json:"from"`
			To      string `json:"to"`
			DryRun  bool   `json:"dry_run"`
			Changed bool   `json:"changed"`
		}{change.From, change.To, o.DryRun, !o.DryRun && change.From != change.To})
	}
	switch {
	case change.From == change.To:
		_, err = fmt.Fprintf(w, "%s is current already\n", change.To)
	case o.DryRun:
		_, err = fmt.Fprintf(w, "%s verifies and would replace %s\n", change.To, orNone(change.From))
	default:
		_, err = fmt.Fprintf(w, "%s is current, instead of %s\n", change.To, orNone(change.From))
	}
	return err
}

func orNone(name string) string {
	if name == "" {
		return "no model"
	}
	return name
}

// listed is a line of the list: an entry, and whether it is current.
type listed struct {
	Current bool `json:"current"`
	registry.Entry
}

func list(cmd *cobra.Command, o options) error {
	reg := registry.Open(o.dir, model.Verify, nil)
	entries, err := reg.Entries()
	if err != nil {
		return err
	}
	current, err := reg.Current()
	if err != nil && !errors.Is(err, registry.ErrNoCurrent) {
		cli.Warn(cmd, err.Error()) // who mends it needs the list
	}
	models := make([]listed, len(entries))
	for i, e := range entries {
		models[i] = listed{e.ModelFile == current, e}
	}
	w := cmd.OutOrStdout()
	if o.json {
		return cli.JSON(w, models)
	}
	t := cli.NewTable(w, 3, "", "model", "version", "F1", "gate", "passed", "threshold", "trained (UTC)")
	t.Spare, t.Wrap = []string{"trained (UTC)", "threshold", "version"}, true // the file's name has time and version
	for _, m := range models {
		mark, look := "", cli.Plain
		if m.Current {
			mark, look = "*", cli.Strong
		}
		passed := cli.Cell{Look: cli.Alert, Text: "no"}
		if m.PassedGate {
			passed = cli.Cell{Look: cli.Good, Text: "yes"}
		}
		cell := func(text string) cli.Cell { return cli.Cell{Look: look, Text: text} }
		t.AppendRow([]any{cell(mark), cell(cli.Printable(m.ModelFile)), cell(cli.Printable(m.Version)), cell(fmt.Sprintf("%.4f", m.Metrics.F1)),
			cell(fmt.Sprintf("%.2f", m.GateF1)), passed, cell(fmt.Sprintf("%.4f", m.Threshold)), cell(cli.Printable(m.TrainedAtUTC))})
	}
	t.Render()
	return nil
}
