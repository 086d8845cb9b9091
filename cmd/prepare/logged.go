package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"churn/internal/cli"
	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/filedata"
	"churn/internal/modelstore"
	"churn/internal/predlog"
)

// logged is the customers of a prediction log whose outcome is known, in the order of
// the outcomes, so that the same files give the same rows.
type logged struct {
	schema   *dataset.Schema
	columns  []string       // of the file that the rows follow
	features []int          // their positions in the schema, or -1
	position map[string]int // of a feature in the schema
	days     modelstore.Days
	outcomes *csvdata.Outcomes
	rows     []loggedRow // by outcome; of a part of the log, by record
	repeated int         // records of a request that has a later one, which counts
	others   int         // records without a known outcome
}

// A loggedRow is a record whose outcome is known.
type loggedRow struct {
	outcome int
	found   bool // there is a record
	ts      float64
	line    []byte // as CSV with its line end; nil if the features do not fit the schema
	unfit   string // the reason
	id      string // of the request, if it is unfit
}

// readLogged joins the logs to the outcomes, as rows with the given columns.
func readLogged(
	ctx context.Context, stderr io.Writer, o *options, schema *dataset.Schema, columns []string,
) (l *logged, warnings []string, err error) {
	outcomes, name, err := filedata.ReadOutcomes(ctx, "prepare", o.labels, filedata.Options{}, schema, stderr)
	if err != nil {
		return nil, nil, err
	}
	o.labels = name
	patterns, remove, err := o.database.Logs(ctx, stderr, o.logs, 0, math.Inf(-1), schema)
	if err != nil {
		return nil, nil, err
	}
	defer remove()
	logs, err := predlog.Find(o.dir, patterns)
	if err != nil {
		return nil, nil, err
	}
	days, err := modelstore.DaysAfter(o.dir, schema)
	if err != nil {
		return nil, nil, err
	}
	part := logged{schema: schema, columns: columns, outcomes: outcomes, days: days, position: map[string]int{}}
	for j, f := range schema.Features {
		part.position[f.Name] = j
	}
	for _, name := range columns {
		part.features = append(part.features, schema.Index(name))
	}
	all := part
	all.rows = make([]loggedRow, len(outcomes.Positive))
	found, err := predlog.Fold[*logged]{
		New:   func() *logged { empty := part; return &empty },
		Add:   (*logged).add,
		Merge: all.merge,
		IDs:   true,
	}.Read(ctx, logs, 0)
	if err != nil {
		return nil, nil, err
	}
	return &all, slices.Concat(outcomes.Warnings(o.labels), all.warnings(*o), found.Warnings(logs)), nil
}

func (l *logged) add(r *predlog.Record) {
	n, known := l.outcomes.Number(r.RequestID)
	if !known {
		l.others++
		return
	}
	row := loggedRow{outcome: n, found: true, ts: r.TS}
	values := slices.Repeat([]dataset.Value{{Missing: true}}, len(l.schema.Features))
	days := l.days[r.ModelVersion]
	for _, f := range slices.Backward(r.Features) { // of two of a name the first counts
		if j, ok := l.position[f.Name]; ok {
			values[j] = f.Value
			values[j].Number += days[f.Name]
		}
	}
	for j := range l.schema.Features {
		f := &l.schema.Features[j]
		var mismatch dataset.Mismatch
		if values[j], mismatch, _ = f.CheckValue(values[j]); mismatch != "" && row.unfit == "" {
			row.id, row.unfit = r.RequestID, fmt.Sprintf("%s is %s", cli.Printable(f.Name), mismatch)
		}
	}
	if row.unfit == "" {
		row.line = l.csv(values, l.outcomes.Positive[n])
	}
	l.rows = append(l.rows, row)
}

// csv returns a customer as CSV. Columns that are not in the schema stay empty.
func (l *logged) csv(values []dataset.Value, positive bool) []byte {
	cells := make([]string, len(l.columns))
	for i, name := range l.columns {
		j := l.features[i]
		switch {
		case name == l.schema.Target.Name && positive:
			cells[i] = l.schema.Target.Positive
		case name == l.schema.Target.Name:
			cells[i] = l.outcomes.Negative
		case j < 0 || values[j].Missing:
		case values[j].Level:
			cells[i] = values[j].Text
		default:
			cells[i] = dataset.PlainMark + dataset.FormatNumber(values[j].Number)
		}
	}
	return csvdata.AppendRow(nil, cells)
}

// merge adds the records of a later part of the log. Of two records of a request the
// one with the later time counts, at the same time the later record.
func (l *logged) merge(part *logged) error {
	for _, row := range part.rows {
		at := &l.rows[row.outcome]
		if at.found {
			l.repeated++
		}
		if !at.found || row.ts >= at.ts {
			*at = row
		}
	}
	l.others += part.others
	return nil
}

// counts returns what the quality report says of the log.
func (l *logged) counts(o options) *dataset.FromLog {
	c := &dataset.FromLog{Labels: o.labels, Outcomes: len(l.rows), Repeated: l.repeated, NoOutcome: l.others}
	for _, row := range l.rows {
		switch {
		case !row.found:
			c.NoRecord++
		case row.line == nil:
			c.Unfit++
		default:
			c.Rows++
		}
	}
	return c
}

// warnings says which customers were not added, and why.
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
	for _, reason := range dataset.ByCount(reasons) {
		out = append(out, fmt.Sprintf("%d customers of the log do not fit the schema and were left out: "+
			"%s (first in request %q)", reasons[reason], reason, first[reason]))
	}
	if c.Repeated > 0 {
		out = append(out, fmt.Sprintf("%d records are of requests that have a later record, which counts", c.Repeated))
	}
	if c.Rows == 0 {
		out = append(out, fmt.Sprintf("%s: none of its %d outcomes matches a customer in the log: nothing was added",
			o.labels, c.Outcomes))
	}
	return out
}

// explain adds to a validation error about the target how the outcomes write it, since
// one value too many may be theirs and not the file's.
func (l *logged) explain(err error, o options) error {
	var invalid *dataset.ValidationError
	if l == nil || l.outcomes.Negative == "" || l.counts(o).Rows == 0 || !errors.As(err, &invalid) {
		return err
	}
	target := l.schema.Target
	ofTarget := func(i dataset.Issue) bool { return i.Column == target.Name && len(i.Lines) == 0 }
	if slices.ContainsFunc(invalid.Issues, ofTarget) {
		invalid.Issues = append(invalid.Issues, dataset.Issue{
			File: o.labels, Column: target.Name,
			Problem: fmt.Sprintf("the customers added from the log have %q or %q: %s must use the same values",
				target.Positive, l.outcomes.Negative, o.in),
		})
	}
	return err
}
