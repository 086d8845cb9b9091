package sqldata

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestCheck(t *testing.T) {
	check := func(args, want string) {
		t.Helper()
		var o Options
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.Flags(f)
		o.KeyFlag(f)
		if err := f.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		err := o.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	check("", "")
	check("--from postgres://h/d --table t", "")
	check("--from postgresql://u:p%40@h:5432/d?sslmode=require --table t --key k --query-timeout 0", "")
	check("--from postgres:///d?host=/run/postgresql --table t", "")
	check("--from postgres://u:p@a,b:5432/d --table t", "")
	check("--from trino://u:p@h:8443/c/s?ssl=true --table t", "")
	check("--table t", "--table: it is a table of --from")
	check("--key k", "--key: it is a column of a table of --from")
	check("--query-timeout 30m", "--query-timeout: it is for queries of --from")
	check("--from postgres://h/d", "--from wants --table")
	check("--from postgres://h/d --table t --query-timeout -1s", "--query-timeout -1s: 0 or more")
	check("--from mysql://h/d --table t", "postgres:// or trino://")
	check("--from /tmp/postgres --table t", "postgres:// or trino://")
	check("--from postgres:h --table t", "there is no //")
	check("--from trino://u@h:1/c --table t", "a catalog and a schema")
	check("--from trino://u@h:1 --table t", "a catalog and a schema")
	check("--from trino://u@h:1//s --table t", "a catalog and a schema")
	check("--from trino://u@h:1/c/s/t --table t", "a catalog and a schema")
	check("--from trino://h:1/c/s --table t", "a user")
	check("--from trino:///c/s --table t", "a host")
	check("--from trino://u@h:1/c/s?PassWord=x --table t", "its password in front of the ?")
}

// secret is in no text, whatever form it is written in.
const secret = "hush"

// nastyURLs hold the secret in all places where somebody may write it, right or not.
var nastyURLs = []string{
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
	t.Setenv("TRINO_PASSWORD", "")
	t.Setenv("PGPASSWORD", "")
	for _, from := range nastyURLs {
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
		if u, err := parseURL(from); err == nil {
			texts = append(texts, shown(u))
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
	t.Setenv("TRINO_PASSWORD", secret)
	t.Setenv("PGPASSWORD", secret)
	for _, from := range []string{"trino://u@127.0.0.1:1/hush/s", "postgres://hush@127.0.0.1:1/x"} {
		u, err := parseURL(from)
		if err != nil {
			t.Fatal(err)
		}
		_, secrets, err := drivers[u.Scheme].open(t.Context(), from, u, 0)
		e := &Engine{driver: drivers[u.Scheme], secrets: secrets}
		if text := e.failed("asking", err).Error(); strings.Contains(text, secret) {
			t.Errorf("%s", text)
		}
	}
}

func TestShown(t *testing.T) {
	check := func(from, want string) {
		t.Helper()
		u, err := parseURL(from)
		if err != nil {
			t.Errorf("%s: %v", from, err)
		} else if got := shown(u); got != want {
			t.Errorf("%s is shown as %s, want %s", from, got, want)
		}
	}
	check("postgresql://u:p@h:5432/d", "postgres://u@h:5432/d")
	check("postgres://h/a%2Fb", "postgres://h/a%2Fb")
	check("postgres://u%40x:p@[::1]:5432/d?sslmode=require&password=p&options=p", "postgres://u%40x@[::1]:5432/d?sslmode=require")
	check("postgres:///d?host=%2Frun", "postgres:///d?host=%2Frun")
	check("trino://u:p@h:8443/c/s?ssl=true&AccessToken=x&SSLVerification=NONE", "trino://u@h:8443/c/s?SSLVerification=NONE&ssl=true")
}
