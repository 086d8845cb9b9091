package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"churn/internal/status"
)

// A Rollback says which registered model to make current.
type Rollback struct {
	// Target is a file name or a version. "" is the last model that was current before, passed its
	// gate, verifies, and predicts the same column.
	Target string

	Reason string // for the journal
	Force  bool   // accept a named model that its gate rejected
	DryRun bool   // choose and check, change nothing

	// Check, if not nil, has the last word on a change between two models; from may be "".
	Check func(from, to string) (warnings []string, err error)
}

// Rollback makes another model current and returns the change. Warnings name the models that
// were skipped, and why. If the target is missing, invalid or changed the error says so, and
// the pointer stays.
func (r *Registry) Rollback(ctx context.Context, want Rollback) (change Change, warnings []string, err error) {
	want.Reason = strings.ToValidUTF8(want.Reason, "\uFFFD") // as JSON has it
	rollback := func(s *state) error {
		target, skipped, err := r.target(s, want)
		warnings = skipped
		if err != nil {
			return err
		}
		change = Change{TS: r.timestamp(), From: s.current, To: target, By: "rollback", Reason: want.Reason,
			Promoted: want.Target != ""}
		if target == s.current {
			return nil
		}
		if want.Check != nil {
			more, err := want.Check(s.current, target)
			warnings = append(warnings, more...)
			if err != nil {
				return err
			}
		}
		if want.DryRun {
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
		if want.Target, err = r.resolve(m, want.Target); err != nil {
			return "", nil, err
		}
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
	h, err := r.history()
	if err != nil {
		return "", nil, err
	}
	current, _ := r.entry(m, s.current) // if it is not registered its target is ""
	others := Others(m.entries, current.target())
	for _, name := range h.before(s) {
		err := r.checkTarget(m, Rollback{Target: name})
		if err == nil && others[name] != "" {
			err = fmt.Errorf("%s predicts %s, and %s, which is current, %s: rollback %[1]s goes there on purpose",
				name, others[name], s.current, current.target())
		}
		if err == nil {
			return name, skipped, nil
		}
		if errors.As(err, new(*fs.PathError)) && !errors.Is(err, fs.ErrNotExist) {
			return "", skipped, fmt.Errorf("%w: it could not be verified: try again, or %s", err, nameOne)
		}
		skipped = append(skipped, "skipped: "+err.Error())
	}
	return "", skipped, status.Reject("no valid model that passed its gate was current before %s: %s", s.current, nameOne)
}

// Others returns the models of a list with another target, and that target; none if target is "".
func Others(list []Entry, target string) map[string]string {
	others := map[string]string{}
	for _, e := range list {
		if other := e.target(); target != "" && other != "" && other != target {
			others[e.ModelFile] = other
		}
	}
	return others
}

// target returns the column that the model predicts, as the file's name begins with it; "" if the
// name has another form, or another version.
func (e Entry) target() string {
	end := strings.LastIndex(e.ModelFile, "_model_"+e.Version+"_") // a target may have this too
	return e.ModelFile[:max(0, end)]
}

const nameOne = "name the model to go to, see rollback --list"

// Resolve returns the file name of the model that a name or a version means: of a version the
// newest. It may be a name that is not registered, which readers refuse.
func (r *Registry) Resolve(target string) (string, error) {
	m, err := r.metadata()
	if err != nil {
		return "", err
	}
	return r.resolve(m, target)
}

// resolve returns the file name of the model that a name or a version means: of a version
// the newest. If several may be meant, the error lists them.
func (r *Registry) resolve(m metadata, target string) (string, error) {
	if m.index(target) >= 0 {
		return target, nil
	}
	var all []Entry // of that version, the newest first
	for _, e := range m.entries {
		if e.Version == target && e.PrunedAtUTC == "" {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return strings.Compare(b.TrainedAtUTC, a.TrainedAtUTC) })
	var names []string
	for _, e := range all {
		if e.TrainedAtUTC == all[0].TrainedAtUTC || e.target() != all[0].target() {
			names = append(names, e.ModelFile)
		}
	}
	switch {
	case len(names) > 1:
		return "", fmt.Errorf("version %s may mean %s: name one of them", target, strings.Join(names, ", "))
	case len(names) == 1:
		return names[0], nil
	case strings.HasSuffix(target, ".json") || strings.ContainsAny(target, `/\`):
		return target, nil // to be refused as a file name
	}
	return "", fmt.Errorf("no model is registered with the name or version %.80q: see rollback --list", target)
}

// checkTarget returns why the named model cannot become current, or nil.
func (r *Registry) checkTarget(m metadata, want Rollback) error {
	e, err := r.entry(m, want.Target)
	if err != nil {
		return err
	}
	if !e.PassedGate && !want.Force {
		why := cmp.Or(e.Verdict, fmt.Sprintf("F1 %.4f", e.Metrics.F1)) // older entries have no verdict
		return status.Reject("%s did not pass its gate (%s): rollback --force %[1]s makes it current all the same",
			want.Target, why)
	}
	_, err = r.check(e)
	return err
}
