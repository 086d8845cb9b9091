package alert

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// status answers the same always.
func status(code int) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// wantTold wants the receiver to have got messages, each as "status column/check,…".
func (r *receiver) wantTold(t *testing.T, want ...string) {
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
		t.Errorf("told %q, want %q", got, want)
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
		f.Verdict, f.Checks = "alert", append(f.Checks, Check{Column: column, Kind: kind, Value: 0.5, Threshold: 0.2, Unit: "std"})
	}
	return f
}

// want compares an outcome, but for the words: warnings are wanted if something is kept.
func want(t *testing.T, got Outcome, status string, sent, kept int, heldBack bool) {
	t.Helper()
	if got.Status != status || got.Sent != sent || got.Kept != kept || got.HeldBack != heldBack {
		t.Errorf("outcome %+v, want %s, sent %d, kept %d, held back %v", got, status, sent, kept, heldBack)
	}
	if (got.Error != "") != (kept > 0) || len(got.Warnings) == 0 && kept > 0 {
		t.Errorf("error %q and warnings %q with %d kept", got.Error, got.Warnings, kept)
	}
}

func TestToldOnceAndCalledOffOnce(t *testing.T) {
	r := newReceiver(t, nil)
	s, clock := newSender(t, r.URL)
	tell := func(f Finding) Outcome { return s.Tell(t.Context(), f) }
	want(t, tell(found()), None, 0, 0, false)
	if _, err := os.Stat(s.Path); err == nil {
		t.Error("a file is written with nothing to tell")
	}
	want(t, tell(found("a/mean")), Firing, 1, 0, false)
	since := r.got[0].Checks[0].Since
	clock.pass(time.Minute)
	want(t, tell(found("a/mean")), Firing, 0, 0, true)
	clock.pass(time.Minute)
	want(t, tell(found("a/mean", "b/levels")), Firing, 1, 0, false) // b is new
	clock.pass(time.Minute)
	want(t, tell(found("b/levels")), Firing, 0, 0, true) // the incident lasts
	clock.pass(time.Minute)
	want(t, tell(found("a/mean", "b/levels")), Firing, 0, 0, true) // a is back within the cooldown
	clock.pass(time.Hour)
	want(t, tell(found("a/mean")), Firing, 1, 0, false)
	if again := r.got[2].Checks[0].Since; !again.Equal(since) {
		t.Errorf("first seen at %v, then said to be seen at %v", since, again)
	}
	unjudged := found()
	unjudged.Unjudged = []string{"a"}
	want(t, tell(unjudged), None, 0, 0, false)
	want(t, tell(found()), Resolved, 1, 0, false)
	want(t, tell(found()), None, 0, 0, false)
	want(t, tell(found("a/mean")), Firing, 1, 0, false) // a new incident, within the cooldown
	r.wantTold(t, "firing a/mean", "firing a/mean,b/levels", "firing a/mean", "resolved a/mean,b/levels", "firing a/mean")
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
		want(t, s.Tell(t.Context(), found("a/mean")), Firing, 1, 0, false)
	}
	s.Cooldown = time.Hour
	want(t, s.Tell(t.Context(), found("a/mean")), Firing, 0, 0, true)
	clock.pass(-2 * time.Hour) // a clock put back must not silence it
	want(t, s.Tell(t.Context(), found("a/mean")), Firing, 1, 0, false)
	other := newReceiver(t, nil)
	s.URL, _ = url.Parse(other.URL)
	want(t, s.Tell(t.Context(), found("a/mean")), Firing, 1, 0, false) // told somebody else
	other.wantTold(t, "firing a/mean")
}

func TestRetries(t *testing.T) {
	for _, code := range []int{408, 425, 429, 500, 502, 503} {
		r := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
			if attempt == 1 {
				w.WriteHeader(code)
			}
		})
		s, _ := newSender(t, r.URL)
		want(t, s.Tell(t.Context(), found("a/mean")), Firing, 1, 0, false)
		r.wantTold(t, "firing a/mean", "firing a/mean")
		if r.got[0].ID != r.got[1].ID {
			t.Errorf("a message has the ids %s and %s", r.got[0].ID, r.got[1].ID)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, date := range []bool{false, true} {
		var first time.Time
		r := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
			if attempt > 1 {
				return
			}
			first = time.Now()
			after := "1"
			if date {
				after = first.Add(2 * time.Second).UTC().Format(http.TimeFormat) // whole seconds: one to two from now
			}
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		s, _ := newSender(t, r.URL)
		want(t, s.Tell(t.Context(), found("a/mean")), Firing, 1, 0, false)
		if waited := time.Since(first); waited < time.Second {
			t.Errorf("tried again after %v", waited)
		}
	}
	// Beyond the deadline it is not waited for.
	for _, after := range []string{"60", "99999999999999999999", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)} {
		r := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		s, _ := newSender(t, r.URL)
		start := time.Now()
		out := s.Tell(t.Context(), found("a/mean"))
		want(t, out, Firing, 0, 1, false)
		if took := time.Since(start); took > 5*time.Second || r.attempts() != 1 {
			t.Errorf("Retry-After %s: given up after %v and %d attempts", after, took, r.attempts())
		}
		if !strings.Contains(out.Error, "429 Too Many Requests: retry after ") {
			t.Errorf("error %q", out.Error)
		}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	check := func(header string, want int, wantOK bool) {
		t.Helper()
		if got, ok := retryAfter(header, now); got != want || ok != wantOK {
			t.Errorf("retryAfter(%q) = %d, %v, want %d, %v", header, got, ok, want, wantOK)
		}
	}
	check("", 0, false)
	check("soon", 0, false)
	check("-1", 0, false)
	check("0", 1, true)
	check("7", 7, true)
	check("99999999999999999999", maxRetryAfter, true)
	check("Fri, 02 Jan 2026 03:04:05 GMT", 1, true)
	check("Fri, 02 Jan 2026 03:04:35 GMT", 30, true)
	check("Fri, 02 Jan 2099 03:04:05 GMT", maxRetryAfter, true)
	check("Fri, 02 Jan 2005 03:04:05 GMT", 1, true)
}

func TestWhatIsNotDeliveredIsKept(t *testing.T) {
	r := newReceiver(t, status(503))
	s, clock := newSender(t, r.URL)
	s.Timeout = 300 * time.Millisecond
	want(t, s.Tell(t.Context(), found("a/mean")), Firing, 0, 1, false)
	clock.pass(2 * time.Hour)
	want(t, s.Tell(t.Context(), found("a/mean")), Firing, 0, 1, true) // waits, and is not kept twice
	clock.pass(time.Hour)
	want(t, s.Tell(t.Context(), found("a/mean", "b/unseen")), Firing, 0, 2, false)
	clock.pass(time.Hour)
	want(t, s.Tell(t.Context(), found()), Resolved, 0, 3, false)
	want(t, s.Tell(t.Context(), found("a/mean")), Firing, 0, 4, false)
	r.mu.Lock()
	r.answer, r.got = nil, nil
	r.mu.Unlock()
	clock.pass(time.Minute)
	want(t, s.Tell(t.Context(), found("a/mean")), Firing, 4, 0, true)
	clock.pass(59 * time.Minute) // the cooldown runs from the delivery
	want(t, s.Tell(t.Context(), found("a/mean")), Firing, 0, 0, true)
	r.wantTold(t, "firing a/mean", "firing a/mean,b/unseen", "resolved a/mean,b/unseen", "firing a/mean")
	if !slices.IsSortedFunc(r.got, func(x, y Message) int { return x.TS.Compare(y.TS) }) {
		t.Errorf("not in the order of their times: %+v", r.got)
	}
}

func TestFinalAnswers(t *testing.T) {
	elsewhere := newReceiver(t, nil)
	for _, code := range []int{400, 401, 404, 413, 301, 302, 307, 308} {
		r := newReceiver(t, func(_ int, w http.ResponseWriter, req *http.Request) {
			if code/100 == 3 {
				http.Redirect(w, req, elsewhere.URL, code)
				return
			}
			w.WriteHeader(code)
			io.WriteString(w, "no such token: "+req.Header.Get("Authorization"))
		})
		s, _ := newSender(t, r.URL)
		out := s.Tell(t.Context(), found("a/mean"))
		want(t, out, Firing, 0, 1, false)
		if r.attempts() != 1 || !strings.Contains(out.Error, strconv.Itoa(code)) {
			t.Errorf("%d: %d attempts, error %q", code, r.attempts(), out.Error)
		}
		wantNoSecret(t, s, out)
	}
	elsewhere.wantTold(t)
}

// A message that is refused waits, but holds up nothing, and is not told after later news.
func TestRefusedMessage(t *testing.T) {
	r := newReceiver(t, status(422))
	s, clock := newSender(t, r.URL)
	want(t, s.Tell(t.Context(), found("a/mean")), Firing, 0, 1, false)
	r.mu.Lock()
	r.answer = func(attempt int, w http.ResponseWriter, _ *http.Request) {
		if attempt == 2 {
			w.WriteHeader(422)
		}
	}
	r.mu.Unlock()
	clock.pass(time.Minute)
	out := s.Tell(t.Context(), found("a/mean", "b/mean"))
	want(t, out, Firing, 1, 0, false)
	if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "is dropped, since a later one was delivered: ") {
		t.Errorf("warnings %q", out.Warnings)
	}
	r.wantTold(t, "firing a/mean", "firing a/mean", "firing a/mean,b/mean")
}

func TestNobodyAnswers(t *testing.T) {
	slow := newReceiver(t, func(_ int, _ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	check := func(address, words string, timeout time.Duration) {
		t.Helper()
		s, _ := newSender(t, address)
		s.Timeout = timeout
		start := time.Now()
		out := s.Tell(t.Context(), found("a/mean"))
		want(t, out, Firing, 0, 1, false)
		if took := time.Since(start); took > timeout+2*time.Second {
			t.Errorf("%s took %v, with %v for it", address, took, timeout)
		}
		if !strings.Contains(out.Error, words) {
			t.Errorf("error %q, want %q in it", out.Error, words)
		}
		wantNoSecret(t, s, out)
	}
	check(slow.URL, "did not answer within 300ms", 300*time.Millisecond)
	check("http://user:pass-w0rd@"+l.Addr().String()+"/hook?key=qu3ry", "connection refused", 300*time.Millisecond)
	start := time.Now()
	check(tls.URL, "certificate", 30*time.Second)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("a certificate that is not trusted was tried for %v", took)
	}
	check("http://user:pass-w0rd@churn.invalid/hook?key=qu3ry", "http://churn.invalid", 300*time.Millisecond)
}

// What a server makes of the token is not quoted, even where its answer is no HTTP.
func TestGarbledAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nwhat is %s, pass-w0rd and qu3ry?\r\n\r\n", token)
			c.Close()
		}
	}()
	s, _ := newSender(t, "http://user:pass-w0rd@"+l.Addr().String()+"/hook?key=qu3ry")
	s.Timeout = 300 * time.Millisecond
	out := s.Tell(t.Context(), found("a/mean"))
	want(t, out, Firing, 0, 1, false)
	if !strings.Contains(out.Error, "what is (hidden), (hidden) and (hidden)?") {
		t.Errorf("error %q", out.Error)
	}
	wantNoSecret(t, s, out)
}

func TestTokenIsInTheHeaderAlone(t *testing.T) {
	r := newReceiver(t, nil)
	s, _ := newSender(t, strings.Replace(r.URL, "http://", "http://user:pass-w0rd@", 1)+"/hook?key=qu3ry")
	out := s.Tell(t.Context(), found("a/mean"))
	want(t, out, Firing, 1, 0, false)
	if got := r.headers[0].Get("Authorization"); got != "Bearer "+token {
		t.Errorf("Authorization %q", got)
	}
	wantNoSecret(t, s, out)
	s.Token, s.Cooldown = "", 0
	s.Tell(t.Context(), found("a/mean"))
	if got := r.headers[1].Get("Authorization"); !strings.HasPrefix(got, "Basic ") {
		t.Errorf("without a token, Authorization is %q", got)
	}
}

// wantNoSecret looks for the secrets of these tests in an outcome and in all files.
func wantNoSecret(t *testing.T, s *Sender, out Outcome) {
	t.Helper()
	text := fmt.Sprintf("%+v", out)
	files, err := os.ReadDir(filepath.Dir(s.Path))
	if err != nil || len(files) != 2 {
		t.Errorf("files %v, %v: want the file and its lock", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(s.Path), f.Name()))
		if err != nil {
			t.Error(err)
		}
		text += string(b)
	}
	for _, secret := range []string{token, "pass-w0rd", "qu3ry", "/hook"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
}

func TestTwoAtOnce(t *testing.T) {
	r := newReceiver(t, nil)
	s, _ := newSender(t, r.URL)
	outcomes := make([]Outcome, 8)
	var all sync.WaitGroup
	for i := range outcomes {
		all.Go(func() { outcomes[i] = s.Tell(t.Context(), found("a/mean")) })
	}
	all.Wait()
	r.wantTold(t, "firing a/mean")
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
	want(t, s.Tell(ctx, found("a/mean")), Firing, 0, 1, false)
}

// README's example of a body is one.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(readme), "```json\n{\"id\"")
	example, _, closed := strings.Cut(example, "```")
	var m Message
	if !found || !closed {
		t.Fatal("README has no example of a body")
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
		t.Errorf("README has\n%s\nand a body is\n%s", want, got)
	}
	if want := "drift in the last 200 predictions of " + columns(m.Checks); m.Text != want {
		t.Errorf("README's text is %q, and a body's %q", m.Text, want)
	}
}
