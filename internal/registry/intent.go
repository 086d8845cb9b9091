package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"churn/internal/atomicfile"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// An intent is a change that is written ahead, so that another process can finish it.
type intent struct {
	Entry  *jsontext.Value `json:"entry,omitzero"`  // to be registered, with its model
	Change *Change         `json:"change,omitzero"` // of the current model
}

const maxIntent = 1 << 20 // bytes: an entry and a line of the journal take a few thousand

// apply writes the intent, stores its model, and makes the change. If that fails, as on a
// full disk, it undoes what it has done.
func (r *Registry) apply(p intent, storeModel func() error) error {
	err := r.writeIntent(p)
	if err == nil {
		err = storeModel()
	}
	if err == nil {
		err = r.finish(p)
	}
	if err != nil {
		err = r.undo(p, err)
	}
	return err
}

func noModel() error { return nil }

// undo undoes a change that failed, so that it can be repeated: a repeated rollback must not
// go back twice. If the pointer has changed all the same, the error says so. If undoing
// fails, the intent stays, and the next change finishes it.
func (r *Registry) undo(p intent, failed error) error {
	if c := p.Change; c != nil {
		text, err := r.pointer()
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("whether %s is current now is unknown (%v): %w", c.To, err, failed)
		case text == c.To && c.By != manual:
			return fmt.Errorf("%s is current now, but a power cut may undo that: %w", c.To, failed)
		}
		changes, truncated, err := r.history()
		if err != nil || truncated != "" {
			return failed
		}
		if n := len(changes); n > 0 && changes[n-1] == *c {
			line, err := json.Marshal(c)
			if err != nil || r.dropLast(len(line)+1) != nil {
				return failed
			}
		}
	}
	if p.Entry != nil {
		var e Entry
		m, err := r.metadata()
		if err != nil || json.Unmarshal(*p.Entry, &e) != nil {
			return failed
		}
		registered := slices.ContainsFunc(m.entries, func(other Entry) bool { return other.ModelFile == e.ModelFile })
		switch {
		case registered && p.Change != nil:
			failed = fmt.Errorf("%s is registered, but not current: make it current by rollback %s: %w",
				e.ModelFile, e.ModelFile, failed)
		case registered:
			failed = fmt.Errorf("%s is registered: %w", e.ModelFile, failed)
		default:
			err := os.Remove(r.path(Models + "/" + e.ModelFile))
			if err == nil {
				err = atomicfile.SyncDir(r.path(Models)) // before the intent is gone
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return failed
			}
		}
	}
	r.clearIntent() // if that fails too, the next change finishes this one
	return failed
}

// writeIntent writes pending.json.
func (r *Registry) writeIntent(p intent) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return atomicfile.Write(r.path(intentFile), b, 0o644)
}

// clearIntent removes pending.json, durably: if it came back it would undo later manual
// edits.
func (r *Registry) clearIntent() error {
	path := r.path(intentFile)
	if err := os.Remove(path); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

// finish makes the change from wherever it stopped: metadata, journal, pointer.
func (r *Registry) finish(p intent) error {
	if p.Entry != nil {
		if err := r.register(*p.Entry); err != nil {
			return err
		}
	}
	if c := p.Change; c != nil {
		changes, truncated, err := r.history()
		if err != nil {
			return err
		}
		if truncated != "" {
			if !c.beginsWith(truncated) {
				return r.truncatedError(len(changes))
			}
			if err := r.dropLast(len(truncated)); err != nil {
				return err
			}
		}
		if len(changes) == 0 || changes[len(changes)-1] != *c {
			if err := r.appendHistory(*c); err != nil {
				return err
			}
		}
		// A pointer that is neither From nor To was edited since, and stays.
		text, err := r.pointer()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if text == c.From && c.By != manual {
			if err := atomicfile.Write(r.path(CurrentFile), []byte(c.To), 0o644); err != nil {
				return err
			}
		}
	}
	return r.clearIntent()
}

// register appends an entry to metadata.json, unless it is there.
func (r *Registry) register(raw jsontext.Value) error {
	var e Entry
	if err := json.Unmarshal(raw, &e); err != nil {
		return err
	}
	m, err := r.metadata()
	if err != nil {
		return err
	}
	for _, other := range m.entries {
		if other.ModelFile == e.ModelFile {
			return nil
		}
	}
	b, err := json.Marshal(append(m.raw, raw), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return atomicfile.Write(r.path(MetadataFile), append(b, '\n'), 0o644)
}

// finishIntent finishes the change in pending.json, if there is one.
func (r *Registry) finishIntent() error {
	b, err := atomicfile.Read(r.path(intentFile), maxIntent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var p intent
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("%s is not a pending change (%s): remove it", r.path(intentFile), reason(err))
	}
	applied, err := r.applied(p)
	if err != nil {
		return err
	}
	if !applied {
		return r.clearIntent()
	}
	if err := r.checkIntent(p); err != nil {
		return err
	}
	return r.finish(p)
}

// applied reports whether the model of a change was stored, if it has one. Otherwise nothing
// of the change was made, and it is dropped.
func (r *Registry) applied(p intent) (bool, error) {
	if p.Entry == nil {
		return true, nil
	}
	var e Entry
	if err := json.Unmarshal(*p.Entry, &e); err != nil {
		return false, fmt.Errorf("%s: %s: remove it", r.path(intentFile), reason(err))
	}
	if checkName(e.ModelFile) != nil {
		return false, nil // not written by this program
	}
	if _, err := os.Lstat(r.path(Models + "/" + e.ModelFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	model, err := r.ReadModel(e.ModelFile)
	return err == nil && SHA256(model) == e.ModelSHA256, err // otherwise it is another file
}

// checkIntent rejects a change after which the journal or the pointer would be invalid.
func (r *Registry) checkIntent(p intent) error {
	if c := p.Change; c != nil && (c.TS == "" || c.By != manual && checkName(c.To) != nil) {
		return fmt.Errorf("%s is not a pending change (to %.80q at %.80q): remove it", r.path(intentFile), c.To, c.TS)
	}
	return nil
}
