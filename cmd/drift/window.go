package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"churn/internal/predlog"
	"churn/internal/progress"
	"churn/internal/sqldata"
)

// window is the records looked at, tallied.
type window struct {
	name  string // of where the records are
	logs  predlog.Logs
	found predlog.Found
	*sample
	order []string
}

// readWindow tallies the last records of the log.
func readWindow(ctx context.Context, o options, refs *references, stderr io.Writer) (*window, error) {
	w := &window{sample: newSample(refs), order: refs.names}
	var err error
	if o.from.Given() {
		return w, w.count(ctx, o, stderr)
	}
	if w.logs, err = predlog.Find(o.dir, o.logs); err != nil {
		return nil, err
	}
	w.name = w.logs.String()
	size, err := w.logs.Size()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: nothing has been predicted yet, run serve first", err)
	}
	if err != nil {
		return nil, err
	}
	bar := progress.Bytes(stderr, "reading the log", size)
	defer bar.Finish()
	w.found, err = predlog.Fold[*sample]{
		New:      func() *sample { return newSample(refs) },
		Add:      (*sample).add,
		Merge:    func(s *sample) error { w.merge(s); return nil },
		Progress: bar.Set,
	}.Read(ctx, w.logs, o.last)
	return w, err
}

// count is readWindow for a table that logs were loaded into.
func (w *window) count(ctx context.Context, o options, stderr io.Writer) error {
	engine, err := sqldata.Open(ctx, o.from, stderr)
	if err != nil {
		return err
	}
	defer engine.Close()
	table, err := engine.OpenTable(ctx, o.from)
	if err != nil {
		return err
	}
	w.name = table.Name()
	r := sqldata.Records{Table: table, Last: o.last, Model: w.model, Scores: w.scores, ByModel: &w.byModel}
	for _, name := range w.order {
		for _, t := range w.features[name] {
			r.Features = append(r.Features, sqldata.Tallied{Feature: name, Tally: t})
		}
	}
	w.found.Records, w.wrongType, err = r.Count(ctx)
	return err
}

// warnings puts what is odd about the records in words.
func (w *window) warnings() []string {
	out := w.found.Warnings(w.logs)
	for _, name := range w.order {
		if n := w.wrongType[name]; n > 0 {
			out = append(out, fmt.Sprintf("%s: %d records have a value of another type and were passed over", name, n))
		}
	}
	return out
}
