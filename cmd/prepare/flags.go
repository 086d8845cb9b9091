package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"churn/cmd/internal/database"
	"churn/internal/cli"
	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/filedata"
	"churn/internal/input"

	"github.com/spf13/cobra"
)

type options struct {
	dir          string
	files        []string // to read, or patterns of them
	in           string   // names them in messages
	schema       string
	inference    csvdata.Inference
	form         filedata.Options
	limits       dataset.Limits
	logs         []string // patterns of logs
	labels       string   // file of outcomes
	notes        []string // that were told, for the page
	html         string   // file for the page; "" for none
	dryRun       bool
	to           string // folder that is written to: dir, or with dryRun another
	json, strict bool
	maxLevels    map[string]int
	database     database.Flags
}

func (o *options) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	o.database.Add(cmd)
	o.database.AddKey()
	f.StringVar(&o.dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.StringArrayVar(&o.files, "in", nil, "`file` to read, or a pattern of files with the same header, in order; "+
		"repeatable; - for standard input (default DIR/data/raw.csv)")
	f.StringVar(&o.schema, "schema", "", "schema `file` to use, such as an edited registry/schema.json")
	f.StringVar(&o.inference.Target.Name, "target", "", "`column` to predict; the schema is then inferred from the data")
	f.StringVar(&o.inference.Target.Positive, "positive", "1", "positive `value` of the --target")
	f.StringVar(&o.inference.Target.Negative, "negative", "",
		"negative `value` of the --target, '' for an empty cell: rows with a third are left out")
	f.StringToIntVar(&o.maxLevels, "max-levels", nil, "`limits` of different values of categories, such as city=200")
	f.StringSliceVar(&o.inference.Ignore, "ignore", nil, "`columns` to ignore, comma separated; repeatable")
	f.StringVar(&o.limits.Time, "time-column", "",
		"`column` of dates, dates and times, or numbers, to split by: kept beside the features")
	f.StringSliceVar(&o.inference.MissingValues, "missing-values", nil,
		"`texts` that mean missing, in addition to empty cells, comma separated, such as N/A,null")
	f.Float64Var(&o.limits.MaxMissing, "max-missing", 0.05, "maximum `share` of missing cells in a column, 0 to 1")
	f.BoolVar(&o.limits.DropInvalid, "drop-invalid", false,
		"leave out rows that break the schema's rules instead of rejecting the data")
	f.StringVar(&o.inference.Decimal, "decimal", "", "decimal `mark` of numbers such as 1.024 that fit both: . or ,")
	f.StringVar(&o.inference.Thousands, "thousands", "",
		"`mark` between thousands where cells fit several: . , ' or a space")
	f.StringSliceVar(&o.inference.Dates, "dates", nil,
		"`order` of the parts of dates that fit several: ymd, dmy or mdy; or of a column such as joined=excel, "+
			"also of numbers: excel, epoch (seconds) or epoch-ms; or joined=month or weekday for that alone")
	f.StringVar(&o.inference.AsOf, "as-of", "",
		"`date`, such as 2026-01-31, from which days are counted back (default: the schema's, or each column's latest)")
	o.form.AddFlags(cmd)
	f.StringArrayVar(&o.logs, "log", nil, "`pattern` of prediction logs whose customers to add, or URL#TABLE of a "+
		"database that they were loaded into; repeatable")
	f.StringVar(&o.labels, "labels", "", "CSV `file` of the outcomes: request_id and the target")
	f.BoolVar(&o.strict, "strict", false,
		"reject data that makes a model wrong, such as a leak of the outcome; aliases and constants stay warnings")
	f.BoolVar(&o.dryRun, "dry-run", false, "check and report, and write nothing but the page of --html")
	f.StringVar(&o.html, "html", "",
		"draw the columns, and the rate of positives by their values, as an HTML page in `file`")
	f.BoolVar(&o.json, "json", false, "print the quality report as JSON")
	cmd.MarkFlagsMutuallyExclusive("schema", "target")
	cmd.MarkFlagsMutuallyExclusive("from", "in")
	cmd.MarkFlagsMutuallyExclusive("from", "labels")
}

// complete checks the options, and sets those that follow from which flags were given.
func (o *options) complete(given func(flag string) bool) error {
	t := &o.inference.Target
	t.Name, t.Positive, t.Negative = dataset.Trim(t.Name), dataset.Trim(t.Positive), dataset.Trim(t.Negative)
	if t.Name == "" && (given("target") || given("positive")) {
		return errors.New("--target needs the name of a column, and --positive one of its values")
	}
	if err := o.check(); err != nil {
		return err
	}
	if name := o.inferenceFlag(given); name != "" && o.inference.Target.Name == "" {
		return fmt.Errorf("--%s goes with --target: without it the schema says how cells are read, "+
			"so change that in the file of --schema", name)
	}
	o.inference.Positive = !given("positive")
	o.inference.Target.Blank = given("negative") && o.inference.Target.Negative == ""
	o.form.Ignore = o.inference.Ignore
	if o.limits.Time != "" {
		o.inference.Ignore = append(o.inference.Ignore, o.limits.Time)
	}
	for _, named := range o.inference.Dates {
		if form, ok := strings.CutPrefix(named, o.limits.Time+"="); ok && slices.Contains(dataset.DateForms[:], form) {
			o.limits.TimeForm = form
		}
	}
	return nil
}

// inferenceFlag returns the name of a given flag that only an inferred schema uses, "" if there is none.
func (o *options) inferenceFlag(given func(name string) bool) string {
	flags := []string{"negative", "decimal", "thousands"}
	if at := slices.IndexFunc(flags, given); at >= 0 {
		return flags[at]
	}
	kept := func(named string) bool { return !strings.HasPrefix(named, o.limits.Time+"=") } // a schema leaves the time out
	if slices.ContainsFunc(o.inference.Dates, kept) {
		return "dates"
	}
	return ""
}

// check returns an error for options that do not go together.
func (o *options) check() error {
	if o.in = strings.Join(o.files, ", "); len(o.files) == 0 {
		o.files = []string{filepath.Join(o.dir, "data", "raw.csv")}
	}
	drawn := func(path string) bool { return input.SameFile(path, o.html) }
	err := o.database.Check()
	switch {
	case (len(o.logs) > 0) != (o.labels != ""):
		return errors.New("--log and --labels go together: the log has the customers, the labels their outcomes")
	case slices.ContainsFunc(o.files, input.IsStdin) && input.IsStdin(o.labels):
		return errors.New("--in and --labels are both standard input, which can be read once: give a file to one of them")
	case err != nil:
		return err
	case o.database.Given() && o.database.Key == "":
		return errors.New("--from needs --key, a column that identifies customers: its hash decides which are held out")
	case o.limits.Time != "" && (o.database.Given() || len(o.logs) > 0):
		return errors.New("--time-column is for a file alone: it goes with neither --from nor --log")
	case o.html != "" && o.database.Given():
		return errors.New("--html draws a sample of a file's rows, which a table of a database does not have: " +
			"leave it out, or export a part of the table as CSV and use --in")
	case slices.ContainsFunc(slices.Concat(o.files, []string{o.labels, o.schema}), drawn):
		return errors.New("--html is a file to read: write the page to another one")
	case !(o.limits.MaxMissing >= 0 && o.limits.MaxMissing <= 1):
		return fmt.Errorf("--max-missing %g: a share, 0 to 1", o.limits.MaxMissing)
	}
	return nil
}

// note tells the user something, and keeps it for the page.
func (o *options) note(cmd *cobra.Command, notes ...string) {
	cli.Note(cmd, notes...)
	o.notes = append(o.notes, notes...)
}
