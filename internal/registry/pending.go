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

// pending announces a change, so that the next process can finish it.
type pending struct {
	Entry  *jsontext.Value `json:"entry,omitzero"`  // to be registered, with its model
	Change *Change         `json:"change,omitzero"` // of the current model
}

const maxPending = 1 << 20 // bytes: an entry and a line of the journal are a few thousand

// make announces a change and makes it, after what comes first. If that fails, on
// a full disk say, it takes back what it has made.
func (r *Registry) make(p pending, first func() error) error {
	err := r.announce(p)
	if err == nil {
		err = first()
	}
	if err == nil {
		err = r.finish(p)
	}
	if err != nil {
		err = r.takeBack(p, err)
	}
	return err
}

func nothing() error { return nil }

// takeBack undoes what was made of a change that failed, so that who asks again
// gets what was asked for: a rollback that is repeated must not go back twice. Where
// the pointer has moved all the same, the error says so. What cannot be undone stays
// announced, and the next change finishes it.
func (r *Registry) takeBack(p pending, failed error) error {
	if c := p.Change; c != nil {
		text, err := r.pointer()
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("whether %s is current now is not known (%v): %w", c.To, err, failed)
		case text == c.To && c.By != byHand:
			return fmt.Errorf("%s is current now, but that is not safe from a power cut yet: %w", c.To, failed)
		}
		changes, torn, err := r.history()
		if err != nil || torn != "" {
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
			failed = fmt.Errorf("%s is registered, but not current, which rollback %s makes it: %w", e.ModelFile, e.ModelFile, failed)
		case registered:
			failed = fmt.Errorf("%s is registered: %w", e.ModelFile, failed)
		default:
			err := os.Remove(r.path(Models + "/" + e.ModelFile))
			if err == nil {
				err = atomicfile.SyncDir(r.path(Models)) // before nobody knows of it any more
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return failed
			}
		}
	}
	r.settle() // if that fails too the next change finishes this one after all
	return failed
}

// announce writes pending.json.
func (r *Registry) announce(p pending) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return atomicfile.Write(r.path(pendingFile), b, 0o644)
}

// settle removes pending.json: the change is made, or will not be. It must not come
// back, lest it undo what is edited by hand from here on.
func (r *Registry) settle() error {
	path := r.path(pendingFile)
	if err := os.Remove(path); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

// finish makes the announced change, from wherever it stopped: metadata, journal, pointer.
func (r *Registry) finish(p pending) error {
	if p.Entry != nil {
		if err := r.register(*p.Entry); err != nil {
			return err
		}
	}
	if c := p.Change; c != nil {
		changes, torn, err := r.history()
		if err != nil {
			return err
		}
		if torn != "" {
			if !c.beginsWith(torn) {
				return r.tornError(len(changes))
			}
			if err := r.dropLast(len(torn)); err != nil {
				return err
			}
		}
		if len(changes) == 0 || changes[len(changes)-1] != *c {
			if err := r.appendHistory(*c); err != nil {
				return err
			}
		}
		// A pointer that is neither end of the change was edited since, and stays.
		text, err := r.pointer()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if text == c.From && c.By != byHand {
			if err := atomicfile.Write(r.path(CurrentFile), []byte(c.To), 0o644); err != nil {
				return err
			}
		}
	}
	return r.settle()
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

// redo finishes the change that pending.json announces, if there is one.
func (r *Registry) redo() error {
	b, err := atomicfile.Read(r.path(pendingFile), maxPending)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var p pending
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("%s is not a change under way (%s): remove it", r.path(pendingFile), reason(err))
	}
	begun, err := r.begun(p)
	if err != nil {
		return err
	}
	if !begun {
		return r.settle()
	}
	if err := r.checkPending(p); err != nil {
		return err
	}
	return r.finish(p)
}

// begun tells whether the model of an announced change is there, if it has one.
// Without it nothing has happened yet, and nothing will.
func (r *Registry) begun(p pending) (bool, error) {
	if p.Entry == nil {
		return true, nil
	}
	var e Entry
	if err := json.Unmarshal(*p.Entry, &e); err != nil {
		return false, fmt.Errorf("%s: %s: remove it", r.path(pendingFile), reason(err))
	}
	if checkName(e.ModelFile) != nil {
		return false, nil // not of our making
	}
	if _, err := os.Lstat(r.path(Models + "/" + e.ModelFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	model, err := r.ReadModel(e.ModelFile)
	return err == nil && SHA256(model) == e.ModelSHA256, err // else another file has its name
}

// checkPending refuses a change after which nobody could read the journal, or
// follow the pointer.
func (r *Registry) checkPending(p pending) error {
	if c := p.Change; c != nil && (c.TS == "" || c.By != byHand && checkName(c.To) != nil) {
		return fmt.Errorf("%s is not a change under way (to %.80q at %.80q): remove it", r.path(pendingFile), c.To, c.TS)
	}
	return nil
}
