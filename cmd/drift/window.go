package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/predlog"
)

// probability is the name of the predicted probability among the columns.
const probability = "(probability)"

// window is the records looked at, tallied.
type window struct {
	path      string
	found     predlog.Found
	byModel   int            // records that the current model answered
	lab       []drift.Column // numbers over train_stats.json
	columns   []drift.Column // features, then the probability, over the model's reference
	wrongType map[string]int
	order     []string
}

// readWindow tallies the last records of the log: the features of all, the
// probability of those that the current model answered.
func readWindow(ctx context.Context, o options, refs *references) (*window, error) {
	w := &window{path: filepath.Join(o.dir, "logs", "predictions.log"), wrongType: map[string]int{}, order: refs.names}
	tallies := map[string][]*dataset.Tally{}
	for _, name := range refs.names {
		if s := refs.stats[name]; s != nil && s.Numbers != nil {
			c := drift.Column{Name: name, Reference: s, Live: dataset.NewTally(s)}
			w.lab, tallies[name] = append(w.lab, c), append(tallies[name], c.Live)
		}
		if s := refs.features[name]; s != nil {
			c := drift.Column{Name: name, Reference: s, Live: dataset.NewTally(s)}
			w.columns, tallies[name] = append(w.columns, c), append(tallies[name], c.Live)
		}
	}
	var scores *dataset.Tally
	if refs.probability != nil {
		scores = dataset.NewTally(refs.probability)
		w.columns = append(w.columns, drift.Column{Name: probability, Reference: refs.probability, Live: scores})
	}
	var err error
	w.found, err = predlog.Read(ctx, w.path, o.last, func(r *predlog.Record) error {
		for _, f := range r.Features {
			for _, t := range tallies[f.Name] {
				if !t.Add(f.Value) {
					w.wrongType[f.Name]++
					break
				}
			}
		}
		if scores != nil && r.ModelVersion == refs.modelName {
			scores.Add(dataset.Value{Number: r.Probability})
			w.byModel++
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: nothing has been predicted yet, run serve first", err)
	}
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
