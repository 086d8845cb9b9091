package predictor

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
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
