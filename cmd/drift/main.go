// Drift tells whether the customers that were scored look like those that the
// model was trained on.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"churn/internal/cli"
	"churn/internal/drift"
	"churn/internal/sqldata"

	"github.com/spf13/cobra"
)

func main() { cli.Main(command()) }

type options struct {
	dir        string
	logs       []string // patterns of logs; none are those of the services on dir
	last       int
	minRows    int
	zThreshold float64
	json       bool
	html       string // file for the page; "" is none
	windows    int    // of the log, to see how it moved
	labels     string // file of outcomes; "" is none
	from       sqldata.Options
	alert      alertOptions
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Compare the customers scored lately with those the model was trained on",
		Long: `Drift reads the last records of logs/predictions*.log. It prints the lab's z of each
number against registry/train_stats.json, and a calibrated verdict against the reference that
the current model carries. An alert needs a difference that is significant after Holm's
correction at 1 % and worth acting on: 0.2 standard deviations, or a PSI of 0.1.

With an address, given by --alert-url or MONITORING_URL, drift tells it once when something drifts
and once when it is over. What cannot be delivered waits in logs/alerts.jsonl for the next run; the
status stays that of the verdict. MONITORING_TOKEN is sent as a bearer token.

With --from and --table the records are in a table that logs were loaded into.

Status 0: no drift, or too small to act on; 1: drift; 2: not enough data, or trouble.`,
		Example: `  drift
  drift --last 1000 --json
  drift --html drift.html
  drift --from postgres://me@localhost/shop --table predictions
  drift --labels outcomes.csv
  drift --alert-url http://localhost:9093 --alert-format alertmanager`,
		Args: cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.from.Check(); err != nil {
				return err
			}
			if o.html != "" && !cmd.Flags().Changed("windows") && !o.from.Given() {
				o.windows = pageWindows
			}
			return run(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.StringArrayVar(&o.logs, "log", nil, "`pattern` of the logs to read instead of logs/predictions*.log; repeatable")
	f.IntVar(&o.last, "last", 200, "number of `records` to look at, the latest of all logs; 0: all")
	f.IntVar(&o.minRows, "min-rows", 30, "least number of `records` for a verdict, at least 2")
	f.Float64Var(&o.zThreshold, "z-threshold", 2.5, "the lab's z from which a number alarms, above 0")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.StringVar(&o.labels, "labels", "", "CSV `file` of request_id and the target: compare what became of customers with what was said")
	f.StringVar(&o.html, "html", "", "write the verdict and the distributions behind it as a page to `file`")
	f.IntVar(&o.windows, "windows", 0, "tell of so many `windows` of the log, each of --last records, 0 to 1000 (default 20 with --html)")
	o.alert.flags(cmd)
	o.from.Flags(f)
	for _, flag := range []string{"log", "labels", "windows"} {
		cmd.MarkFlagsMutuallyExclusive("from", flag) // they are read from files alone
	}
	return cmd
}

func run(cmd *cobra.Command, o options) error {
	switch {
	case o.last < 0:
		return fmt.Errorf("--last %d: at least 0", o.last)
	case o.last > 0 && o.last < o.minRows:
		return fmt.Errorf("--last %d: fewer than the %d records that --min-rows asks for", o.last, o.minRows)
	case o.minRows < 2:
		return fmt.Errorf("--min-rows %d: at least 2", o.minRows)
	case !(o.zThreshold > 0):
		return fmt.Errorf("--z-threshold %g: above 0", o.zThreshold)
	case o.windows < 0 || o.windows > maxWindows:
		return fmt.Errorf("--windows %d: 0 to %d", o.windows, maxWindows)
	}
	sender, err := o.alert.sender(cmd, o.dir)
	if err != nil {
		return err
	}
	r, err := compare(cmd.Context(), o, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	cli.Warn(cmd, r.Warnings...)
	if o.html != "" {
		if err := r.writePage(o.html); err != nil {
			r.tell(cmd, sender, o) // a page that cannot be written silences no alert
			return err
		}
	}
	if o.json {
		r.tell(cmd, sender, o)
		err = cli.JSON(cmd.OutOrStdout(), r)
	} else {
		r.print(cmd.OutOrStdout(), o)
		r.tell(cmd, sender, o)
	}
	if err == nil && r.Drift {
		err = cli.No("found in %s", r.alerts())
	}
	return err
}

// compare reads the references and the log, and judges.
func compare(ctx context.Context, o options, stderr io.Writer) (*answer, error) {
	refs, err := loadReferences(o.dir)
	if err != nil {
		return nil, err
	}
	if o.labels != "" && refs.model == nil {
		return nil, errors.New("--labels needs a current model, whose answers they are to be compared with")
	}
	w, err := readWindow(ctx, o, refs, stderr)
	if err != nil {
		return nil, err
	}
	r, err := judge(w, refs, o)
	if err == nil && o.windows > 0 {
		r.Windows, err = readHistory(ctx, o, refs, w)
	}
	if err == nil && o.labels != "" {
		var doubts []string
		r.Quality.Labelled, doubts, err = readLabelled(ctx, o, w.logs, refs.modelName, refs.model)
		r.Warnings = append(r.Warnings, doubts...)
	}
	return r, err
}

// judge compares what was read with the references.
func judge(w *window, refs *references, o options) (*answer, error) {
	r := &answer{
		Records: w.found.Records, Bad: w.found.Bad, Torn: w.found.Torn,
		Model: refs.modelName, ModelRecords: w.byModel.Rows, Lab: []drift.Lab{}, ZThreshold: o.zThreshold, Warnings: append(refs.warnings, w.warnings()...),
	}
	if w.found.Records < o.minRows {
		return nil, fmt.Errorf("not enough data: %d records in %s, at least %d", w.found.Records, w.name, o.minRows)
	}
	for _, c := range w.lab {
		if c.Live.Rows >= o.minRows {
			r.Lab = append(r.Lab, drift.CompareLab(c, o.zThreshold))
		} else {
			r.unjudged = append(r.unjudged, c.Name)
		}
	}
	columns, few := enough(w.columns, o.minRows)
	for _, c := range few {
		r.unjudged = append(r.unjudged, c.Name)
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s: not enough data: %d records, at least %d", c.Name, c.Live.Rows+c.Live.Missing, o.minRows))
	}
	if len(columns) == 0 {
		return nil, errors.New("not enough data: no column of the model is in enough records")
	}
	r.judge(columns)
	if refs.model != nil {
		r.Quality = qualityOf(refs.model, w.byModel, o.minRows)
	}
	for _, c := range columns {
		r.Columns = append(r.Columns, drift.Describe(c))
	}
	return r, nil
}

// enough divides columns into those with records for a verdict and those without.
func enough(columns []drift.Column, minRows int) (with, without []drift.Column) {
	for _, c := range columns {
		if c.Live.Rows+c.Live.Missing >= minRows {
			with = append(with, c)
		} else {
			without = append(without, c)
		}
	}
	return with, without
}
