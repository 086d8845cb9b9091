package alert

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRetries(t *testing.T) {
	for _, code := range []int{408, 425, 429, 500, 502, 503} {
		r := newReceiver(t, func(attempt int, w http.ResponseWriter, _ *http.Request) {
			if attempt == 1 {
				w.WriteHeader(code)
			}
		})
		s, _ := newSender(t, r.URL)
		want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 0, false)
		r.wantMessages(t, "firing a/mean", "firing a/mean")
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
		want(t, s.Notify(t.Context(), found("a/mean")), Firing, 1, 0, false)
		if waited := time.Since(first); waited < time.Second {
			t.Errorf("tried again after %v", waited)
		}
	}
	// A Retry-After beyond the deadline is not waited for.
	for _, after := range []string{"60", "99999999999999999999", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)} {
		r := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		s, _ := newSender(t, r.URL)
		start := time.Now()
		out := s.Notify(t.Context(), found("a/mean"))
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
		out := s.Notify(t.Context(), found("a/mean"))
		want(t, out, Firing, 0, 1, false)
		if r.attempts() != 1 || !strings.Contains(out.Error, strconv.Itoa(code)) {
			t.Errorf("%d: %d attempts, error %q", code, r.attempts(), out.Error)
		}
		wantNoSecret(t, s, out)
	}
	elsewhere.wantMessages(t)
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
		out := s.Notify(t.Context(), found("a/mean"))
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

// The token is not quoted if a server repeats it, even where its answer is not HTTP.
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
			http.ReadRequest(bufio.NewReader(c)) // an answer before the request is another error
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nwhat is %s, pass-w0rd and qu3ry?\r\n\r\n", token)
			c.Close()
		}
	}()
	s, _ := newSender(t, "http://user:pass-w0rd@"+l.Addr().String()+"/hook?key=qu3ry")
	s.Timeout = 300 * time.Millisecond
	out := s.Notify(t.Context(), found("a/mean"))
	want(t, out, Firing, 0, 1, false)
	if !strings.Contains(out.Error, "what is (hidden), (hidden) and (hidden)?") {
		t.Errorf("error %q", out.Error)
	}
	wantNoSecret(t, s, out)
}

func TestTokenIsInTheHeaderAlone(t *testing.T) {
	r := newReceiver(t, nil)
	s, _ := newSender(t, strings.Replace(r.URL, "http://", "http://user:pass-w0rd@", 1)+"/hook?key=qu3ry")
	out := s.Notify(t.Context(), found("a/mean"))
	want(t, out, Firing, 1, 0, false)
	if got := r.headers[0].Get("Authorization"); got != "Bearer "+token {
		t.Errorf("Authorization %q", got)
	}
	wantNoSecret(t, s, out)
	s.Token, s.Cooldown = "", 0
	s.Notify(t.Context(), found("a/mean"))
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
