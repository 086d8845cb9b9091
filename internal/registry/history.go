package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	By     string `json:"by"` // train, evaluate, rollback or hand
	Reason string `json:"reason"`
}

// beginsWith reports whether a truncated line is the beginning of this one.
func (c *Change) beginsWith(truncated string) bool {
	line, err := json.Marshal(c)
	return err == nil && bytes.HasPrefix(line, []byte(truncated))
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
