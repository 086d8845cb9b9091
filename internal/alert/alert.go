// Package alert tells somebody else that something drifted, and that it is over:
// by a JSON webhook, or by Alertmanager's API.
//
// An alert is delivered at least once. What is to be told is written to a file
// before it is sent, and what could not be delivered stays there for the next
// call of [Sender.Tell], in order. The file is logs/alerts.jsonl, a line of JSON
// each, and replaced whole under the lock of the file beside it:
//
//	{"told":{"column":"region","check":"levels","since":TIME,"sent":TIME,"to":HASH}}
//	{"kept":{"id":"…","status":"firing",…}}
//
// A told line is a check that alarmed when last looked at, first seen at since and
// last delivered at sent; a kept line is a message that waits. One folder tells
// one address: what waits goes to whatever the next call names. Who wants more
// receivers has Alertmanager for it.
//
// The package knows no columns and no statistics: it gets them as text. Neither
// token nor password nor path of an address is written anywhere.
package alert

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Formats of what is sent.
const (
	Webhook      = "webhook"
	Alertmanager = "alertmanager"
)

// What a message says, and Outcome.Status besides None.
const (
	Firing   = "firing"
	Resolved = "resolved"
	None     = "none"
)

// A Check is one thing that alarmed.
type Check struct {
	Column    string    `json:"column"`
	Kind      string    `json:"check"`
	Value     float64   `json:"value,omitzero"`     // as it stops to alarm these three are not told
	Threshold float64   `json:"threshold,omitzero"` // the check alarms from it on
	Unit      string    `json:"unit,omitzero"`
	Since     time.Time `json:"since"` // when it was seen first, UTC; filled in by Tell
}

// A Finding is the outcome of one look.
type Finding struct {
	Verdict  string
	Model    string // "" for none
	Records  int    // looked at
	Checks   []Check
	Unjudged []string // columns that nothing can be said of: what alarmed there goes on
}

// A Message is what is told of a look; its JSON is the webhook's body.
type Message struct {
	ID      string    `json:"id"` // the same if a message arrives twice
	Status  string    `json:"status"`
	TS      time.Time `json:"ts"` // of the look, UTC
	Verdict string    `json:"verdict"`
	Model   string    `json:"model"`
	Records int       `json:"records"`
	Text    string    `json:"text"`
	Checks  []Check   `json:"checks"` // what alarms, or what has stopped to
}

// An Outcome tells what became of a call of Tell.
type Outcome struct {
	Status   string   `json:"status"`         // what there was to tell: firing, resolved or none
	Sent     int      `json:"sent"`           // messages delivered, those kept by earlier calls too
	Kept     int      `json:"kept"`           // messages that wait
	HeldBack bool     `json:"held_back"`      // it fires, and was told less than the cooldown ago
	Error    string   `json:"error,omitzero"` // why messages wait
	Warnings []string `json:"-"`              // for a person
}

// A Sender tells one address.
type Sender struct {
	URL      *url.URL
	Token    string            // bearer; "" for none
	Format   string            // Webhook or Alertmanager
	Labels   map[string]string // added to Alertmanager's
	Cooldown time.Duration     // the same is not told again for so long
	Timeout  time.Duration     // for all that is to be sent, and as long for the lock
	Path     string            // of the file
	Now      func() time.Time
}

// Tell delivers what waits in the file and what there is to say of a finding.
// A failure is part of the outcome: it is nothing that the caller could mend.
//
// A check that alarms is told when it is new, when the cooldown since its
// last delivery has passed, and when the address is another. One that has stopped
// is told once: to Alertmanager each by itself, by the webhook when none is left.
func (s *Sender) Tell(ctx context.Context, f Finding) Outcome {
	out := Outcome{Status: None}
	if len(f.Checks) > 0 {
		out.Status = Firing
	}
	unlock, err := s.lock(ctx)
	var b *book
	switch {
	case err == nil:
		defer unlock()
		b = s.read(&out)
	case errors.Is(err, errHeld) || ctx.Err() != nil:
		out.Error = err.Error()
		out.warn("nothing was sent: %v", err)
		return out
	default: // an alert that comes twice is better than none
		out.warn("%v: what was told and what waits is not known", err)
		b = &book{path: s.Path, told: map[key]*told{}, broken: true}
	}
	b.expire(s.now(), &out)
	s.note(b, f, &out)
	b.write(&out) // before anything is sent: a kill from here on loses nothing
	s.deliver(ctx, b, &out)
	b.write(&out)
	out.Kept = len(b.kept)
	return out
}

func (o *Outcome) warn(format string, args ...any) {
	o.Warnings = append(o.Warnings, fmt.Sprintf(format, args...))
}

func (s *Sender) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// note compares a finding with what has been told, and adds to the book what is
// to be told now.
func (s *Sender) note(b *book, f Finding, out *Outcome) {
	now := s.now()
	to, queued := s.address(), b.queued()
	due := false
	alarming := map[key]bool{}
	for i := range f.Checks {
		c := &f.Checks[i]
		c.Column = strings.ToValidUTF8(c.Column, "\ufffd") // JSON has no other
		k := key{c.Column, c.Kind}
		alarming[k] = true
		t := b.told[k]
		if t == nil {
			t = &told{Column: c.Column, Kind: c.Kind, Since: now}
			b.told[k] = t
		}
		if t.Since.After(now) {
			t.Since = now // the clock was put back
		}
		c.Since = t.Since
		c.Value = max(-math.MaxFloat64, min(c.Value, math.MaxFloat64)) // JSON has no infinity
		recent := !t.Sent.After(now) && now.Sub(t.Sent) < s.Cooldown
		if !queued[k] && (t.Sent.IsZero() || t.To != to || !recent) {
			due = true
		}
	}
	message := func(status, text string, checks []Check) {
		b.kept = append(b.kept, &Message{ID: rand.Text(), Status: status, TS: now, Verdict: f.Verdict, Model: f.Model,
			Records: f.Records, Text: text, Checks: checks})
	}
	if over := s.over(b, f, alarming); len(over) > 0 {
		if len(f.Checks) == 0 {
			out.Status = Resolved
		}
		message(Resolved, fmt.Sprintf("no drift any more in the last %d predictions of %s", f.Records, columns(over)), over)
	}
	if due {
		message(Firing, fmt.Sprintf("drift in the last %d predictions of %s", f.Records, columns(f.Checks)), f.Checks)
	}
	out.HeldBack = len(f.Checks) > 0 && !due
}

// over takes out of the book, sorted by column, what has stopped to alarm.
func (s *Sender) over(b *book, f Finding, alarming map[key]bool) []Check {
	var checks []Check
	for k, t := range b.told {
		unjudged := slices.Contains(f.Unjudged, t.Column)
		if (alarming[k] || unjudged) && s.Format == Webhook {
			return nil // one incident, and it lasts
		}
		if !alarming[k] && !unjudged {
			checks = append(checks, Check{Column: t.Column, Kind: t.Kind, Since: t.Since})
		}
	}
	for _, c := range checks {
		delete(b.told, key{c.Column, c.Kind})
	}
	slices.SortFunc(checks, func(x, y Check) int {
		return strings.Compare(x.Column+"\x00"+x.Kind, y.Column+"\x00"+y.Kind)
	})
	return checks
}

// columns names each column once, with its checks: "region (levels, unseen), tenure (mean)".
func columns(checks []Check) string {
	var order []string
	kinds := map[string][]string{}
	for _, c := range checks {
		if kinds[c.Column] == nil {
			order = append(order, c.Column)
		}
		kinds[c.Column] = append(kinds[c.Column], c.Kind)
	}
	for i, column := range order {
		order[i] = fmt.Sprintf("%s (%s)", column, strings.Join(kinds[column], ", "))
	}
	return strings.Join(order, ", ")
}

// outdates reports whether after a message an earlier one would be false: for
// Alertmanager, to whom a check is an alert, only if they are of the same check.
func (s *Sender) outdates(m, earlier *Message) bool {
	return s.Format == Webhook || slices.ContainsFunc(m.Checks, func(c Check) bool {
		return slices.ContainsFunc(earlier.Checks, func(e Check) bool { return e.Column == c.Column && e.Kind == c.Kind })
	})
}

// deliver sends what is kept, the oldest first, until one cannot be delivered.
// A message that is refused for what it says does not hold up those behind it, and
// is dropped once one has arrived that outdates it.
func (s *Sender) deliver(ctx context.Context, b *book, out *Outcome) {
	if len(b.kept) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	client := newClient()
	defer client.CloseIdleConnections()
	var refused []*Message
	for len(b.kept) > 0 {
		m := b.kept[0]
		err := s.post(ctx, client, m)
		if err != nil {
			out.Error = err.Error()
			if !refusesMessage(err) {
				break
			}
			refused, b.kept = append(refused, m), b.kept[1:]
			continue
		}
		out.Sent++
		b.kept = b.kept[1:]
		refused = slices.DeleteFunc(refused, func(r *Message) bool {
			if !s.outdates(m, r) {
				return false
			}
			out.warn("%s: the alert of %s is dropped, since a later one was delivered: %s", s.Path, r.TS.Format(time.RFC3339), out.Error)
			return true
		})
		b.sent(m, s.now(), s.address())
	}
	b.kept = append(refused, b.kept...)
	switch {
	case len(b.kept) == 0:
		out.Error = ""
	case b.broken:
		out.warn("the alert could not be delivered, nor kept: %s", out.Error)
		b.kept = nil
	default:
		out.warn("the alert is kept in %s and the next run sends it (waiting: %d): %s", s.Path, len(b.kept), out.Error)
	}
}
