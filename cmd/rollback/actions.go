package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/registry"
	"churn/internal/replay"
	"churn/internal/status"

	"github.com/spf13/cobra"
)

func rollback(cmd *cobra.Command, o options) error {
	reg := modelstore.Open(o.dir)
	o.Check = func(from, to string) ([]string, error) {
		m, err := model.Read(to, reg.ReadRegistered)
		if err != nil || from == "" {
			return nil, err
		}
		old, err := model.Read(from, reg.ReadModel) // files' names have no letters beyond ASCII
		if err == nil && o.Target == "" && !strings.EqualFold(old.Schema.Target.Name, m.Schema.Target.Name) {
			return nil, status.Reject("%s stays current: it predicts %s, and %s %s: rollback %[3]s goes there on purpose",
				from, old.Schema.Target.Name, to, m.Schema.Target.Name)
		}
		warnings, err := replay.Promotion(cmd.Context(), o.dir, from, to, m, o.on.Logs, o.Force)
		if err != nil {
			err = fmt.Errorf("%s stays current: %w: add --force to make %s current all the same", from, err, to)
		}
		return warnings, err
	}
	change, warnings, err := reg.Rollback(cmd.Context(), o.Rollback)
	cli.Warn(cmd, warnings...)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if o.json {
		return cli.JSON(w, struct {
			From     string   `json:"from"`
			To       string   `json:"to"`
			DryRun   bool     `json:"dry_run"`
			Changed  bool     `json:"changed"`
			Warnings []string `json:"warnings"`
		}{change.From, change.To, o.DryRun, !o.DryRun && change.From != change.To, append([]string{}, warnings...)})
	}
	previous := cmp.Or(cli.Printable(change.From), "none") // of a pointer that anything may have written
	switch {
	case change.From == change.To:
		_, err = fmt.Fprintf(w, "%s is already current\n", change.To)
	case o.DryRun:
		_, err = fmt.Fprintf(w, "%s is valid and would become current; current now: %s\n", change.To, previous)
	default:
		_, err = fmt.Fprintf(w, "%s is current; before: %s\n", change.To, previous)
	}
	return err
}

// listed is a row of --list.
type listed struct {
	Current bool `json:"current"`
	registry.Entry
}

// modelNames returns the models that a shell may complete the first argument to.
func (o options) modelNames(args []string) (names []cobra.Completion) {
	entries, err := modelstore.Open(o.dir).Entries()
	if err != nil || len(args) > 0 {
		return nil
	}
	for _, e := range entries {
		if e.PrunedAtUTC == "" {
			names = append(names, cobra.CompletionWithDesc(e.ModelFile, e.Version))
		}
	}
	return names
}

func list(cmd *cobra.Command, o options) error {
	reg := modelstore.Open(o.dir)
	entries, err := reg.Entries()
	if err != nil {
		return err
	}
	current, err := reg.Current()
	if err != nil && !errors.Is(err, registry.ErrNoCurrent) {
		cli.Warn(cmd, err.Error()) // list all the same: it helps to repair the pointer
	}
	models := []listed{}
	for _, e := range entries {
		if e.PrunedAtUTC == "" {
			models = append(models, listed{e.ModelFile == current, e})
		}
	}
	w := cmd.OutOrStdout()
	if o.json {
		return cli.JSON(w, models)
	}
	t := cli.NewTable(w, 3, "", "model", "version", "F1", "gate", "passed", "threshold", "trained (UTC)")
	// the file's name contains time and version
	t.Optional, t.Wrap = []string{"trained (UTC)", "threshold", "version"}, true
	for _, m := range models {
		mark, style := "", cli.Plain
		if m.Current {
			mark, style = "*", cli.Strong
		}
		passed := cli.Cell{Style: cli.Alert, Text: "no"}
		if m.PassedGate {
			passed = cli.Cell{Style: cli.Good, Text: "yes"}
		}
		gate := "none"
		if m.GateF1 != nil {
			gate = fmt.Sprintf("%.2f", *m.GateF1)
		}
		cell := func(text string) cli.Cell { return cli.Cell{Style: style, Text: text} }
		t.AppendRow([]any{
			cell(mark), cell(cli.Printable(m.ModelFile)), cell(cli.Printable(m.Version)),
			cell(fmt.Sprintf("%.4f", m.Metrics.F1)), cell(gate), passed,
			cell(fmt.Sprintf("%.4f", m.Threshold)), cell(cli.Printable(m.TrainedAtUTC)),
		})
	}
	t.Render()
	return nil
}

// verify checks the registry and lists the problems. Nothing changes.
func verify(cmd *cobra.Command, o options) error {
	a, err := modelstore.Open(o.dir).Verify(cmd.Context(), modelstore.MatchEntry)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if o.json {
		if err := cli.JSON(w, a); err != nil {
			return err
		}
	} else {
		current := cmp.Or(cli.Printable(a.Current), "none")
		fmt.Fprintf(w, "models: %d, changes: %d, current: %s\n", a.Models, a.Changes, current)
		for _, text := range a.Problems {
			fmt.Fprintln(w, cli.Paint(w, cli.Alert, "problem:"), text)
		}
		for _, text := range a.Notes {
			fmt.Fprintln(w, cli.Paint(w, cli.Watch, "note:"), text)
		}
		if len(a.Problems) == 0 {
			fmt.Fprintln(w, cli.Paint(w, cli.Good, "no problems"))
		}
	}
	if n := len(a.Problems); n > 0 {
		return status.Reject("problems in the registry: %d; restore a file from a backup, or give up its model by rollback "+
			"--prune MODEL; a copy made during a change may lack some of it: copy again, under flock registry/registry.lock", n)
	}
	return nil
}

// prune removes old models, or with --dry-run names them.
func prune(cmd *cobra.Command, o options) error {
	kept := fmt.Sprintf("kept the newest %d", o.remove.Keep)
	if o.Target != "" {
		kept = "named"
	}
	o.remove.Model, o.remove.Reason, o.remove.DryRun = o.Target, cmp.Or(o.Reason, kept), o.DryRun
	p, err := modelstore.Open(o.dir).Prune(cmd.Context(), o.remove)
	w := cmd.OutOrStdout()
	switch {
	case err != nil && p.Removed == nil:
		return err
	case o.json:
		return cmp.Or(cli.JSON(w, struct {
			Removed []string `json:"removed"`
			DryRun  bool     `json:"dry_run"`
			Moved   int      `json:"moved_lines"`
			Archive string   `json:"archive,omitzero"` // in registry/
		}{append([]string{}, p.Removed...), o.DryRun, p.Moved, p.Archive}), err)
	}
	for _, name := range p.Removed {
		fmt.Fprintln(w, cli.Printable(name))
	}
	would := ""
	if o.DryRun {
		would = "would be "
	}
	fmt.Fprintf(w, "models %sremoved: %d\n", would, len(p.Removed))
	if p.Archive != "" {
		fmt.Fprintf(w, "lines of the journal %smoved to registry/%s: %d\n", would, p.Archive, p.Moved)
	}
	return err
}

// replayModel replays records with the named model, or with the one that a rollback would
// make current. Nothing changes.
func replayModel(cmd *cobra.Command, o options) error {
	reg := modelstore.Open(o.dir)
	change, warnings, err := reg.Rollback(cmd.Context(), registry.Rollback{Target: o.Target, Force: true, DryRun: true})
	cli.Warn(cmd, warnings...)
	if err != nil {
		return err
	}
	name := change.To
	m, err := model.Read(name, reg.ReadRegistered)
	if err != nil {
		return err
	}
	r, err := replay.Run(cmd.Context(), o.dir, name, m, o.on, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	cli.Warn(cmd, r.Warnings()...)
	if o.json {
		return cmp.Or(cli.JSON(cmd.OutOrStdout(), r), r.Err())
	}
	r.Print(cmd.OutOrStdout())
	return r.Err()
}
