package sqldata

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/postgres"

	"github.com/jackc/pgx/v5"
)

// opened is an engine on an empty database of a cluster.
type opened struct {
	*testing.T
	*Engine
	cluster  *postgres.Cluster
	database string
	output   *strings.Builder
}

func open(t *testing.T, c *postgres.Cluster, limit time.Duration) *opened {
	t.Helper()
	o := &opened{T: t, cluster: c, database: c.CreateDatabase(t), output: new(strings.Builder)}
	e, err := Open(t.Context(), Options{From: c.URL(o.database), Table: "t", QueryTimeout: limit}, o.output)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	o.Engine = e
	return o
}

// ask returns the only value of a query.
func (o *opened) ask(ctx context.Context, sql string) (v any, err error) {
	err = o.query(ctx, "reading", sql, func(scan func(...any) error) error { return scan(&v) })
	return v, err
}

// seen counts statements with a text in the server's log.
func (o *opened) seen(text string) int { return strings.Count(o.cluster.Log(o), text) }

// fails checks for an error that contains all of texts, and not the password.
func fails(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v: there is no %q in it", err, text)
		}
	}
	for _, form := range []string{postgres.Password, url.QueryEscape(postgres.Password),
		url.PathEscape(postgres.Password), "\n"} {
		if strings.Contains(err.Error(), form) {
			t.Errorf("%q has %q in it", err, form)
		}
	}
}

func TestOpenFails(t *testing.T) {
	c := postgres.Shared(t)
	check := func(from string, texts ...string) {
		t.Helper()
		began := time.Now()
		_, err := Open(t.Context(), Options{From: from, Table: "t"}, io.Discard)
		fails(t, err, texts...)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	}
	u, err := url.Parse(c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	without := *u
	without.User = url.User(postgres.User)
	t.Setenv("PGPASSWORD", "")
	t.Setenv("PGPASSFILE", "/nowhere")
	check(without.String(), "password")
	wrong := *u
	wrong.User = url.UserPassword(postgres.User, "wrong")
	check(wrong.String(), "postgres://churn@"+c.Addr()+"/postgres", "the user or the password is wrong", "PGPASSWORD",
		"28P01")
	nowhere := *u
	nowhere.Path = "/nowhere"
	check(nowhere.String(), "no such database", `"nowhere"`, "3D000")
	nobody := *u
	nobody.Host = "127.0.0.1:1"
	check(nobody.String(), "no server answers there", "127.0.0.1:1")
	nobody.Host = "nowhere.invalid"
	check(nobody.String(), "no host of that name")
	tls := *u
	tls.RawQuery = "sslmode=require"
	check(tls.String(), "refused TLS", "what the URL asks for")

	t.Setenv("PGPASSWORD", postgres.Password) // from the environment, with none in the URL
	e, err := Open(t.Context(), Options{From: without.String(), Table: "t"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := "postgres://churn@" + c.Addr() + "/postgres?sslmode=disable"; e.url != want || e.scheme != "postgres" {
		t.Errorf("%s %s, want %s", e.scheme, e.url, want)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestWrongQueriesAreNotRepeated(t *testing.T) {
	o := open(t, postgres.Shared(t), 0)
	o.cluster.Exec(t, o.database, "CREATE TABLE t (x int); CREATE TABLE hidden (x int); DROP ROLE IF EXISTS guest; "+
		"CREATE ROLE guest LOGIN PASSWORD 'guest'")
	check := func(sql string, texts ...string) {
		t.Helper()
		logged := "churn STATEMENT:  " + sql + "\n"
		before, seen := o.queryCount(), o.seen(logged)
		_, err := o.ask(t.Context(), sql)
		fails(t, err, append(texts, "reading: ")...)
		if n := o.queryCount() - before; n != 1 {
			t.Errorf("%s: ran %d times", sql, n)
		}
		if n := o.seen(logged) - seen; n != 1 {
			t.Errorf("%s: the server ran it %d times", sql, n)
		}
	}
	check("SELECT * FROM nope", "no such table", "--table", `"nope"`, "42P01")
	check("SELECT nope FROM t", "no such column", `"nope"`, "42703")
	check("SELECT * FROM nope.t", "no such table", "42P01")
	check("SELECT FROM WHERE", "syntax error")
	check("SELECT 1/0", "division by zero")
	check("SELECT 1; DROP TABLE t", "cannot insert multiple commands")
	for _, write := range []string{"INSERT INTO t VALUES (1)", "CREATE TABLE u (x int)", "DROP TABLE t",
		"SELECT * FROM t FOR UPDATE", "SELECT nextval('s')", "SELECT 1 INTO u"} {
		_, err := o.ask(t.Context(), write)
		if write == "SELECT nextval('s')" {
			o.cluster.Exec(t, o.database, "CREATE SEQUENCE s")
			_, err = o.ask(t.Context(), write)
		}
		fails(t, err, "only reading is allowed", "25006")
	}
	guest := strings.Replace(o.cluster.URL(o.database), url.UserPassword(postgres.User, postgres.Password).String(),
		"guest:guest", 1)
	e, err := Open(t.Context(), Options{From: guest, Table: "hidden"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	err = e.query(t.Context(), "reading", "SELECT * FROM hidden", func(func(...any) error) error { return nil })
	fails(t, err, "may not read it", "42501")
	if e.queryCount() != 1 {
		t.Errorf("ran %d times", e.queryCount())
	}
}

// Parameters of the URL cannot make the session writable.
func TestSessionSettings(t *testing.T) {
	c := postgres.Shared(t)
	t.Setenv("PGOPTIONS", "-c default_transaction_read_only=off -c transaction_read_only=off -cgeqo_threshold=9")
	t.Setenv("PGTZ", "Asia/Tokyo")
	from := c.URL("postgres") + "&Default_Transaction_Read_Only=off&TimeZone=Asia/Tokyo" +
		"&extra_float_digits=-5&default_query_exec_mode=simple_protocol&work_mem=7MB" +
		"&search_path=" + url.PathEscape(`a, "B c"`)
	e, err := Open(t.Context(), Options{From: from, Table: "t", QueryTimeout: 1500 * time.Millisecond}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for name, want := range map[string]string{"transaction_read_only": "on", "transaction_isolation": "repeatable read",
		"TimeZone": "UTC", "geqo_threshold": "9", "search_path": "a, \"B c\"", "extra_float_digits": "3",
		"jit": "on", "jit" + strings.Repeat(" ", compiledLength): "off",
		"statement_timeout": "1500ms", "application_name": "churn", "work_mem": "7MB"} {
		var got string
		if err := e.query(t.Context(), "reading", "SHOW "+name,
			func(scan func(...any) error) error { return scan(&got) }); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestNumbersAreExact(t *testing.T) {
	o := open(t, postgres.Shared(t), 0)
	for _, want := range []float64{5e-324, math.MaxFloat64, -math.MaxFloat64, 0.1, 1.0 / 3, math.Nextafter(1, 2),
		math.Copysign(0, -1), 0, math.NaN(), math.Inf(1), math.Inf(-1), 123456789.12345679} {
		var got float64
		text := fmt.Sprintf("SELECT '%g'::float8", want)
		err := o.query(t.Context(), "reading", text, func(scan func(...any) error) error { return scan(&got) })
		if err != nil || math.Float64bits(got) != math.Float64bits(want) && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%g comes back as %g, %v", want, got, err)
		}
	}
	var whole int64
	var missing sql.NullFloat64
	var text string
	if err := o.query(t.Context(), "reading", "SELECT 9007199254740993::bigint, NULL::float8, E'é\\n'",
		func(scan func(...any) error) error { return scan(&whole, &missing, &text) }); err != nil {
		t.Fatal(err)
	}
	if whole != 1<<53+1 || missing.Valid || text != "é\n" {
		t.Errorf("got %d, %v, %q", whole, missing, text)
	}
}

func TestRowsAndTheirErrors(t *testing.T) {
	o := open(t, postgres.Shared(t), 0)
	sum := 0
	err := o.query(t.Context(), "adding", "SELECT generate_series(1, 1000)", func(scan func(...any) error) error {
		var n int
		err := scan(&n)
		sum += n
		return err
	})
	if err != nil || sum != 500500 {
		t.Errorf("the sum is %d, %v", sum, err)
	}
	enough := errors.New("enough")
	rows := 0
	err = o.query(t.Context(), "adding", "SELECT generate_series(1, 1000)", func(func(...any) error) error {
		if rows++; rows == 3 {
			return enough
		}
		return nil
	})
	if rows != 3 || !errors.Is(err, enough) || err.Error() != "adding: enough" {
		t.Errorf("after %d rows: %v", rows, err)
	}
	rows = 0
	err = o.query(t.Context(), "dividing", "SELECT 1/(500-n) FROM generate_series(1, 1000) n",
		func(func(...any) error) error { rows++; return nil })
	fails(t, err, "dividing: division by zero")
	if _, err := o.ask(t.Context(), "SELECT 7"); err != nil {
		t.Errorf("after errors: %v", err)
	}
}

func TestTimeLimit(t *testing.T) {
	o := open(t, postgres.Shared(t), 200*time.Millisecond)
	began := time.Now()
	_, err := o.ask(t.Context(), "SELECT pg_sleep(10)")
	fails(t, err, "reading: it took longer than 200ms", "--query-timeout")
	if errors.Is(err, context.Canceled) {
		t.Error("it counts as interrupted")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it ended after %v", took)
	}
	if n := o.queryCount(); n != 1 {
		t.Errorf("ran %d times", n)
	}
	o.waitUntilIdle()

	// A query that the server cancels itself is not a time limit.
	patient := open(t, o.cluster, 50_000*time.Hour)
	done := make(chan error, 1)
	go func() {
		_, err := patient.ask(t.Context(), "SELECT pg_sleep(60)")
		done <- err
	}()
	patient.waitFor("SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = " +
		"'active' AND datname = '" + patient.database + "'")
	o.cluster.Exec(t, "postgres", "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT "+
		"pg_sleep(60)' AND datname = '"+patient.database+"'")
	fails(t, <-done, "the server stopped the query", "57014")
}

// waitFor waits until a query of the superuser answers true.
func (o *opened) waitFor(condition string) {
	o.Helper()
	conn, err := pgx.Connect(context.Background(), o.cluster.URL("postgres"))
	if err != nil {
		o.Fatal(err)
	}
	defer conn.Close(context.Background())
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var yes bool
		if err := conn.QueryRow(context.Background(), condition).Scan(&yes); err != nil {
			o.Fatal(err)
		}
		if yes {
			return
		}
		if time.Now().After(deadline) {
			o.Fatalf("never true: %s", condition)
		}
	}
}

// waitUntilIdle waits until the server has nothing to do for the engine.
func (o *opened) waitUntilIdle() {
	o.Helper()
	o.waitFor("SELECT count(*) = 0 FROM pg_stat_activity WHERE state = 'active' AND datname = '" + o.database + "'")
}

func TestInterruptEndsTheQueryOnTheServer(t *testing.T) {
	o := open(t, postgres.Shared(t), 30*time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := o.ask(ctx, "SELECT pg_sleep(60)")
		done <- err
	}()
	o.waitFor("SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'active' AND datname = '" + o.database + "'")
	began := time.Now()
	cancel()
	err := <-done
	if took := time.Since(began); took > time.Second {
		t.Errorf("it returns after %v", took)
	}
	if !errors.Is(err, context.Canceled) || o.queryCount() != 1 {
		t.Errorf("%v, ran %d times", err, o.queryCount())
	}
	o.waitUntilIdle()
	if v, err := o.ask(t.Context(), "SELECT 7"); v != int64(7) || err != nil {
		t.Errorf("the next query: %v, %v", v, err)
	}
}

// Rows were delivered, so the query is not repeated.
func TestInterruptBetweenRows(t *testing.T) {
	o := open(t, postgres.Shared(t), 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows := 0
	err := o.query(ctx, "reading", "SELECT n, repeat('x', 10000) FROM generate_series(1, 1000000) n",
		func(func(...any) error) error {
			if rows++; rows == 10 {
				cancel()
			}
			return nil
		})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after %d rows: %v", rows, err)
	}
	o.waitUntilIdle()
}
