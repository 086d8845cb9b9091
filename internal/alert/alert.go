// Package alert notifies a monitoring system that something drifted, and that the
// drift is over: by a JSON webhook, or by Alertmanager's API.
//
// An alert is delivered at least once. It is written to a file before it is sent, and
// what could not be delivered stays queued there for the next call of
// [Sender.Notify], in order. The file is logs/alerts.jsonl, a line of JSON each, and
// replaced whole under the lock of the file beside it:
//
//	{"told":{"column":"region","check":"levels","since":TIME,"sent":TIME,"to":HASH}}
//	{"kept":{"id":"…","status":"firing",…}}
//
// A told line is a check that alerted in the last run, first seen at since and last
// delivered at sent; a kept line is a queued message. One folder notifies one address:
// what is queued goes to the address of the next call. Alertmanager distributes to
// several receivers.
//
// The package knows no columns and no statistics: it gets them as text. It never
// writes the token, password or path of an address anywhere.
package alert

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"churn/internal/atomicfile"
)

const (
	Webhook      = "webhook"
	Alertmanager = "alertmanager"
)

// Status of a message, and of an Outcome, which may be None too.
const (
	Firing   = "firing"
	Resolved = "resolved"
	None     = "none"
)

// A Check is one check that alerts.
type Check struct {
	Column    string    `json:"column"`
	Kind      string    `json:"check"`
	Value     float64   `json:"value,omitzero"`     // with Threshold and Unit, absent once it is resolved
	Threshold float64   `json:"threshold,omitzero"` // the check alerts from it on
	Unit      string    `json:"unit,omitzero"`
	Since     time.Time `json:"since"`             // when it was seen first, UTC; filled in by Notify
	Sentence  string    `json:"sentence,omitzero"` // what is wrong, in words
}

// A Finding is the outcome of one run.
type Finding struct {
	Verdict string
	Model   string // "" for none
	Records int    // compared
	Checks  []Check

	// NotEvaluated reports whether a check could not be made: then it is not over. nil: all could.
	NotEvaluated func(column, kind string) bool
}

// A Message is one notification; its JSON is the webhook's body.
type Message struct {
	ID      string    `json:"id"` // the same if a message arrives twice
	Status  string    `json:"status"`
	TS      time.Time `json:"ts"` // of the run, UTC
	Verdict string    `json:"verdict"`
	Model   string    `json:"model"`
	Records int       `json:"records"`
	Text    string    `json:"text"`
	Checks  []Check   `json:"checks"` // what alerts, or what is resolved
}

// An Outcome is the result of a call of Notify.
type Outcome struct {
	Status   string   `json:"status"`         // firing, resolved or none
	Sent     int      `json:"sent"`           // messages delivered, those queued by earlier calls too
	Queued   int      `json:"kept"`           // messages that wait for the next call
	HeldBack bool     `json:"held_back"`      // it fires, and this call added no message: the last one waits, or is recent
	Error    string   `json:"error,omitzero"` // why messages are queued
	Warnings []string `json:"-"`              // for people
}

// A Sender notifies one address.
type Sender struct {
	URL      *url.URL
	Token    string            // bearer; "" for none
	Format   string            // Webhook or Alertmanager
	Labels   map[string]string // added to Alertmanager's
	Cooldown time.Duration     // between notifications of the same checks
	Timeout  time.Duration     // for all deliveries together, and again for the lock
	Path     string            // of the file
	Now      func() time.Time
}

// Notify delivers what is queued in the file and what a finding adds. A failure is
// part of the outcome, since the caller cannot do anything about it.
//
// A check that alerts is sent when it is new, when the cooldown since its last
// delivery has passed, and when the address has changed. One that is over is sent
// once: to Alertmanager by itself, to a webhook when no check alerts any more.
func (s *Sender) Notify(ctx context.Context, f Finding) Outcome {
	out := Outcome{Status: None}
	if len(f.Checks) > 0 {
		out.Status = Firing
	}
	lock, err := atomicfile.Lock(ctx, strings.TrimSuffix(s.Path, filepath.Ext(s.Path))+".lock", s.Timeout)
	switch {
	case err == nil:
		defer lock.Close()
	case errors.Is(err, atomicfile.ErrHeld) || ctx.Err() != nil:
		out.Error = err.Error()
		out.warn("nothing was sent: %v", err)
		return out
	}
	box := s.read(err, &out) // without a lock too: an alert that is sent twice is better than none
	box.expire(s.now(), &out)
	s.enqueue(box, f, &out)
	box.write(&out) // before anything is sent: a kill from here on loses nothing
	s.deliver(ctx, box, &out)
	box.write(&out)
	out.Queued = len(box.queue)
	return out
}

func (o *Outcome) warn(format string, args ...any) {
	o.Warnings = append(o.Warnings, fmt.Sprintf(format, args...))
}

func (s *Sender) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// enqueue compares a finding with what has been sent, and queues what is to be sent now.
func (s *Sender) enqueue(box *outbox, f Finding, out *Outcome) {
	now := s.now()
	to, waiting := s.address(), box.waiting()
	due := false
	firing := map[key]bool{}
	for i := range f.Checks {
		c := &f.Checks[i]
		c.Column = strings.ToValidUTF8(c.Column, "\ufffd") // JSON has no other text
		k := key{c.Column, c.Kind}
		firing[k] = true
		n := box.notified[k]
		if n == nil {
			n = &notified{Column: c.Column, Kind: c.Kind, Since: now}
			box.notified[k] = n
		}
		if n.Since.After(now) {
			n.Since = now // the clock was set back
		}
		c.Since = n.Since
		c.Value = max(-math.MaxFloat64, min(c.Value, math.MaxFloat64)) // JSON has no infinity
		recent := !n.Sent.After(now) && now.Sub(n.Sent) < s.Cooldown
		if !waiting[k] && (n.Sent.IsZero() || n.To != to || !recent) {
			due = true
		}
	}
	message := func(status, text string, checks []Check) {
		box.queue = append(box.queue, &Message{
			ID: rand.Text(), Status: status, TS: now, Verdict: f.Verdict, Model: f.Model, Records: f.Records,
			Text: text, Checks: checks,
		})
	}
	if over := s.resolve(box, f, firing); len(over) > 0 {
		if len(f.Checks) == 0 {
			out.Status = Resolved
		}
		message(Resolved, fmt.Sprintf("no drift any more in the last %d predictions of %s", f.Records, Columns(over)), over)
	}
	if due {
		message(Firing, fmt.Sprintf("drift in the last %d predictions of %s", f.Records, Columns(f.Checks)), f.Checks)
	}
	out.HeldBack = len(f.Checks) > 0 && !due
}

// resolve removes the checks that are over and returns them, sorted by column. To a
// webhook all checks are one incident, which lasts as long as any of them.
func (s *Sender) resolve(box *outbox, f Finding, firing map[key]bool) []Check {
	var over []Check
	for _, k := range box.keys() {
		lasts := firing[k] || f.NotEvaluated != nil && f.NotEvaluated(k.column, k.kind)
		if lasts && s.Format == Webhook {
			return nil
		}
		if !lasts {
			over = append(over, Check{Column: k.column, Kind: k.kind, Since: box.notified[k].Since})
		}
	}
	for _, c := range over {
		delete(box.notified, key{c.Column, c.Kind})
	}
	return over
}

// Columns names each column once, with its checks: "region (levels, unseen), tenure (mean)".
func Columns(checks []Check) string {
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

// supersedes reports whether m makes an earlier message wrong: for Alertmanager, where
// each check is an alert of its own, only if they share a check.
func (s *Sender) supersedes(m, earlier *Message) bool {
	return s.Format == Webhook || slices.ContainsFunc(m.Checks, func(c Check) bool {
		return slices.ContainsFunc(earlier.Checks, func(e Check) bool { return e.Column == c.Column && e.Kind == c.Kind })
	})
}

// deliver sends the queue, the oldest first, until one cannot be delivered. A message
// that is refused for its content does not hold up those behind it, and is dropped
// once one that supersedes it is delivered.
func (s *Sender) deliver(ctx context.Context, box *outbox, out *Outcome) {
	if len(box.queue) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	client := newClient()
	defer client.CloseIdleConnections()
	var refused []*Message
	for len(box.queue) > 0 {
		m := box.queue[0]
		err := s.post(ctx, client, m)
		if err != nil {
			out.Error = err.Error()
			if !refusesMessage(err) {
				break
			}
			refused, box.queue = append(refused, m), box.queue[1:]
			continue
		}
		out.Sent++
		box.queue = box.queue[1:]
		refused = slices.DeleteFunc(refused, func(r *Message) bool {
			if !s.supersedes(m, r) {
				return false
			}
			out.warn(dropped+", since a later one was delivered: %s", s.Path, r.TS.Format(time.RFC3339), out.Error)
			return true
		})
		box.sent(m, s.now(), s.address())
	}
	box.queue = append(refused, box.queue...)
	switch {
	case len(box.queue) == 0:
		out.Error = ""
	case box.broken:
		out.warn("the alert could be neither delivered nor queued: %s", out.Error)
		box.queue = nil
	default:
		out.warn("the alert is queued in %s and the next run sends it (queued: %d): %s", s.Path, len(box.queue), out.Error)
	}
}
