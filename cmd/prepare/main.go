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
	"strings"

	"churn/cmd/internal/training"
	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/filedata"
	_ "churn/internal/filedata/parquet" // --in takes Parquet files
	"churn/internal/progress"
	"churn/internal/status"
	"churn/internal/strictjson"

	"github.com/spf13/cobra"
)

func main() {
	// The live heap is a few megabytes, which Go would collect too often: a million rows take
	// 90 ms instead of 107.
	cli.SetGCPercent(400)
	cli.Main(command())
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
			if err := o.complete(cmd.Flags().Changed); err != nil {
				return err
			}
			return prepare(cmd, o)
		},
	}
	o.addFlags(cmd)
	return cmd
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
	schema, err := chooseSchema(cmd, *o, func() (*dataset.Schema, error) {
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
func chooseSchema(cmd *cobra.Command, o options, infer func() (*dataset.Schema, error)) (*dataset.Schema, error) {
	var schema *dataset.Schema
	var err error
	switch {
	case o.inference.Target.Name != "":
		schema, err = infer()
	case o.schema != "":
		waiting := progress.Waiting(cmd.ErrOrStderr(), o.schema) // it may be a pipe
		schema, err = dataset.ReadSchema(o.schema)
		waiting.Stop()
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
