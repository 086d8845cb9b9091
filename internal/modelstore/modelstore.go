// Package modelstore describes models in a registry. It joins package registry, which
// keeps documents and knows no model, to package model, which knows no files.
package modelstore

import (
	"churn/internal/model"
	"churn/internal/registry"
)

// Open returns the registry below dir, which accepts sound models alone.
func Open(dir string) *registry.Registry { return registry.Open(dir, model.Verify, nil) }

// Others returns which models that are registered below dir predict another column than m, and
// that column.
func Others(dir string, m *model.Model) (map[string]string, error) {
	entries, err := Open(dir).Entries()
	e := NewEntry(m)
	e.ModelFile = m.NamePrefix() + "_" // as its file's name begins
	return e.Others(entries), err
}
