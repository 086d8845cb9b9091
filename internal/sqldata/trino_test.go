package sqldata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTrinoConfig(t *testing.T) {
	check := func(from, password, server string) {
		t.Helper()
		u, _, err := parseURL(from)
		if err != nil {
			t.Fatal(err)
		}
		config, err := trinoConfig(u, password, 1500*time.Millisecond)
		if err != nil {
			t.Errorf("%s: %v", from, err)
			return
		}
		if config.ServerURI != server || config.Catalog != "c" || config.Schema != "s" || config.TimeZone != "UTC" ||
			config.SessionProperties["query_max_run_time"] != "1500ms" || *config.QueryTimeout < 365*24*time.Hour {
			t.Errorf("%s: %+v, want %s", from, config, server)
		}
	}
	check("trino://u@h:8080/c/s", "", "http://u@h:8080")
	check("trino://u@h:8080/c/s/", "", "http://u@h:8080")
	check("trino://u@h:8080/c/s?ssl=false", "", "http://u@h:8080")
	check("trino://u@h:8443/c/s?SSL=true&SSLVerification=NONE", "", "https://u@h:8443")
	check("trino://u:p%40@h:8443/c/s", "other", "https://u:p%40@h:8443")
	check("trino://u@h:8443/c/s", "p@", "https://u:p%40@h:8443")
	check("trino://u@h:8443/c/s?AccessToken=x", "", "https://u@h:8443")
	check("trino://u@h:8080/c/s?session_properties=query_max_run_time:9h%3Bx:1", "", "http://u@h:8080")

	u, _, _ := parseURL("trino://u@h:1/c/s?ssl=false")
	if _, err := trinoConfig(u, "p", 0); err == nil || !strings.Contains(err.Error(), "leave it out") {
		t.Errorf("a password without TLS: %v", err)
	}
	u, _, _ = parseURL("trino://u@h:1/c/s?AccessToken=token")
	if config, err := trinoConfig(u, "", 0); err != nil || config.AccessToken != "token" ||
		config.SessionProperties["query_max_run_time"] != "" {
		t.Errorf("%+v, %v", config, err)
	}
}

// The server is not a Trino, or needs a password.
func TestTrinoOpenFails(t *testing.T) {
	status := 0
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, "<html>\n\x1b[2J"+strings.Repeat("sorry ", 500)+r.Header.Get("Authorization"))
	}))
	defer front.Close()
	check := func(query string, code int, texts ...string) {
		t.Helper()
		status = code
		began := time.Now()
		_, err := Open(t.Context(), Options{From: "trino://u@" + front.Listener.Addr().String() + "/c/s" + query,
			Table: "t"}, io.Discard)
		fails(t, err, texts...)
		if len(err.Error()) > 700 || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	}
	check("", 401, "the user or the password is wrong", "TRINO_PASSWORD", "401")
	check("", 403, "does not let this user in")
	check("", 404, "this is not how Trino answers")
	check("", 302, "this is not how Trino answers")
	check("", 503, "503")
	check("", 200, "trino://u@")
	check("?ssl=true", 200, "TLS")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = Open(t.Context(), Options{From: "trino://u@" + l.Addr().String() + "/c/s", Table: "t"}, io.Discard)
	fails(t, err, "no server answers there", l.Addr().String())
}

// trinoURL returns the address of a Trino with the catalog tpch, as .ci/trino.sh
// starts one, for the tests that need it.
func trinoURL(t *testing.T, path string) string {
	t.Helper()
	server := os.Getenv("CHURN_TRINO_URL")
	if server == "" {
		t.Skip("SKIPPED: no Trino: CHURN_TRINO_URL names none (sh .ci/trino.sh start DIR prints one)")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	return "trino://test@" + u.Host + path
}

func TestTrino(t *testing.T) {
	from := trinoURL(t, "/tpch/tiny")
	open := func(limit time.Duration, from string) *Engine {
		t.Helper()
		e, err := Open(t.Context(), Options{From: from, Table: "t", QueryTimeout: limit}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	}
	ask := func(ctx context.Context, e *Engine, sql string) (v any, err error) {
		err = e.query(ctx, "reading", sql, func(scan func(...any) error) error { return scan(&v) })
		return v, err
	}
	e := open(0, from)
	for _, q := range []struct{ sql, advice, words string }{
		{"SELECT * FROM nope", "no such table", "TABLE_NOT_FOUND"},
		{"SELECT nope FROM nation", "no such column", "COLUMN_NOT_FOUND"},
		{"SELECT * FROM nope.tiny.nation", "no such catalog", "CATALOG_NOT_FOUND"},
		{"SELECT * FROM nope.nation", "no such schema", "SCHEMA_NOT_FOUND"},
		{"SELECT FROM WHERE", "reading", "SYNTAX_ERROR"},
		{"SELECT 1/0", "reading", "DIVISION_BY_ZERO"},
	} {
		before := e.queryCount()
		_, err := ask(t.Context(), e, q.sql)
		fails(t, err, "reading: ", q.advice, q.words)
		if n := e.queryCount() - before; n != 1 {
			t.Errorf("%s: ran %d times", q.sql, n)
		}
	}
	_, err := ask(t.Context(), open(0, trinoURL(t, "/nope/tiny")), "SELECT * FROM nation")
	fails(t, err, "no such catalog")
	for text, want := range map[string]float64{"5e-324": 5e-324, "1.7976931348623157e308": math.MaxFloat64,
		"1e-1": 0.1, "-0e0": math.Copysign(0, -1), "infinity()": math.Inf(1)} {
		var got float64
		if err := e.query(t.Context(), "reading", "SELECT "+text,
			func(scan func(...any) error) error { return scan(&got) }); err != nil ||
			math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s comes back as %g, %v", text, got, err)
		}
	}
	rows := 0
	err = e.query(t.Context(), "reading", "SELECT nationkey FROM nation",
		func(func(...any) error) error { rows++; return nil })
	if err != nil || rows != 25 {
		t.Errorf("%d rows, %v", rows, err)
	}

	const long = "SELECT count(*) FROM lineitem a, lineitem b, lineitem c WHERE a.comment < b.comment AND " +
		"b.comment < c.comment"
	began := time.Now()
	_, err = ask(t.Context(), open(time.Second, from), long)
	fails(t, err, "it took longer than 1s", "--query-timeout")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a limit of 1s ends it after %v", took)
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	mark := fmt.Sprintf("interrupt %d", time.Now().UnixNano())
	marked := long + " AND '" + mark + "' <> a.comment"
	go func() {
		_, err := ask(ctx, e, marked)
		done <- err
	}()
	states := func(want string) {
		t.Helper()
		sql := "SELECT count(*) FROM system.runtime.queries WHERE query LIKE 'SELECT count(%" + mark +
			"%' AND query NOT LIKE '%runtime%' AND state = '" + want + "'"
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			if n, err := ask(t.Context(), e, sql); err != nil {
				t.Fatal(err)
			} else if n.(int64) > 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("no query is %s", want)
			}
		}
	}
	states("RUNNING")
	began = time.Now()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || time.Since(began) > time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	states("FAILED")
}
