package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"churn/cmd/internal/training"
	"churn/internal/model"
	"churn/internal/replay"

	"github.com/spf13/cobra"
)

// replayFlags select the records to replay with the model, if --rehearse is given.
type replayFlags struct {
	wanted bool
	replay.On
}

func (f replayFlags) check(cmd *cobra.Command) error {
	switch given := cmd.Flags().Changed; {
	case given("last") && !f.wanted:
		return errors.New("--last goes with --rehearse")
	case given("log") && given("model") && !f.wanted:
		return errors.New("--log goes with --rehearse where --model is given: nothing else reads logs there")
	}
	if f.Last < 0 {
		return fmt.Errorf("--last %d: at least 0", f.Last)
	}
	return nil
}

// before replays records with the model that o trains before it is registered.
// Warnings about the log are there once it has run.
func (f replayFlags) before(o *training.Options) (warnings *[]string) {
	warnings = new([]string)
	if f.wanted {
		o.Last = f.Last
		o.Rehearse = func(ctx context.Context, m *model.Model, logs []string) (*replay.Result, error) {
			return f.replay(ctx, o, "", m, logs, warnings)
		}
	}
	return warnings
}

// registered replays records with a registered model.
func (f replayFlags) registered(ctx context.Context, o *training.Options, name string, m *model.Model,
	warnings *[]string) (*replay.Result, error) {
	if !f.wanted {
		return nil, nil
	}
	logs, remove, err := o.Database.Logs(ctx, o.Stderr, f.Logs, f.Last, math.Inf(-1), m.Schema)
	if err != nil {
		return nil, err
	}
	defer remove()
	return f.replay(ctx, o, name, m, logs, warnings)
}

// replay replays records of logs with a model; name is "" of one that is not registered. Logs without records
// are a warning: the metrics are valid without them.
func (f replayFlags) replay(ctx context.Context, o *training.Options, name string, m *model.Model, logs []string,
	warnings *[]string) (*replay.Result, error) {
	r, err := replay.Run(ctx, o.Dir, name, m, replay.On{Last: f.Last, Logs: logs}, o.Stderr)
	if errors.Is(err, replay.ErrNoRecords) {
		*warnings = append(*warnings, err.Error())
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("replaying with %s: %w", cmp.Or(name, "the model, which is not registered"), err)
	}
	*warnings = append(*warnings, r.Warnings()...)
	return r, nil
}
