package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"churn/internal/predlog"
	"churn/internal/progress"
)

// window is the records looked at, tallied.
type window struct {
	logs  predlog.Logs
	found predlog.Found
	*sample
	order []string
}

// readWindow tallies the last records of the log.
func readWindow(ctx context.Context, o options, refs *references, stderr io.Writer) (*window, error) {
	w := &window{sample: newSample(refs), order: refs.names}
	var err error
	if w.logs, err = predlog.Find(o.dir, o.logs); err != nil {
		return nil, err
	}
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

// warnings puts what is odd about the log in words.
func (w *window) warnings() []string {
	out := w.found.Warnings(w.logs)
	for _, name := range w.order {
		if n := w.wrongType[name]; n > 0 {
			out = append(out, fmt.Sprintf("%s: %d records have a value of another type and were passed over", name, n))
		}
	}
	return out
}
