package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"churn/internal/predlog"
	"churn/internal/progress"
)

// window is the records looked at, tallied.
type window struct {
	path  string
	found predlog.Found
	*sample
	order []string
}

// readWindow tallies the last records of the log.
func readWindow(ctx context.Context, o options, refs *references, stderr io.Writer) (*window, error) {
	w := &window{path: filepath.Join(o.dir, "logs", "predictions.log"), sample: newSample(refs), order: refs.names}
	size, err := predlog.Size(w.path)
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
	}.Read(ctx, w.path, o.last)
	return w, err
}

// warnings puts what is odd about the log in words.
func (w *window) warnings() []string {
	var out []string
	if w.found.Bad > 0 {
		out = append(out, fmt.Sprintf("%s: %d of the lines looked at are not records and were passed over", w.path, w.found.Bad))
	}
	if w.found.Torn {
		out = append(out, w.path+": the last line is half a record and was passed over: serve repairs it when it starts")
	}
	for _, name := range w.order {
		if n := w.wrongType[name]; n > 0 {
			out = append(out, fmt.Sprintf("%s: %d records have a value of another type and were passed over", name, n))
		}
	}
	return out
}
