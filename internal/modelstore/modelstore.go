// Package modelstore describes models in a registry. It joins package registry, which
// keeps documents and knows no model, to package model, which knows no files.
package modelstore

import (
	"churn/internal/model"
	"churn/internal/registry"
)

// Open returns the registry below dir, which accepts sound models alone.
func Open(dir string) *registry.Registry { return registry.Open(dir, model.Verify, nil) }
