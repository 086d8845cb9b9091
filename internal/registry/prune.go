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

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// prune is By of a line of the journal that records removed models.
const prune = "prune"

// Undo is the number of models that pruning keeps for rollbacks without a name, the last ones
// that were current before: one a rollback, and three in a row are more than an emergency takes.
const Undo = 3

const maxPruned = 1000 // models a change: their names fit in pending.json

// A Prune says which models to remove.
type Prune struct {
	Keep      int           // number of the newest registered models that stay
	OlderThan time.Duration // models that were trained later stay too; 0: none of them
	Reason    string        // for the journal
	DryRun    bool          // choose, change nothing
}

// Prune removes the files and cards of registered models, and returns their names. The current
// model, the last Undo valid ones before it and the newest want.Keep stay. A removed model's
// entry stays in metadata.json, with its PrunedAtUTC. A model that cannot be removed stays
// registered, and the error names the first.
func (r *Registry) Prune(ctx context.Context, want Prune) (removed []string, err error) {
	entries, err := r.Entries()
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s has no models: nothing to prune", r.path(MetadataFile))
	}
	if want.DryRun {
		s := &state{}
		s.current, s.pointerErr = r.Current()
		return r.prunable(s, want)
	}
	err = r.locked(ctx, func(s *state) error {
		names, err := r.prunable(s, want)
		var failed error // the first
		for some := range slices.Chunk(names, maxPruned) {
			p := intent{Prune: some, Change: &Change{TS: r.timestamp(), From: s.current, To: s.current, By: prune,
				Reason: want.Reason}}
			b, err := json.Marshal(p)
			if err == nil {
				err = atomicfile.Write(r.path(intentFile), b, 0o644)
			}
			if err != nil {
				return err
			}
			gone, skipped, err := r.finishPrune(p)
			if err != nil {
				return fmt.Errorf("pruning was interrupted, the next train, evaluate or rollback finishes it: %w", err)
			}
			removed, failed = append(removed, gone...), cmp.Or(failed, skipped)
		}
		if failed != nil {
			return fmt.Errorf("%d of %d models could not be removed: %w", len(names)-len(removed), len(names), failed)
		}
		return err
	})
	return removed, err
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
	before, err := r.before(s)
	if err != nil {
		return nil, err
	}
	stay := map[string]bool{s.current: true}
	for _, name := range before {
		if len(stay) <= Undo && r.checkPrevious(m, name) == nil {
			stay[name] = true
		}
	}
	entries := slices.DeleteFunc(m.entries, func(e Entry) bool { return e.PrunedAtUTC != "" })
	for _, e := range entries[:max(0, len(entries)-want.Keep)] {
		at, err := time.Parse(time.RFC3339, e.TrainedAtUTC)
		young := want.OlderThan > 0 && (err != nil || r.now().Sub(at) < want.OlderThan)
		if !stay[e.ModelFile] && !young && checkName(e.ModelFile) == nil {
			names = append(names, e.ModelFile)
		}
	}
	return names, nil
}

// finishPrune removes the models of an intent from wherever it stopped: cards and models,
// metadata, journal. gone are those without a file now. A model that became current meanwhile,
// or whose file cannot be removed, stays as it is; failed is the reason of the first.
func (r *Registry) finishPrune(p intent) (gone []string, failed, err error) {
	for _, name := range p.Prune {
		current, err := r.pointer()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		if name == current {
			failed = cmp.Or(failed, fmt.Errorf("%s is current by now", name))
			continue
		}
		err = remove(r.model(CardName(name)))
		if err == nil { // a card without its model would belong to none
			err = remove(r.model(name))
		}
		if err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		gone = append(gone, name)
	}
	if len(gone) > 0 {
		if err := atomicfile.SyncDir(r.path(Models)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		if err := r.markPruned(gone, p.Change.TS); err != nil {
			return nil, nil, err
		}
		c := *p.Change
		c.Reason = strings.TrimPrefix(c.Reason+"; removed "+strings.Join(gone, ", "), "; ")
		if err := r.record(c); err != nil {
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

// markPruned adds the time to the entries of models, unless a killed process has done so.
func (r *Registry) markPruned(names []string, at string) error {
	m, err := r.metadata()
	if err != nil {
		return err
	}
	changed := false
	for i, e := range m.entries {
		if e.PrunedAtUTC != "" || !slices.Contains(names, e.ModelFile) {
			continue
		}
		changed = true
		fields := strings.TrimSuffix(strings.TrimSpace(string(m.raw[i])), "}") // as they are, known or not
		m.raw[i] = jsontext.Value(fmt.Sprintf("%s, %q: %q}", fields, "pruned_at_utc", at))
	}
	if !changed {
		return nil
	}
	return r.writeMetadata(m.raw)
}
