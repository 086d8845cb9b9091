package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"churn/internal/model"
	"churn/internal/replay"
)

// checkReplay rejects flags of the records to replay that nothing reads.
func (o *options) checkReplay(given func(flag string) bool) error {
	switch {
	case given("last") && !o.rehearse:
		return errors.New("--last goes with --rehearse")
	case given("log") && given("model") && !o.rehearse:
		return errors.New("--log goes with --rehearse where --model is given: nothing else reads logs there")
	case o.Last < 0:
		return fmt.Errorf("--last %d: at least 0", o.Last)
	}
	return nil
}

// replayBefore has records replayed with the model that is trained before it is registered.
// Warnings about the log are there once it has run.
func (o *options) replayBefore() (warnings *[]string) {
	warnings = new([]string)
	if o.rehearse {
		o.Rehearse = func(ctx context.Context, m *model.Model, logs []string) (*replay.Result, error) {
			return o.replay(ctx, "", m, logs, warnings)
		}
	}
	return warnings
}

// replayRegistered replays records with a registered model.
func (o *options) replayRegistered(ctx context.Context, name string, m *model.Model, warnings *[]string,
) (*replay.Result, error) {
	if !o.rehearse {
		return nil, nil
	}
	logs, remove, err := o.Database.Logs(ctx, o.Stderr, o.Logs, o.Last, math.Inf(-1), m.Schema)
	if err != nil {
		return nil, err
	}
	defer remove()
	return o.replay(ctx, name, m, logs, warnings)
}

// replay replays records of logs with a model; name is "" of one that is not registered. Logs without records
// are a warning: the metrics are valid without them.
func (o *options) replay(ctx context.Context, name string, m *model.Model, logs []string, warnings *[]string,
) (*replay.Result, error) {
	r, err := replay.Run(ctx, o.Dir, name, m, replay.On{Last: o.Last, Logs: logs}, o.Stderr)
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
