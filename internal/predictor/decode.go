package predictor

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"

	"churn/internal/predictor/budget"

	"github.com/go-json-experiment/json/jsontext"
)

// A reader reads customers from JSON into a batch.
type reader struct {
	*batch
	in   *jsontext.Decoder
	body bytes.Buffer // read in place
	src  []byte       // of body
}

// readJSON fills a batch from a body by a function that reads one JSON value. Errors are an
// *invalidError; that of a body which is not JSON is reported alone.
func readJSON(body []byte, b *batch, value func(*reader) error) error {
	r := &b.reader
	defer r.reset(nil) // keeps no body
	if r.batch = b; r.in == nil {
		r.in = jsontext.NewDecoder(&r.body)
	}
	r.reset(bytes.TrimPrefix(body, []byte("\ufeff"))) // a byte order mark, as files of PowerShell have it
	err := value(r)
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return r.syntax(err)
	}
	return b.err()
}

// finish rejects anything after the value.
func (r *reader) finish() error {
	_, err := r.in.ReadToken()
	switch {
	case err == nil:
		return errors.New("more than one value")
	case err == io.EOF:
		return nil
	}
	return err
}

// syntax returns the error with the offset where the body stops being JSON.
func (r *reader) syntax(err error) error {
	if errors.As(err, new(*invalidError)) || errors.As(err, new(*problem)) ||
		errors.As(err, new(*budget.TooLargeError)) || errors.Is(err, budget.ErrFull) {
		return err
	}
	offset, msg := r.in.InputOffset(), err.Error()
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset, msg = syntax.ByteOffset, syntax.Err.Error()
	}
	return &invalidError{[]detail{{Loc: []any{"body", offset}, Msg: "not JSON: " + msg, Type: "value_error.jsondecode"}}}
}

// shape is the error for a value of another kind than expected.
func shape(loc []any, msg, kind string) error {
	return &invalidError{[]detail{{Loc: loc, Msg: msg, Type: kind}}}
}

// object reads a customer from a flat JSON object.
func (r *reader) object() error {
	if err := r.begin(); err != nil {
		return err
	}
	if r.in.PeekKind() != '{' {
		err := r.in.SkipValue()
		if err == nil && !r.many {
			err = r.finish()
		}
		loc := r.loc("")
		return cmp.Or(err, shape(loc[:len(loc)-1], "value is not a valid dict", "type_error.dict"))
	}
	if _, err := r.in.ReadToken(); err != nil {
		return err
	}
	for r.in.PeekKind() != '}' {
		name, err := r.text()
		if err != nil {
			return err
		}
		if err := r.field(name); err != nil {
			return err
		}
		if len(r.details) == maxDetails {
			return r.err() // what follows may be millions of unknown names
		}
	}
	if _, err := r.in.ReadToken(); err != nil {
		return err
	}
	r.end()
	return nil
}

// text reads a string, which is valid until the next call of the decoder.
func (r *reader) text() ([]byte, error) {
	quoted, err := r.in.ReadValue()
	if err != nil {
		return nil, err
	}
	if len(quoted) >= 2 && bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	r.spend(len(quoted))
	return jsontext.AppendUnquote(nil, quoted)
}

// duplicate is the error for a name that an object has twice.
func duplicate(name string) error {
	return fmt.Errorf("%w %q", jsontext.ErrDuplicateName, name)
}

// field reads the value of a named field of the row.
func (r *reader) field(name []byte) error {
	if i := r.index(name); i >= 0 {
		if r.row().seen[i] {
			return duplicate(string(name))
		}
		return r.feature(i)
	}
	if string(name) == "request_id" {
		if r.row().named {
			return duplicate(string(name))
		}
		r.row().named = true
		return r.requestID()
	}
	if !r.schema.Skips(string(name)) {
		r.unknown(string(name), r.loc(string(name)))
	}
	return r.in.SkipValue()
}

// requestID reads the request_id of the row.
func (r *reader) requestID() error {
	switch r.in.PeekKind() {
	case '"':
		id, err := r.text()
		if err != nil {
			return err
		}
		r.setRequestID(string(id))
		return nil
	case 'n':
	default:
		r.fieldError("request_id", "str type expected", "type_error.str")
	}
	return r.in.SkipValue()
}

// feature reads the value of feature i.
func (r *reader) feature(i int) error {
	switch r.in.PeekKind() {
	case 'n':
		r.setNull(i)
		return r.in.SkipValue()
	case '0':
		token, err := r.in.ReadToken()
		if err != nil {
			return err
		}
		if x, err := token.Float(); err == nil {
			r.setNumber(i, x)
		} else { // out of range
			r.wrongType(i)
		}
		return nil
	case '"':
		text, err := r.text()
		if err != nil {
			return err
		}
		r.setText(i, text)
		return nil
	case 't', 'f':
		r.setBool(i, r.in.PeekKind() == 't')
		return r.in.SkipValue()
	}
	r.wrongType(i)
	return r.in.SkipValue()
}

// A column is the index of a feature, or one of these.
const (
	columnRequestID = -1
	columnSkipped   = -2 // ignored by the schema, or an error
)

// maxColumns bounds the columns that are kept before they are looked up. Every model has fewer.
const maxColumns = 10_000

// checkCount returns an error if n is too many columns for any model.
func checkCount(n int, part string) error {
	if n <= maxColumns {
		return nil
	}
	return shape([]any{"body", part}, "more than "+strconv.Itoa(maxColumns)+" columns", "value_error.list")
}

// columns returns the columns of some names. Errors of names, and missing features, are
// added for a part of the body, such as its header.
func (b *batch) columns(part string, names []string) []int {
	const each = 150 // bytes of a name and its index, and of the table in which it is found
	b.spend(each * len(names))
	columns := make([]int, len(names))
	seen := map[string]bool{}
	for k, name := range names {
		columns[k] = columnSkipped
		i := b.schema.Index(name)
		if i >= 0 {
			name = b.schema.Features[i].Name // composed as the schema's
		}
		switch {
		case seen[name]:
			b.bodyError("the column is there twice", "value_error.extra", part, name)
		case i >= 0:
			columns[k] = i
		case name == "request_id":
			columns[k] = columnRequestID
		case !b.schema.Skips(name):
			b.unknown(name, []any{"body", part, name})
		}
		seen[name] = true
	}
	for i := range b.schema.Features {
		if f := &b.schema.Features[i]; !seen[f.Name] && !f.Optional {
			b.bodyError(b.required(f.Name), "value_error.missing", part, f.Name)
		}
	}
	return columns
}

// reset makes the reader read src from its start. Slices that raw returned stay valid.
func (r *reader) reset(src []byte) {
	r.src = src
	r.body = *bytes.NewBuffer(src)
	r.in.Reset(&r.body, decoding...)
}

// decoding lets a reader find the names that an object has twice by itself: the decoder
// takes a hundred bytes for each name, also in what is skipped.
var decoding = []jsontext.Options{jsontext.AllowDuplicateNames(true)}

// raw skips a value and returns its text, to be read once what follows is known.
func (r *reader) raw() ([]byte, error) {
	from := r.in.InputOffset()
	if err := r.in.SkipValue(); err != nil {
		return nil, err
	}
	return bytes.TrimLeft(r.src[from:r.in.InputOffset()], ",: \t\r\n"), nil
}

// members reads an object: value reads the value of the named member. Any other kind is an
// error of a part of the body.
func (r *reader) members(value func(name string) error, part ...any) error {
	if r.in.PeekKind() != '{' {
		r.bodyError("value is not a valid dict", "type_error.dict", part...)
		return r.in.SkipValue()
	}
	if _, err := r.in.ReadToken(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.in.PeekKind() != '}' {
		text, err := r.text()
		if err != nil {
			return err
		}
		name := string(text)
		if seen[name] {
			return duplicate(name)
		}
		seen[name] = true
		r.spend(len(name) + 100) // bytes in the table
		if err := cmp.Or(r.full, value(name)); err != nil {
			return err
		}
	}
	_, err := r.in.ReadToken()
	return err
}

// elements reads an array: value reads element i. It returns the number of elements, or -1
// for any other kind, which is an error.
func (r *reader) elements(value func(i int) error, part ...any) (n int, err error) {
	if r.in.PeekKind() != '[' {
		r.bodyError("value is not a valid list", "type_error.list", part...)
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

// str reads a string; null is the empty one. Any other kind is an error.
func (r *reader) str(part ...any) (string, error) {
	switch r.in.PeekKind() {
	case '"':
		text, err := r.text()
		r.spend(len(text) + allocation)
		return string(text), err
	case 'n':
	default:
		r.bodyError("str type expected", "type_error.str", part...)
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

// fill reads an array with a column's values, one per row, and returns their number, or -1
// if it is not an array. Rows are begun as needed. If nested, a value may be in an array of
// its own.
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
			r.bodyError("one value expected", "value_error.list", append(part, k)...)
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
