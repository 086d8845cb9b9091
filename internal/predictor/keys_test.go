package predictor

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/predictor/apikey"
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

func TestOnlyKnownKeysMayAsk(t *testing.T) {
	path := writeKeys(t, "# the team\nfirst-key\r\n\n  second-key  \n#third-key\n")
	keys, err := apikey.ReadKeys(path)
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
		member := "detail"
		if strings.HasPrefix(path, "/v2") {
			member = "error"
		}
		if status == 401 && text != `{"`+member+`":"a known API key is needed, as Authorization: Bearer KEY or as `+
			`X-API-Key: KEY"}`+"\n" {
			t.Errorf("%s %s %q: %s", method, path, headers, text)
		}
	}
	check(200, "/predict", "X-API-Key: first-key")
	check(200, "/predict", "X-API-Key: second-key")
	check(200, "/predict", "Authorization: Bearer first-key")
	check(200, "/predict", "Authorization: bearer  second-key")
	check(200, "/metrics", "X-API-Key: first-key")
	check(401, "/predict")
	if got := s.sendFirst("/predict", 32<<20); got != 401 {
		t.Errorf("a large body sent at once without a key: %d, want 401", got)
	}
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
		`{route="/predict",status="200"}`: 4, `{route="/predict",status="401"}`: 11,
		`{route="/predict/batch",status="401"}`: 1,
		`{route="/metrics",status="200"}`:       1, `{route="/metrics",status="401"}`: 1, `{route="/health",status="200"}`: 1,
		`{route="/models/current",status="401"}`: 1, `{route="/docs/{file}",status="404"}`: 1,
		`{route="(none)",status="401"}`: 5, `{route="/v2/models/{name}",status="401"}`: 1,
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
	if err := keys.Reread(); err == nil || !strings.HasSuffix(err.Error(),
		"keys:2: a key is printable ASCII without blanks") {
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
	if _, err := apikey.ReadKeys(path); err == nil {
		t.Error("ReadKeys of no file: no error")
	}
}

// However many keys somebody tries, few a minute get an answer, and the right one
// none either. Others go on, behind the same address too.
func TestGuessingKeysIsLimited(t *testing.T) {
	keys, err := apikey.ReadKeys(writeKeys(t, "one\ntwo\nthree\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, usual, func(p *Predictor) { p.Keys = keys })
	s.train(1)
	from := func(address string, status int, headers ...string) {
		t.Helper()
		r := httptest.NewRequest("POST", "/predict", strings.NewReader(customer))
		r.RemoteAddr = address + ":4711"
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s %q: %d %s, want %d", address, headers, w.Code, w.Body, status)
		}
		if status == 429 && (w.Header().Get("Retry-After") != "60" ||
			w.Body.String() != `{"detail":"too many unknown API keys came from this address: try again after a minute"}`+"\n") {
			t.Errorf("%s %q: Retry-After %q, %s", address, headers, w.Header().Get("Retry-After"), w.Body)
		}
	}
	const attacked, other = "192.0.2.1", "192.0.2.2"
	from(attacked, 200, "X-API-Key: one")
	for range 2 * apikey.MaxUnknownKeys {
		from(attacked, 401) // no guess
	}
	for i := range apikey.MaxUnknownKeys {
		from(attacked, 401, fmt.Sprintf("X-API-Key: guess %d", i))
	}
	from(attacked, 429, "X-API-Key: another guess")
	from(attacked, 429, "Authorization: Bearer another", "X-Forwarded-For: 10.1.2.3", "Forwarded: for=10.1.2.3")
	from(attacked, 429, "X-API-Key: two") // right, but the answer must not show it
	from(attacked, 200, "X-API-Key: one") // had asked before
	from(attacked, 401)
	from(other, 200, "X-API-Key: two")
	from(other, 401, "X-API-Key: wrong")
	for i := range apikey.MaxUnknownKeys { // one network of IPv6 is one address
		from(fmt.Sprintf("[2001:db8::%x]", i+1), 401, "X-API-Key: guess")
	}
	from("[2001:db8::ffff]", 429, "X-API-Key: guess")
	from("[2001:db8:1::1]", 401, "X-API-Key: guess")
}
