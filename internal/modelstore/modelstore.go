// Package modelstore describes models in a registry. It joins package registry, which
// keeps documents and knows no model, to package model, which knows no files.
package modelstore

import (
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/registry"
)

// Open returns the registry below dir, which accepts sound models alone.
func Open(dir string) *registry.Registry { return registry.Open(dir, model.Verify) }

// Others returns the models that are registered below dir with another target than m, and that target.
func Others(dir string, m *model.Model) (map[string]string, error) {
	entries, err := Open(dir).Entries()
	return registry.Others(entries, strings.TrimSuffix(m.NamePrefix(), "_model")), err
}

// Days are what to add to the dates in the records of a model, by its name, and by column: dates are numbers of days
// before a day that each model has of its own.
type Days map[string]map[string]float64

// DaysAfter returns the days by which a date of s is later than that of each model that is registered below dir.
// Models that cannot be read, and those of the same dates, are not among them.
func DaysAfter(dir string, s *dataset.Schema) (Days, error) {
	if !slices.ContainsFunc(s.Features, func(f dataset.Feature) bool { return f.AsOf != "" }) {
		return nil, nil
	}
	reg, all := Open(dir), Days{}
	entries, err := reg.Entries()
	for _, e := range entries {
		if m, invalid := model.Read(e.ModelFile, reg.ReadModel); invalid == nil {
			if days := s.DaysAfter(m.Schema); days != nil {
				all[e.ModelFile] = days
			}
		}
	}
	return all, err
}
