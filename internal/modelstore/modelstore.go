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

// DaysAfter returns the models that are registered below dir and count dates from another day than s, and
// by how many days that of s is later, by column. Models that cannot be read are not among them.
func DaysAfter(dir string, s *dataset.Schema) (map[string]map[string]float64, error) {
	if !slices.ContainsFunc(s.Features, func(f dataset.Feature) bool { return f.AsOf != "" }) {
		return nil, nil
	}
	reg, all := Open(dir), map[string]map[string]float64{}
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
