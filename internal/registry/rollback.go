package registry

import (
	"churn/internal/status"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// A Rollback asks to make another registered model current.
type Rollback struct {
	Target string // a file name; "" is the newest model before the current one that passed its gate and verifies
	Reason string // for the journal
	Force  bool   // accept a named model that its gate refused
	DryRun bool   // choose and check, change nothing
}

// Rollback makes another model current and returns the change. Models that were
// passed over on the way, and why, are in warnings. A target that is missing,
// broken or changed is an error, and the pointer stays.
func (r *Registry) Rollback(ctx context.Context, ask Rollback) (change Change, warnings []string, err error) {
	move := func(s *state) error {
		target, skipped, err := r.target(s, ask)
		warnings = skipped
		if err != nil {
			return err
		}
		change = Change{TS: r.timestamp(), From: s.current, To: target, By: "rollback", Reason: ask.Reason}
		if ask.DryRun || target == s.current {
			return nil
		}
		if err := r.noteHand(s.current); err != nil {
			return err
		}
		change.TS = r.timestamp() // not before the hand's line
		p := pending{Change: &change}
		return r.make(p, nothing)
	}
	if entries, listErr := r.Entries(); ask.DryRun || listErr == nil && len(entries) == 0 {
		s := &state{} // nothing will change: not even the lock's file is made
		s.current, s.pointerErr = r.Current()
		if ask.DryRun {
			err = move(s)
			return change, warnings, err
		}
		if _, warnings, err = r.target(s, ask); err != nil {
			return change, warnings, err
		}
		// A model was registered meanwhile.
	}
	err = r.locked(ctx, move)
	return change, warnings, err
}

// target chooses and checks the model to go to.
func (r *Registry) target(s *state, ask Rollback) (name string, skipped []string, err error) {
	entries, err := r.Entries()
	if err != nil {
		return "", nil, err
	}
	at := func(name string) int {
		return slices.IndexFunc(entries, func(e Entry) bool { return e.ModelFile == name })
	}
	if ask.Target != "" {
		if err := checkName(ask.Target); err != nil {
			return "", nil, err
		}
		i := at(ask.Target)
		if i < 0 {
			return "", nil, r.unregistered(ask.Target)
		}
		if !entries[i].PassedGate && !ask.Force {
			return "", nil, status.Reject("%s did not pass its gate (F1 %.4f, gate %.4g): add --force to use it all the same",
				ask.Target, entries[i].Metrics.F1, entries[i].GateF1)
		}
		_, err := r.check(entries[i])
		return ask.Target, nil, err
	}
	if errors.Is(s.pointerErr, ErrNoCurrent) {
		if len(entries) > 0 {
			return "", nil, status.Reject("no model is current, so nothing is before it: name the model to go to, see rollback --list")
		}
		return "", nil, s.pointerErr
	}
	if s.pointerErr != nil {
		return "", nil, fmt.Errorf("%w: name the model to go to, see rollback --list", s.pointerErr)
	}
	i := at(s.current)
	if i < 0 {
		return "", nil, fmt.Errorf("the current model %s is not in %s, so nothing is before it: name the model to go to, see rollback --list", s.current, r.path(MetadataFile))
	}
	for i--; i >= 0; i-- {
		if !entries[i].PassedGate {
			continue
		}
		_, err := r.check(entries[i])
		if err == nil {
			return entries[i].ModelFile, skipped, nil
		}
		var system *fs.PathError
		if errors.As(err, &system) && !errors.Is(err, fs.ErrNotExist) {
			return "", skipped, fmt.Errorf("%w: so it is not known whether it is sound: try again, or name the model to go to, see rollback --list", err)
		}
		skipped = append(skipped, "passed over: "+err.Error())
	}
	return "", skipped, status.Reject("no sound model that passed its gate was registered before %s", s.current)
}
