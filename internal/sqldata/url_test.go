package sqldata

import (
	"strings"
	"testing"
	"time"
)

// secret must be in no text, in any encoding.
const secret = "hush"

// secretURLs have the secret wherever users may write it, valid or not.
var secretURLs = []string{
	"postgres://u:hush@127.0.0.1:1/d",
	"postgresql://u:hush@127.0.0.1:1/d",
	"POSTGRES://u:hush@127.0.0.1:1/d",
	"postgres://u:hush%25%40%3a%2F@127.0.0.1:1/d",
	"postgres://u:x:hush@127.0.0.1:1/d",
	"postgres://u:hush@x@127.0.0.1:1/d",
	"postgres://u:x@hush@127.0.0.1:1/d",
	"postgres://u:x/hush@127.0.0.1:1/d",
	"postgres://u:1/hush@127.0.0.1:1/d",
	"postgres://u:1?hush@127.0.0.1:1/d",
	"postgres://u:1#hush@127.0.0.1:1/d",
	"postgres://u:hush#@127.0.0.1:1/d",
	"postgres://u:hush%@127.0.0.1:1/d",
	"postgres://u:hush%zz@127.0.0.1:1/d",
	"postgres://u:hush \x01@127.0.0.1:1/d",
	"postgres://u:hush[@127.0.0.1:1/d",
	"postgres:u:hush@127.0.0.1:1/d",
	"u:hush@127.0.0.1:1/d",
	"hush://u:hush@127.0.0.1:1/d",
	"postgres://127.0.0.1:1/d?user=u&password=hush",
	"postgres://127.0.0.1:1/d?user=u&pass%77ord=h%75sh",
	"postgres://127.0.0.1:1/d?user=u&password=hush&sslmode=nonsense",
	"postgres://127.0.0.1:1/d?user=u&password=hush;x",
	"postgres://127.0.0.1:1/d?password=a#hush",
	"postgres://u:hush@127.0.0.1:1/d?sslmode=nonsense",
	"postgres://u:hush@127.0.0.1:1/d?connect_timeout=soon",
	"postgres://u:hush@127.0.0.1:1/d?default_query_exec_mode=hush",
	"postgres://u:hush@127.0.0.1:99999/d",
	"postgres://u@127.0.0.1:1/d?sslpassword=hush&options=-c%20x.y%3Dhush",
	"trino://u:hush@127.0.0.1:1/c/s",
	"trino://u:hush%25%22%40@127.0.0.1:1/c/s",
	"trino://u:hush@127.0.0.1:1/c/s?ssl=false",
	"trino://u:hush@127.0.0.1:1/c/s?ssl=perhaps",
	"trino://u:hush@127.0.0.1:1/c",
	"trino://u@127.0.0.1:1/c/s?AccessToken=hush",
	"trino://u@127.0.0.1:1/c/s?accessToken=hush&ssl=true",
	"trino://u@127.0.0.1:1/c/s?extra_credentials=hush",
	"trino://u:hush@127.0.0.1:1/c/s?KerberosEnabled=hush",
	"trino://u@127.0.0.1:1/c/s?SSLClientKey=hush&ssl=true",
	"trino://u@127.0.0.1:1/c/s?password=hush",
}

func TestSecretsAreInNoError(t *testing.T) {
	t.Setenv("PGPASSWORD", "")
	for _, from := range secretURLs {
		began := time.Now()
		o := Options{From: from, Table: "t"}
		var said strings.Builder
		_, err := Open(t.Context(), o, &said)
		if err == nil {
			t.Errorf("%q opens", from)
			continue
		}
		texts := []string{err.Error(), said.String()}
		if err := o.Check(); err != nil {
			texts = append(texts, err.Error())
		}
		if u, d, err := parseURL(from); err == nil {
			texts = append(texts, publicURL(u, d))
		}
		for _, text := range texts {
			if strings.Contains(text, secret) || strings.Contains(text, "h%75sh") || strings.ContainsAny(text, "\n\r\x01") {
				t.Errorf("%q: %q", from, text)
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q takes %v", from, took)
		}
	}
}

func TestSecretOfTheEnvironmentIsInNoError(t *testing.T) {
	t.Setenv("PGPASSWORD", secret)
	for _, from := range []string{"trino://u@127.0.0.1:1/hush/s", "postgres://hush@127.0.0.1:1/x"} {
		u, d, err := parseURL(from)
		if err != nil {
			t.Fatal(err)
		}
		s, err := d.open(t.Context(), Options{From: from, Password: secret}, u)
		e := &Engine{dialect: d, secrets: []string{s.password}}
		if text := e.failed("reading", err).Error(); strings.Contains(text, secret) {
			t.Errorf("%s", text)
		}
	}
}

func TestPublicURL(t *testing.T) {
	check := func(from, want string) {
		t.Helper()
		u, d, err := parseURL(from)
		if err != nil {
			t.Errorf("%s: %v", from, err)
		} else if got := publicURL(u, d); got != want {
			t.Errorf("%s is shown as %s, want %s", from, got, want)
		}
	}
	check("postgresql://u:p@h:5432/d", "postgres://u@h:5432/d")
	check("postgres://h/a%2Fb", "postgres://h/a%2Fb")
	check("postgres://u%40x:p@[::1]:5432/d?sslmode=require&password=p&options=p",
		"postgres://u%40x@[::1]:5432/d?sslmode=require")
	check("postgres:///d?host=%2Frun", "postgres:///d?host=%2Frun")
	check("trino://u:p@h:8443/c/s?ssl=true&AccessToken=x&SSLVerification=NONE",
		"trino://u@h:8443/c/s?SSLVerification=NONE&ssl=true")
}

// Two URLs of one database differ in user and settings alone.
func TestLocation(t *testing.T) {
	check := func(a, b string, want bool) {
		t.Helper()
		if got := location(a) == location(b); got != want {
			t.Errorf("%s and %s are of the same database: %v, want %v", a, b, got, want)
		}
	}
	check("postgres://u@h/d", "postgres://v@h/d?sslmode=require", true)
	check("postgres://h/d", "postgres://h:5433/d", false)
	check("postgres:///d?host=/run/a", "postgres:///d?host=/run/a&user=u", true)
	check("postgres:///d?host=/run/a", "postgres:///d?host=/run/b", false)
	check("postgres://h?dbname=a", "postgres://h?dbname=b", false)
	check("trino://u@h/c/s", "trino://u@h/c/t", false)
}
