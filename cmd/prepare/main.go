// Prepare validates and cleans customers.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "churn/internal/filedata/parquet" // --in takes Parquet files
	"churn/internal/input"
	"churn/internal/status"
	"churn/internal/strictjson"

	"churn/cmd/internal/database"
	"churn/cmd/internal/training"
	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/filedata"

	"github.com/spf13/cobra"
)

func main() {
	// The live heap is a few megabytes, which Go would collect too often: a million rows take
	// 90 ms instead of 107.
	cli.SetGCPercent(400)
	cli.Main(command())
}

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

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "prepare",
		Short: "Validate and clean a file of customers",
		Long: `Prepare reads customers, cleans them and validates them. If the data is invalid it reports
every issue with line numbers and writes nothing. Otherwise it writes data/processed.csv,
registry/schema.json, registry/train_stats.json and registry/quality.json.

The columns are those of the synthetic customers, or those of the file given by --schema, or
are inferred from the data if --target names the one to predict.

--in takes several files and patterns: their rows follow each other, as in one file.

With --log and --labels it adds the customers of the prediction log whose outcome is known.

With --from, --table and --key it reads customers from a table of a database. Instead of
data/processed.csv it writes registry/source.json, which says where the table is.`,
		Example: `  prepare
  prepare --in customers.csv --target Churn --positive Yes --ignore customerID
  prepare --in customers.csv --schema edited.json --drop-invalid
  prepare --in january.csv --in 'export/*.csv' --target churned
  prepare --log 'logs/predictions*.log' --labels outcomes.csv
  prepare --from postgres://me@localhost/shop --table customers --key id`,
		Args: cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := &o.inference.Target
			t.Name, t.Positive, t.Negative = dataset.Trim(t.Name), dataset.Trim(t.Positive), dataset.Trim(t.Negative)
			if t.Name == "" && (cmd.Flags().Changed("target") || cmd.Flags().Changed("positive")) {
				return errors.New("--target needs the name of a column, and --positive one of its values")
			}
			if err := o.check(); err != nil {
				return err
			}
			if name := o.inferenceFlag(cmd.Flags().Changed); name != "" && o.inference.Target.Name == "" {
				return fmt.Errorf("--%s goes with --target: without it the schema says how cells are read, "+
					"so change that in the file of --schema", name)
			}
			o.inference.Positive = !cmd.Flags().Changed("positive")
			o.inference.Target.Blank = cmd.Flags().Changed("negative") && o.inference.Target.Negative == ""
			o.form.Ignore = o.inference.Ignore
			if o.limits.Time != "" {
				o.inference.Ignore = append(o.inference.Ignore, o.limits.Time)
			}
			for _, named := range o.inference.Dates {
				if form, ok := strings.CutPrefix(named, o.limits.Time+"="); ok && slices.Contains(dataset.DateForms[:], form) {
					o.limits.TimeForm = form
				}
			}
			return prepare(cmd, o)
		},
	}
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
	return cmd
}

// inferenceFlag returns the name of a given flag that only an inferred schema uses, "" if there is none.
func (o *options) inferenceFlag(given func(name string) bool) string {
	for _, name := range []string{"negative", "decimal", "thousands"} {
		if given(name) {
			return name
		}
	}
	ofTime := func(named string) bool { return strings.HasPrefix(named, o.limits.Time+"=") } // which a schema leaves out
	if slices.ContainsFunc(o.inference.Dates, func(named string) bool { return !ofTime(named) }) {
		return "dates"
	}
	return ""
}

// check returns an error for options that do not go together.
func (o *options) check() error {
	if (len(o.logs) > 0) != (o.labels != "") {
		return errors.New("--log and --labels go together: the log has the customers, the labels their outcomes")
	}
	o.in = strings.Join(o.files, ", ")
	if slices.ContainsFunc(o.files, input.IsStdin) && input.IsStdin(o.labels) {
		return errors.New("--in and --labels are both standard input, which can be read once: give a file to one of them")
	}
	if err := o.database.Check(); err != nil {
		return err
	}
	if o.database.Given() && o.database.Key == "" {
		return errors.New("--from needs --key, a column that identifies customers: its hash decides which are held out")
	}
	if o.limits.Time != "" && (o.database.Given() || len(o.logs) > 0) {
		return errors.New("--time-column is for a file alone: it goes with neither --from nor --log")
	}
	if o.html != "" && o.database.Given() {
		return errors.New("--html draws a sample of a file's rows, which a table of a database does not have: " +
			"leave it out, or export a part of the table as CSV and use --in")
	}
	if len(o.files) == 0 {
		o.files = []string{filepath.Join(o.dir, "data", "raw.csv")}
	}
	if slices.ContainsFunc(append(slices.Clone(o.files), o.labels, o.schema), func(path string) bool {
		return input.SameFile(path, o.html)
	}) {
		return errors.New("--html is a file to read: write the page to another one")
	}
	if !(o.limits.MaxMissing >= 0 && o.limits.MaxMissing <= 1) {
		return fmt.Errorf("--max-missing %g: a share, 0 to 1", o.limits.MaxMissing)
	}
	return nil
}

func prepare(cmd *cobra.Command, o options) error {
	run := prepareFile
	if o.database.Given() {
		run = prepareTable
	}
	o.to = o.dir
	if o.dryRun {
		var err error
		if o.to, err = os.MkdirTemp("", "prepare"); err != nil {
			return err
		}
		defer os.RemoveAll(o.to)
	}
	quality, wrote, err := run(cmd, &o)
	if err != nil {
		return err
	}
	if o.html != "" {
		if err := writePage(&o, quality); err != nil {
			return err
		}
	}
	if err := training.CheckTarget(o.dir, quality.Target.Name); err != nil && !o.dryRun {
		cli.Warn(cmd, err.Error())
	}
	for i := range quality.Findings {
		issue := quality.Findings[i].Issue(quality.File)
		cli.Warn(cmd, issue.String())
	}
	if o.json {
		return cli.JSON(cmd.OutOrStdout(), quality)
	}
	if o.dryRun {
		wrote = ""
	}
	return printQuality(cmd.OutOrStdout(), o, quality, wrote)
}

// note tells the user something, and keeps it for the page.
func (o *options) note(cmd *cobra.Command, notes ...string) {
	cli.Note(cmd, notes...)
	o.notes = append(o.notes, notes...)
}

// prepareFile prepares files of any kind. It returns the path of the cleaned rows.
func prepareFile(cmd *cobra.Command, o *options) (*dataset.Quality, string, error) {
	named := o.in != ""
	o.limits.DropOpen, o.inference.Limits = o.limits.DropInvalid, &o.limits
	in, err := filedata.OpenAll(cmd.Context(), o.files, o.form, cmd.ErrOrStderr())
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, "", fmt.Errorf("%w: run generate, or name your file with --in", err)
	}
	if err != nil {
		return nil, "", err
	}
	defer in.Close()
	o.in = in.Name
	schema, err := chooseSchema(*o, func() (*dataset.Schema, error) {
		source, err := in.Read("inferring the schema")
		if err != nil {
			return nil, err
		}
		schema, notes, err := csvdata.Infer(cmd.Context(), source, o.inference)
		o.note(cmd, source.Notes...)
		o.note(cmd, notes...)
		return schema, err
	})
	if err != nil {
		return nil, "", err
	}
	out, err := openOutputs(o.to, processedPath)
	if err != nil {
		return nil, "", err
	}
	defer out.abort()
	quality, summaries, err := clean(cmd, o, in, schema, out.data())
	if err != nil && o.inference.Target.Name == "" && o.schema == "" {
		err = o.suggestTarget(in, schema, err)
	}
	if err == nil {
		err = check(quality, o.strict)
	}
	if err == nil {
		err = out.describe(schema, summaries, quality)
	}
	if err == nil {
		err = out.commit(cmd, o.to)
	}
	return quality, processedPath, err
}

// suggestTarget replaces the error for a file that has no column of the built-in schema by the
// command that takes it.
func (o *options) suggestTarget(in *filedata.Table, schema *dataset.Schema, err error) error {
	source, readErr := in.Read("")
	if readErr != nil {
		return err
	}
	header, targets, readErr := csvdata.LikelyTargets(source)
	if readErr != nil {
		return readErr
	}
	const most = 20 // names
	known := 0
	for _, name := range header {
		if schema.Index(name) >= 0 {
			known++
		}
	}
	if 2*known > len(schema.Features) || len(header) < 2 {
		return err
	}
	what, named := "likely columns: ", "COLUMN"
	if len(targets) > 0 {
		named = strictjson.Word(targets[0])
	} else {
		what, targets = "no column has two values; there are: ", header[:min(len(header), most)]
	}
	for i, name := range targets {
		targets[i] = cli.Printable(name)
	}
	return status.Reject("%s has other columns than the synthetic customers: name the one to predict, as in "+
		"prepare --in %s --target %s (%s%s)", o.in, strictjson.Word(o.in), named, what, strings.Join(targets, ", "))
}

// chooseSchema returns the inferred schema with --target, else that of --schema, else
// the built-in one.
func chooseSchema(o options, infer func() (*dataset.Schema, error)) (*dataset.Schema, error) {
	var schema *dataset.Schema
	var err error
	switch {
	case o.inference.Target.Name != "":
		schema, err = infer()
	case o.schema != "":
		schema, err = dataset.ReadSchema(o.schema)
	default:
		schema = dataset.Lab()
	}
	if err == nil {
		schema, err = schema.WithMaxLevels(o.maxLevels)
	}
	if err != nil || o.inference.Target.Name != "" {
		return schema, err
	}
	if o.inference.AsOf != "" {
		if err := schema.CountTo(o.inference.AsOf); err != nil {
			return nil, err
		}
	}
	return schema.With(o.inference.Ignore, o.inference.MissingValues)
}

// clean cleans the raw file and the customers of the log, and writes their rows to out.
func clean(
	cmd *cobra.Command, o *options, in *filedata.Table, schema *dataset.Schema, out *atomicfile.File,
) (*dataset.Quality, map[string]dataset.Summary, error) {
	source, err := in.Read("cleaning")
	if err != nil {
		return nil, nil, err
	}
	if o.inference.Target.Name == "" { // otherwise they have been told
		o.note(cmd, source.Notes...)
	}
	var added *logged // set by more, once the file's columns are known
	var more func(columns []string) ([]byte, error)
	if o.labels != "" {
		more = func(columns []string) (_ []byte, err error) {
			var warnings []string
			if added, warnings, err = readLogged(cmd.Context(), cmd.ErrOrStderr(), o, schema, columns); err != nil {
				return nil, err
			}
			cli.Warn(cmd, warnings...)
			var rows []byte
			for _, row := range added.rows {
				rows = append(rows, row.line...)
			}
			return rows, nil
		}
	}
	hash := sha256.New()
	spool := atomicfile.NewSpool(out.File)
	w := io.MultiWriter(spool, hash)
	quality, summaries, err := csvdata.Clean(cmd.Context(), source, more, schema, o.limits, w)
	if err := errors.Join(added.explain(err, *o), spool.Wait()); err != nil {
		return nil, nil, err
	}
	if added != nil {
		quality.FromLog = added.counts(*o)
	}
	quality.ProcessedSHA256 = hex.EncodeToString(hash.Sum(nil))
	return quality, summaries, nil
}
