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

	"churn/internal/dataset"
	"churn/internal/predlog"
)

// logged is the customers of logs whose outcome is known, a row each: of a request
// that was answered more than once, the last record.
type logged struct {
	schema   *dataset.Schema
	outcomes *dataset.Outcomes
	order    []string // ids as they were first met, so that the same files give the same rows
	rows     map[string]loggedRow
	repeated int
}

type loggedRow struct {
	ts     float64
	values []dataset.Value // of the schema's features; nil if they do not fit it
	unfit  string          // why
}

func newLogged(schema *dataset.Schema, outcomes *dataset.Outcomes) *logged {
	return &logged{schema: schema, outcomes: outcomes, rows: map[string]loggedRow{}}
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
	all := newLogged(schema, outcomes)
	bad := 0
	for _, log := range logs {
		found, err := predlog.Fold[*logged]{
			New:   func() *logged { return newLogged(schema, outcomes) },
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
	if _, known := l.outcomes.Positive[r.RequestID]; !known {
		return
	}
	row := loggedRow{ts: r.TS, values: make([]dataset.Value, len(l.schema.Features))}
	for j := range l.schema.Features {
		f := &l.schema.Features[j]
		v := dataset.Value{Missing: true}
		if at := slices.IndexFunc(r.Features, func(have predlog.Feature) bool { return have.Name == f.Name }); at >= 0 {
			v = r.Features[at].Value
		}
		checked, objection, _ := f.CheckValue(v)
		if objection != "" {
			row.values, row.unfit = nil, fmt.Sprintf("%s is %s", f.Name, objection)
			break
		}
		checked.Text = strings.Clone(checked.Text) // the record's memory is used again
		row.values[j] = checked
	}
	l.put(r.RequestID, row)
}

func (l *logged) put(id string, row loggedRow) {
	old, again := l.rows[id]
	if again {
		l.repeated++
		if old.ts > row.ts {
			return
		}
	} else {
		l.order = append(l.order, id)
	}
	l.rows[id] = row
}

func (l *logged) merge(part *logged) error {
	for _, id := range part.order {
		l.put(id, part.rows[id])
	}
	l.repeated += part.repeated
	return nil
}

// counts tells what was found.
func (l *logged) counts(o options) *dataset.FromLog {
	c := &dataset.FromLog{Labels: o.labels, Outcomes: len(l.outcomes.Positive), Repeated: l.repeated}
	c.NoRecord = c.Outcomes - len(l.order)
	for _, row := range l.rows {
		if row.values == nil {
			c.Unfit++
		}
	}
	c.Rows = len(l.order) - c.Unfit
	return c
}

// warnings puts what was not added in words.
func (l *logged) warnings(o options) []string {
	var out []string
	c := l.counts(o)
	reasons := map[string]int{}
	for _, row := range l.rows {
		if row.values == nil {
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

// csv returns the customers as CSV of the columns of a header. Columns that are
// not the schema's stay empty.
func (l *logged) csv(header []string) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	cells := make([]string, len(header))
	for _, id := range l.order {
		row := l.rows[id]
		if row.values == nil {
			continue
		}
		for i, name := range header {
			cells[i] = ""
			if j := l.schema.Index(name); j >= 0 {
				cells[i] = cell(row.values[j])
			} else if name == l.schema.Target.Name {
				cells[i] = l.outcomes.Negative
				if l.outcomes.Positive[id] {
					cells[i] = l.schema.Target.Positive
				}
			}
		}
		if err := w.Write(cells); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

func cell(v dataset.Value) string {
	switch {
	case v.Missing:
		return ""
	case v.Level:
		return v.Text
	}
	return strconv.FormatFloat(v.Number, 'f', -1, 64)
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
