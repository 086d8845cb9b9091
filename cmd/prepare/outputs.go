package main

import (
	"path/filepath"
	"slices"
	"time"

	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/progress"

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
		f, err := atomicfile.Create(filepath.Join(dir, filepath.FromSlash(path)), 0o666)
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
	for i, document := range []any{quality, schema, stats} {
		if err := cli.JSON(o[i], document); err != nil {
			return err
		}
	}
	return nil
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
