package predictor

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"churn/internal/predictor/webui"
	"churn/internal/registry"
)

// The page names its files, and each is there, in a form that a browser takes.
func TestDocs(t *testing.T) {
	s := start(t)
	get := func(path, media string) string {
		t.Helper()
		answer, err := http.Get(s.url + path) // asks for gzip and unpacks it
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != 200 || len(b) == 0 {
			t.Fatalf("GET %s: %d, %d bytes, %v", path, answer.StatusCode, len(b), err)
		}
		if got := answer.Header.Get("Content-Type"); !strings.HasPrefix(got, media) {
			t.Errorf("GET %s: content type %q, want %s", path, got, media)
		}
		if policy := answer.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self';") ||
			strings.Contains(policy, "unsafe") {
			t.Errorf("GET %s: Content-Security-Policy %q", path, policy)
		}
		return string(b)
	}
	page := get("/docs", "text/html")
	if regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\son\w+=|https?://`).MatchString(page) {
		t.Errorf("the page has inline scripts or styles, or leaves the service: %s", page)
	}
	for _, name := range regexp.MustCompile(`(?:src|href)="(docs/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		get("/"+name[1], "")
	}
	if script := get("/docs/init.js", "text/javascript"); !strings.Contains(script, `url: "openapi.json"`) {
		t.Errorf("the script does not name the document: %s", script)
	}
	if script := get("/docs/swagger-ui-bundle.js", "text/javascript"); !strings.Contains(script, "SwaggerUIBundle") {
		t.Error("the bundle is not Swagger UI")
	}
	s.expect("GET", "/docs/other.js", "", 404, `{"detail":"Not Found"}`)
}

// What seldom changes is sent once, and packed to those who read gzip.
func TestPagesAreKeptAndPacked(t *testing.T) {
	s := start(t)
	name := s.train(1)
	card := "/models/" + registry.CardName(name)
	if err := os.WriteFile(filepath.Join(s.dir, filepath.FromSlash(card)), bytes.Repeat([]byte("<p>a card</p>"), 200),
		0o644); err != nil {
		t.Fatal(err)
	}
	get := func(path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	for _, path := range []string{"/", "/page/page.js", "/docs", "/docs/swagger-ui-bundle.js", "/openapi.json", card,
		"/models/current", "/favicon.ico", "/robots.txt"} {
		plain := get(path)
		tag := plain.Header().Get("ETag")
		if plain.Code != 200 || tag == "" || plain.Header().Get("Content-Encoding") != "" ||
			plain.Header().Get("Content-Length") != strconv.Itoa(plain.Body.Len()) {
			t.Errorf("GET %s: %d %v", path, plain.Code, plain.Header())
		}
		long := plain.Body.Len() > webui.PackedFrom && path != "/favicon.ico"
		packed := get(path, "Accept-Encoding: br, gzip;q=0.5")
		got := packed.Body.String()
		if coding := packed.Header().Get("Content-Encoding"); long != (coding == "gzip") ||
			long != (packed.Header().Get("Vary") == "Accept-Encoding") || long == (packed.Header().Get("ETag") == tag) {
			t.Errorf("GET %s, gzip: %v", path, packed.Header())
		}
		if long {
			z, err := gzip.NewReader(packed.Body)
			if err != nil {
				t.Fatalf("GET %s: %v", path, err)
			}
			b, err := io.ReadAll(z)
			got = string(b)
			if err != nil {
				t.Errorf("GET %s: %v", path, err)
			}
		}
		if got != plain.Body.String() {
			t.Errorf("GET %s: packed it is another text", path)
		}
		for _, refuses := range []string{"gzip;q=0", "br", "*;q=0", "identity"} {
			if coding := get(path, "Accept-Encoding: "+refuses).Header().Get("Content-Encoding"); coding != "" {
				t.Errorf("GET %s, Accept-Encoding %s: %s", path, refuses, coding)
			}
		}
		for _, known := range []string{tag, `"x", W/` + tag, "*"} {
			if again := get(path, "If-None-Match: "+known); again.Code != 304 || again.Body.Len() > 0 ||
				again.Header().Get("ETag") != tag {
				t.Errorf("GET %s, If-None-Match %s: %d, %d bytes", path, known, again.Code, again.Body.Len())
			}
		}
		if other := get(path, `If-None-Match: "x"`); other.Code != 200 {
			t.Errorf("GET %s, another tag: %d", path, other.Code)
		}
	}
	first := get("/models/current").Header().Get("ETag")
	s.train(2)
	s.settle()
	if changed := get("/models/current", "If-None-Match: "+first); changed.Code != 200 {
		t.Errorf("another model is current, and a client is told %d", changed.Code)
	}
}
