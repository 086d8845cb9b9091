package predictor

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// What a column is: the position of a feature, or one of these.
const (
	columnRequestID = -1
	columnSkipped   = -2 // one that the schema ignores, or a name at fault
)

// maxColumns bounds what is kept of the columns before they are looked up. Any model has fewer.
const maxColumns = 10_000

// checkCount returns an error if n is too many columns for any model.
func checkCount(n int, part string) error {
	if n <= maxColumns {
		return nil
	}
	return shape([]any{"body", part}, "more than "+strconv.Itoa(maxColumns)+" columns", "value_error.list")
}

// columns returns what the named columns are. Names at fault and features left
// out are noted as of a part of the body, such as its header.
func (b *batch) columns(part string, names []string) []int {
	columns := make([]int, len(names))
	seen := map[string]bool{}
	for k, name := range names {
		columns[k] = columnSkipped
		switch i := b.schema.Index(name); {
		case seen[name]:
			b.note("the column is there twice", "value_error.extra", part, name)
		case i >= 0:
			columns[k] = i
		case name == "request_id":
			columns[k] = columnRequestID
		case !b.schema.Skips(name):
			b.unknownAt(name, []any{"body", part, name})
		}
		seen[name] = true
	}
	for i := range b.schema.Features {
		if f := &b.schema.Features[i]; !seen[f.Name] && !f.Optional {
			b.note("field required", "value_error.missing", part, f.Name)
		}
	}
	return columns
}

// over makes the reader read src from its start. What it has read so far is over
// and done with, though slices that raw returned stay good.
func (r *reader) over(src []byte) {
	r.src = src
	r.body.Reset(src)
	r.in.Reset(&r.body)
}

// raw passes over a value and returns its text: for what can be read only when
// something that may follow it is known.
func (r *reader) raw() ([]byte, error) {
	from := r.in.InputOffset()
	if err := r.in.SkipValue(); err != nil {
		return nil, err
	}
	return bytes.TrimLeft(r.src[from:r.in.InputOffset()], ",: \t\r\n"), nil
}

// members reads an object: value reads the value of the member it is told. Any
// other kind is noted as a fault of a part of the body.
func (r *reader) members(value func(name string) error, part ...any) error {
	if r.in.PeekKind() != '{' {
		r.note("value is not a valid dict", "type_error.dict", part...)
		return r.in.SkipValue()
	}
	if _, err := r.in.ReadToken(); err != nil {
		return err
	}
	for r.in.PeekKind() != '}' {
		name, err := r.text()
		if err != nil {
			return err
		}
		if err := value(string(name)); err != nil {
			return err
		}
	}
	_, err := r.in.ReadToken()
	return err
}

// elements reads an array: value reads the element it is told. It returns how
// many there were, or -1 for any other kind, which is noted as a fault.
func (r *reader) elements(value func(i int) error, part ...any) (n int, err error) {
	if r.in.PeekKind() != '[' {
		r.note("value is not a valid list", "type_error.list", part...)
		return -1, r.in.SkipValue()
	}
	if _, err := r.in.ReadToken(); err != nil {
		return 0, err
	}
	for ; r.in.PeekKind() != ']'; n++ {
		if err := value(n); err != nil {
			return n, err
		}
	}
	_, err = r.in.ReadToken()
	return n, err
}

// str reads a string; null is the empty one. Any other kind is noted as a fault.
func (r *reader) str(part ...any) (string, error) {
	switch r.in.PeekKind() {
	case '"':
		text, err := r.text()
		return string(text), err
	case 'n':
	default:
		r.note("str type expected", "type_error.str", part...)
	}
	return "", r.in.SkipValue()
}

// cell reads the row's value of a column.
func (r *reader) cell(column int) error {
	switch column {
	case columnRequestID:
		return r.requestID()
	case columnSkipped:
		return r.in.SkipValue()
	}
	return r.feature(column)
}

// fill reads an array with a column's values, a row each, and returns how many
// there were, or -1 if it is none. Rows are begun as they are needed. If nested,
// a value may be in an array of its own.
func (r *reader) fill(column int, nested bool, part ...any) (int, error) {
	return r.elements(func(k int) error {
		if err := r.goTo(k); err != nil {
			return err
		}
		if !nested || r.in.PeekKind() != '[' {
			return r.cell(column)
		}
		n, err := r.elements(func(i int) error {
			if i > 0 {
				return r.in.SkipValue()
			}
			return r.cell(column)
		})
		if err == nil && n != 1 {
			r.note("one value expected", "value_error.list", append(part, k)...)
		}
		return err
	}, part...)
}

// endAll completes the rows of a body that came by column.
func (b *batch) endAll() {
	for b.at = range b.rows {
		b.end()
	}
}

// predictions returns the answers as a JSON array of 0 and 1.
func (s *scored) predictions() jsontext.Value {
	return s.array(func(b []byte, r *result) []byte { return strconv.AppendInt(b, int64(r.prediction()), 10) })
}

// probabilities returns the probabilities as a JSON array, as they are in the records.
func (s *scored) probabilities() jsontext.Value {
	return s.array(func(b []byte, r *result) []byte { return strconv.AppendFloat(b, r.Probability, 'f', 6, 64) })
}

func (s *scored) array(add func([]byte, *result) []byte) jsontext.Value {
	text := []byte{'['}
	for i := range s.results {
		if i > 0 {
			text = append(text, ',')
		}
		text = add(text, &s.results[i])
	}
	return append(text, ']')
}
