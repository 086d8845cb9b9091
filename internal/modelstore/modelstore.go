// Package modelstore describes models in a registry. It joins package registry, which
// keeps documents and knows no model, to package model, which knows no files.
package modelstore

import (
	"strings"

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
