// Rollback makes an earlier model current again, or lists the models.
package main

import (
	"errors"
	"fmt"

	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/registry"

	"github.com/spf13/cobra"
)

func main() { cli.Main(command()) }

type options struct {
	dir  string
	list bool
	json bool
	registry.Rollback
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "rollback [MODEL]",
		Short: "Make an earlier model current again",
		Long: `Rollback makes the newest model current that was registered before the current one,
passed its gate and verifies; or the model that is named. The model's hash, format and golden
rows are checked first. Run twice it goes back twice. serve follows at once.`,
		Example: `  rollback --list
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
			if len(args) > 0 {
				o.Target = args[0]
				if o.Target == "" {
					return errors.New("the model's name is empty: see rollback --list")
				}
			}
			if o.Force && o.Target == "" {
				return errors.New("--force goes with the model to go to")
			}
			return rollback(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.BoolVar(&o.list, "list", false, "list the registered models and change nothing")
	f.BoolVar(&o.DryRun, "dry-run", false, "choose and check a model, and change nothing")
	f.StringVar(&o.Reason, "reason", "", "`text` for registry/history.jsonl")
	f.BoolVar(&o.Force, "force", false, "accept a named model that its gate refused")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	for _, flag := range []string{"dry-run", "reason", "force"} {
		cmd.MarkFlagsMutuallyExclusive("list", flag)
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
	for _, m := range models {
		mark, passed := "", "no"
		if m.Current {
			mark = "*"
		}
		if m.PassedGate {
			passed = "yes"
		}
		t.AppendRow([]any{mark, m.ModelFile, m.Version, fmt.Sprintf("%.4f", m.Metrics.F1), fmt.Sprintf("%.2f", m.GateF1), passed,
			fmt.Sprintf("%.4f", m.Threshold), m.TrainedAtUTC})
	}
	t.Render()
	return nil
}
