package csvdata

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/strictjson"
)

// RequestID is the column of a file of outcomes that names the prediction.
const RequestID = "request_id"

// Outcomes are the true labels of predictions. Each has a number, from 0 in the order
// of the file, so that other data about it needs no ids.
type Outcomes struct {
	Positive []bool // by number
	Negative string // how the file writes a negative outcome; "" if it has none
	Open     int    // lines without an outcome, which is not known yet
	Third    int    // lines with neither the positive nor the negative value, where the schema names both
	Twice    int    // lines with an id that an earlier one had; the last one counts

	numbers map[string]int32 // by request_id
}

// Number returns the number of the outcome of a prediction, if it is known.
func (o *Outcomes) Number(requestID string) (number int, known bool) {
	n, known := o.numbers[dataset.Trim(requestID)] // other programs may log it as it came
	return int(n), known
}

// ReadOutcomes reads a CSV file with the columns request_id and the schema's target,
// whose cells it reads as Clean does. Other columns are ignored, since such files are
// often exports of a larger table. All outcomes are held in memory, about 100 bytes
// each. A file that lacks a column, or has a third value or a line without an id, gives
// a *dataset.ValidationError.
func ReadOutcomes(ctx context.Context, s Source, schema *dataset.Schema) (*Outcomes, error) {
	issues := dataset.Issues{File: s.File}
	out := &Outcomes{numbers: map[string]int32{}}
	labels := target{schema: schema, classes: schema.NewClasses()}
	var id, cell int // positions in a record
	bind := func(header []string) {
		position := positions(header)
		id, cell = position(RequestID), position(schema.Target.Name)
		for _, name := range []string{RequestID, schema.Target.Name} {
			if position(name) < 0 {
				issues.AddColumn(name, "the column is missing: %s", listColumns(header, name, positions(nil)))
			}
		}
	}
	err := readRecords(ctx, s, &issues, bind, func(rs *records) {
		l := labels.read(rs.cells[cell], rs.line)
		out.add(rs.cells[id], l, rs.line, &issues)
		if l.Missing || l.Third {
			return
		}
		labels.classes.Count(l.class, 1)
		if !l.Positive && out.Negative == "" {
			out.Negative = l.Text
		}
	})
	if err != nil {
		return nil, err
	}
	t := labels.classes.Quality()
	switch {
	case len(t.Labels) > 2 || t.More:
		issues.AddColumn(t.Name, "more than two values (%s): the target has two", t.List())
	case len(t.Labels) == 2 && t.Labels[t.Positive] == 0:
		issues.AddColumn(t.Name, "no line has the positive value %q, but %s: write it as in the training rows",
			t.Positive, t.List())
	}
	if err := issues.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

func (o *Outcomes) add(cell []byte, l *label, line int, issues *dataset.Issues) {
	id := dataset.Trim(string(cell))
	switch {
	case id == "":
		issues.Add(line, RequestID, "blank", "a line without an id")
		return
	case l.Missing:
		o.Open++
		return
	case l.Third:
		o.Third++
		return
	}
	if n, again := o.numbers[id]; again {
		o.Twice++
		o.Positive[n] = l.Positive
		return
	}
	o.numbers[id] = int32(len(o.Positive))
	o.Positive = append(o.Positive, l.Positive)
}

// Warnings says what is unusual about the file.
func (o *Outcomes) Warnings(file string) []string {
	var out []string
	warn := func(when bool, format string, args ...any) {
		if when {
			out = append(out, file+": "+fmt.Sprintf(format, args...))
		}
	}
	warn(o.Open > 0, "%d lines have no outcome yet and were skipped", o.Open)
	warn(o.Third > 0, "%d lines have neither the positive nor the negative value of the target, and were skipped", o.Third)
	warn(len(o.Positive) > 0 && !slices.Contains(o.Positive, true),
		"none of its %d outcomes is the positive value: they are %q", len(o.Positive), dataset.Shorten(o.Negative))
	warn(o.Twice > 0, "%d lines repeat an earlier id: the last one counts", o.Twice)
	return out
}

// listColumns names the columns of a file, the first few of many, and the most similar to the wanted one, which is
// missing: none whose position among the known ones is at least 0.
func listColumns(names []string, wanted string, known func(string) int) string {
	const most, compared = 8, 1000 // more would not help, or take long
	var shown []string
	for i, name := range names {
		if i == most {
			shown = append(shown, "…")
			break
		}
		shown = append(shown, strictjson.Printable(name))
	}
	text := "the file has " + strings.Join(shown, ", ")
	near := dataset.Nearest(dataset.Trim(wanted), func(yield func(string) bool) {
		for _, name := range names[:min(len(names), compared)] {
			if known(name) < 0 && !yield(name) {
				return
			}
		}
	})
	if near != "" {
		text += ": did you mean " + strictjson.Printable(near) + "?"
	}
	if len(names) == 1 && strings.Contains(strings.TrimSpace(names[0]), " ") {
		text += ": if spaces are between its cells, put commas there"
	}
	return text
}
