package main

import (
	"path/filepath"
	"slices"

	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/dataset"

	"github.com/gofrs/flock"
)

// outputs are the files that prepare replaces. All are written before the first
// one is put in place, so that what stops one stops them all.
type outputs struct {
	data, schema, stats, quality *atomicfile.File // data is the rows, or where they are
}

// Paths of data.
const (
	processedPath = "data/processed.csv"
	sourcePath    = "registry/source.json"
)

func openOutputs(dir, dataPath string) (*outputs, error) {
	o := &outputs{}
	for _, file := range []struct {
		at   **atomicfile.File
		path string
	}{
		{&o.quality, "registry/quality.json"},
		{&o.schema, "registry/schema.json"},
		{&o.stats, "registry/train_stats.json"},
		{&o.data, dataPath},
	} {
		f, err := atomicfile.Create(filepath.Join(dir, filepath.FromSlash(file.path)), 0o644)
		if err != nil {
			o.abort()
			return nil, err
		}
		*file.at = f
	}
	return o, nil
}

// all returns the files in the order in which they are opened and put in place.
// The quality report has the hash of the data, and comes first, the data last: so
// a training can tell of what a kill in between has left.
func (o *outputs) all() []*atomicfile.File {
	return []*atomicfile.File{o.quality, o.schema, o.stats, o.data}
}

// describe writes what later steps need to know of the data.
func (o *outputs) describe(schema *dataset.Schema, stats map[string]dataset.Summary, quality *dataset.Quality) error {
	if err := cli.JSON(o.schema, schema); err != nil {
		return err
	}
	if err := cli.JSON(o.stats, stats); err != nil {
		return err
	}
	return cli.JSON(o.quality, quality)
}

// commit puts the files in place, not between those of another prepare.
func (o *outputs) commit(dir string) error {
	lock := flock.New(filepath.Join(dir, "registry", "prepare.lock"))
	if err := lock.Lock(); err != nil {
		return err
	}
	defer lock.Close()
	for _, f := range o.all() {
		if err := f.Ready(); err != nil {
			return err
		}
	}
	for _, f := range o.all() {
		if err := f.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// abort drops what has not been put in place.
func (o *outputs) abort() {
	for _, f := range slices.Backward(o.all()) {
		if f != nil {
			f.Abort()
		}
	}
}
