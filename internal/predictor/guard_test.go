package predictor

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeKeys makes a file of keys, and returns its path.
func writeKeys(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ask sends a request with headers, as "Name: value", and returns the answer and its body.
func (s *service) ask(method, path, body string, headers ...string) (*http.Response, string) {
	s.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer, string(text)
}

func TestOnlyKnownKeysMayAsk(t *testing.T) {
	path := writeKeys(t, "# the team\nfirst-key\r\n\n  second-key  \n#third-key\n")
	keys, err := ReadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, usual, func(p *Predictor) { p.Keys = keys })
	s.train(1)
	check := func(status int, path string, headers ...string) {
		t.Helper()
		method, body := "GET", ""
		if strings.HasPrefix(path, "/predict") {
			method, body = "POST", customer
		}
		answer, text := s.ask(method, path, body, headers...)
		if answer.StatusCode != status {
			t.Errorf("%s %s %q: %d %s, want %d", method, path, headers, answer.StatusCode, text, status)
		}
		if challenge := answer.Header.Get("WWW-Authenticate"); (status == 401) != (challenge == `Bearer realm="churn"`) {
			t.Errorf("%s %s %q: WWW-Authenticate %q", method, path, headers, challenge)
		}
		if status == 401 && text != `{"detail":"a known API key is needed, as Authorization: Bearer KEY or as X-API-Key: KEY"}`+"\n" {
			t.Errorf("%s %s %q: %s", method, path, headers, text)
		}
	}
	check(200, "/predict", "X-API-Key: first-key")
	check(200, "/predict", "X-API-Key: second-key")
	check(200, "/predict", "Authorization: Bearer first-key")
	check(200, "/predict", "Authorization: bearer  second-key")
	check(200, "/metrics", "X-API-Key: first-key")
	check(401, "/predict")
	check(401, "/predict", "X-API-Key: ")
	check(401, "/predict", "X-API-Key: first-ke")
	check(401, "/predict", "X-API-Key: first-key2")
	check(401, "/predict", "X-API-Key: FIRST-KEY")
	check(401, "/predict", "X-API-Key: third-key")
	check(401, "/predict", "X-API-Key: # the team")
	check(401, "/predict", "Authorization: Basic first-key")
	check(401, "/predict", "Authorization: Bearer")
	check(401, "/predict?api_key=first-key")
	check(401, "/predict/batch")
	check(401, "/metrics")
	check(401, "/models/current")
	check(401, "/v2/models/churn")
	check(401, "/a/path/that/comes/later")
	check(401, "/docsx")
	check(401, "/health/../predict")
	check(401, "//predict")
	check(401, "/%70redict")
	check(200, "/health")
	check(404, "/docs/nothing")
	s.wantFamily(s.metrics("X-API-Key: first-key"), "churn_http_requests_total", map[string]float64{
		`{route="/predict",status="200"}`: 4, `{route="/predict",status="401"}`: 10, `{route="/predict/batch",status="401"}`: 1,
		`{route="/metrics",status="200"}`: 1, `{route="/metrics",status="401"}`: 1, `{route="/health",status="200"}`: 1,
		`{route="/models/current",status="401"}`: 1, `{route="/docs/{file}",status="404"}`: 1, `{route="(none)",status="401"}`: 5, `{route="/v2/models/{name}",status="401"}`: 1,
	})

	// Rereading: the new keys count at once, and a broken file changes nothing.
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("third-key\n")
	if err := keys.Reread(); err != nil {
		t.Fatal(err)
	}
	check(401, "/predict", "X-API-Key: first-key")
	check(200, "/predict", "X-API-Key: third-key")
	write("# nobody\n")
	if err := keys.Reread(); err == nil || !strings.HasSuffix(err.Error(), "keys: there is no key in it") {
		t.Errorf("a file without keys: %v", err)
	}
	write("fourth-key\nwith a blank\n")
	if err := keys.Reread(); err == nil || !strings.HasSuffix(err.Error(), "keys:2: a key is printable ASCII without blanks") {
		t.Errorf("a key with a blank: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := keys.Reread(); err == nil {
		t.Error("no file, and no error")
	}
	check(200, "/predict", "X-API-Key: third-key")
	check(401, "/predict", "X-API-Key: fourth-key")
	if _, err := ReadKeys(path); err == nil {
		t.Error("ReadKeys of no file: no error")
	}
}

func TestEachClientHasItsRate(t *testing.T) {
	keys, err := ReadKeys(writeKeys(t, "one\ntwo\n"))
	if err != nil {
		t.Fatal(err)
	}
	limits := usual
	limits.Rate = 3
	s := startWith(t, limits, func(p *Predictor) { p.Keys = keys })
	s.train(1)
	check := func(status int, headers ...string) {
		t.Helper()
		answer, text := s.ask("POST", "/predict", customer, headers...)
		if answer.StatusCode != status {
			t.Errorf("%q: %d %s, want %d", headers, answer.StatusCode, text, status)
		}
		if status == 429 && (answer.Header.Get("Retry-After") == "" || text != `{"detail":"too many requests: try again after a while"}`+"\n") {
			t.Errorf("%q: Retry-After %q, %s", headers, answer.Header.Get("Retry-After"), text)
		}
	}
	for range 3 {
		check(200, "X-API-Key: one")
	}
	check(429, "X-API-Key: one")
	check(429, "Authorization: Bearer one")
	check(200, "X-API-Key: two")
	// Without a known key the address counts, whatever other headers say.
	for i := range 3 {
		check(401, fmt.Sprintf("X-API-Key: guess %d", i))
	}
	check(429, "X-API-Key: another guess", "X-Forwarded-For: 10.1.2.3", "X-Real-IP: 10.1.2.3", "Forwarded: for=10.1.2.3")
	for range 5 {
		s.expect("GET", "/health", "", 200, "")
	}
	m := s.metrics("X-API-Key: one")
	s.wantFamily(m, "churn_http_requests_total", map[string]float64{
		`{route="/predict",status="200"}`: 4, `{route="/predict",status="401"}`: 3, `{route="/predict",status="429"}`: 3, `{route="/health",status="200"}`: 5,
	})

	open := startWith(t, limits, func(*Predictor) {}) // without keys the address counts too
	open.train(1)
	for i := range 3 {
		answer, _ := open.ask("POST", "/predict", customer, fmt.Sprintf("X-API-Key: %d", i))
		if answer.StatusCode != 200 {
			t.Errorf("request %d: %d", i, answer.StatusCode)
		}
	}
	if answer, _ := open.ask("POST", "/predict", customer, "X-API-Key: 9"); answer.StatusCode != 429 {
		t.Errorf("without keys: %d after the rate, want 429", answer.StatusCode)
	}
}

func TestABusyServiceSaysSo(t *testing.T) {
	limits := usual
	limits.InFlight = 1
	s := startWith(t, limits, func(*Predictor) {})
	s.train(1)
	body, send := io.Pipe()
	done := make(chan string)
	go func() { // a client that takes its time
		answer, err := http.Post(s.url+"/predict", "application/json", body)
		if err != nil {
			done <- err.Error()
			return
		}
		answer.Body.Close()
		done <- answer.Status
	}()
	if _, err := io.WriteString(send, customer[:10]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the one place is taken", func() bool {
		answer, text := s.ask("POST", "/predict", customer)
		if answer.StatusCode == 200 {
			return false
		}
		if answer.StatusCode != 503 || answer.Header.Get("Retry-After") != "1" || text != `{"detail":"too many requests are under way: try again"}`+"\n" {
			t.Errorf("%d, Retry-After %q, %s", answer.StatusCode, answer.Header.Get("Retry-After"), text)
		}
		return true
	})
	s.expect("GET", "/health", "", 200, "")
	if s.metrics()[`churn_http_requests_total{route="/predict",status="503"}`] != 1 {
		t.Error("the refused request is not counted")
	}
	if _, err := io.WriteString(send, customer[10:]); err != nil {
		t.Fatal(err)
	}
	if err := send.Close(); err != nil {
		t.Fatal(err)
	}
	if status := <-done; status != "200 OK" {
		t.Errorf("the slow client got %s", status)
	}
	s.expect("POST", "/predict", customer, 200, "")
}
