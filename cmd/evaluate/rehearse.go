package main

import (
	"context"
	"errors"
	"fmt"

	"churn/cmd/internal/training"
	"churn/internal/model"
	"churn/internal/replay"

	"github.com/spf13/cobra"
)

// A stage is the customers to rehearse on, if a rehearsal was asked for.
type stage struct {
	wanted bool
	replay.On
}

func (s stage) check(cmd *cobra.Command) error {
	for _, flag := range []string{"last", "log"} {
		if cmd.Flags().Changed(flag) && !s.wanted {
			return fmt.Errorf("--%s goes with --rehearse", flag)
		}
	}
	if s.Last < 0 {
		return fmt.Errorf("--last %d: at least 0", s.Last)
	}
	return nil
}

// before has the model that o makes score the last customers again before it is
// registered. What is odd about the log is in the warnings once it has.
func (s stage) before(cmd *cobra.Command, o *training.Options) (warnings *[]string) {
	warnings = new([]string)
	if s.wanted {
		o.Rehearse = func(ctx context.Context, m *model.Model) (*replay.Result, error) {
			r, err := replay.RunModel(ctx, o.Dir, "", m, s.On, cmd.ErrOrStderr())
			return s.rehearsed(r, err, "the model, which is not registered", warnings)
		}
	}
	return warnings
}

// rehearse has a registered model score the last customers again.
func (s stage) rehearse(cmd *cobra.Command, dir, name string, m *model.Model, warnings *[]string) (*replay.Result, error) {
	if !s.wanted {
		return nil, nil
	}
	r, err := replay.RunModel(cmd.Context(), dir, name, m, s.On, cmd.ErrOrStderr())
	return s.rehearsed(r, err, name, warnings)
}

// rehearsed takes what a rehearsal of a model returned. That there are no customers
// is a warning: the figures stand without them.
func (s stage) rehearsed(r *replay.Result, err error, of string, warnings *[]string) (*replay.Result, error) {
	if errors.Is(err, replay.ErrNoRecords) {
		*warnings = append(*warnings, err.Error())
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the rehearsal of %s: %w", of, err)
	}
	*warnings = append(*warnings, r.Warnings()...)
	return r, nil
}
