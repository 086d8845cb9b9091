package dataset

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"churn/internal/strictjson"
)

// RequestID is the column of a file of outcomes that names the prediction.
const RequestID = "request_id"

// Outcomes are what became of customers. Each has a number, from 0 in the order of
// the file, so that what others know of it needs no ids.
type Outcomes struct {
	Positive []bool // by number: whether the target came true
	Negative string // how the file writes that it did not; "" if it nowhere did
	Open     int    // lines without an outcome: it is not known yet
	Twice    int    // lines with an id that an earlier one had; the last one counts

	numbers map[string]int32 // by request_id
}

// Number returns the number of the outcome of a prediction, if it is known.
func (o *Outcomes) Number(requestID string) (number int, known bool) {
	n, known := o.numbers[requestID]
	return int(n), known
}

// ReadOutcomes reads a CSV file with the columns request_id and the schema's
// target, whose values it reads as prepare does. Further columns are passed over:
// such files are exports of something larger mostly. All outcomes are held in
// memory, some 100 bytes each. A file that lacks a column, or has a third value
// or a line without an id, is a *Refusal.
func (s *Schema) ReadOutcomes(ctx context.Context, r io.Reader, file string) (*Outcomes, error) {
	fails := failures{file: file}
	in := newBlocks(r)
	header, b, err := readHeader(in, nil, &fails)
	if err != nil {
		return nil, err
	}
	id, target := slices.Index(header, RequestID), slices.Index(header, s.Target.Name)
	for _, name := range []string{RequestID, s.Target.Name} {
		if header != nil && !slices.Contains(header, name) {
			fails.addColumn(name, "the column is missing: the file has %s", listed(header))
		}
	}
	if err := fails.err(); err != nil {
		return nil, err
	}
	out := &Outcomes{numbers: map[string]int32{}}
	values := labels{schema: s}
	err = readRecords(ctx, in, b, len(header), &fails, func(rs *records) {
		found := values.read(rs.cells[target], rs.line)
		out.add(rs.cells[id], found, rs.line, &fails)
		if found.missing {
			return
		}
		values.count(found)
		if !found.positive && out.Negative == "" {
			out.Negative = trimmed(string(rs.cells[target]))
		}
	})
	if err != nil {
		return nil, err
	}
	s.judgeOutcomes(&values, &fails)
	if err := fails.err(); err != nil {
		return nil, err
	}
	return out, nil
}

// add adds a line.
func (o *Outcomes) add(cell []byte, found *label, line int, fails *failures) {
	id := strings.TrimSpace(string(cell))
	switch {
	case id == "":
		fails.add(line, RequestID, "blank", "a line without an id")
		return
	case found.missing:
		o.Open++
		return
	}
	if n, again := o.numbers[id]; again {
		o.Twice++
		o.Positive[n] = found.positive
		return
	}
	o.numbers[id] = int32(len(o.Positive))
	o.Positive = append(o.Positive, found.positive)
}

// judgeOutcomes wants at most two values, one of them positive if there are two.
func (s *Schema) judgeOutcomes(values *labels, fails *failures) {
	t := TargetQuality{Labels: map[string]int{}}
	t.labelled(values)
	_, positive := t.Labels[s.canonical(s.Target.Positive)]
	switch {
	case len(t.Labels) > 2 || t.more:
		fails.addColumn(s.Target.Name, "more than two values (%s): the target has two", t.list())
	case len(t.Labels) == 2 && !positive:
		fails.addColumn(s.Target.Name, "no line has the positive value %q, but %s", s.Target.Positive, t.list())
	}
}

// Warnings puts what is odd about the file in words.
func (o *Outcomes) Warnings(file string) []string {
	var out []string
	if o.Open > 0 {
		out = append(out, fmt.Sprintf("%s: %d lines have no outcome yet and were passed over", file, o.Open))
	}
	if len(o.Positive) > 0 && !slices.Contains(o.Positive, true) {
		out = append(out, fmt.Sprintf("%s: none of its %d outcomes is the positive value: they are %q", file, len(o.Positive), shorten(o.Negative)))
	}
	if o.Twice > 0 {
		out = append(out, fmt.Sprintf("%s: %d lines have an id that was there already: the last one counts", file, o.Twice))
	}
	return out
}

// listed names columns, the first few of many.
func listed(names []string) string {
	const most = 8 // more would not help
	shown := make([]string, 0, most+1)
	for _, name := range names[:min(len(names), most)] {
		shown = append(shown, strictjson.Printable(name))
	}
	if len(names) > most {
		shown = append(shown, "…")
	}
	return strings.Join(shown, ", ")
}
