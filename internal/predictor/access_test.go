package predictor

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"churn/internal/predictor/apikey"

	"github.com/go-json-experiment/json"
)

// lines is a log that a test reads while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestEachRequestHasALineInTheAccessLog(t *testing.T) {
	var log lines
	s := startWith(t, usual, func(p *Predictor) {
		p.AccessLog, p.logger = true, slog.New(slog.NewJSONHandler(&log, nil))
	})
	s.train(1)
	type line struct {
		Msg        string  `json:"msg"`
		Method     string  `json:"method"`
		Route      string  `json:"route"`
		Status     int     `json:"status"`
		Bytes      int     `json:"bytes"`
		DurationMS float64 `json:"duration_ms"`
		RequestID  string  `json:"request_id"`
	}
	var want []line
	ask := func(method, path, route, body string, status int) {
		t.Helper()
		answer, text := s.ask(method, path, body, "X-Request-ID: from the client")
		if answer.StatusCode != status {
			t.Errorf("%s %s: %d %s, want %d", method, path, answer.StatusCode, text, status)
		}
		want = append(want, line{"request", method, route, status, len(text), 0, "from the client"})
	}
	ask("POST", "/predict", "/predict", customer, 200)
	ask("POST", "/predict?explain=true", "/predict", customer, 200)
	ask("POST", "/predict", "/predict", "{", 422)
	ask("GET", "/health", "/health", "", 200)
	ask("GET", "/no%0Apath", "(none)", "", 404)
	got := log.String()
	if n := strings.Count(got, "\n"); n != len(want) {
		t.Fatalf("%d lines after %d requests:\n%s", n, len(want), got)
	}
	i := 0
	for text := range strings.Lines(got) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		if l.DurationMS <= 0 || l.DurationMS > 60_000 {
			t.Errorf("duration_ms %v", l.DurationMS)
		}
		l.DurationMS = 0
		if l != want[i] {
			t.Errorf("line %+v, want %+v", l, want[i])
		}
		i++
	}
}

func TestEveryAnswerHasARequestID(t *testing.T) {
	keys, err := apikey.ReadKeys(writeKeys(t, "key"))
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, usual, func(p *Predictor) { p.Keys = keys })
	check := func(sent string, echoed bool) {
		t.Helper()
		for _, path := range []string{"/health", "/predict", "/nothing"} {
			r := httptest.NewRequest("GET", path, nil)
			if sent != "" {
				r.Header.Set("X-Request-ID", sent)
			}
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			got := w.Result().Header.Get("X-Request-ID")
			if (got == sent) != echoed || len(got) < 1 || len(got) > 200 {
				t.Errorf("GET %s with %.20q: X-Request-ID %.20q", path, sent, got)
			}
		}
	}
	check("a-1", true)
	check("~ !", true)
	check(strings.Repeat("x", 200), true)
	check(strings.Repeat("x", 201), false)
	check("", false)
	check("a\x7f", false)
	check("a\tb", false)
	check("a\nb", false)
	check("é", false)
}

// A handler that panics is counted as an error, and net/http goes on with it.
func TestAPanicIsCounted(t *testing.T) {
	p := &Predictor{metrics: newMetrics(0)}
	handler := p.observe(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("on purpose") }))
	func() {
		defer func() {
			if recover() != "on purpose" {
				t.Error("the panic was swallowed")
			}
		}()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	families, err := p.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "churn_http_requests_total" && strings.Contains(f.String(), `"500"`) {
			return
		}
	}
	t.Error("no request with the status 500 is counted")
}
