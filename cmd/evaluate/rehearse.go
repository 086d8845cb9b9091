package main

import (
	"errors"
	"fmt"

	"churn/internal/rehearsal"

	"github.com/spf13/cobra"
)

// A stage is the customers to rehearse on, if a rehearsal was asked for.
type stage struct {
	wanted bool
	last   int // records of the log; 0: all
}

func (s stage) check(cmd *cobra.Command) error {
	if cmd.Flags().Changed("last") && !s.wanted {
		return errors.New("--last goes with --rehearse")
	}
	if s.last < 0 {
		return fmt.Errorf("--last %d: at least 0", s.last)
	}
	return nil
}

// rehearse has a registered model score the last customers again. That there are
// none is a warning: the figures stand without them.
func (s stage) rehearse(cmd *cobra.Command, dir, name string, warnings *[]string) (*rehearsal.Result, error) {
	if !s.wanted {
		return nil, nil
	}
	r, err := rehearsal.Run(cmd.Context(), dir, name, s.last, cmd.ErrOrStderr())
	if errors.Is(err, rehearsal.ErrNoRecords) {
		*warnings = append(*warnings, err.Error())
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the rehearsal of %s: %w", name, err)
	}
	*warnings = append(*warnings, r.Warnings()...)
	return r, nil
}
