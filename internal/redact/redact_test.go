package redact

import (
	"net/url"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	check := func(raw, text, want string) {
		t.Helper()
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := Line(text, append(URLSecrets(raw, u, "sslmode"), "token", "")); got != want {
			t.Errorf("%s: Line(%q) = %q, want %q", raw, text, got, want)
		}
	}
	check("http://h/d", "a\n b\x1b[2J", "a b�[2J")
	check("http://u:p%61ss@h/d", "pass, p%61ss and token for u", "(hidden), (hidden) and (hidden) for u")
	check("http://u:a%22%40@h/d", `a"@, a\"@, a%22%40`, "(hidden), (hidden), (hidden)")
	check("http://h/d?key=o+p&sslmode=require", "o p, o+p, require", "(hidden), (hidden), require")
	check("http://u:hidden@h/d?key=id", "hidden id", "(hidden) (hidden)")
	check("http://h/d", strings.Repeat("é", 400), strings.Repeat("é", 300)+"…")
}
