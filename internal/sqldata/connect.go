package sqldata

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/trinodb/trino-go-client/trino"
)

const (
	connectTimeout = 10 * time.Second // for one host
	openTimeout    = 30 * time.Second // for all that Open does: a server that accepts and says nothing
	cancelTimeout  = 3 * time.Second  // for the word to a server that a query is not wanted any more
	maxConns       = 2                // one query at a time, and the one that takes back another
	collect        = 25               // percent of garbage: the process waits for the database most of its time, and should be small beside it
)

// A driver is what differs between the databases when one connects and fails.
type driver struct {
	// open connects. It returns what is secret of where it looked besides the URL.
	open func(ctx context.Context, from string, u *url.URL, limit time.Duration) (db *sql.DB, secrets []string, err error)
	// lost reports whether asking again may help: the query is not at fault.
	lost func(error) bool
	// overran reports whether the server ended a query for its time, or for somebody.
	overran func(error) bool
	// explain says what to do about an error, "" if its words have to do; and the words.
	explain func(error) (advice, words string)
}

var drivers = map[string]driver{
	schemePostgres: {openPostgres, lostPostgres, overranPostgres, explainPostgres},
	schemeTrino:    {openTrino, lostTrino, overranTrino, explainTrino},
}

// An Engine is a database that holds customers.
type Engine struct {
	driver
	db      *sql.DB
	scheme  string // postgres or trino
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
// anyway. The process collects its garbage early from then on.
func Open(ctx context.Context, o Options, stderr io.Writer) (*Engine, error) {
	u, err := parseURL(o.From)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	debug.SetGCPercent(collect)
	e := &Engine{driver: drivers[u.Scheme], scheme: u.Scheme, url: shown(u), secrets: secretsOf(o.From, u), limit: o.QueryTimeout, stderr: stderr}
	if o.flags != nil {
		e.program = o.flags.Name() + ": "
	}
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	db, secrets, err := e.open(opening, o.From, u, o.QueryTimeout)
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

func openPostgres(ctx context.Context, from string, _ *url.URL, limit time.Duration) (*sql.DB, []string, error) {
	_, rest, _ := strings.Cut(from, ":")
	config, err := pgx.ParseConfig(schemePostgres + ":" + rest)
	if err != nil {
		return nil, nil, err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // one round trip, one statement, nothing prepared that a pooler would lose
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	// With the context a query ends here alone; the server would go on computing.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelTimeout}
	}
	settings := map[string]string{
		"application_name":              "churn",
		"default_transaction_read_only": "on",
		"extra_float_digits":            "3",   // a float8 as text has all its bits; from 12 on any value above 0 does it
		"jit":                           "off", // compiling takes longer than it saves in expressions over many columns
		"timezone":                      "UTC",
		"datestyle":                     "ISO", // a key of dates has the same text everywhere
		"client_encoding":               "UTF8",
		"standard_conforming_strings":   "on",                                       // as quoteText writes them: else a backslash in a cell would be SQL
		"statement_timeout":             strconv.FormatInt(milliseconds(limit), 10), // 0 is none here too
	}
	maps.DeleteFunc(config.RuntimeParams, func(name, _ string) bool {
		_, ours := settings[strings.ToLower(name)]
		return ours
	})
	maps.Copy(config.RuntimeParams, settings)
	db := stdlib.OpenDB(*config)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, []string{config.Password}, err
	}
	return db, []string{config.Password}, nil
}

// milliseconds rounds up, and stops at the most that PostgreSQL takes: 24 days.
func milliseconds(d time.Duration) int64 {
	const most = 1<<31 - 1
	return min(most, int64((min(d, most*time.Millisecond)+time.Millisecond-1)/time.Millisecond))
}

// trinoConfig translates a URL into the client's terms. A password goes over TLS alone.
func trinoConfig(u *url.URL, password string, limit time.Duration) (*trino.Config, error) {
	dsn, parameters := *u, u.Query()
	if _, given := u.User.Password(); !given && password != "" {
		dsn.User = url.UserPassword(u.User.Username(), password)
	}
	password, _ = dsn.User.Password()
	dsn.Scheme = "http"
	for name, values := range parameters {
		if strings.EqualFold(name, "accessToken") { // as others write it; the client would leave it out
			parameters.Del(name)
			parameters["accessToken"] = values
		}
	}
	if password != "" || parameters.Has("accessToken") {
		dsn.Scheme = "https"
	}
	for name, values := range parameters {
		if strings.EqualFold(name, "ssl") { // JDBC has SSL
			secure, err := strconv.ParseBool(values[0])
			if err != nil {
				return nil, errors.New("ssl is true or false")
			}
			if !secure && dsn.Scheme == "https" {
				return nil, errors.New("ssl=false would send the password readable for everybody: leave it out")
			}
			if secure {
				dsn.Scheme = "https"
			}
			parameters.Del(name)
		}
	}
	dsn.RawQuery = parameters.Encode()
	config, err := trino.ParseDSN(dsn.String())
	if err != nil {
		return nil, err
	}
	config.TimeZone = "UTC"
	retry := connectTimeout // of one HTTP request, so that a query survives a short fault
	config.RequestRetryTimeout = &retry
	forever := 10 * 365 * 24 * time.Hour // else the client has a limit of its own; the context is ours
	config.QueryTimeout = &forever
	if limit > 0 {
		if config.SessionProperties == nil {
			config.SessionProperties = map[string]string{}
		}
		config.SessionProperties["query_max_run_time"] = fmt.Sprintf("%dms", milliseconds(limit))
	}
	return config, nil
}

func openTrino(ctx context.Context, _ string, u *url.URL, limit time.Duration) (*sql.DB, []string, error) {
	password := os.Getenv("TRINO_PASSWORD")
	secrets := []string{password}
	config, err := trinoConfig(u, password, limit)
	if err != nil {
		return nil, secrets, err
	}
	connector, err := trino.NewConnector(config)
	if err != nil {
		return nil, secrets, err
	}
	once := 1 // where nobody listens now, nobody will in a moment
	config.RequestRetryMaxAttempts = &once
	first, err := trino.NewConnector(config)
	if err != nil {
		return nil, secrets, err
	}
	probe := sql.OpenDB(first)
	defer probe.Close()
	var n int
	if err := probe.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil { // a ping does not look at the password before Trino 469
		return nil, secrets, err
	}
	return sql.OpenDB(connector), secrets, nil
}
