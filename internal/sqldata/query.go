package sqldata

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"churn/internal/progress"
	"churn/internal/redact"

	"github.com/cenkalti/backoff/v5"
)

const (
	maxTries   = 4
	firstWait  = time.Second // each further wait is 4 times as long: about 20 s in all, enough for a restart
	waitFactor = 4
)

var errLimit = errors.New("time limit")

// query runs a query, whose text contains all its values, and calls row for each row of
// the result; scan is [database/sql.Rows.Scan]. Progress and errors begin with what, as
// in "counting the customers".
//
// A query whose connection is lost before its first row is repeated, up to 4 times in
// all; one that is wrong is not. The end of ctx also ends the query on the server. An
// error of row ends it too, and is returned with what as its prefix.
func (e *Engine) query(ctx context.Context, what, sql string, row func(scan func(dest ...any) error) error) error {
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
		err := e.queryOnce(limited, what, sql, deliver)
		if err != nil && (limited.Err() != nil || delivered || !e.lost(err)) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	warn := func(err error, wait time.Duration) {
		_, message := e.explain(err)
		fmt.Fprintf(e.stderr, "%swarning: %s: the connection was lost (%s): trying again in %v\n",
			e.program, what, redact.Line(message, e.secrets), wait.Round(time.Second/10))
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
	return e.query(ctx, what, query, func(scan func(dest ...any) error) error {
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

// queryOnce runs a query without repeating it.
func (e *Engine) queryOnce(ctx context.Context, what, sql string, row func(scan func(dest ...any) error) error,
) (err error) {
	bar := progress.Rows(e.stderr, what, 0)
	defer bar.Finish()
	e.queries.Add(1)
	began := time.Now()
	defer func() {
		// The server has a clock of its own.
		if err != nil && e.limit > 0 && e.overran(err) && time.Since(began) >= e.limit*99/100 {
			err = errLimit
		}
	}()
	rows, err := e.db.QueryContext(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
		bar.Add(1)
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
