package sqldata

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/postgres"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/trinodb/trino-go-client/trino"
)

// sleeping runs a query of a minute in the background, and returns once the server has
// started it.
func (o *opened) sleeping(sql string, row func(func(...any) error) error) <-chan error {
	o.Helper()
	done := make(chan error, 1)
	go func() { done <- o.query(o.Context(), "reading", sql, row) }()
	o.waitFor("SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'active' AND datname = '" + o.database + "'")
	return done
}

func TestQueryIsRepeatedAfterTheServerRestarts(t *testing.T) {
	c := postgres.Start(t)
	for name, away := range map[string]func(testing.TB){
		"killed":    func(tb testing.TB) { c.Kill(tb); c.Restart(tb) },
		"restarted": c.Restart,
	} {
		t.Run(name, func(t *testing.T) {
			o := open(t, c, 0)
			// Only the first server process of this test sleeps.
			c.Exec(t, o.database, "CREATE TABLE t AS SELECT pg_postmaster_start_time() AS began")
			rows := 0
			done := o.sleeping("SELECT 7 FROM t, pg_sleep(CASE WHEN began = pg_postmaster_start_time() THEN 60 ELSE 0 END)",
				func(scan func(...any) error) error {
					rows++
					var n int
					if err := scan(&n); err != nil || n != 7 {
						t.Errorf("%d, %v", n, err)
					}
					return nil
				})
			away(t)
			if err := <-done; err != nil || rows != 1 {
				t.Errorf("%d rows, %v", rows, err)
			}
			if n := o.queryCount(); n != 2 {
				t.Errorf("ran %d times, want 2", n)
			}
			if text := o.output.String(); strings.Count(text, "warning: reading: the connection was lost (") != 1 ||
				strings.Contains(text, postgres.Password) {
				t.Errorf("it wrote %q", text)
			}
			// An idle connection that is lost needs no repeated query.
			away(t)
			if v, err := o.ask(t.Context(), "SELECT 8"); v != int64(8) || err != nil {
				t.Errorf("the next query: %v, %v", v, err)
			}
		})
	}
}

func TestQueryIsNotRepeatedAfterARow(t *testing.T) {
	c := postgres.Start(t)
	o := open(t, c, 0)
	rows := 0
	first := make(chan bool)
	done := make(chan error, 1)
	go func() {
		// Rows come as soon as a buffer of 8 KB is full.
		done <- o.query(t.Context(), "reading", "SELECT repeat('x', 20000) FROM generate_series(1, 10) n, "+
			"pg_sleep(CASE WHEN n > 3 THEN 60 ELSE 0 END)", func(func(...any) error) error {
			if rows++; rows == 1 {
				close(first)
			}
			return nil
		})
	}()
	select {
	case <-first:
	case err := <-done:
		t.Fatalf("it ended before a row: %v", err)
	}
	c.Kill(t)
	err := <-done
	fails(t, err, "reading: the connection was lost")
	if rows == 0 || o.queryCount() != 1 || o.output.Len() != 0 {
		t.Errorf("%d rows, ran %d times, wrote %q", rows, o.queryCount(), o.output)
	}
}

// The time limit includes the waits between attempts.
func TestServerThatDoesNotReturn(t *testing.T) {
	c := postgres.Start(t)
	o := open(t, c, 3*time.Second)
	done := o.sleeping("SELECT pg_sleep(60)", nil)
	began := time.Now()
	c.Kill(t)
	fails(t, <-done, "reading: it took longer than 3s")
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it gave up after %v", took)
	}
	if n := o.queryCount(); n < 2 {
		t.Errorf("ran %d times", n)
	}
}

func TestLost(t *testing.T) {
	check := func(scheme string, err error, want bool) {
		t.Helper()
		if got := dialectOf(scheme).lost(err); got != want {
			t.Errorf("%s: %v is lost: %v, want %v", scheme, err, got, want)
		}
	}
	for code, want := range map[string]bool{"08006": true, "08003": true, "57P01": true, "57P02": true, "57P03": true,
		"40001": true, "08P01": true, "57014": false, "42P01": false, "42703": false, "42501": false, "53300": false,
		"22012": false, "28P01": false,
		"25006": false} {
		check("postgres", &pgconn.PgError{Code: code}, want)
	}
	check("postgres", &pgconn.PgError{Code: "08P01", Message: "transaction blocks not allowed in statement pooling mode"},
		false)
	for name, want := range map[string]bool{"REMOTE_TASK_ERROR": true, "PAGE_TRANSPORT_ERROR": true,
		"NO_NODES_AVAILABLE": true, "SERVER_STARTING_UP": true, "REMOTE_HOST_GONE": true,
		"TABLE_NOT_FOUND": false, "SYNTAX_ERROR": false, "EXCEEDED_TIME_LIMIT": false, "PERMISSION_DENIED": false,
		"GENERIC_INTERNAL_ERROR": false} {
		check("trino", &trino.ErrQueryFailed{StatusCode: 200, Reason: &trino.ErrTrino{ErrorName: name}}, want)
	}
	for status, want := range map[int]bool{0: true, 502: true, 503: true, 401: false, 403: false, 404: false, 301: false} {
		check("trino", &trino.ErrQueryFailed{StatusCode: status, Reason: errors.New("text")}, want)
	}
	check("trino", trino.ErrQueryCancelled, false)
	for _, d := range dialects {
		check(d.scheme, io.ErrUnexpectedEOF, true)
		check(d.scheme, &net.OpError{Op: "dial", Err: errors.New("refused")}, true)
	}
}
