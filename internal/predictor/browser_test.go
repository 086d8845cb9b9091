package predictor

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPagesFromElsewhereGetNothing(t *testing.T) {
	s := startWith(t, usual, func(p *Predictor) {
		p.LocalOnly, p.Hosts = true, []string{"churn.example.com", "other.example.com:8443"}
	})
	s.train(1)
	check := func(status int, method, path, host string, headers ...string) {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(customer))
		r.Host = host
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != status || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s at %q %q: %d %s, want %d", method, path, host, headers, w.Code, w.Body, status)
		}
	}
	// Names that lead here: only localhost, addresses, and those that were given.
	for _, host := range []string{"127.0.0.1:8000", "127.0.0.1", "localhost:8000", "LocalHost", "localhost.",
		"a.localhost:1", "[::1]:8000", "[::1]", "::1",
		"192.168.1.5:8000", "churn.example.com", "churn.example.com:8000", "CHURN.example.com", "other.example.com:8443",
		""} {
		check(200, "GET", "/models", host)
	}
	for _, host := range []string{"evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example",
		"evil.example.com", "notlocalhost",
		"other.example.com", "other.example.com:80", "127.0.0.1:8000@evil.example", "127.1", "0x7f.1", "2130706433"} {
		check(421, "GET", "/models", host)
		check(421, "GET", "/health", host)
		check(421, "POST", "/predict", host, "Content-Type: application/json")
	}
	// A page of another origin posts: without asking first it may, with these types or none.
	const here = "127.0.0.1:8000"
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
		"application/json"} {
		for _, path := range []string{"/predict", "/predict/batch", "/what-if", "/invocations", "/v2/models/churn/infer", "/",
			"/none"} {
			check(403, "POST", path, here, "Content-Type: "+kind, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site")
			check(403, "POST", path, here, "Content-Type: "+kind, "Origin: http://127.0.0.1:9000", "Sec-Fetch-Site: same-site")
			check(403, "POST", path, here, "Content-Type: "+kind, "Origin: https://evil.example")
			check(403, "POST", path, here, "Content-Type: "+kind, "Origin: null")
		}
	}
	check(403, "DELETE", "/predict", here, "Origin: https://evil.example")
	check(204, "OPTIONS", "/predict", here, "Origin: https://evil.example", "Access-Control-Request-Method: POST")
	// which the page cannot read
	check(200, "GET", "/models", here, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site")
	if s.log() != "" {
		t.Errorf("in the log: %s", s.log())
	}
	// Our own page, programs, and a proxy's name.
	check(200, "POST", "/predict", here, "Origin: http://127.0.0.1:8000", "Sec-Fetch-Site: same-origin")
	check(200, "POST", "/predict", here, "Origin: http://127.0.0.1:8000")
	check(200, "POST", "/predict", here, "Sec-Fetch-Site: none")
	check(200, "POST", "/predict", here)
	check(200, "POST", "/predict", here, "Origin: https://churn.example.com")
	check(200, "POST", "/predict", here, "Origin: https://other.example.com:8443", "Sec-Fetch-Site: cross-site")
	check(403, "POST", "/predict", here, "Origin: https://other.example.com")

	// Where others reach the service it has many names.
	s.predictor.LocalOnly = false
	check(200, "GET", "/models", "churn:8000")
	check(403, "POST", "/predict", "churn:8000", "Origin: https://evil.example")
	for host, ok := range map[string]bool{"a.example": true, "a.example:80": true, "": false, "a/b": false, "a?b": false,
		"http://a": false} {
		if err := CheckHost(host); (err == nil) != ok {
			t.Errorf("CheckHost(%q): %v", host, err)
		}
	}
}
