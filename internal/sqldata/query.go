package sqldata

import (
	"context"
	"errors"
	"fmt"
	"time"

	"churn/internal/progress"

	"github.com/cenkalti/backoff/v5"
)

const (
	maxTries   = 4
	firstWait  = time.Second // then 4 times as long each: about 20 s in all, which a restart takes
	waitFactor = 4
)

var errLimit = errors.New("time limit")

// query asks one query, which has all its values in its text, and calls row for
// each row of the answer; scan is [database/sql.Rows.Scan]. What tells a person what
// is asked, as in "counting the customers": progress and errors begin with it.
//
// A query whose connection is lost before its first row is asked again, 4 times at
// most; a wrong one is not. When ctx ends, so does the query on the server. An
// error of row ends it too, and is returned with nothing but what in front.
func (e *Engine) query(ctx context.Context, what, sql string, row func(scan func(dest ...any) error) error) error {
	e.one.Lock()
	defer e.one.Unlock()
	limited := ctx
	if e.limit > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, e.limit, errLimit)
		defer cancel()
	}
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.Multiplier, waits.RandomizationFactor = firstWait, waitFactor, 0.25
	tries := 0
	try := func() (struct{}, error) {
		tries++
		err := e.ask(limited, what, sql, row)
		if err != nil && (limited.Err() != nil || errors.As(err, new(final)) || !e.lost(err)) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	again := func(err error, wait time.Duration) {
		_, words := e.explain(err)
		fmt.Fprintf(e.stderr, "%swarning: %s: the connection was lost (%s): asking again in %v\n", e.program, what, e.hide(words), wait.Round(time.Second/10))
	}
	_, err := backoff.Retry(limited, try, backoff.WithBackOff(waits), backoff.WithMaxTries(maxTries), backoff.WithNotify(again),
		backoff.WithMaxElapsedTime(0)) // it would count the time of the query too
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case context.Cause(limited) == errLimit, errors.Is(err, errLimit):
		text := fmt.Sprintf("%s: it took longer than %v: give it more by --query-timeout, or the server more to compute with", what, e.limit)
		return described{text, context.DeadlineExceeded}
	case tries > 1:
		return e.failed(fmt.Sprintf("%s, at attempt %d", what, tries), err)
	}
	return e.failed(what, err)
}

// final is an error that asking again does not help: rows were handed out, or the
// one who gets them does not want them.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// fromRow is an error of the function that gets the rows.
type fromRow struct{ error }

func (f fromRow) Unwrap() error { return f.error }

// ask asks once.
func (e *Engine) ask(ctx context.Context, what, sql string, row func(scan func(dest ...any) error) error) (err error) {
	bar := progress.Rows(e.stderr, what, 0)
	defer bar.Finish()
	e.queries.Add(1)
	began := time.Now()
	delivered := false
	defer func() {
		if err == nil {
			return
		}
		if e.limit > 0 && e.overran(err) && time.Since(began) >= e.limit*99/100 { // the server's clock is another
			err = errLimit
		}
		if delivered {
			err = final{err}
		}
	}()
	rows, err := e.db.QueryContext(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		delivered = true
		if err := row(rows.Scan); err != nil {
			return fromRow{err}
		}
		bar.Add(1)
	}
	return rows.Err()
}
