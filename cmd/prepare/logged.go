package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/predlog"
)

// logged is the customers of logs whose outcome is known, by the number of the
// outcome: so the same files give the same rows, in the order of the outcomes.
type logged struct {
	schema   *dataset.Schema
	header   []string // of the file that the rows go behind
	outcomes *dataset.Outcomes
	rows     []loggedRow
	repeated int // records of a request that has a later one, which counts

	buffer bytes.Buffer // of one row at a time
	writer *csv.Writer  // into buffer
}

// A loggedRow is a record whose outcome is known.
type loggedRow struct {
	outcome int
	met     bool
	ts      float64
	line    []byte // CSV of the header's columns, with its line end; nil if the features do not fit the schema
	unfit   string // why
}

// readLogged joins the logs to the outcomes.
func readLogged(ctx context.Context, o options, schema *dataset.Schema) (*logged, []string, error) {
	f, err := os.Open(o.labels)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	outcomes, err := schema.ReadOutcomes(ctx, f, o.labels)
	if err != nil {
		return nil, nil, err
	}
	logs, err := findLogs(o.logs)
	if err != nil {
		return nil, nil, err
	}
	header, err := readHeader(o.in)
	if err != nil {
		return nil, nil, err
	}
	all := &logged{schema: schema, header: header, outcomes: outcomes, rows: make([]loggedRow, len(outcomes.Positive))}
	bad := 0
	for _, log := range logs {
		found, err := predlog.Fold[*logged]{
			New:   func() *logged { return &logged{schema: schema, header: header, outcomes: outcomes} },
			Add:   (*logged).add,
			Merge: all.merge,
			IDs:   true,
		}.Read(ctx, log, 0)
		if err != nil {
			return nil, nil, err
		}
		bad += found.Bad
	}
	warnings := append(outcomes.Warnings(o.labels), all.warnings(o)...)
	if bad > 0 {
		warnings = append(warnings, fmt.Sprintf("%d lines of the logs are not records and were passed over", bad))
	}
	return all, warnings, nil
}

// findLogs returns the logs that the patterns name, in the order of their names.
// Reading one reads what was moved aside from it, so those are left out.
func findLogs(patterns []string) ([]string, error) {
	names := map[string]bool{}
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("--log %q: %w", pattern, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("--log %q: there is no such file", pattern)
		}
		for _, name := range found {
			names[filepath.Clean(name)] = true
		}
	}
	for name := range maps.Clone(names) {
		older, err := predlog.Rotated(name)
		if err != nil {
			return nil, err
		}
		for _, part := range older {
			delete(names, filepath.Clean(part))
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// add adds a record, if its outcome is known.
func (l *logged) add(r *predlog.Record) {
	n, known := l.outcomes.Number(r.RequestID)
	if !known {
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
		var objection dataset.Objection
		if values[j], objection, _ = f.CheckValue(v); objection != "" && row.unfit == "" {
			row.unfit = fmt.Sprintf("%s is %s", cli.Printable(f.Name), objection)
		}
	}
	if row.unfit == "" {
		row.line = l.csv(values, l.outcomes.Positive[n])
	}
	l.rows = append(l.rows, row)
}

// csv returns a customer as CSV of the columns of the header. Columns that are not
// the schema's stay empty.
func (l *logged) csv(values []dataset.Value, positive bool) []byte {
	cells := make([]string, len(l.header))
	for i, name := range l.header {
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
	return nil
}

// counts tells what was found.
func (l *logged) counts(o options) *dataset.FromLog {
	c := &dataset.FromLog{Labels: o.labels, Outcomes: len(l.rows), Repeated: l.repeated}
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
	reasons := map[string]int{}
	for _, row := range l.rows {
		if row.unfit != "" {
			reasons[row.unfit]++
		}
	}
	for _, reason := range slices.SortedFunc(maps.Keys(reasons), func(a, b string) int {
		return cmp.Or(reasons[b]-reasons[a], strings.Compare(a, b))
	}) {
		out = append(out, fmt.Sprintf("%d logged customers do not fit the schema and were left out: %s", reasons[reason], reason))
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
	var b []byte
	for _, row := range l.rows {
		b = append(b, row.line...)
	}
	return b
}

// readHeader returns the names of a CSV file's columns. A header that is at fault
// has none: whoever reads the file says what is wrong with it.
func readHeader(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := csv.NewReader(f).Read()
	if err != nil {
		return nil, nil
	}
	names[0] = strings.TrimPrefix(names[0], "\ufeff")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names, nil
}

// followed is a CSV file with rows behind its last one, be there a line end or not.
type followed struct {
	file io.Reader // nil at its end
	last byte      // that was read of it
	rows io.Reader
}

func (f *followed) Read(p []byte) (int, error) {
	if f.file == nil {
		return f.rows.Read(p)
	}
	n, err := f.file.Read(p)
	if n > 0 {
		f.last = p[n-1]
	}
	if err == io.EOF {
		f.file, err = nil, nil
		if f.last != '\n' {
			f.rows = io.MultiReader(strings.NewReader("\n"), f.rows)
		}
	}
	return n, err
}
