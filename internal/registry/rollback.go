package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"churn/internal/status"
)

// A Rollback says which registered model to make current.
type Rollback struct {
	Target string // a file name; "" is the newest model before the current one that passed its gate and verifies
	Reason string // for the journal
	Force  bool   // accept a named model that its gate rejected
	DryRun bool   // choose and check, change nothing
}

// Rollback makes another model current and returns the change. Warnings name the models that
// were skipped, and why. If the target is missing, invalid or changed the error says so, and
// the pointer stays.
func (r *Registry) Rollback(ctx context.Context, want Rollback) (change Change, warnings []string, err error) {
	rollback := func(s *state) error {
		target, skipped, err := r.target(s, want)
		warnings = skipped
		if err != nil {
			return err
		}
		change = Change{TS: r.timestamp(), From: s.current, To: target, By: "rollback", Reason: want.Reason}
		if want.DryRun || target == s.current {
			return nil
		}
		if err := r.recordManualEdit(s.current); err != nil {
			return err
		}
		change.TS = r.timestamp() // not before that of the manual edit
		return r.apply(intent{Change: &change}, nil)
	}
	if entries, listErr := r.Entries(); want.DryRun || listErr == nil && len(entries) == 0 {
		s := &state{} // nothing changes: not even the lock file is created
		s.current, s.pointerErr = r.Current()
		if want.DryRun {
			err = rollback(s)
			return change, warnings, err
		}
		if _, warnings, err = r.target(s, want); err != nil {
			return change, warnings, err
		}
		// A model was registered meanwhile.
	}
	err = r.locked(ctx, rollback)
	return change, warnings, err
}

// target chooses and checks the model to go to.
func (r *Registry) target(s *state, want Rollback) (name string, skipped []string, err error) {
	m, err := r.metadata()
	if err != nil {
		return "", nil, err
	}
	if want.Target != "" {
		return want.Target, nil, r.checkTarget(m, want)
	}
	if errors.Is(s.pointerErr, ErrNoCurrent) {
		if len(m.entries) > 0 {
			return "", nil, status.Reject("no model is current, so none is before it: %s", nameOne)
		}
		return "", nil, s.pointerErr
	}
	if s.pointerErr != nil {
		return "", nil, fmt.Errorf("%w: %s", s.pointerErr, nameOne)
	}
	i := m.index(s.current)
	if i < 0 {
		return "", nil, fmt.Errorf("the current model %s is not in %s, so none is before it: %s",
			s.current, r.path(MetadataFile), nameOne)
	}
	for _, e := range slices.Backward(m.entries[:i]) {
		if !e.PassedGate {
			continue
		}
		_, err := r.check(e)
		if err == nil {
			return e.ModelFile, skipped, nil
		}
		var system *fs.PathError
		if errors.As(err, &system) && !errors.Is(err, fs.ErrNotExist) {
			return "", skipped, fmt.Errorf("%w: it could not be verified: try again, or %s", err, nameOne)
		}
		skipped = append(skipped, "skipped: "+err.Error())
	}
	return "", skipped, status.Reject("no valid model that passed its gate was registered before %s", s.current)
}

const nameOne = "name the model to go to, see rollback --list"

// checkTarget returns why the named model cannot become current, or nil.
func (r *Registry) checkTarget(m metadata, want Rollback) error {
	e, err := r.entry(m, want.Target)
	if err != nil {
		return err
	}
	if !e.PassedGate && !want.Force {
		return status.Reject("%s did not pass its gate (F1 %.4f, gate %.4g): add --force to make it current all "+
			"the same",
			want.Target, e.Metrics.F1, e.GateF1)
	}
	_, err = r.check(e)
	return err
}
