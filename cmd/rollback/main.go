// Rollback makes another model current, an earlier one or a candidate; or it lists, verifies
// or prunes the models.
package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"churn/internal/cli"
	"churn/internal/dataset"
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

	prune  bool
	remove registry.Prune

	forget []string // request ids
	match  []string // column=value, once
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "rollback [MODEL]",
		Short: "Make an earlier model or a candidate current",
		Long: `Rollback makes the model current that was current before, by registry/history.jsonl, past those
that are missing, invalid, rejected by their gate or of another target; twice goes back twice.
With a MODEL, a file name or a version (its newest model), it promotes that one. The model's
hash, format and golden rows (made-up customers with their probabilities) are checked
first. serve switches to the model at once. A model with other columns is tried on the last
logged customers: if it can score none of them, only --force makes it current.

With --verify it changes nothing: every model, the journal (registry/history.jsonl) and the
pointer (registry/current_model.txt) are checked, and problems are listed, with status 1.

With --rehearse it changes nothing: the model that it would make current, or the named one,
scores the last records of logs/predictions*.log again, and its predictions are compared with
the logged ones. Those that the model made itself must be reproduced, else the status is 1.
This takes any registered model: the current one, and one that did not pass its gate.

With --prune it removes models and their cards. The newest --keep models stay, and so do the
current one, the three that rollbacks would go to and the three that were current last. With a
MODEL, a file name, it removes that one, such as one that is damaged; the current one stays.

With --forget it removes the records of a request id from logs/predictions*.log and all their
rotated parts, compressed ones too, while services write them. Status 1: there was none. With
--match it removes the customers that have a value in a column from those and from data/*.csv,
and names the models that were trained on these rows. Run prepare after it. What was removed,
without whose it was, is noted in logs/erased-TIME.json.`,
		Example: `  rollback --list
  rollback --verify
  rollback --rehearse
  rollback --reason "alerts since Monday"
  rollback churn_model_v1_20260101_120000.json
  rollback v2
  rollback --prune --keep 20 --older-than 90d
  rollback --prune churn_model_v1_20260101_120000.json
  rollback --forget customer-4711
  rollback --match customer_id=4711`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return o.modelNames(args), cobra.ShellCompDirectiveNoFileComp
		},
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
			case o.prune:
				return prune(cmd, o)
			case o.forget != nil || o.match != nil:
				return forget(cmd, o)
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
	f.BoolVar(&o.Force, "force", false,
		"accept a named model that did not pass its gate, or one that can score no logged customer")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.BoolVar(&o.replay, "rehearse", false, "replay the last records with the model, compare, and change nothing")
	f.IntVar(&o.on.Last, "last", 200, "number of `records` to replay, the latest of all logs; 0: all")
	f.StringArrayVar(&o.on.Logs, "log", nil,
		"`pattern` of the logs to read or to erase from, instead of logs/predictions*.log; repeatable")
	f.BoolVar(&o.prune, "prune", false, "remove old models, or the one named")
	f.IntVar(&o.remove.Keep, "keep", 0, "`number` of the newest models that --prune keeps")
	f.StringArrayVar(&o.forget, "forget", nil, "remove the records of a request `id` from the logs; repeatable")
	f.StringArrayVar(&o.match, "match", nil,
		"remove the rows in data/*.csv, and the records in the logs, of the customers with `column=value`")
	f.Func("older-than", "with --prune: only models trained so many `days` ago or more, such as 90d", o.readAge)
	cmd.MarkFlagsMutuallyExclusive("list", "verify", "rehearse", "prune", "forget", "match")
	for flag, without := range map[string][]string{
		"list": {"dry-run", "reason", "force", "last", "log"}, "verify": {"dry-run", "reason", "force", "last", "log"},
		"rehearse": {"dry-run", "reason", "force"}, "prune": {"force", "log"},
		"forget": {"reason", "force"}, "match": {"reason", "force"},
	} {
		for _, other := range without {
			cmd.MarkFlagsMutuallyExclusive(flag, other)
		}
	}
}

// check takes the model's name from args and rejects combinations that make no sense.
func (o *options) check(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		o.Target = args[0]
	}
	for i, id := range o.forget {
		o.forget[i] = dataset.Trim(id) // as serve logs it
	}
	switch {
	case slices.ContainsFunc(o.on.Logs, func(log string) bool { return strings.Contains(log, "://") }):
		return errors.New("--log of rollback is files: evaluate --rehearse, also of a --model, reads URL#TABLE")
	case o.list && len(args) > 0:
		return errors.New("--list takes no MODEL")
	case o.verify && len(args) > 0:
		return errors.New("--verify takes no MODEL")
	case o.forget != nil && (len(args) > 0 || slices.Contains(o.forget, "")):
		return errors.New("--forget takes a request id, and no MODEL")
	case o.match != nil && (len(args) > 0 || len(o.match) > 1 || !matchForm.MatchString(o.match[0])):
		return errors.New("--match takes one column=value, such as customer_id=4711, and no MODEL")
	case o.prune && (len(args) > 0) == cmd.Flags().Changed("keep"):
		return errors.New("--prune takes the file name of a MODEL, or --keep, the number of the newest models that stay")
	case !o.prune && cmd.Flags().Changed("keep"):
		return errors.New("--keep goes with --prune")
	case len(args) > 0 && o.remove.OlderThan > 0:
		return errors.New("--older-than goes with --keep")
	case o.remove.Keep < 0:
		return fmt.Errorf("--keep %d: at least 0", o.remove.Keep)
	case o.remove.OlderThan > 0 && !o.prune:
		return errors.New("--older-than goes with --prune")
	case len(args) > 0 && o.Target == "":
		return errors.New("the model's name is empty: see rollback --list")
	case cmd.Flags().Changed("last") && !o.replay:
		return errors.New("--last goes with --rehearse")
	case o.on.Last < 0:
		return fmt.Errorf("--last %d: at least 0", o.on.Last)
	}
	return nil
}

// readAge reads --older-than: a number of days.
func (o *options) readAge(text string) error {
	number, isDays := strings.CutSuffix(text, "d")
	const most = 36500 // far from where a duration overflows
	days, err := strconv.Atoi(number)
	if err != nil || !isDays || days < 1 || days > most {
		return fmt.Errorf("days such as 90d, at most %dd", most)
	}
	o.remove.OlderThan = time.Duration(days) * 24 * time.Hour
	return nil
}
