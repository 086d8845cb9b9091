// Package strictjson reads JSON that people edit: keys that nobody knows are
// refused, and errors say where in the document and in a person's words, without
// the names of Go types.
package strictjson

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Unmarshal reads b into v. Unknown keys, keys that occur twice, and anything
// after the value are errors of one line.
func Unmarshal(b []byte, v any) error {
	return Clean(json.Unmarshal(b, v, json.RejectUnknownMembers(true)))
}

// Clean puts an error of package json in a person's words.
func Clean(err error) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntactic):
		return fmt.Errorf("byte %d: %s", syntactic.ByteOffset, unprefixed(syntactic.Err))
	case errors.As(err, &semantic):
		return where(semantic.JSONPointer, meaning(semantic))
	}
	return errors.New(unprefixed(err))
}

func where(pointer jsontext.Pointer, err error) error {
	if pointer == "" {
		return err
	}
	return fmt.Errorf("%s: %w", Printable(string(pointer)), err)
}

// Printable returns a name from a file, quoted if it would break a line.
func Printable(name string) string {
	if q := strconv.Quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}

func meaning(e *json.SemanticError) error {
	switch {
	case errors.Is(e.Err, json.ErrUnknownName):
		return errors.New("unknown key")
	case e.Err != nil:
		return Clean(e.Err) // of a value's own reader
	}
	kind := map[jsontext.Kind]string{'n': "null", 't': "a boolean", 'f': "a boolean", '"': "a string", '0': "a number", '{': "an object", '[': "a list"}[e.JSONKind]
	if kind == "" {
		kind = "this value"
	}
	return fmt.Errorf("%s does not belong here", kind)
}

func unprefixed(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "jsontext: "), "json: ")
	return text
}
