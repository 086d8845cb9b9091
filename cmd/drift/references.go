package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/registry"
	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
)

// references is what live rows are compared with.
type references struct {
	names       []string                    // of the features, in the schema's order where there is one
	stats       map[string]*dataset.Summary // of registry/train_stats.json, for the reference z scores
	features    map[string]*dataset.Summary // for the calibrated verdict
	probability *dataset.Summary            // nil without a model

	correlations []dataset.Correlation // of the model's training rows

	modelName string            // "" without a model
	model     *model.Model      // nil without one
	others    map[string]string // models that predict another column, and that column
	days      modelstore.Days
	warnings  []string
}

// loadReferences reads the current model and train_stats.json. One of them may be missing.
func loadReferences(dir string) (*references, error) {
	path := filepath.Join(dir, "registry", "train_stats.json")
	refs := &references{features: map[string]*dataset.Summary{}}
	var sha256 string
	var statsErr, modelErr error
	if refs.stats, sha256, statsErr = readStats(path); statsErr != nil && !errors.Is(statsErr, fs.ErrNotExist) {
		return nil, statsErr
	}
	reg := modelstore.Open(dir)
	if refs.modelName, modelErr = reg.Current(); modelErr == nil {
		refs.model, modelErr = model.Read(refs.modelName, reg.ReadModel)
	}
	switch {
	case modelErr != nil && statsErr != nil:
		return nil, fmt.Errorf("%w; and %s is missing too", modelErr, path)
	case modelErr != nil:
		refs.modelName = ""
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
	if refs.others, modelErr = modelstore.Others(dir, refs.model); modelErr != nil {
		refs.warnings = append(refs.warnings, "records of models that predict another column count too: "+modelErr.Error())
	}
	if refs.days, modelErr = modelstore.DaysAfter(dir, refs.model.Schema); modelErr != nil {
		refs.warnings = append(refs.warnings, "dates of other models may count from another day: "+modelErr.Error())
	}
	refs.probability = recorded(refs.model.Reference.Probability)
	for _, f := range refs.model.Schema.Features {
		refs.features[f.Name] = new(refs.model.Reference.Columns[f.Name])
		refs.names = append(refs.names, f.Name)
	}
	refs.correlations = refs.model.Reference.Correlations
	refs.warnings = append(refs.warnings, refs.leftOut()...)
	switch trained := refs.model.Data.StatsSHA256; {
	case statsErr != nil:
		refs.stats = refs.features
		refs.warnings = append(refs.warnings,
			path+" is missing: reference z scores compare with the model's own training rows")
	case trained != "" && sha256 != trained:
		refs.warnings = append(refs.warnings,
			path+" is of other data than the current model: reference z scores and verdict compare with different customers")
	}
	return refs, nil
}

// recorded returns the summary of a probability as records have it. A probability that many rows share
// would be beyond its own cut where a record's six decimals are above it.
func recorded(s dataset.Summary) *dataset.Summary {
	n := *s.Numbers
	n.Cuts, n.Counts = nil, nil
	for i, edge := range append(slices.Clone(s.Numbers.Cuts), n.Max) {
		edge = math.Round(edge*1e6) / 1e6
		if k := len(n.Cuts) - 1; k >= 0 && n.Cuts[k] == edge {
			n.Counts[k] += s.Numbers.Counts[i]
			continue
		}
		n.Cuts, n.Counts = append(n.Cuts, edge), append(n.Counts, s.Numbers.Counts[i])
	}
	n.Cuts = n.Cuts[:len(n.Cuts)-1]
	s.Numbers = &n
	return &s
}

// schema returns the features that rows are compared in.
func (refs *references) schema() *dataset.Schema {
	if refs.model != nil {
		return refs.model.Schema
	}
	s := &dataset.Schema{}
	for _, name := range refs.names {
		f := dataset.Feature{Name: name, Type: dataset.Number}
		if stats := refs.stats[name]; stats.Numbers == nil {
			f.Type = dataset.Category
		}
		s.Features = append(s.Features, f)
	}
	return s
}

// leftOut names the checks that the model's reference has nothing for.
func (refs *references) leftOut() []string {
	numbers := dataset.NewPairs(refs.names, refs.features).Names
	unknown := func(name string) bool { return refs.features[name].Numbers.Kurtosis == 0 }
	var checks []string
	if slices.ContainsFunc(numbers, unknown) {
		checks = append(checks, drift.Spread)
	}
	if len(numbers) > 1 && len(refs.correlations) == 0 {
		checks = append(checks, drift.Correlation)
	}
	if checks == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s: not compared, since the model was trained by an earlier version: train it again "+
		"to compare them", strings.Join(checks, " and "))}
}

// readStats reads train_stats.json and returns its hash too.
func readStats(path string) (stats map[string]*dataset.Summary, sha256 string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	invalid := func(err error) error {
		return fmt.Errorf("%s is not what prepare writes: run prepare again: %w", path, err)
	}
	if err := json.Unmarshal(b, &stats); err != nil {
		return nil, "", invalid(strictjson.Clean(err))
	}
	for name, s := range stats {
		if s == nil || s.Numbers != nil && !(s.Numbers.Std > 0) {
			return nil, "", invalid(fmt.Errorf("%q has no mean and std", name))
		}
		if s.Rows == 0 {
			continue // written by the reference lab: a mean and a std alone
		}
		if err := s.Check(); err != nil {
			return nil, "", invalid(fmt.Errorf("%q has %w", name, err))
		}
	}
	return stats, registry.SHA256(b), nil
}
