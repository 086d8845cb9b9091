// Package modelstore reads models from a registry and describes them in it. It is what
// package registry, which keeps documents and knows no model, and package model, which
// knows no files, have in common.
package modelstore

import (
	"fmt"

	"churn/internal/model"
	"churn/internal/registry"
)

// Open returns the registry below dir, which accepts sound models alone.
func Open(dir string) *registry.Registry { return registry.Open(dir, model.Verify, nil) }

// Stored is a model and where it is stored.
type Stored struct {
	*model.Model
	Name   string // file name
	SHA256 string // of the document
}

// Current reads the current model. Without one the error is registry.ErrNoCurrent. The
// name is returned where it is known.
func Current(r *registry.Registry) (Stored, error) {
	name, err := r.Current()
	if err != nil {
		return Stored{}, err
	}
	return Named(r, name)
}

// Named reads a model of the folder models, whether metadata.json has it or not.
func Named(r *registry.Registry, name string) (Stored, error) { return parse(name, r.ReadModel) }

// Registered reads a model that metadata.json has, and that could become current.
func Registered(r *registry.Registry, name string) (Stored, error) {
	return parse(name, r.ReadRegistered)
}

func parse(name string, read func(name string) ([]byte, error)) (Stored, error) {
	s := Stored{Name: name}
	b, err := read(name)
	if err != nil {
		return s, err
	}
	s.SHA256 = registry.SHA256(b)
	if s.Model, err = model.Parse(b); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return s, err
}
