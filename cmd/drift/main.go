// Drift reports whether the customers that were scored look like those that the
// model was trained on.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"churn/cmd/internal/database"
	"churn/internal/alert"
	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/drift"
	"churn/internal/filedata"
	"churn/internal/input"
	"churn/internal/report"
	"churn/internal/status"

	"github.com/spf13/cobra"
)

func main() { cli.Main(command()) }

type options struct {
	dir        string
	logs       []string // patterns of logs; none: those of the services on dir
	last       int
	since      string  // an age or a time; "" for none
	earliest   float64 // what it means, unix seconds
	lastGiven  bool
	minRows    int
	zThreshold float64
	json       bool
	html       string           // file for the page; "" for none
	windows    int              // of the log, to see a trend
	labels     string           // file of outcomes; "" for none
	form       filedata.Options // of that file
	quality    qualityFlags
	from       database.Flags
	alert      alertOptions
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Compare recently scored customers with those the model was trained on",
		Long: `Drift reads the last records of logs/predictions*.log. It prints the z score of each number's
mean against registry/train_stats.json, as the reference lab computes it, and a calibrated verdict
against the reference that the current model carries. An alert needs a difference that is significant
at 1 % after Holm's correction and worth acting on: of a mean 0.2 standard deviations, of a variance
a factor of 1.25, of a shape or of levels 10 % of the rows, of a share of missing or unseen values 2
points and doubled, of a correlation 0.2. One that is too small is a watch, and an alert if the two
windows of --last records before had it too.

With an address, given by --alert-url or MONITORING_URL, drift notifies it once when something drifts
and once when the drift is over. What cannot be delivered is queued in logs/alerts.jsonl for the next
run; the status stays that of the verdict. MONITORING_TOKEN is sent as a bearer token. Either may be in
a file instead, which MONITORING_URL_FILE or MONITORING_TOKEN_FILE names.

With --labels the outcomes that are known are compared with the predictions, those in the log or of them
the latest --last or those --since. A fall in F1, accuracy or log loss, against the test rows or what was
expected of these customers, or a calibration slope that is off, alerts like drift.

With --from and --table the records are read from a table that logs were loaded into.

Status 0: no drift, or too small to act on; 1: drift; 2: not enough data, or an error.`,
		Example: `  drift
  drift --last 1000 --json
  drift --html drift.html
  drift --from postgres://me@localhost/shop --table predictions
  drift --labels outcomes.csv
  drift --labels outcomes.csv --since 30d
  drift --alert-url http://localhost:9093 --alert-format alertmanager`,
		Args: cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.html != "" && !cmd.Flags().Changed("windows") {
				o.windows = pageWindows
			}
			if !cmd.Flags().Changed("alert-url") {
				var err error
				if o.alert.url, err = cli.Secret("MONITORING_URL"); err != nil {
					return err
				}
			}
			o.lastGiven = cmd.Flags().Changed("last")
			if o.since != "" && !o.lastGiven {
				o.last = 0
			}
			if err := o.check(); err != nil {
				return err
			}
			return run(cmd, o)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *options) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.StringArrayVar(&o.logs, "log", nil, "`pattern` of the logs to read instead of logs/predictions*.log, or URL#TABLE "+
		"of a database that they were loaded into; repeatable")
	f.IntVar(&o.last, "last", 200, "number of `records` to compare, the latest of all logs; 0: all")
	f.StringVar(&o.since, "since", "",
		"only records since a `time`: 36h or 30d ago, 2026-11-23 in UTC, 2026-11-23T08:00:00Z")
	f.IntVar(&o.minRows, "min-rows", drift.MinRows, "least number of `records` for a verdict, at least 2")
	f.Float64Var(&o.zThreshold, "z-threshold", 2.5, "reference z score at which a number alerts, above 0")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.StringVar(&o.labels, "labels", "", "`file` of request_id and the target: compare outcomes with predictions")
	o.form.AddFlags(cmd)
	o.quality.flags(cmd)
	f.StringVar(&o.html, "html", "", "write the verdict and the distributions as an HTML page to `file`")
	f.IntVar(&o.windows, "windows", 0, "number of `windows` of --last records to compare (default 20 with --html)")
	o.alert.flags(cmd)
	o.from.Add(cmd)
	cmd.MarkFlagsMutuallyExclusive("from", "log")
}

// check rejects invalid options before any work.
func (o *options) check() error {
	if err := o.from.Check(); err != nil {
		return err
	}
	switch {
	case o.last < 0:
		return fmt.Errorf("--last %d: at least 0", o.last)
	case o.last > 0 && o.last < o.minRows:
		return fmt.Errorf("--last %d: fewer than the %d records that --min-rows needs", o.last, o.minRows)
	case o.minRows < 2:
		return fmt.Errorf("--min-rows %d: at least 2", o.minRows)
	case !(o.zThreshold > 0):
		return fmt.Errorf("--z-threshold %g: above 0", o.zThreshold)
	case input.SameFile(o.html, o.labels):
		return errors.New("--html is a file to read: write the page to another one")
	case o.labels == "" && (o.form.Delimiter+o.form.Encoding+o.form.Sheet != "" || o.form.SkipLines+o.form.SkipRows > 0):
		return errors.New("--delimiter, --encoding, --sheet, --skip-lines and --skip-rows go with --labels")
	case o.windows < 0 || o.windows > maxWindows:
		return fmt.Errorf("--windows %d: 0 to %d", o.windows, maxWindows)
	}
	if err := o.readSince(time.Now()); err != nil {
		return err
	}
	return cmp.Or(o.quality.check(), o.alert.check())
}

// readSince reads --since.
func (o *options) readSince(now time.Time) error {
	o.earliest = math.Inf(-1)
	if o.since == "" {
		return nil
	}
	age, err := time.ParseDuration(o.since)
	if number, days := strings.CutSuffix(o.since, "d"); days {
		var n uint64
		n, err = strconv.ParseUint(number, 10, 16)
		age = time.Duration(n) * 24 * time.Hour
	}
	at := now.Add(-age)
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, parse := time.Parse(layout, o.since); parse == nil {
			at, err = t, nil
		}
	}
	if err != nil || age < 0 {
		return fmt.Errorf("--since %q: a time such as 36h, 30d, 2026-11-23 or 2026-11-23T08:00:00Z", o.since)
	}
	o.earliest = float64(at.UnixMilli()) / 1000
	return nil
}

func run(cmd *cobra.Command, o options) error {
	sender, err := o.alert.sender(o.dir)
	if err != nil {
		return err
	}
	r, err := compare(cmd.Context(), o, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	cli.Warn(cmd, r.Warnings...)
	if o.html != "" {
		err = writePage(o.html, &r.Result)
	}
	if err == nil && !o.json {
		r.print(cmd.OutOrStdout()) // delivery may take a while
	}
	r.send(cmd, sender) // even if the page could not be written
	if err == nil && o.json {
		err = cli.JSON(cmd.OutOrStdout(), r)
	}
	if err == nil && r.Drift {
		alerts := r.alerts()
		for i := range alerts {
			alerts[i].Column, alerts[i].Kind = cli.Printable(alerts[i].Column), cli.Printable(drift.Label(alerts[i].Kind))
		}
		err = status.Reject("found in %s", alert.Columns(alerts))
	}
	return err
}

// writePage writes the page of --html.
func writePage(file string, r *drift.Result) error {
	page, err := report.DriftPage(r)
	if err != nil {
		return err
	}
	return atomicfile.Write(file, page, 0o666)
}
