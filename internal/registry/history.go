package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"churn/internal/atomicfile"

	"github.com/go-json-experiment/json"
)

const maxHistory = 256 << 20 // bytes: a million changes

// A Change is a line of history.jsonl: one change of the current model. Lines
// form a chain: each From is the To of the line before, "" for no model.
type Change struct {
	TS     string `json:"ts"` // RFC 3339, UTC
	From   string `json:"from"`
	To     string `json:"to"`
	By     string `json:"by"` // train, evaluate, rollback, hand, or prune, which changes no pointer
	Reason string `json:"reason"`

	Promoted bool `json:"promoted,omitzero"` // by a rollback to a named model
}

// undoStack returns the models that were current, the last one at the end. A rollback
// without a name goes back to its model's place; any other change adds a model.
func undoStack(changes []Change) (names []string) {
	for _, c := range changes {
		back := len(names) - 1
		for back >= 0 && names[back] != c.To {
			back--
		}
		switch {
		case c.By == prune || c.To == "":
		case c.By == "rollback" && !c.Promoted && back >= 0:
			names = names[:back+1]
		default:
			names = append(names, c.To)
		}
	}
	return names
}

// before returns the models that were current before the one of s, the last one first,
// each once.
func (r *Registry) before(s *state) ([]string, error) {
	changes, _, err := r.history()
	if err != nil {
		return nil, err
	}
	var names []string
	seen := map[string]bool{s.current: true} // also after an edit that is not recorded yet
	for _, name := range slices.Backward(undoStack(changes)) {
		if !seen[name] {
			names, seen[name] = append(names, name), true
		}
	}
	return names, nil
}

// beginsWith reports whether a truncated line is the beginning of this one.
func (c *Change) beginsWith(truncated string) bool {
	line, err := json.Marshal(c)
	return err == nil && bytes.HasPrefix(line, []byte(truncated))
}

// record adds a change to the journal, unless a killed process has done so.
func (r *Registry) record(c Change) error {
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
	if len(changes) > 0 && changes[len(changes)-1] == c {
		return nil
	}
	return r.appendHistory(c)
}

func (r *Registry) truncatedError(lines int) error {
	return fmt.Errorf("%s:%d: the last line is truncated: end it with a newline if that is all it lacks, "+
		"otherwise remove it",
		r.path(HistoryFile), lines+1)
}

// history returns the complete lines, and a truncated last one.
func (r *Registry) history() (changes []Change, truncated string, err error) {
	path := r.path(HistoryFile)
	b, err := atomicfile.Read(path, maxHistory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	for len(b) > 0 {
		line, rest, complete := bytes.Cut(b, []byte("\n"))
		if !complete {
			return changes, string(line), nil
		}
		var c Change
		if err := json.Unmarshal(line, &c); err != nil || c.TS == "" {
			return nil, "", fmt.Errorf("%s:%d: not a change of the current model (%s): repair or remove the line",
				path, len(changes)+1, reason(err))
		}
		changes = append(changes, c)
		b = rest
	}
	return changes, "", nil
}

// appendHistory adds a line, durably. A line that is written in part is removed.
func (r *Registry) appendHistory(c Change) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	path := r.path(HistoryFile)
	_, statErr := os.Stat(path)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		if _, err = f.Write(append(line, '\n')); err == nil {
			err = f.Sync()
		}
		if err != nil {
			err = errors.Join(err, shorten(f, info.Size()))
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if statErr != nil { // a new name
		return atomicfile.SyncDir(filepath.Dir(path))
	}
	return nil
}

// dropLast removes so many bytes from the end: a truncated line, or one whose change failed.
func (r *Registry) dropLast(bytes int) error {
	f, err := os.OpenFile(r.path(HistoryFile), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		err = shorten(f, info.Size()-int64(bytes))
	}
	return errors.Join(err, f.Close())
}

// shorten truncates the journal, durably. An empty one is removed.
func shorten(f *os.File, size int64) error {
	if size == 0 {
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
		return atomicfile.SyncDir(filepath.Dir(f.Name()))
	}
	return errors.Join(f.Truncate(size), f.Sync())
}

func (r *Registry) timestamp() string { return r.now().UTC().Format(time.RFC3339) }
