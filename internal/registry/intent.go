package registry

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"churn/internal/atomicfile"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// An intent is a change that is written ahead, so that another process can finish it.
type intent struct {
	Entry  *jsontext.Value `json:"entry,omitzero"`  // to be registered, with its model
	Change *Change         `json:"change,omitzero"` // of the current model
	Prune  []string        `json:"prune,omitzero"`  // models to be removed; Change is its line of the journal

	entry Entry // parsed from Entry
}

const maxIntent = 16 << 20 // bytes: an entry and a line of the journal take a few thousand; 60,000 models to prune

// apply writes the intent, stores its model, if it has one, and makes the change. If that
// fails, as on a full disk, it undoes what it has done.
func (r *Registry) apply(p intent, model []byte) error {
	err := r.fits(p)
	if err != nil {
		return err
	}
	err = r.writeIntent(p)
	if err == nil && p.Entry != nil {
		err = atomicfile.Write(r.model(p.entry.ModelFile), model, 0o444)
	}
	if err == nil {
		err = r.finish(p)
	}
	if err != nil {
		err = r.undo(p, err)
	}
	return err
}

// fits returns an error if the change would make a file larger than its limit. The line of a
// manual edit may use the reserve: otherwise the edit would stop pruning too.
func (r *Registry) fits(p intent) error {
	if p.Entry != nil {
		m, err := r.metadata()
		if err != nil {
			return err
		}
		b, err := encode(append(m.raw, *p.Entry))
		if err := cmp.Or(err, r.limit(MetadataFile, int64(len(b)), r.limits.metadata)); err != nil {
			return err
		}
	}
	if p.Change == nil || p.Change.By == manual {
		return nil
	}
	h, err := r.history()
	if err != nil {
		return err
	}
	line, err := p.Change.line()
	return cmp.Or(err, r.limit(HistoryFile, int64(len(h.text)+len(line)), r.limits.history))
}

// limit returns an error if a file would have more bytes than most.
func (r *Registry) limit(name string, bytes, most int64) error {
	if bytes <= most {
		return nil
	}
	return fmt.Errorf("%s would have %d bytes, at most %d are kept, and nothing was changed: shorten it with "+
		"rollback --prune --keep 20, or fewer", r.path(name), bytes, most)
}

func (r *Registry) writeIntent(p intent) error {
	b, err := json.Marshal(p, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	if len(b) > maxIntent {
		return fmt.Errorf("a change has %d bytes, at most %d are kept: prune fewer models at once, by a larger --keep",
			len(b), maxIntent)
	}
	return atomicfile.Write(r.path(intentFile), b, 0o666)
}

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
		h, err := r.history()
		if err != nil || h.truncated != "" {
			return failed
		}
		if h.last() == *c {
			line, err := c.line()
			if err != nil || r.writeHistory(bytes.TrimSuffix(h.text, line)) != nil {
				return failed
			}
		}
	}
	if p.Entry != nil {
		m, err := r.metadata()
		if err != nil {
			return failed
		}
		name := p.entry.ModelFile
		switch registered := m.index(name) >= 0; {
		case registered && p.Change != nil:
			failed = fmt.Errorf("%s is registered, but not current: make it current by rollback %s: %w", name, name,
				failed)
		case registered:
			failed = fmt.Errorf("%s is registered: %w", name, failed)
		default:
			// Durably, before the intent is gone.
			if err := atomicfile.Remove(r.model(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return failed
			}
		}
	}
	r.clearIntent() // if that fails too, the next change finishes this one
	return failed
}

// clearIntent removes pending.json, durably: if it came back it would undo later manual
// edits.
func (r *Registry) clearIntent() error { return atomicfile.Remove(r.path(intentFile)) }

// finish makes the change from wherever it stopped: metadata, journal, pointer.
func (r *Registry) finish(p intent) error {
	if p.Prune != nil {
		_, _, err := r.finishPrune(p)
		return err
	}
	if p.Entry != nil {
		if err := r.register(p); err != nil {
			return err
		}
	}
	if c := p.Change; c != nil {
		if err := r.makeCurrent(*c); err != nil {
			return err
		}
	}
	return r.clearIntent()
}

// makeCurrent writes the journal and the pointer. It writes both before it puts one in place: on a
// full disk the journal could not be undone.
func (r *Registry) makeCurrent(c Change) error {
	if c.By == manual {
		return r.record(c)
	}
	pointer, err := atomicfile.Create(r.path(CurrentFile), 0o666)
	if err != nil {
		return err
	}
	defer pointer.Abort()
	_, err = pointer.WriteString(c.To)
	if err := cmp.Or(err, pointer.Finish()); err != nil {
		return err
	}
	if err := r.record(c); err != nil {
		return err
	}
	// A pointer that is neither From nor To was edited since, and stays.
	text, err := r.pointer()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if text != c.From {
		return nil
	}
	return pointer.Commit()
}

// register appends the entry to metadata.json, unless it is there.
func (r *Registry) register(p intent) error {
	m, err := r.metadata()
	if err != nil || m.index(p.entry.ModelFile) >= 0 {
		return err
	}
	return r.writeMetadata(append(m.raw, *p.Entry))
}

func (r *Registry) writeMetadata(entries []jsontext.Value) error {
	b, err := encode(entries)
	if err := cmp.Or(err, r.limit(MetadataFile, int64(len(b)), r.limits.metadata+reserve)); err != nil {
		return err
	}
	return atomicfile.Write(r.path(MetadataFile), b, 0o666)
}

// encode returns metadata.json.
func encode(entries []jsontext.Value) ([]byte, error) {
	b, err := json.Marshal(entries, jsontext.WithIndent("  "), jsontext.AllowInvalidUTF8(true))
	return append(b, '\n'), err
}

// finishIntent finishes the change in pending.json, if there is one.
func (r *Registry) finishIntent() error {
	p, applied, err := r.readIntent()
	switch {
	case err != nil || p == nil:
		return err
	case !applied:
		return r.clearIntent()
	}
	return r.finish(*p)
}

// readIntent returns the change in pending.json, nil if there is none. Unless its model was
// stored it is not applied: nothing else of it was made, and it is dropped. A change after
// which the journal or the pointer would be invalid is an error.
func (r *Registry) readIntent() (p *intent, applied bool, err error) {
	path := r.path(intentFile)
	b, err := atomicfile.Read(path, maxIntent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	p = new(intent)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, false, fmt.Errorf("%s is not a pending change (%s): remove it", path, reason(err))
	}
	if p.Entry != nil {
		if err := json.Unmarshal(*p.Entry, &p.entry); err != nil {
			return p, false, fmt.Errorf("%s: %s: remove it", path, reason(err))
		}
		if applied, err := r.stored(p.entry); err != nil || !applied {
			return p, false, err
		}
	}
	invalid := func(name string) bool { return checkName(name) != nil }
	if p.Prune != nil && (p.Change == nil || p.Change.By != prune || slices.ContainsFunc(p.Prune, invalid)) {
		return nil, false, fmt.Errorf("%s is not a pending change (prune): remove it", path)
	}
	if c := p.Change; c != nil && (c.TS == "" || c.By != manual && p.Prune == nil && invalid(c.To)) {
		return nil, false, fmt.Errorf("%s is not a pending change (to %.80q at %.80q): remove it", path, c.To, c.TS)
	}
	return p, true, nil
}

// stored reports whether an entry's model is in models/.
func (r *Registry) stored(e Entry) (bool, error) {
	if checkName(e.ModelFile) != nil {
		return false, nil // not written by this program
	}
	if _, err := os.Lstat(r.model(e.ModelFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	model, err := r.ReadModel(e.ModelFile)
	return err == nil && SHA256(model) == e.ModelSHA256, err // otherwise it is another file
}
