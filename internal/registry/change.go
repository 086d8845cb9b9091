package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"churn/internal/atomicfile"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// lockTimeout bounds the wait for another process. A change takes milliseconds.
const lockTimeout = time.Minute

// An empty pointer is read again for a while: on a busy disk a file that is written in place
// is empty for tens of milliseconds.
const (
	editTimeout = time.Second
	retryEvery  = 5 * time.Millisecond
)

// Add stores a model, registers it and, unless reason is empty, makes it
// current. The file's name is prefix_VERSION_YYYYMMDD_HHMMSS.json at the time
// of entry.TrainedAtUTC, with -2, -3, … where that is taken. Add fills
// ModelFile and ModelSHA256 and returns the entry.
//
// If Add returns an error nothing has changed, unless the error says that the model is
// registered, or current.
func (r *Registry) Add(ctx context.Context, model []byte, prefix string, entry Entry, reason string) (Entry, error) {
	if n := int64(len(model)); n > r.limits.model {
		return Entry{}, fmt.Errorf("the new model has %d bytes, a model has at most %d: leave out columns with many or long "+
			"texts by prepare --ignore, or lower --pairs", n, r.limits.model)
	}
	if err := r.verify(model); err != nil {
		return Entry{}, fmt.Errorf("the new model is not valid: %w", err)
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
		raw, err := json.Marshal(entry, jsontext.AllowInvalidUTF8(true))
		if err != nil {
			return err
		}
		p := intent{Entry: (*jsontext.Value)(&raw), entry: entry}
		if reason != "" {
			p.Change = &Change{TS: r.timestamp(), From: s.current, To: name, By: entry.TrainedBy, Reason: reason}
		}
		return r.apply(p, model)
	})
	return entry, err
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
	stem := fmt.Sprintf("%s_%s_%s", prefix, entry.Version, at.UTC().Format("20060102_150405"))
	for i := 1; ; i++ {
		name := stem + ".json"
		if i > 1 {
			name = fmt.Sprintf("%s-%d.json", stem, i)
		}
		if err := checkName(name); err != nil {
			return "", err
		}
		_, err := os.Lstat(r.model(name))
		if errors.Is(err, fs.ErrNotExist) && m.index(name) < 0 {
			return name, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
}

// state is what a change starts from: one reading of the pointer. A manual edit takes no
// lock, so a second reading may be another model, and a change from both would break the
// journal's chain.
type state struct {
	current    string // the pointer's contents, "" without one
	pointerErr error  // why that does not name a model
}

// readState reads the pointer. If it is empty somebody may be writing it, as by echo: then
// it is read again for a while, since much work may depend on it.
func (r *Registry) readState(ctx context.Context) (*state, error) {
	for waited := time.Duration(0); ; waited += retryEvery {
		text, err := r.pointer()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if text != "" || err != nil || waited >= editTimeout {
			return &state{text, r.pointerError(text, err)}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(retryEvery):
		}
	}
}

// locked runs change under the registry's lock, after finishing what a killed process left.
func (r *Registry) locked(ctx context.Context, change func(*state) error) error {
	lock, err := atomicfile.Lock(ctx, r.path(lockFile), lockTimeout)
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

// recover finishes what a killed process left, and records a manual edit of the pointer in
// the journal. It changes nothing if a file of the registry is invalid. The returned state
// is where the journal ends, unless the pointer is invalid.
func (r *Registry) recover(ctx context.Context) (*state, error) {
	if err := r.regular(); err != nil {
		return nil, err
	}
	if _, err := r.metadata(); err != nil {
		return nil, err
	}
	if _, err := r.history(); err != nil {
		return nil, err
	}
	atomicfile.RemoveLeftovers(r.path(Models))
	atomicfile.RemoveLeftovers(filepath.Dir(r.path(intentFile)))
	if err := r.finishIntent(); err != nil {
		return nil, err
	}
	s, err := r.readState(ctx)
	if err != nil || s.pointerErr != nil && !errors.Is(s.pointerErr, ErrNoCurrent) {
		return s, err // an invalid pointer is recorded by the change that replaces it
	}
	return s, r.recordManualEdit(s.current)
}

// regular rejects irregular files in the registry: replacing a link would not change its
// target, and reading a pipe would block.
func (r *Registry) regular() error {
	for _, name := range []string{MetadataFile, HistoryFile, CurrentFile, intentFile} {
		if info, err := os.Lstat(r.path(name)); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file: put a copy of the file itself in its place", r.path(name))
		}
	}
	return nil
}

// manual is By of a change that somebody made with an editor.
const manual = "hand"

// recordManualEdit adds a line to the journal if the pointer, which contains text, is not
// where the last line left it, so that the journal stays a chain.
func (r *Registry) recordManualEdit(text string) error {
	h, err := r.history()
	if err != nil {
		return err
	}
	if h.truncated != "" {
		return r.truncatedError(len(h.changes))
	}
	last := h.last().To
	if text == last {
		return nil
	}
	p := intent{Change: &Change{TS: r.timestamp(), From: last, To: text, By: manual, Reason: "found in " + CurrentFile}}
	return r.apply(p, nil)
}
