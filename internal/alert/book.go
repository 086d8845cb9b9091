package alert

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"churn/internal/atomicfile"
	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
	"github.com/gofrs/flock"
)

const (
	maxKept = 100                // messages that wait: alternately firing and resolved, so 50 incidents
	maxAge  = 7 * 24 * time.Hour // of a message that waits: older news mislead
)

// key names a check.
type key struct{ column, kind string }

// told is what somebody has been told, or will be, and has not been called off.
type told struct {
	Column string    `json:"column"`
	Kind   string    `json:"check"`
	Since  time.Time `json:"since"`
	Sent   time.Time `json:"sent,omitzero"` // the last delivery; zero for none yet
	To     string    `json:"to,omitzero"`   // the address, hashed
}

// line is a line of the file: one of the two.
type line struct {
	Told *told    `json:"told,omitzero"`
	Kept *Message `json:"kept,omitzero"`
}

// book is the file's content.
type book struct {
	path   string
	disk   []byte // as the file is
	broken bool   // the file could not be read: it is not replaced
	told   map[key]*told
	kept   []*Message // the oldest first
}

// errHeld says that another process did not let go of the file.
var errHeld = errors.New("held by another process")

// lock waits until this process alone may use the file.
func (s *Sender) lock(ctx context.Context) (unlock func(), err error) {
	path := strings.TrimSuffix(s.Path, filepath.Ext(s.Path)) + ".lock"
	if err := atomicfile.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	lock := flock.New(path)
	if _, err := lock.TryLockContext(wait, 5*time.Millisecond); err != nil {
		if ctx.Err() == nil && wait.Err() != nil {
			return nil, fmt.Errorf("%s has been %w for %v", path, errHeld, s.Timeout)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return func() { lock.Close() }, nil
}

// read returns what the file holds. What is no line of it is passed over with a warning.
func (s *Sender) read(out *Outcome) *book {
	b := &book{path: s.Path, told: map[key]*told{}}
	var err error
	if b.disk, err = os.ReadFile(s.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.broken = true
		out.warn("%v: what was told and what waits is not known", err)
		return b
	}
	number := 0
	for text := range bytes.Lines(b.disk) {
		number++
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			continue
		}
		var l line
		err := strictjson.Unmarshal(text, &l)
		switch {
		case err == nil && l.Kept == nil && l.Told != nil && l.Told.Column != "" && l.Told.Kind != "":
			b.told[key{l.Told.Column, l.Told.Kind}] = l.Told
		case err == nil && l.Told == nil && l.Kept.valid():
			b.kept = append(b.kept, l.Kept)
		default:
			out.warn("%s:%d: not a line that drift writes, passed over: %.300q", s.Path, number, text)
		}
	}
	return b
}

func (m *Message) valid() bool {
	return m != nil && (m.Status == Firing || m.Status == Resolved) && !m.TS.IsZero() && len(m.Checks) > 0
}

// write replaces the file, if there is something new.
func (b *book) write(out *Outcome) {
	if b.broken {
		return
	}
	text, err := b.text()
	if err == nil && !bytes.Equal(text, b.disk) {
		err = atomicfile.Write(b.path, text, 0o644)
	}
	if err != nil {
		b.broken = true // one warning is enough
		out.warn("%s: %v: what was told and what waits is not remembered", b.path, err)
		return
	}
	b.disk = text
}

func (b *book) text() ([]byte, error) {
	var lines []line
	for _, k := range slices.SortedFunc(maps.Keys(b.told), func(x, y key) int {
		return strings.Compare(x.column+"\x00"+x.kind, y.column+"\x00"+y.kind)
	}) {
		lines = append(lines, line{Told: b.told[k]})
	}
	for _, m := range b.kept {
		lines = append(lines, line{Kept: m})
	}
	var text []byte
	for _, l := range lines {
		one, err := json.Marshal(l, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		text = append(append(text, one...), '\n')
	}
	return text, nil
}

// expire drops what has waited too long.
func (b *book) expire(now time.Time, out *Outcome) {
	for i, m := range b.kept {
		switch {
		case now.Sub(m.TS) > maxAge:
			out.warn("%s: the alert of %s is dropped: it waited for more than %v days", b.path, m.TS.Format(time.RFC3339), maxAge.Hours()/24)
		case len(b.kept)-i > maxKept-2: // this run may add two
			out.warn("%s: the alert of %s is dropped: more than %d wait", b.path, m.TS.Format(time.RFC3339), maxKept)
		default:
			b.kept = b.kept[i:]
			return
		}
	}
	b.kept = nil
}

// queued returns the checks whose alarm waits to be delivered and has not been called off.
func (b *book) queued() map[key]bool {
	waits := map[key]bool{}
	for _, m := range b.kept {
		for _, c := range m.Checks {
			waits[key{c.Column, c.Kind}] = m.Status == Firing
		}
	}
	return waits
}

// sent notes a delivery.
func (b *book) sent(m *Message, now time.Time, to string) {
	for _, c := range m.Checks {
		if t := b.told[key{c.Column, c.Kind}]; t != nil && m.Status == Firing && t.Since.Equal(c.Since) {
			t.Sent, t.To = now, to
		}
	}
}

// address tells addresses apart without giving one away: it hashes the format,
// what the URL shows to everybody, and the labels.
func (s *Sender) address() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s://%s%s", s.Format, s.URL.Scheme, s.URL.Host, s.URL.EscapedPath())
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		fmt.Fprintf(h, " %s=%q", name, s.Labels[name])
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}
