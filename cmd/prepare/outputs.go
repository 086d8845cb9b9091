package main

import (
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/datacheck"
	"churn/internal/dataset"
	"churn/internal/pipeline"
	"churn/internal/progress"
	"churn/internal/report"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"
)

// Paths of the customers: the cleaned rows, or the table that holds them.
const (
	processedPath = "data/processed.csv"
	sourcePath    = "registry/source.json"
)

// outputs are the files that prepare replaces: the quality report, the schema, the
// summaries and the data. All are written before the first is put in place, in that
// order. The report has the hash of the data, so that train can tell if prepare was
// killed in between.
type outputs [4]*atomicfile.File

func openOutputs(dir, dataPath string) (*outputs, error) {
	var o outputs
	for i, path := range []string{"registry/quality.json", "registry/schema.json", "registry/train_stats.json", dataPath} {
		perm := fs.FileMode(0o666)
		if path == dataPath {
			perm = 0o660
		}
		f, err := atomicfile.Create(filepath.Join(dir, filepath.FromSlash(path)), perm)
		if err != nil {
			o.abort()
			return nil, err
		}
		o[i] = f
	}
	return &o, nil
}

// data returns the file of the customers.
func (o *outputs) data() *atomicfile.File { return o[3] }

// describe writes the other files.
func (o *outputs) describe(schema *dataset.Schema, stats map[string]dataset.Summary, quality *dataset.Quality) error {
	documents := []any{quality, schema, stats}
	write := func(_, i int) error { return cli.JSON(o[i], documents[i]) }
	return pipeline.Each(len(documents), runtime.GOMAXPROCS(0), write)
}

// commit puts the files in place. A lock keeps those of another prepare apart.
func (o *outputs) commit(cmd *cobra.Command, dir string) error {
	path := filepath.Join(dir, "registry", "prepare.lock")
	lock := flock.New(path)
	if err := atomicfile.CreateLock(path); err != nil {
		return err
	}
	defer lock.Close()
	waiting := progress.Waiting(cmd.ErrOrStderr(), path+", which another process holds")
	_, err := lock.TryLockContext(cmd.Context(), 5*time.Millisecond)
	if waiting.Stop(); err != nil {
		return err
	}
	for _, f := range o {
		if err := f.Finish(); err != nil {
			return err
		}
	}
	for _, f := range o {
		if err := f.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// abort removes what has not been put in place.
func (o *outputs) abort() {
	for _, f := range slices.Backward(o[:]) {
		if f != nil {
			f.Abort()
		}
	}
}

// values returns the range and the median of a number, or the largest levels of a category.
func values(c *dataset.ColumnQuality) string {
	if c.Median != nil {
		unit := ""
		if c.AsOf != "" {
			unit = " days before " + c.AsOf
		}
		return fmt.Sprintf("%.6g to %.6g%s, median %.6g", *c.Min, *c.Max, unit, *c.Median)
	}
	const most = 3
	levels := dataset.ByCount(c.Levels)
	var words []string
	for _, level := range levels[:min(len(levels), most)] {
		share := 100 * float64(c.Levels[level]) / float64(c.Present)
		words = append(words, fmt.Sprintf("%s %.0f %%", dataset.Shorten(level), share))
	}
	return strings.Join(words, ", ")
}

// printQuality prints the quality report. wrote is the path of the data, or "" if nothing was written.
func printQuality(w io.Writer, o options, q *dataset.Quality, wrote string) error {
	positive := q.Target.Labels[q.Target.Positive]
	fmt.Fprintf(w, "%s: %d customers read, %d kept, %d left out, %.1f %% positive (%s = %s)\n\n",
		cli.Printable(q.File), q.RowsRead, q.RowsKept, q.RowsDropped,
		100*float64(positive)/float64(q.RowsKept), cli.Printable(q.Target.Name), cli.Printable(q.Target.Positive))
	if q.RowsBlank > 0 {
		fmt.Fprintf(w, "%d lines of nothing but delimiters were skipped\n\n", q.RowsBlank)
	}
	if l := q.FromLog; l != nil {
		fmt.Fprintf(w, "%d of them were added from the log. Outcomes in %[3]s: %[2]d, of which %[4]d do not fit the "+
			"schema and %[5]d have no record in the log. Records without an outcome: %[6]d\n\n",
			l.Rows, l.Outcomes, cli.Printable(l.Labels), l.Unfit, l.NoRecord, l.NoOutcome)
	}
	t := cli.NewTable(w, 3, "column", "type", "values", "distinct", "missing",
		"trimmed", "case changed", "clipped", "invalid")
	t.Optional = []string{"case changed", "trimmed", "clipped", "type", "values"}
	const most = 1000 // columns
	for _, c := range q.Columns[:min(len(q.Columns), most)] {
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
	if more := len(q.Columns) - most; more > 0 {
		fmt.Fprintf(w, "%d more columns: --json prints them, and quality.json has them\n", more)
	}
	for _, what := range q.Unchecked {
		fmt.Fprintf(w, "\nnot checked: %s\n", what)
	}
	if o.html != "" {
		fmt.Fprintf(w, "\ndrew %s\n", cli.Printable(o.html))
	}
	if wrote == "" {
		_, err := fmt.Fprintln(w, "\nnothing was written"+map[bool]string{true: " but the page"}[o.html != ""])
		return err
	}
	_, err := fmt.Fprintf(w, "\nwrote %s, and schema.json, train_stats.json and quality.json in %s\n",
		filepath.Join(o.dir, filepath.FromSlash(wrote)), filepath.Join(o.dir, "registry"))
	return err
}

func writePage(o *options, q *dataset.Quality) error {
	datacheck.Profile(q)
	page, err := report.ProfilePage(q, o.notes)
	if err != nil {
		return err
	}
	return atomicfile.Write(o.html, page, 0o666)
}

// check adds the findings to the quality report; strict makes those an error that make a model wrong.
func check(q *dataset.Quality, strict bool) error {
	if q.Findings = datacheck.Check(q); strict {
		return q.Refuse()
	}
	return nil
}
