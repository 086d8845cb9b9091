// Package sqldata trains and evaluates on customers in a table of a database. The
// database does the passes over the rows; only sums leave it.
//
// An [Engine] runs one query at a time and only reads: no temporary table, no write. A
// query is a text that contains all its values, and rows are read one by one. One that is
// too wide for the engine is several, in one snapshot where the engine has transactions.
// What differs between databases is a dialect, one file for each.
//
// A password is in the URL, in [Options], or where the driver looks for one
// (PGPASSWORD, ~/.pgpass). No error, URL or progress line that leaves the package
// contains it.
package sqldata

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"churn/internal/progress"
	"churn/internal/redact"
	"churn/internal/sqlterms"

	"github.com/cenkalti/backoff/v5"
)

const (
	connectTimeout = 10 * time.Second // for one host
	openTimeout    = 30 * time.Second // for Open as a whole: a server may accept a connection and never answer
	cancelTimeout  = 3 * time.Second  // for cancelling a query on the server
	maxConns       = 2                // one query at a time, and the one that cancels it

	maxTries   = 4
	firstWait  = time.Second // each further wait is 4 times as long: about 20 s in all, enough for a restart
	waitFactor = 4
)

var errLimit = errors.New("time limit")

// Options name a table of customers and how to read it.
type Options struct {
	From, Table, Key string
	QueryTimeout     time.Duration // of one query; 0 is none
	Explain          bool          // write each query, and the engine's plan for it, to standard error
	Program          string        // prefix of warnings
	Password         string        // used if From has none and the driver looks for none
}

// Check reports what is wrong with the URL.
func (o *Options) Check() error {
	_, _, err := parseURL(o.From)
	return err
}

// Name returns the table and the URL without secrets.
func (o *Options) Name() string {
	u, d, err := parseURL(o.From)
	if err != nil {
		return o.Table
	}
	return o.Table + " in " + publicURL(u, d)
}

// PasswordVariable returns the name of the environment variable that has the password
// for the database, or "" if its driver reads one itself.
func (o *Options) PasswordVariable() string {
	if _, d, err := parseURL(o.From); err == nil {
		return d.passwordVariable
	}
	return ""
}

// An Engine is a connection to a database.
type Engine struct {
	*dialect
	session
	url     string // without secrets
	secrets []string
	limit   time.Duration // of one query; 0 is none
	plans   bool          // are written to stderr
	program string        // prefix of warnings
	stderr  io.Writer
	running sync.Mutex // held by the query that is running
	queries atomic.Int64
}

// A session is connections to a database.
type session struct {
	db       *sql.DB
	password string // if it is not from the URL
	begin    string // statements that begin a read-only snapshot; "" if the engine has none
	noJIT    string // statement after which a snapshot's expressions are not compiled; "": they never are
}

// compiledLength is the longest query whose expressions the engine may compile, in bytes. Of more it takes longer than
// it saves.
const compiledLength = 8_000

// transact calls do with a connection, in a snapshot. One that cannot be ended ends with
// its connection, which is not used again.
func (s *session) transact(ctx context.Context, do func(*sql.Conn) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if s.begin != "" {
		if _, err := conn.ExecContext(ctx, s.begin); err != nil {
			return err
		}
		defer func() {
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
			defer cancel()
			conn.ExecContext(ending, "ROLLBACK")
		}()
	}
	return do(conn)
}

// Open connects to the database of o, which [Options.Check] has accepted. A wrong
// password or an address that nobody listens at is an error at once. Progress goes to
// stderr if it is a terminal; warnings of lost connections go there in any case.
func Open(ctx context.Context, o Options, stderr io.Writer) (*Engine, error) {
	u, d, err := parseURL(o.From)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	e := &Engine{
		dialect: d, url: publicURL(u, d), secrets: redact.URLSecrets(o.From, u, d.publicParameters...),
		limit: o.QueryTimeout, plans: o.Explain, stderr: stderr,
	}
	if o.Program != "" {
		e.program = o.Program + ": "
	}
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	e.session, err = e.open(opening, o, u)
	e.secrets = append(e.secrets, e.password)
	switch {
	case err == nil:
		e.db.SetMaxOpenConns(maxConns)
		return e, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", e.url, ctx.Err())
	case opening.Err() != nil:
		return nil, fmt.Errorf("%s: no answer within %v: check host and port of the URL", e.url, openTimeout)
	}
	return nil, e.failed(e.url, err)
}

// Close ends the connections.
func (e *Engine) Close() error { return e.db.Close() }

// queryCount returns the number of queries so far, repeated ones included.
func (e *Engine) queryCount() int { return int(e.queries.Load()) }

// milliseconds rounds up, to at most PostgreSQL's largest limit, 24 days.
func milliseconds(d time.Duration) int64 {
	const most = 1<<31 - 1
	return min(most, int64((min(d, most*time.Millisecond)+time.Millisecond-1)/time.Millisecond))
}

// parseURL parses --from. Its errors quote nothing of it: in a text that does not
// parse the password may be anywhere.
func parseURL(from string) (*url.URL, *dialect, error) {
	reject := func(format string, args ...any) (*url.URL, *dialect, error) {
		return nil, nil, fmt.Errorf(format, args...)
	}
	u, err := url.Parse(from)
	if err != nil {
		return reject("not a URL: %s; characters of a password other than letters and digits are written as %%XX", URLForms())
	}
	d := dialectOf(u.Scheme)
	if d == nil {
		schemes := sqlterms.Texts(slices.Values(dialects), func(d *dialect) string { return d.scheme + "://" })
		return reject("expected a URL that begins with %s: %s", strings.Join(schemes, " or "), URLForms())
	}
	authority, slashes := strings.CutPrefix(from[strings.Index(from, ":")+1:], "//")
	switch {
	case !slashes:
		return reject("there is no // after its scheme: %s", URLForms())
	case strings.Count(authority, "@") > 1, strings.Contains(authority, "@") && u.User == nil:
		// The end of the password would be ambiguous, and drivers differ about it.
		return reject("only the @ before the host may be written as such: " +
			"in a name or a password / is %%2F, ? is %%3F and @ is %%40")
	case strings.Contains(authority, "#"):
		return reject("a # is written as %%23")
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return reject("the part after its ? does not parse: expected NAME=VALUE, separated by &, " +
			"with characters other than letters and digits written as %%XX")
	}
	u.Scheme = d.scheme
	return u, d, d.check(u, parameters)
}

// publicURL returns a URL without the password and without parameters that may be secret.
func publicURL(u *url.URL, d *dialect) string {
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.User != nil {
		clean.User = url.User(u.User.Username())
	}
	parameters := u.Query()
	maps.DeleteFunc(parameters, func(name string, _ []string) bool {
		return !slices.Contains(d.publicParameters, strings.ToLower(name))
	})
	clean.RawQuery = parameters.Encode()
	return clean.String()
}

// query runs a query, whose text contains all its values, and calls row for each row of
// the result; scan is [database/sql.Rows.Scan]. Progress and errors begin with what, as
// in "counting the customers".
//
// A query whose connection is lost before its first row is repeated, up to 4 times in
// all; one that is wrong is not. The end of ctx also ends the query on the server. An
// error of row ends it too, and is returned with what as its prefix.
func (e *Engine) query(ctx context.Context, what, sql string, row func(scan func(dest ...any) error) error) error {
	return e.queryAll(ctx, what, []string{sql}, row)
}

// queryAll is query for several queries, one after the other in one snapshot.
func (e *Engine) queryAll(ctx context.Context, what string, queries []string,
	row func(scan func(dest ...any) error) error) error {
	e.running.Lock()
	defer e.running.Unlock()
	limited := ctx
	if e.limit > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, e.limit, errLimit)
		defer cancel()
	}
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.Multiplier, waits.RandomizationFactor = firstWait, waitFactor, 0.25
	tries, delivered := 0, false
	var rowErr error
	deliver := func(scan func(dest ...any) error) error {
		delivered = true
		rowErr = row(scan)
		return rowErr
	}
	try := func() (struct{}, error) {
		tries++
		err := e.queryOnce(limited, what, queries, deliver)
		if err != nil && (limited.Err() != nil || delivered || !e.lost(err)) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	warn := func(err error, wait time.Duration) {
		advice, message := e.explain(err)
		cause, _, _ := strings.Cut(cmp.Or(advice, adviceConnection), ":")
		fmt.Fprintf(e.stderr, "%swarning: %s: %s (%s): trying again in %v\n",
			e.program, what, cause, redact.Line(message, e.secrets), wait.Round(time.Second/10))
	}
	_, err := backoff.Retry(limited, try, backoff.WithBackOff(waits), backoff.WithMaxTries(maxTries),
		backoff.WithNotify(warn), backoff.WithMaxElapsedTime(0)) // an elapsed time would include the query's
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case context.Cause(limited) == errLimit, errors.Is(err, errLimit):
		text := fmt.Sprintf("%s: it took longer than %v: raise --query-timeout, or give the server more resources",
			what, e.limit)
		return described{text, context.DeadlineExceeded}
	case rowErr != nil:
		return described{what + ": " + redact.Line(rowErr.Error(), e.secrets), rowErr}
	case tries > 1:
		return e.failed(fmt.Sprintf("%s, attempt %d", what, tries), err)
	}
	return e.failed(what, err)
}

// each runs a query. It stores the columns of a row in dest, and then calls row.
func (e *Engine) each(ctx context.Context, what, query string, dest []any, row func()) error {
	return e.eachOf(ctx, what, []string{query}, dest, row)
}

// eachOf is each for several queries in one snapshot.
func (e *Engine) eachOf(ctx context.Context, what string, queries []string, dest []any, row func()) error {
	return e.queryAll(ctx, what, queries, func(scan func(dest ...any) error) error {
		err := scan(dest...)
		if err == nil {
			row()
		}
		return err
	})
}

// nullable returns n cells that may be NULL, and their addresses.
func nullable(n int) (cells []sql.NullFloat64, dest []any) {
	cells = make([]sql.NullFloat64, n)
	for i := range cells {
		dest = append(dest, &cells[i])
	}
	return cells, dest
}

// queryOnce runs queries without repeating them.
func (e *Engine) queryOnce(ctx context.Context, what string, queries []string,
	row func(scan func(dest ...any) error) error) (err error) {
	bar := progress.Rows(e.stderr, what, 0)
	defer bar.Finish()
	e.queries.Add(int64(len(queries)))
	began := time.Now()
	defer func() {
		// The server has a clock of its own.
		if err != nil && e.limit > 0 && e.overran(err) && time.Since(began) >= e.limit-e.limit/100 {
			err = errLimit
		}
	}()
	return e.transact(ctx, func(conn *sql.Conn) error {
		for _, query := range queries {
			if e.noJIT != "" && len(query) > compiledLength {
				if _, err := conn.ExecContext(ctx, e.noJIT); err != nil {
					return err
				}
			}
			if err := e.writePlan(ctx, conn, what, query); err != nil {
				return err
			}
			if err := readRows(ctx, conn, query, func(scan func(dest ...any) error) error {
				bar.Add(1)
				return row(scan)
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// writePlan writes a query and the engine's plan for it, if that is wanted.
func (e *Engine) writePlan(ctx context.Context, conn *sql.Conn, what, query string) error {
	if !e.plans {
		return nil
	}
	fmt.Fprintf(e.stderr, "-- %s\n%s;\n", what, query)
	return readRows(ctx, conn, "EXPLAIN "+query, func(scan func(dest ...any) error) error {
		var line string
		err := scan(&line)
		fmt.Fprintf(e.stderr, "-- %s\n", strings.ReplaceAll(strings.TrimSpace(line), "\n", "\n-- "))
		return err
	})
}

func readRows(ctx context.Context, conn *sql.Conn, query string, row func(scan func(dest ...any) error) error) error {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// failed returns an error that says what to do, followed by the engine's message
// without secrets.
func (e *Engine) failed(what string, err error) error {
	advice, message := e.explain(err)
	if advice != "" {
		what += ": " + advice
	}
	return described{what + ": " + redact.Line(message, e.secrets), err}
}

// described is an error with another text.
type described struct {
	text string
	err  error
}

func (d described) Error() string { return d.text }
func (d described) Unwrap() error { return d.err }
