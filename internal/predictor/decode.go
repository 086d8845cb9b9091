package predictor

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// A reader reads customers from JSON into a batch.
type reader struct {
	*batch
	in   *jsontext.Decoder
	body bytes.Reader
	src  []byte // what body reads
}

var readers = sync.Pool{New: func() any { return &reader{in: jsontext.NewDecoder(strings.NewReader(""))} }}

// readJSON fills a batch from a body by a function that reads one JSON value.
// What is wrong with the body or its customers is an *invalidError; a body that
// is not JSON to its end is reported alone.
func readJSON(body []byte, b *batch, value func(*reader) error) error {
	r := readers.Get().(*reader)
	defer readers.Put(r)
	r.batch = b
	r.over(body)
	err := value(r)
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return r.syntax(err)
	}
	return b.err()
}

// finish refuses anything after the value.
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

// syntax tells where the body stops being JSON, or having the shape that was asked for.
func (r *reader) syntax(err error) error {
	var invalid *invalidError
	var tooMany *tooManyError
	if errors.As(err, &invalid) || errors.As(err, &tooMany) {
		return err
	}
	offset, msg := r.in.InputOffset(), err.Error()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset, msg = syntax.ByteOffset, syntax.Err.Error()
	}
	return &invalidError{[]detail{{Loc: []any{"body", offset}, Msg: "not JSON: " + msg, Type: "value_error.jsondecode"}}}
}

// shape is the error for a value of another kind than was asked for.
func shape(loc []any, msg, kind string) error {
	return &invalidError{[]detail{{Loc: loc, Msg: msg, Type: kind}}}
}

// notObject is the error for a customer that is no JSON object.
func (r *reader) notObject() error {
	loc := []any{"body"}
	if r.many {
		loc = []any{"body", r.at}
	}
	return shape(loc, "value is not a valid dict", "type_error.dict")
}

// object reads a customer from a flat JSON object.
func (r *reader) object() error {
	if err := r.begin(); err != nil {
		return err
	}
	if r.in.PeekKind() != '{' {
		if err := r.in.SkipValue(); err != nil {
			return err
		}
		if !r.many {
			if err := r.finish(); err != nil {
				return err
			}
		}
		return r.notObject()
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
	}
	if _, err := r.in.ReadToken(); err != nil {
		return err
	}
	r.end()
	return nil
}

// text reads a string, which is good until the next read or look ahead.
func (r *reader) text() ([]byte, error) {
	quoted, err := r.in.ReadValue()
	if err != nil {
		return nil, err
	}
	if len(quoted) >= 2 && bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	return jsontext.AppendUnquote(nil, quoted)
}

// field reads the value of a named field of the row.
func (r *reader) field(name []byte) error {
	if i := r.index(name); i >= 0 {
		return r.feature(i)
	}
	if string(name) == "request_id" {
		return r.requestID()
	}
	if !r.schema.Skips(string(name)) {
		r.unknown(string(name))
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
		r.fault("request_id", "str type expected", "type_error.str")
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
	}
	r.wrongType(i)
	return r.in.SkipValue()
}
