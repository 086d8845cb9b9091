// Prepare validates and cleans customers.
package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"churn/cmd/internal/database"
	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/csvdata"
	"churn/internal/datacheck"
	"churn/internal/dataset"
	"churn/internal/input"
	"churn/internal/progress"

	"github.com/spf13/cobra"
)

func main() {
	// The live heap is a few megabytes, which Go would collect too often: a million rows take
	// 90 ms instead of 107.
	cli.SetGCPercent(400)
	cli.Main(command())
}

type options struct {
	dir, in       string
	schema        string
	target        dataset.Target
	ignore        []string
	missingValues []string
	limits        dataset.Limits
	logs          []string // patterns of logs
	labels        string   // file of outcomes
	json, strict  bool
	database      database.Flags
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "prepare",
		Short: "Validate and clean a CSV file of customers",
		Long: `Prepare reads customers, cleans them and validates them. If the data is invalid it reports
every issue with line numbers and writes nothing. Otherwise it writes data/processed.csv,
registry/schema.json, registry/train_stats.json and registry/quality.json.

The columns are those of the synthetic customers, or those of the file given by --schema, or
are inferred from the data if --target names the one to predict.

With --log and --labels it adds the customers of the prediction log whose outcome is known.

With --from, --table and --key it reads customers from a table of a database. Instead of
data/processed.csv it writes registry/source.json, which says where the table is.`,
		Example: `  prepare
  prepare --in customers.csv --target Churn --positive Yes --ignore customerID
  prepare --in customers.csv --schema edited.json --drop-invalid
  prepare --log 'logs/predictions*.log' --labels outcomes.csv
  prepare --from postgres://me@localhost/shop --table customers --key id`,
		Args: cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.target.Name == "" && (cmd.Flags().Changed("target") || cmd.Flags().Changed("positive")) {
				return errors.New("--target needs the name of a column, and --positive one of its values")
			}
			if err := o.check(); err != nil {
				return err
			}
			if o.limits.Time != "" {
				o.ignore = append(o.ignore, o.limits.Time)
			}
			return prepare(cmd, o)
		},
	}
	f := cmd.Flags()
	o.database.Add(cmd)
	o.database.AddKey()
	f.StringVar(&o.dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.StringVar(&o.in, "in", "", "CSV `file` to read, - for standard input (default DIR/data/raw.csv)")
	f.StringVar(&o.schema, "schema", "", "schema `file` to use, such as an edited registry/schema.json")
	f.StringVar(&o.target.Name, "target", "", "`column` to predict; the schema is then inferred from the data")
	f.StringVar(&o.target.Positive, "positive", "1", "positive `value` of the --target")
	f.StringSliceVar(&o.ignore, "ignore", nil, "`columns` to ignore, comma separated; repeatable")
	f.StringVar(&o.limits.Time, "time-column", "",
		"`column` of dates, dates and times, or numbers, to split by: kept beside the features")
	f.StringSliceVar(&o.missingValues, "missing-values", nil,
		"`texts` that mean missing, in addition to empty cells, comma separated, such as N/A,null")
	f.Float64Var(&o.limits.MaxMissing, "max-missing", 0.05, "maximum `share` of missing cells in a column, 0 to 1")
	f.BoolVar(&o.limits.DropInvalid, "drop-invalid", false,
		"leave out rows that break the schema's rules instead of rejecting the data")
	f.StringArrayVar(&o.logs, "log", nil, "`pattern` of prediction logs whose customers to add; repeatable")
	f.StringVar(&o.labels, "labels", "", "CSV `file` of the outcomes: request_id and the target")
	f.BoolVar(&o.strict, "strict", false,
		"reject data that makes a model wrong, such as a leak of the outcome; aliases and constants stay warnings")
	f.BoolVar(&o.json, "json", false, "print the quality report as JSON")
	cmd.MarkFlagsMutuallyExclusive("schema", "target")
	cmd.MarkFlagsMutuallyExclusive("from", "in")
	cmd.MarkFlagsMutuallyExclusive("from", "labels")
	return cmd
}

// check returns an error for options that do not go together.
func (o *options) check() error {
	if (len(o.logs) > 0) != (o.labels != "") {
		return errors.New("--log and --labels go together: the log has the customers, the labels their outcomes")
	}
	if input.IsStdin(o.in) && input.IsStdin(o.labels) {
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
	quality, wrote, err := run(cmd, o)
	if err != nil {
		return err
	}
	for i := range quality.Findings {
		issue := quality.Findings[i].Issue(quality.File)
		cli.Warn(cmd, issue.String())
	}
	if o.json {
		return cli.JSON(cmd.OutOrStdout(), quality)
	}
	return report(cmd.OutOrStdout(), o.dir, quality, wrote)
}

// prepareFile prepares a CSV file. It returns the path of the cleaned rows.
func prepareFile(cmd *cobra.Command, o options) (*dataset.Quality, string, error) {
	if o.in == "" {
		o.in = filepath.Join(o.dir, "data", "raw.csv")
	}
	in, err := input.Open(cmd.Context(), o.in, o.target.Name != "", cmd.ErrOrStderr())
	if err != nil {
		return nil, "", err
	}
	defer in.Close()
	o.in = in.Name
	schema, err := chooseSchema(o, func() (*dataset.Schema, error) {
		bar := progress.Bytes(cmd.ErrOrStderr(), "inferring the schema", in.Size)
		defer bar.Finish()
		s, err := csvdata.Infer(cmd.Context(), bar.Reader(in), o.in, o.target, o.ignore, o.missingValues)
		if err == nil {
			err = in.Rewind()
		}
		return s, err
	})
	if err != nil {
		return nil, "", err
	}
	out, err := openOutputs(o.dir, processedPath)
	if err != nil {
		return nil, "", err
	}
	defer out.abort()
	quality, summaries, err := clean(cmd, o, in, schema, out.data())
	if err == nil {
		err = check(quality, o.strict)
	}
	if err == nil {
		err = out.describe(schema, summaries, quality)
	}
	if err == nil {
		err = out.commit(cmd, o.dir)
	}
	return quality, processedPath, err
}

// chooseSchema returns the inferred schema with --target, else that of --schema, else
// the built-in one.
func chooseSchema(o options, infer func() (*dataset.Schema, error)) (*dataset.Schema, error) {
	if o.target.Name != "" {
		return infer()
	}
	schema := dataset.Lab()
	if o.schema != "" {
		var err error
		if schema, err = dataset.ReadSchema(o.schema); err != nil {
			return nil, err
		}
	}
	return schema.With(o.ignore, o.missingValues)
}

// clean cleans the raw file and the customers of the log, and writes their rows to out.
func clean(
	cmd *cobra.Command, o options, in *input.File, schema *dataset.Schema, out *atomicfile.File,
) (*dataset.Quality, map[string]dataset.Summary, error) {
	bar := progress.Bytes(cmd.ErrOrStderr(), "cleaning", in.Size)
	defer bar.Finish()
	var added *logged // set by more, once the file's columns are known
	var more func(columns []string) ([]byte, error)
	if o.labels != "" {
		more = func(columns []string) (_ []byte, err error) {
			var warnings []string
			if added, warnings, err = readLogged(cmd.Context(), cmd.ErrOrStderr(), &o, schema, columns); err != nil {
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
	quality, summaries, err := csvdata.Clean(cmd.Context(), bar.Reader(in), o.in, more, schema, o.limits, w)
	if err := errors.Join(added.explain(err, o), spool.Wait()); err != nil {
		return nil, nil, err
	}
	if added != nil {
		quality.FromLog = added.counts(o)
	}
	quality.ProcessedSHA256 = hex.EncodeToString(hash.Sum(nil))
	return quality, summaries, nil
}

// values returns the range and the median of a number, or the largest levels of a category.
func values(c *dataset.ColumnQuality) string {
	if c.Median != nil {
		return fmt.Sprintf("%.6g to %.6g, median %.6g", *c.Min, *c.Max, *c.Median)
	}
	const most = 3
	levels := slices.SortedFunc(maps.Keys(c.Levels), func(a, b string) int {
		return cmp.Or(c.Levels[b]-c.Levels[a], cmp.Compare(a, b))
	})
	var words []string
	for _, level := range levels[:min(len(levels), most)] {
		share := 100 * float64(c.Levels[level]) / float64(c.Present)
		words = append(words, fmt.Sprintf("%s %.0f %%", dataset.Shorten(level), share))
	}
	return strings.Join(words, ", ")
}

// check adds the findings to the quality report; strict makes those an error that make a model wrong.
func check(q *dataset.Quality, strict bool) error {
	if q.Findings = datacheck.Check(q); strict {
		return q.Refuse()
	}
	return nil
}

func report(w io.Writer, dir string, q *dataset.Quality, wrote string) error {
	positive := q.Target.Labels[q.Target.Positive]
	fmt.Fprintf(w, "%s: %d customers read, %d kept, %d left out, %.1f %% positive (%s = %s)\n\n",
		q.File, q.RowsRead, q.RowsKept, q.RowsDropped,
		100*float64(positive)/float64(q.RowsKept), q.Target.Name, q.Target.Positive)
	if l := q.FromLog; l != nil {
		fmt.Fprintf(w, "%d of them were added from the log. Outcomes in %[3]s: %[2]d, of which %[4]d do not fit the "+
			"schema and %[5]d have no record in the log. Records without an outcome: %[6]d\n\n",
			l.Rows, l.Outcomes, cli.Printable(l.Labels), l.Unfit, l.NoRecord, l.NoOutcome)
	}
	t := cli.NewTable(w, 3, "column", "type", "values", "distinct", "missing",
		"trimmed", "case changed", "clipped", "invalid")
	t.Optional = []string{"case changed", "trimmed", "clipped", "type", "values"}
	for _, c := range q.Columns {
		invalid := cli.Cell{Text: strconv.Itoa(c.Invalid)}
		if c.Invalid > 0 {
			invalid.Style = cli.Watch
		}
		missing := fmt.Sprintf("%d (%s %%)", c.Missing, dataset.FormatNumber(math.Round(1000*c.MissingShare)/10))
		distinct := strconv.Itoa(c.Distinct)
		if c.Distinct == 0 {
			distinct = "not counted"
		}
		t.AppendRow([]any{cli.Printable(c.Name), c.Type, cli.Printable(values(&c)), distinct, missing,
			c.Trimmed, c.Recased, c.Clipped, invalid})
	}
	t.Render()
	for _, what := range q.Unchecked {
		fmt.Fprintf(w, "\nnot checked: %s\n", what)
	}
	_, err := fmt.Fprintf(w, "\nwrote %s, and schema.json, train_stats.json and quality.json in %s\n",
		filepath.Join(dir, filepath.FromSlash(wrote)), filepath.Join(dir, "registry"))
	return err
}
