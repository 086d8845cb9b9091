package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"churn/internal/cli"
	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/predlog"
)

// logged is the customers of logs whose outcome is known, by the number of the
// outcome: so the same files give the same rows, in the order of the outcomes.
type logged struct {
	schema   *dataset.Schema
	columns  []string // of the file that the rows follow
	outcomes *csvdata.Outcomes
	rows     []loggedRow
	repeated int // records of a request that has a later one, which counts
	others   int // records without a known outcome

	buffer bytes.Buffer // of one row at a time
	writer *csv.Writer  // into buffer
}

// A loggedRow is a record whose outcome is known.
type loggedRow struct {
	outcome int
	met     bool
	ts      float64
	line    []byte // CSV of the columns, with its line end; nil if the features do not fit the schema
	unfit   string // why
	id      string // of the request, if it is unfit
}

// readLogged joins the logs to the outcomes, as rows of a file with such columns.
func readLogged(ctx context.Context, o options, schema *dataset.Schema, columns []string) (l *logged, warnings []string, err error) {
	f, err := os.Open(o.labels)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	outcomes, err := csvdata.ReadOutcomes(ctx, f, o.labels, schema)
	if err != nil {
		return nil, nil, err
	}
	logs, err := predlog.Find(o.dir, o.logs)
	if err != nil {
		return nil, nil, err
	}
	all := &logged{schema: schema, columns: columns, outcomes: outcomes, rows: make([]loggedRow, len(outcomes.Positive))}
	found, err := predlog.Fold[*logged]{
		New:   func() *logged { return &logged{schema: schema, columns: columns, outcomes: outcomes} },
		Add:   (*logged).add,
		Merge: all.merge,
		IDs:   true,
	}.Read(ctx, logs, 0)
	if err != nil {
		return nil, nil, err
	}
	warnings = append(outcomes.Warnings(o.labels), all.warnings(o)...)
	warnings = append(warnings, found.Warnings(logs)...)
	return all, warnings, nil
}

// add adds a record, if its outcome is known.
func (l *logged) add(r *predlog.Record) {
	n, known := l.outcomes.Number(r.RequestID)
	if !known {
		l.others++
		return
	}
	row := loggedRow{outcome: n, met: true, ts: r.TS}
	values := make([]dataset.Value, len(l.schema.Features))
	for j := range l.schema.Features {
		f := &l.schema.Features[j]
		v := dataset.Value{Missing: true}
		if at := slices.IndexFunc(r.Features, func(have predlog.Feature) bool { return have.Name == f.Name }); at >= 0 {
			v = r.Features[at].Value
		}
		var objection dataset.Mismatch
		if values[j], objection, _ = f.CheckValue(v); objection != "" && row.unfit == "" {
			row.id, row.unfit = r.RequestID, fmt.Sprintf("%s is %s", cli.Printable(f.Name), objection)
		}
	}
	if row.unfit == "" {
		row.line = l.csv(values, l.outcomes.Positive[n])
	}
	l.rows = append(l.rows, row)
}

// csv returns a customer as CSV of the columns. Those that are not the schema's
// stay empty.
func (l *logged) csv(values []dataset.Value, positive bool) []byte {
	cells := make([]string, len(l.columns))
	for i, name := range l.columns {
		j := l.schema.Index(name)
		switch {
		case name == l.schema.Target.Name && positive:
			cells[i] = l.schema.Target.Positive
		case name == l.schema.Target.Name:
			cells[i] = l.outcomes.Negative
		case j < 0 || values[j].Missing:
		case values[j].Level:
			cells[i] = values[j].Text
		default:
			cells[i] = strconv.FormatFloat(values[j].Number, 'f', -1, 64)
		}
	}
	if l.writer == nil {
		l.writer = csv.NewWriter(&l.buffer)
	}
	l.buffer.Reset()
	l.writer.Write(cells) // a buffer takes it all
	l.writer.Flush()
	return bytes.Clone(l.buffer.Bytes())
}

// merge takes over the records of a later part of the log. Of two records of a
// request the one with the later time counts, of equal ones the later one.
func (l *logged) merge(part *logged) error {
	for _, row := range part.rows {
		at := &l.rows[row.outcome]
		if at.met {
			l.repeated++
		}
		if !at.met || row.ts >= at.ts {
			*at = row
		}
	}
	l.others += part.others
	return nil
}

// counts tells what was found.
func (l *logged) counts(o options) *dataset.FromLog {
	c := &dataset.FromLog{Labels: o.labels, Outcomes: len(l.rows), Repeated: l.repeated, NoOutcome: l.others}
	for _, row := range l.rows {
		switch {
		case !row.met:
			c.NoRecord++
		case row.line == nil:
			c.Unfit++
		default:
			c.Rows++
		}
	}
	return c
}

// warnings puts what was not added in words.
func (l *logged) warnings(o options) []string {
	var out []string
	c := l.counts(o)
	reasons, first := map[string]int{}, map[string]string{}
	for _, row := range l.rows {
		if row.unfit != "" {
			reasons[row.unfit]++
			first[row.unfit] = cmp.Or(first[row.unfit], row.id)
		}
	}
	for _, reason := range slices.SortedFunc(maps.Keys(reasons), func(a, b string) int {
		return cmp.Or(reasons[b]-reasons[a], strings.Compare(a, b))
	}) {
		out = append(out, fmt.Sprintf("%d logged customers do not fit the schema and were left out: %s (the first is request %q)", reasons[reason], reason, first[reason]))
	}
	if c.Repeated > 0 {
		out = append(out, fmt.Sprintf("%d records are of requests that have a later one, which counts", c.Repeated))
	}
	if c.Rows == 0 {
		out = append(out, fmt.Sprintf("%s: none of its %d outcomes is of a customer in the log: nothing was added", o.labels, c.Outcomes))
	}
	return out
}

// text returns the rows, one behind the other.
func (l *logged) text() []byte {
	var text []byte
	for _, row := range l.rows {
		text = append(text, row.line...)
	}
	return text
}

// blame adds to a refusal because of the target how the outcomes write it, since
// the values that are too many may be theirs and not the file's.
func (l *logged) blame(err error, o options) error {
	var refusal *dataset.ValidationError
	if l == nil || l.outcomes.Negative == "" || l.counts(o).Rows == 0 || !errors.As(err, &refusal) {
		return err
	}
	target := l.schema.Target
	for _, f := range refusal.Issues {
		if f.Column == target.Name && len(f.Lines) == 0 {
			refusal.Issues = append(refusal.Issues, dataset.Issue{
				File: o.labels, Column: target.Name,
				Problem: fmt.Sprintf("the customers that were added have %q or %q: these must be the values of %s", target.Positive, l.outcomes.Negative, o.in),
			})
			break
		}
	}
	return err
}
