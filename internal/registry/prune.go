package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"churn/internal/atomicfile"

	"github.com/go-json-experiment/json/jsontext"
)

// prune is By of a line of the journal that records removed models.
const prune = "prune"

// Undo is the number of models that pruning keeps for rollbacks without a name, the last ones
// that were current before: one a rollback, and three in a row are more than an emergency takes.
const Undo = 3

// A Prune says which models to remove.
type Prune struct {
	Model     string        // file name of the one model to remove, any but the current one; "" for those below
	Keep      int           // number of the newest registered models that stay
	OlderThan time.Duration // models that were trained later stay too; 0: none of them
	Reason    string        // for the journal
	DryRun    bool          // choose, change nothing
}

// Pruned is what a Prune did, or would do.
type Pruned struct {
	Removed []string // file names of models
	Moved   int      // lines of the journal
	Archive string   // where they and the entries of removed models are now, in registry/; "" if nothing moved
}

// Prune removes the files and cards of registered models, and returns their names. Without
// want.Model the current model, the Undo valid ones that rollbacks would go to, the Undo valid ones that were current
// last, also those that a rollback left, and the newest want.Keep stay. A removed model's
// entry stays in metadata.json, with its PrunedAtUTC. One that cannot be removed stays
// registered, and the error is of the first.
//
// Old lines of a long journal, and entries of many removed models, move to an archive.
func (r *Registry) Prune(ctx context.Context, want Prune) (p Pruned, err error) {
	s, err := r.readState(ctx)
	if err != nil {
		return p, err
	}
	if want.Model == "" || want.DryRun { // a change that was interrupted may have removed the model, and is finished first
		if p.Removed, err = r.prunable(s, want); err != nil {
			return p, err
		}
	}
	if want.DryRun { // not even the lock file is created
		p.Moved, p.Archive, err = r.compact(true)
		return p, err
	}
	p.Removed = nil
	err = r.locked(ctx, func(s *state) error {
		names, err := r.prunable(s, want)
		if err != nil {
			return err
		}
		var failed error
		if names != nil {
			p.Removed, failed, err = r.prune(s, names, want.Reason)
		}
		if err == nil {
			p.Moved, p.Archive, err = r.compact(false)
		}
		return cmp.Or(err, failed)
	})
	return p, err
}

// prune removes models. failed is why one of them stays.
func (r *Registry) prune(s *state, names []string, reason string) (removed []string, failed, err error) {
	p := intent{Prune: names, Change: &Change{TS: r.timestamp(), From: s.current, To: s.current, By: prune,
		Reason: strings.ToValidUTF8(reason, "\uFFFD")}}
	if err := r.writeIntent(p); err != nil {
		r.clearIntent() // it may be in place: nothing of it was done
		return nil, nil, err
	}
	if removed, failed, err = r.finishPrune(p); err != nil {
		err = fmt.Errorf("pruning was interrupted, the next train, evaluate or rollback finishes it: %w", err)
	}
	return removed, failed, err
}

// prunable returns the models that want lets go, in order of registration.
func (r *Registry) prunable(s *state, want Prune) (names []string, err error) {
	if s.pointerErr != nil && !errors.Is(s.pointerErr, ErrNoCurrent) {
		return nil, fmt.Errorf("%w: put a model's name there, or run rollback with one", s.pointerErr)
	}
	m, err := r.metadata()
	if err != nil {
		return nil, err
	}
	if want.Model != "" {
		return r.named(m, want.Model, s.current)
	}
	entries := slices.DeleteFunc(m.entries, func(e Entry) bool { return e.PrunedAtUTC != "" })
	h, err := r.history()
	if err != nil {
		return nil, err
	}
	checked := map[string]bool{} // a journal names few models, each many times
	usable := func(name string) bool {
		ok, known := checked[name]
		if !known {
			ok = r.checkTarget(m, Rollback{Target: name}) == nil
			checked[name] = ok
		}
		return ok
	}
	current, _ := r.entry(m, s.current)
	stay, others := map[string]bool{s.current: true}, Others(m.entries, current.target())
	for _, name := range h.before(s) {
		if len(stay) <= Undo && others[name] == "" && usable(name) {
			stay[name] = true
		}
	}
	last := map[string]bool{s.current: true} // that were current, also those that a rollback left
	for _, c := range slices.Backward(h.changes) {
		if len(last) <= Undo && usable(c.From) {
			last[c.From], stay[c.From] = true, true
		}
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s has no models: nothing to prune", r.path(MetadataFile))
	}
	for _, e := range entries[:max(0, len(entries)-want.Keep)] {
		at, err := time.Parse(time.RFC3339, e.TrainedAtUTC)
		young := want.OlderThan > 0 && (err != nil || r.now().Sub(at) < want.OlderThan)
		if !stay[e.ModelFile] && !young && checkName(e.ModelFile) == nil {
			names = append(names, e.ModelFile)
		}
	}
	return names, nil
}

// named returns the one model to remove, or nil if it was removed before. It is an error if it is
// current or unknown.
func (r *Registry) named(m metadata, name, current string) ([]string, error) {
	at := m.index(name)
	switch err := checkName(name); {
	case err != nil:
		return nil, err
	case name == current:
		return nil, fmt.Errorf("%s is current: make another model current first, or train one", name)
	case at < 0:
		return nil, fmt.Errorf("%s has no model of the file name %q: see rollback --list", r.path(MetadataFile), name)
	case m.entries[at].PrunedAtUTC != "":
		return nil, nil
	}
	return []string{name}, nil
}

// finishPrune removes the models of an intent from wherever it stopped: cards and models,
// metadata, journal. gone are those without a file now. A model that became current meanwhile,
// or whose file cannot be removed, stays as it is; failed is the reason of the first.
func (r *Registry) finishPrune(p intent) (gone []string, failed, err error) {
	for _, name := range p.Prune {
		current, err := r.pointer()
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, nil, err
		case name == current:
			err = fmt.Errorf("%s is current by now", name)
		default: // the card first: without its model it would belong to none
			if err = remove(r.model(CardName(name))); err == nil {
				err = remove(r.model(name))
			}
		}
		if failed = cmp.Or(failed, err); err == nil {
			gone = append(gone, name)
		}
	}
	if len(gone) > 0 {
		if err := r.recordPruned(gone, *p.Change); err != nil {
			return nil, nil, err
		}
	}
	return gone, failed, r.clearIntent()
}

// remove removes a file, if it is there.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// recordPruned marks the entries of models whose files are gone, and adds c to the journal.
func (r *Registry) recordPruned(names []string, c Change) error {
	if err := atomicfile.SyncDir(r.path(Models)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m, err := r.metadata()
	if err != nil {
		return err
	}
	for i, e := range m.entries {
		if e.PrunedAtUTC == "" && slices.Contains(names, e.ModelFile) {
			fields := strings.TrimSuffix(strings.TrimSpace(string(m.raw[i])), "}") // as they are, known or not
			m.raw[i] = jsontext.Value(fmt.Sprintf(`%s, "pruned_at_utc": %q}`, fields, c.TS))
		}
	}
	if err := r.writeMetadata(m.raw); err != nil {
		return err
	}
	c.Reason += "; removed " + strings.Join(names, ", ")
	return r.record(c)
}
