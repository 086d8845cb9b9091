package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"churn/internal/atomicfile"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofrs/flock"
)

// lockTimeout bounds the wait for another process. A change takes milliseconds.
const lockTimeout = time.Minute

// An empty pointer is looked at again for a while: on a busy disk a file that is
// written in place is empty for tens of milliseconds.
const (
	editTimeout = time.Second
	lookAgain   = 5 * time.Millisecond
)

// pending announces a change, so that the next process can finish it.
type pending struct {
	Entry  *jsontext.Value `json:"entry,omitzero"`  // to be registered, with its model
	Change *Change         `json:"change,omitzero"` // of the current model
}

// Add stores a model, registers it and, unless reason is empty, makes it
// current. The file's name is prefix_VERSION_YYYYMMDD_HHMMSS.json at the time
// of entry.TrainedAtUTC, with -2, -3, … where that is taken. Add fills
// ModelFile and ModelSHA256 and returns the entry.
//
// If Add returns an error the current model is as it was. A change that stopped
// half-way, on a full disk say, is finished by the next one.
func (r *Registry) Add(ctx context.Context, model []byte, prefix string, entry Entry, reason string) (Entry, error) {
	if err := r.verify(model); err != nil {
		return Entry{}, fmt.Errorf("the new model is not sound: %w", err)
	}
	err := r.locked(ctx, func(s *state) error {
		if s.pointerErr != nil && !errors.Is(s.pointerErr, ErrNoCurrent) {
			return fmt.Errorf("%w: put a model's name there, or run rollback with one", s.pointerErr)
		}
		name, err := r.freeName(prefix, entry)
		if err != nil {
			return err
		}
		entry.ModelFile, entry.ModelSHA256 = name, SHA256(model)
		raw, err := json.Marshal(entry)
		if err != nil {
			return err
		}
		if err := r.noteHand(s.current); err != nil {
			return err
		}
		p := pending{Entry: (*jsontext.Value)(&raw)}
		if reason != "" {
			p.Change = &Change{TS: r.timestamp(), From: s.current, To: name, By: entry.TrainedBy, Reason: reason}
		}
		if err := r.announce(p); err != nil {
			return err
		}
		if err := atomicfile.Write(r.path(Models+"/"+name), model, 0o444); err != nil {
			return errors.Join(err, r.undo(name))
		}
		return r.finish(p)
	})
	return entry, err
}

// undo takes back a model that could not be stored, and its announcement: the file
// may be in place though the disk does not vouch for it.
func (r *Registry) undo(name string) error {
	if err := os.Remove(r.path(Models + "/" + name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // the next change finds it announced, and decides
	}
	return r.settle()
}

// freeName returns a name that no file in models/ and no entry has.
func (r *Registry) freeName(prefix string, entry Entry) (string, error) {
	at, err := time.Parse(time.RFC3339, entry.TrainedAtUTC)
	if err != nil {
		return "", err
	}
	m, err := r.metadata()
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, e := range m.entries {
		taken[e.ModelFile] = true
	}
	stem := fmt.Sprintf("%s_%s_%s", prefix, entry.Version, at.UTC().Format("20060102_150405"))
	for i := 1; ; i++ {
		name := stem + ".json"
		if i > 1 {
			name = fmt.Sprintf("%s-%d.json", stem, i)
		}
		if err := checkName(name); err != nil {
			return "", err
		}
		_, err := os.Lstat(r.path(Models + "/" + name))
		if errors.Is(err, fs.ErrNotExist) && !taken[name] {
			return name, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
}

// state is what a change starts from: one look at the pointer. Whoever edits it by
// hand takes no lock, so a second look may find another model there, and a change
// that is made from both would break the journal's chain.
type state struct {
	current    string // what the pointer says, "" for nothing
	pointerErr error  // why that is not the name of a model
}

// look reads the pointer. One that is empty may be just written, as by echo: then
// it waits, so that the work behind a change is not lost for that.
func (r *Registry) look(ctx context.Context) (*state, error) {
	for waited := time.Duration(0); ; waited += lookAgain {
		text, err := r.pointer()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if text != "" || err != nil || waited >= editTimeout {
			return &state{text, r.named(text, err)}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

// locked runs change while this process alone may change the registry, after
// what an earlier one left unfinished has been finished.
func (r *Registry) locked(ctx context.Context, change func(*state) error) error {
	if err := atomicfile.MkdirAll(filepath.Dir(r.path(lockFile))); err != nil {
		return err
	}
	lock, err := r.lock(ctx, os.O_CREATE|os.O_RDONLY)
	if err != nil {
		return err
	}
	defer lock.Close()
	s, err := r.recover(ctx)
	if err != nil {
		return err
	}
	return change(s)
}

// lock waits for the lock under which changes are made. flags are those of the
// file that is locked: without os.O_CREATE one that is missing is fs.ErrNotExist.
func (r *Registry) lock(ctx context.Context, flags int) (*flock.Flock, error) {
	path := r.path(lockFile)
	wait, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	lock := flock.New(path, flock.SetFlag(flags))
	if _, err := lock.TryLockContext(wait, 5*time.Millisecond); err != nil {
		if ctx.Err() == nil && wait.Err() != nil {
			return nil, fmt.Errorf("%s has been held by another process for %v", path, lockTimeout)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return lock, nil
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
			if line, _ := json.Marshal(c); !strings.HasPrefix(string(line), torn) {
				return r.tornError(len(changes))
			}
			if err := r.dropTorn(torn); err != nil {
				return err
			}
		}
		if len(changes) == 0 || changes[len(changes)-1] != *c {
			if err := r.appendHistory(*c); err != nil {
				return err
			}
		}
		// A pointer that is neither end of the change was edited since, and stays.
		if text, _ := r.pointer(); text == c.From && c.By != byHand {
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

// recover finishes what a kill left, and writes a pointer that was edited by
// hand to the journal. It changes nothing if a file of the registry is broken.
// What it returns is where the journal ends, unless the pointer is broken.
func (r *Registry) recover(ctx context.Context) (*state, error) {
	if err := r.regular(); err != nil {
		return nil, err
	}
	if _, err := r.metadata(); err != nil {
		return nil, err
	}
	if _, _, err := r.history(); err != nil {
		return nil, err
	}
	atomicfile.RemoveLeftovers(r.path(Models))
	atomicfile.RemoveLeftovers(filepath.Dir(r.path(pendingFile)))
	if err := r.redo(); err != nil {
		return nil, err
	}
	s, err := r.look(ctx)
	if err != nil || s.pointerErr != nil && !errors.Is(s.pointerErr, ErrNoCurrent) {
		return s, err // a broken one is noted by the change that mends it, if there is one
	}
	return s, r.noteHand(s.current)
}

// regular refuses what is no regular file in the place of one of the registry's:
// a link cannot be replaced, and a pipe would be read for ever.
func (r *Registry) regular() error {
	for _, name := range []string{MetadataFile, HistoryFile, CurrentFile, pendingFile} {
		if info, err := os.Lstat(r.path(name)); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", r.path(name))
		}
	}
	return nil
}

func (r *Registry) redo() error {
	b, err := os.ReadFile(r.path(pendingFile))
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
	if p.Entry != nil {
		var e Entry
		if err := json.Unmarshal(*p.Entry, &e); err != nil {
			return fmt.Errorf("%s: %s: remove it", r.path(pendingFile), reason(err))
		}
		if checkName(e.ModelFile) != nil {
			return r.settle() // not of our making
		}
		if _, err := os.Lstat(r.path(Models + "/" + e.ModelFile)); errors.Is(err, fs.ErrNotExist) {
			return r.settle() // killed before the model was there: nothing had happened yet
		}
		model, err := r.ReadModel(e.ModelFile)
		if err != nil {
			return err
		}
		if SHA256(model) != e.ModelSHA256 {
			return r.settle() // another file has its name
		}
	}
	// Else nobody could read the journal afterwards, or follow the pointer.
	if c := p.Change; c != nil && (c.TS == "" || c.By != byHand && checkName(c.To) != nil) {
		return fmt.Errorf("%s is not a change under way (to %.80q at %.80q): remove it", r.path(pendingFile), c.To, c.TS)
	}
	return r.finish(p)
}

// byHand is what a line of the journal has for a pointer that somebody edited.
const byHand = "hand"

// noteHand adds a line to the journal if the pointer, which was seen to say text,
// is not where the last line left it, so that the journal is a chain.
func (r *Registry) noteHand(text string) error {
	changes, torn, err := r.history()
	if err != nil {
		return err
	}
	if torn != "" {
		return r.tornError(len(changes))
	}
	last := ""
	if len(changes) > 0 {
		last = changes[len(changes)-1].To
	}
	if text == last {
		return nil
	}
	p := pending{Change: &Change{TS: r.timestamp(), From: last, To: text, By: byHand, Reason: "found in " + CurrentFile}}
	if err := r.announce(p); err != nil {
		return err
	}
	return r.finish(p)
}
