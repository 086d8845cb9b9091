package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/registry"
	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
)

// references is what live rows are compared with.
type references struct {
	names       []string                    // of the features, in the schema's order where there is one
	stats       map[string]*dataset.Summary // registry/train_stats.json: the lab's table
	features    map[string]*dataset.Summary // the calibrated verdict
	probability *dataset.Summary            // nil without a model
	modelName   string                      // "" without a model
	model       *model.Model                // nil without one
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
			if s.Rows == 0 {
				continue // the lab's has a mean and a std alone
			}
			if err := s.Check(); err != nil {
				return nil, fmt.Errorf("%s is not what prepare writes: run prepare again: %q has %w", path, name, err)
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
	refs.modelName, refs.model, refs.probability = name, m, &m.Reference.Probability
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
	reg := registry.Open(dir, model.Verify, nil)
	name, err := reg.Current()
	if err != nil {
		return nil, "", err
	}
	m, err := model.Read(name, reg.ReadModel)
	return m, name, err
}
