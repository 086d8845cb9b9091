package alert

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

const token = "s3cret-token"

// receiver is a webhook: real HTTP, with what it got and what it answers.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	got     []Message
	headers []http.Header
	answer  func(attempt int, w http.ResponseWriter, r *http.Request) // nil: 200
}

func newReceiver(t *testing.T, answer func(int, http.ResponseWriter, *http.Request)) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var m Message
	if err != nil || json.Unmarshal(body, &m, json.RejectUnknownMembers(true)) != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	r.mu.Lock()
	r.got, r.headers = append(r.got, m), append(r.headers, req.Header)
	attempt, answer := len(r.got), r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(attempt, w, req)
	}
}

func (r *receiver) attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

// status answers every request with a code.
func status(code int) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// wantMessages wants the receiver to have got messages, each as "status column/check,…".
func (r *receiver) wantMessages(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []string
	for _, m := range r.got {
		var checks []string
		for _, c := range m.Checks {
			checks = append(checks, c.Column+"/"+c.Kind)
		}
		got = append(got, m.Status+" "+strings.Join(checks, ","))
	}
	if !slices.Equal(got, want) {
		t.Errorf("messages %q, want %q", got, want)
	}
}

type clock struct{ time.Time }

func (c *clock) pass(d time.Duration) { c.Time = c.Add(d) }

func newSender(t *testing.T, address string) (*Sender, *clock) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Now()}
	return &Sender{URL: u, Token: token, Format: Webhook, Cooldown: time.Hour, Timeout: 10 * time.Second,
		Path: filepath.Join(t.TempDir(), "logs", "alerts.jsonl"), Now: func() time.Time { return c.Time }}, c
}

// found makes a finding of checks such as "region/levels".
func found(checks ...string) Finding {
	f := Finding{Verdict: "ok", Model: "m.json", Records: 200}
	for _, c := range checks {
		column, kind, _ := strings.Cut(c, "/")
		f.Verdict = "alert"
		f.Checks = append(f.Checks, Check{Column: column, Kind: kind, Value: 0.5, Threshold: 0.2, Unit: "std"})
	}
	return f
}

// want compares an outcome without its texts: warnings are wanted if something is queued.
func want(t *testing.T, got Outcome, status string, sent, queued int, heldBack bool) {
	t.Helper()
	if got.Status != status || got.Sent != sent || got.Queued != queued || got.HeldBack != heldBack {
		t.Errorf("outcome %+v, want %s, sent %d, queued %d, held back %v", got, status, sent, queued, heldBack)
	}
	if (got.Error != "") != (queued > 0) || len(got.Warnings) == 0 && queued > 0 {
		t.Errorf("error %q and warnings %q with %d queued", got.Error, got.Warnings, queued)
	}
}

func TestNotifiesOnceAndResolvesOnce(t *testing.T) {
	r := newReceiver(t, nil)
	s, clock := newSender(t, r.URL)
	notify := func(f Finding) Outcome { return s.Notify(t.Context(), f) }
	want(t, notify(found()), None, 0, 0, false)
	if _, err := os.Stat(s.Path); err == nil {
		t.Error("a file is written with nothing to send")
	}
	want(t, notify(found("a/mean")), Firing, 1, 0, false)
	since := r.got[0].Checks[0].Since
	clock.pass(time.Minute)
	want(t, notify(found("a/mean")), Firing, 0, 0, true)
	clock.pass(time.Minute)
	want(t, notify(found("a/mean", "b/levels")), Firing, 1, 0, false) // b is new
	clock.pass(time.Minute)
	want(t, notify(found("b/levels")), Firing, 0, 0, true) // the incident lasts
	clock.pass(time.Minute)
	want(t, notify(found("a/mean", "b/levels")), Firing, 0, 0, true) // a is back within the cooldown
	clock.pass(time.Hour)
	want(t, notify(found("a/mean")), Firing, 1, 0, false)
	if again := r.got[2].Checks[0].Since; !again.Equal(since) {
		t.Errorf("first seen at %v, then said to be seen at %v", since, again)
	}
	tooFew := found()
	tooFew.NotEvaluated = func(column, _ string) bool { return column == "a" }
	want(t, notify(tooFew), None, 0, 0, false)
	want(t, notify(found()), Resolved, 1, 0, false)
	want(t, notify(found()), None, 0, 0, false)
	want(t, notify(found("a/mean")), Firing, 1, 0, false) // a new incident, within the cooldown
	r.wantMessages(t, "firing a/mean", "firing a/mean,b/levels", "firing a/mean",
		"resolved a/mean,b/levels", "firing a/mean")
	if m := r.got[0]; m.Verdict != "alert" || m.Model != "m.json" || m.Records != 200 || m.ID == "" ||
		m.Text != "drift in the last 200 predictions of a (mean)" || !m.TS.Equal(since) {
		t.Errorf("message %+v", m)
	}
}

func TestCooldown(t *testing.T) {
	r := newReceiver(t, nil)
	s, clock := newSender(t, r.URL)
	s.Cooldown = 0
	for range 3 {
		want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 0, false)
	}
	s.Cooldown = time.Hour
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 0, 0, true)
	clock.pass(-2 * time.Hour) // a clock set back must not silence it
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 0, false)
	other := newReceiver(t, nil)
	s.URL, _ = url.Parse(other.URL)
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 0, false) // another address
	other.wantMessages(t, "firing a/mean")
}

func TestUndeliveredIsQueued(t *testing.T) {
	r := newReceiver(t, status(503))
	s, clock := newSender(t, r.URL)
	s.Timeout = 300 * time.Millisecond
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 0, 1, false)
	clock.pass(2 * time.Hour)
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 0, 1, true) // waits, and is not queued twice
	clock.pass(time.Hour)
	want(t, s.Notify(t.Context(), found("a/mean", "b/unseen")), Firing, 0, 2, false)
	clock.pass(time.Hour)
	want(t, s.Notify(t.Context(), found()), Resolved, 0, 3, false)
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 0, 4, false)
	r.mu.Lock()
	r.answer, r.got = nil, nil
	r.mu.Unlock()
	clock.pass(time.Minute)
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 4, 0, true)
	clock.pass(59 * time.Minute) // the cooldown runs from the delivery
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 0, 0, true)
	r.wantMessages(t, "firing a/mean", "firing a/mean,b/unseen", "resolved a/mean,b/unseen", "firing a/mean")
	if !slices.IsSortedFunc(r.got, func(x, y Message) int { return x.TS.Compare(y.TS) }) {
		t.Errorf("not in the order of their times: %+v", r.got)
	}
}

// A message is in the file before it is sent.
func TestQueuedBeforeSent(t *testing.T) {
	var s *Sender
	r := newReceiver(t, nil)
	r.answer = func(_ int, w http.ResponseWriter, _ *http.Request) {
		if !strings.Contains(content(t, s), `{"kept":{"id":"`) {
			w.WriteHeader(http.StatusTeapot)
		}
	}
	s, _ = newSender(t, r.URL)
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 0, false)
	if strings.Contains(content(t, s), "kept") {
		t.Errorf("delivered, and queued: %s", content(t, s))
	}
}

// A resolved alert that Alertmanager refused is not superseded by a message about another check.
func TestRefusedResolved(t *testing.T) {
	refused := map[int]bool{2: true, 5: true, 7: true} // attempts
	attempt := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if attempt++; refused[attempt] {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer server.Close()
	s, _ := newSender(t, server.URL)
	s.Format = Alertmanager
	want(t, s.Notify(t.Context(), found("b/mean")), Firing, 1, 0, false)
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 1, false)
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 0, true)
	want(t, s.Notify(t.Context(), found("b/mean")), Firing, 1, 1, false) // the resolved a is refused
	out := s.Notify(t.Context(), found("a/mean", "b/mean"))              // a fires again, which supersedes it
	want(t, out, Firing, 1, 0, false)
	if attempt != 8 || len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "is dropped") {
		t.Errorf("%d attempts, warnings %q", attempt, out.Warnings)
	}
}

// A refused message stays queued, holds up nothing, and is not sent after a later one.
func TestRefusedMessage(t *testing.T) {
	r := newReceiver(t, status(422))
	s, clock := newSender(t, r.URL)
	want(t, s.Notify(t.Context(), found("a/mean")), Firing, 0, 1, false)
	r.mu.Lock()
	r.answer = func(attempt int, w http.ResponseWriter, _ *http.Request) {
		if attempt == 2 {
			w.WriteHeader(422)
		}
	}
	r.mu.Unlock()
	clock.pass(time.Minute)
	out := s.Notify(t.Context(), found("b/mean"))
	want(t, out, Firing, 1, 0, false)
	if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "is dropped, since a later one was delivered: ") {
		t.Errorf("warnings %q", out.Warnings)
	}
	r.wantMessages(t, "firing a/mean", "firing a/mean", "firing b/mean")
}

func TestTwoAtOnce(t *testing.T) {
	r := newReceiver(t, nil)
	s, _ := newSender(t, r.URL)
	outcomes := make([]Outcome, 8)
	var all sync.WaitGroup
	for i := range outcomes {
		all.Go(func() { outcomes[i] = s.Notify(t.Context(), found("a/mean")) })
	}
	all.Wait()
	r.wantMessages(t, "firing a/mean")
	sent := 0
	for _, out := range outcomes {
		sent += out.Sent
		want(t, out, Firing, out.Sent, 0, out.Sent == 0)
	}
	if sent != 1 {
		t.Errorf("%d say that they sent it", sent)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := newReceiver(t, func(_ int, _ http.ResponseWriter, req *http.Request) {
		cancel()
		<-req.Context().Done()
	})
	s, _ := newSender(t, r.URL)
	want(t, s.Notify(ctx, found("a/mean")), Firing, 0, 1, false)
}

// The page's example of a body is valid.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(page), "```json\n{\"id\"")
	example, _, closed := strings.Cut(example, "```")
	var m Message
	if !found || !closed {
		t.Fatal("the page has no example of a body")
	}
	if err := json.Unmarshal([]byte(`{"id"`+example), &m, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	spaces := strings.NewReplacer(" ", "", "\n", "")
	if got, want := spaces.Replace(string(again)), spaces.Replace(`{"id"`+example); got != want {
		t.Errorf("the page has\n%s\nand a body is\n%s", want, got)
	}
	if want := "drift in the last 200 predictions of " + Columns(m.Checks); m.Text != want {
		t.Errorf("the page's text is %q, and a body's %q", m.Text, want)
	}
}
