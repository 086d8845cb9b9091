package alert

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"churn/internal/atomicfile"
	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxQueued = 100                // messages: firing and resolved in alternation, so 50 incidents
	maxAge    = 7 * 24 * time.Hour // of a queued message: older news misleads
)

const dropped = "%s: the alert of %s is dropped"

// key names a check.
type key struct{ column, kind string }

// notified is an alert that was sent or is queued, and is not over.
type notified struct {
	Column string    `json:"column"`
	Kind   string    `json:"check"`
	Since  time.Time `json:"since"`
	Sent   time.Time `json:"sent,omitzero"` // the last delivery; zero before the first
	To     string    `json:"to,omitzero"`   // the address, hashed
}

// line is a line of the file: one of the two.
type line struct {
	Notified *notified `json:"told,omitzero"`
	Queued   *Message  `json:"kept,omitzero"`
}

// outbox is the file's content.
type outbox struct {
	path     string
	disk     []byte // as the file is
	broken   bool   // the file could not be read or written: it is not replaced
	notified map[key]*notified
	queue    []*Message // the oldest first
}

// read reads the file, unless there is an error already. A malformed line is skipped with a warning.
func (s *Sender) read(err error, out *Outcome) *outbox {
	b := &outbox{path: s.Path, notified: map[key]*notified{}}
	if err == nil {
		if b.disk, err = atomicfile.Read(s.Path, math.MaxInt64); errors.Is(err, fs.ErrNotExist) {
			return b
		}
	}
	if err != nil {
		b.broken = true
		out.warn("%v: what was sent and what is queued is not known", err)
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
		case err == nil && l.Queued == nil && l.Notified != nil && l.Notified.Column != "" && l.Notified.Kind != "":
			b.notified[key{l.Notified.Column, l.Notified.Kind}] = l.Notified
		case err == nil && l.Notified == nil && l.Queued.valid():
			b.queue = append(b.queue, l.Queued)
		default:
			out.warn("%s:%d: not a line that drift writes, skipped: %.300q", s.Path, number, text)
		}
	}
	return b
}

func (m *Message) valid() bool {
	return m != nil && (m.Status == Firing || m.Status == Resolved) && !m.TS.IsZero() && len(m.Checks) > 0
}

// write replaces the file if its content has changed.
func (b *outbox) write(out *Outcome) {
	if b.broken {
		return
	}
	text, err := b.text()
	if err == nil && !bytes.Equal(text, b.disk) {
		err = atomicfile.Write(b.path, text, 0o666)
	}
	if err != nil {
		b.broken = true // one warning is enough
		out.warn("%s: %v: what was sent and what is queued is not recorded", b.path, err)
		return
	}
	b.disk = text
}

// keys returns the checks of notified, sorted.
func (b *outbox) keys() []key {
	return slices.SortedFunc(maps.Keys(b.notified), func(x, y key) int {
		return strings.Compare(x.column+"\x00"+x.kind, y.column+"\x00"+y.kind)
	})
}

func (b *outbox) text() ([]byte, error) {
	var lines []line
	for _, k := range b.keys() {
		lines = append(lines, line{Notified: b.notified[k]})
	}
	for _, m := range b.queue {
		lines = append(lines, line{Queued: m})
	}
	var text bytes.Buffer
	to := jsontext.NewEncoder(&text, json.Deterministic(true))
	for _, l := range lines {
		if err := json.MarshalEncode(to, l); err != nil { // with a line end
			return nil, err
		}
	}
	return text.Bytes(), nil
}

// expire drops messages that are too old or too many.
func (b *outbox) expire(now time.Time, out *Outcome) {
	for i, m := range b.queue {
		switch {
		case now.Sub(m.TS) > maxAge:
			out.warn(dropped+": it was queued for more than %v days", b.path, m.TS.Format(time.RFC3339), maxAge.Hours()/24)
		case len(b.queue)-i > maxQueued-2: // this run may add two
			out.warn(dropped+": more than %d are queued", b.path, m.TS.Format(time.RFC3339), maxQueued)
		default:
			b.queue = b.queue[i:]
			return
		}
	}
	b.queue = nil
}

// waiting returns the checks whose last queued message is firing.
func (b *outbox) waiting() map[key]bool {
	waits := map[key]bool{}
	for _, m := range b.queue {
		for _, c := range m.Checks {
			waits[key{c.Column, c.Kind}] = m.Status == Firing
		}
	}
	return waits
}

// sent records a delivery.
func (b *outbox) sent(m *Message, now time.Time, to string) {
	for _, c := range m.Checks {
		if n := b.notified[key{c.Column, c.Kind}]; n != nil && m.Status == Firing && n.Since.Equal(c.Since) {
			n.Sent, n.To = now, to
		}
	}
}

// address identifies an address without revealing it: a hash of the format, of the
// URL without its secrets, and of the labels.
func (s *Sender) address() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s://%s%s", s.Format, s.URL.Scheme, s.URL.Host, s.URL.EscapedPath())
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		fmt.Fprintf(h, " %s=%q", name, s.Labels[name])
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}
