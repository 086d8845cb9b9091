package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"churn/internal/atomicfile"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Change is a line of history.jsonl: one change of the current model. Lines
// form a chain: each From is the To of the line before, "" for no model.
type Change struct {
	TS     string `json:"ts"` // RFC 3339, UTC
	From   string `json:"from"`
	To     string `json:"to"`
	By     string `json:"by"` // train, evaluate, rollback, hand, or prune, which changes no pointer
	Reason string `json:"reason"`

	Promoted bool   `json:"promoted,omitzero"` // by a rollback to a named model
	Moved    *moved `json:"moved,omitzero"`    // lines before this one, the journal's first
}

// undoStack returns the models that were current, the last one at the end. A rollback
// without a name goes back to its model's place; any other change adds a model.
func undoStack(changes []Change) (names []string) {
	for _, c := range changes {
		switch {
		case c.Moved != nil:
			names = slices.Clone(c.Moved.Undo)
		case c.By == prune || c.To == "":
		case c.By == "rollback" && !c.Promoted && slices.Contains(names, c.To):
			for last := len(names) - 1; names[last] != c.To; last-- {
				names = names[:last]
			}
		default:
			names = append(names, c.To)
		}
	}
	return names
}

// before returns the models that were current before the one of s, the last one first,
// each once.
func (h journal) before(s *state) (names []string) {
	seen := map[string]bool{s.current: true} // also after an edit that is not recorded yet
	for _, name := range slices.Backward(undoStack(h.changes)) {
		if !seen[name] {
			names, seen[name] = append(names, name), true
		}
	}
	return names
}

// A journal is what history.jsonl holds.
type journal struct {
	changes   []Change
	text      []byte // their lines
	truncated string // a last line without its end
}

// last returns the last change.
func (h journal) last() (c Change) {
	if n := len(h.changes); n > 0 {
		c = h.changes[n-1]
	}
	return c
}

// history reads the journal.
func (r *Registry) history() (journal, error) {
	path := r.path(HistoryFile)
	b, err := atomicfile.Read(path, r.limits.history+reserve)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return journal{}, err
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	h := journal{text: b[:end], truncated: string(b[end:])}
	for line := range bytes.Lines(h.text) {
		var c Change
		if err := json.Unmarshal(line[:len(line)-1], &c); err != nil || c.TS == "" {
			return journal{}, fmt.Errorf("%s:%d: not a change of the current model (%s): repair or remove the line",
				path, len(h.changes)+1, reason(err))
		}
		h.changes = append(h.changes, c)
	}
	return h, nil
}

// History returns the changes of the current model, the oldest first.
func (r *Registry) History() ([]Change, error) {
	h, err := r.history()
	if err == nil && h.truncated != "" {
		err = r.truncatedError(len(h.changes))
	}
	return h.changes, err
}

func (r *Registry) truncatedError(lines int) error {
	return fmt.Errorf("%s:%d: the last line is truncated: end it with a newline if that is all it lacks, "+
		"otherwise remove it",
		r.path(HistoryFile), lines+1)
}

// line returns a change as it is in the journal.
func (c *Change) line() ([]byte, error) {
	line, err := json.Marshal(c, jsontext.AllowInvalidUTF8(true))
	return append(line, '\n'), err
}

// beginsWith reports whether a truncated line is the beginning of this one.
func (c *Change) beginsWith(truncated string) bool {
	line, err := c.line()
	return err == nil && bytes.HasPrefix(line, []byte(truncated))
}

// record adds a change to the journal, unless a killed process has done so.
func (r *Registry) record(c Change) error {
	h, err := r.history()
	if err != nil {
		return err
	}
	if h.truncated != "" && !c.beginsWith(h.truncated) {
		return r.truncatedError(len(h.changes))
	}
	if h.last() != c {
		line, err := c.line()
		if err != nil {
			return err
		}
		h.text = append(h.text, line...)
	} else if h.truncated == "" {
		return nil
	}
	return r.writeHistory(h.text)
}

// writeHistory replaces the journal, which is never written in place: a copy of the folder by hard
// links keeps its own. An empty one is removed.
func (r *Registry) writeHistory(text []byte) error {
	path := r.path(HistoryFile)
	if err := r.limit(HistoryFile, int64(len(text)), r.limits.history+reserve); err != nil {
		return err
	}
	if len(text) > 0 {
		return atomicfile.Write(path, text, 0o666)
	}
	return atomicfile.Remove(path)
}

func (r *Registry) timestamp() string { return r.now().UTC().Format(time.RFC3339) }

// HistoryBytes returns how much of the journal History reads; 0 if there is none.
func (r *Registry) HistoryBytes() int64 { return r.size(HistoryFile, r.limits.history) }

func (r *Registry) size(name string, most int64) int64 {
	info, err := os.Stat(r.path(name))
	if err != nil {
		return 0
	}
	return min(info.Size(), most+reserve)
}

// A Span is a time in which a model was the current one.
type Span struct {
	ModelFile string `json:"model_file"`
	From      string `json:"from"`         // RFC 3339, UTC
	To        string `json:"to,omitempty"` // "": it still is
	By        string `json:"by"`           // train, evaluate, rollback or hand
	Reason    string `json:"reason"`
}

// Spans returns when each model was current, the oldest first.
func (r *Registry) Spans() ([]Span, error) {
	changes, err := r.History()
	spans := []Span{}
	for _, c := range changes {
		if c.By == prune && c.Moved == nil { // a moved line says what was current then
			continue
		}
		if n := len(spans); n > 0 && spans[n-1].To == "" {
			spans[n-1].To = c.TS
		}
		if c.To != "" {
			spans = append(spans, Span{c.To, c.TS, "", c.By, c.Reason})
		}
	}
	return spans, err
}
