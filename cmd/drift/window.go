package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/model"
	"churn/internal/predlog"
	"churn/internal/registry"
	"churn/internal/strictjson"
	"churn/internal/training"

	"github.com/go-json-experiment/json"
)

// probability is the name of the predicted probability among the columns.
const probability = "(probability)"

// references is what live rows are compared with.
type references struct {
	names       []string                    // of the features, in the schema's order where there is one
	stats       map[string]*dataset.Summary // registry/train_stats.json: the lab's table
	features    map[string]*dataset.Summary // the calibrated verdict
	probability *dataset.Summary            // nil without a model
	modelName   string                      // "" without a model
	warnings    []string
}

// loadReferences reads the current model and train_stats.json. One of them may be missing.
func loadReferences(dir string) (*references, error) {
	path := filepath.Join(dir, "registry", "train_stats.json")
	refs := &references{stats: map[string]*dataset.Summary{}, features: map[string]*dataset.Summary{}}
	b, statsErr := os.ReadFile(path)
	if statsErr == nil {
		if err := json.Unmarshal(b, &refs.stats); err != nil {
			return nil, fmt.Errorf("%s is not what prepare writes: run prepare again: %w", path, strictjson.Clean(err))
		}
		for name, s := range refs.stats {
			if s == nil || s.Numbers != nil && !(s.Numbers.Std > 0) {
				return nil, fmt.Errorf("%s is not what prepare writes: run prepare again: %q has no mean and std", path, name)
			}
		}
	} else if !errors.Is(statsErr, fs.ErrNotExist) {
		return nil, statsErr
	}
	m, name, modelErr := currentModel(dir)
	switch {
	case modelErr != nil && statsErr != nil:
		return nil, fmt.Errorf("%w; and %s is missing too", modelErr, path)
	case modelErr != nil:
		refs.warnings = append(refs.warnings, fmt.Sprintf("%v; everything is compared with %s", modelErr, path))
		for name, s := range refs.stats {
			if s.Rows > 0 {
				refs.features[name] = s
			}
			refs.names = append(refs.names, name)
		}
		slices.Sort(refs.names)
		return refs, nil
	}
	refs.modelName, refs.probability = name, &m.Reference.Probability
	for _, f := range m.Schema.Features {
		s := m.Reference.Columns[f.Name]
		refs.features[f.Name] = &s
		refs.names = append(refs.names, f.Name)
	}
	switch {
	case statsErr != nil:
		refs.stats = refs.features
		refs.warnings = append(refs.warnings, path+" is missing: the lab's z is against the model's own training rows")
	case m.Data.StatsSHA256 != "" && registry.SHA256(b) != m.Data.StatsSHA256:
		refs.warnings = append(refs.warnings, path+" is of other data than the current model: the lab's z and the verdict compare with different customers")
	}
	return refs, nil
}

func currentModel(dir string) (*model.Model, string, error) {
	reg := training.Open(dir)
	name, err := reg.Current()
	if err != nil {
		return nil, "", err
	}
	b, err := reg.ReadModel(name)
	if err != nil {
		return nil, "", err
	}
	m, err := model.Parse(b)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	return m, name, nil
}

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
