package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	connectTimeout = 10 * time.Second // for one host
	openTimeout    = 30 * time.Second // for all that Open does: a server that accepts and says nothing
	cancelTimeout  = 3 * time.Second  // for the word to a server that a query is not wanted any more
	maxConns       = 2                // one query at a time, and the one that takes back another
)

// An Engine is a database that holds customers.
type Engine struct {
	*dialect
	db      *sql.DB
	url     string // without anything secret
	secrets []string
	limit   time.Duration
	program string // as warnings begin
	stderr  io.Writer
	one     sync.Mutex // held by the query that is running
	queries atomic.Int64
}

// Open connects to the database of o, which [Options.Check] has passed. A wrong
// password, or an address where nobody listens, is an error at once. Progress goes
// to stderr if it is a terminal; word of a connection that was lost goes there
// anyway.
func Open(ctx context.Context, o Options, stderr io.Writer) (*Engine, error) {
	u, err := parseURL(o.From)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	e := &Engine{
		dialect: dialects[u.Scheme], url: shown(u), secrets: secretsOf(o.From, u), limit: o.QueryTimeout, stderr: stderr,
	}
	if o.Program != "" {
		e.program = o.Program + ": "
	}
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	db, secrets, err := e.open(opening, o, u)
	e.secrets = append(e.secrets, secrets...)
	switch {
	case err == nil:
		db.SetMaxOpenConns(maxConns)
		e.db = db
		return e, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", e.url, ctx.Err())
	case opening.Err() != nil:
		return nil, fmt.Errorf("%s: it did not answer within %v: check host and port of --from", e.url, openTimeout)
	}
	return nil, e.failed(e.url, err)
}

// Close ends the connections.
func (e *Engine) Close() error { return e.db.Close() }

// asked returns how many queries were asked so far, those asked again among them.
func (e *Engine) asked() int { return int(e.queries.Load()) }

// milliseconds rounds up, and stops at the most that PostgreSQL takes: 24 days.
func milliseconds(d time.Duration) int64 {
	const most = 1<<31 - 1
	return min(most, int64((min(d, most*time.Millisecond)+time.Millisecond-1)/time.Millisecond))
}
