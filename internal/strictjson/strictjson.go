// Package strictjson reads JSON that people edit: unknown keys are errors, and errors name the
// place in the document in plain words, without the names of Go types.
package strictjson

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Unmarshal reads b into v. Unknown keys, duplicate keys, and anything after the value are
// errors of one line.
func Unmarshal(b []byte, v any) error {
	return Clean(json.Unmarshal(b, v, json.RejectUnknownMembers(true)))
}

// Clean rewords an error of package json in plain words.
func Clean(err error) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntactic):
		return fmt.Errorf("byte %d: %s", syntactic.ByteOffset, unprefixed(syntactic.Err))
	case errors.As(err, &semantic):
		err := reason(semantic)
		if semantic.JSONPointer != "" {
			err = fmt.Errorf("%s: %w", Printable(string(semantic.JSONPointer)), err)
		}
		return err
	}
	return errors.New(unprefixed(err))
}

// Printable returns a name from a file, quoted if it would break a line.
func Printable(name string) string {
	if q := strconv.Quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}

// Visible returns a character of a line or a page as it may be shown: control characters but the tab and the
// line's end, and those that turn the direction of what follows, are replaced.
func Visible(c rune) rune {
	turns := '\u202a' <= c && c <= '\u202e' || '\u2066' <= c && c <= '\u2069'
	if turns || unicode.IsControl(c) && c != '\n' && c != '\t' {
		return unicode.ReplacementChar
	}
	return c
}

// Word returns a text as a shell takes it for one word, and without what would break a line.
func Word(text string) string {
	text = Printable(text)
	if strings.ContainsAny(text, " \t\"'`$&|;<>()*?[]{}#!~\\") {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return text
}

func reason(e *json.SemanticError) error {
	switch {
	case errors.Is(e.Err, json.ErrUnknownName):
		return errors.New("unknown key: correct it or, if a later version wrote it, upgrade this program first")
	case e.Err != nil:
		return Clean(e.Err) // of the type's own UnmarshalJSON
	}
	kinds := map[jsontext.Kind]string{
		'n': "null", 't': "a boolean", 'f': "a boolean", '"': "a string", '0': "a number", '{': "an object",
		'[': "a list",
	}
	return fmt.Errorf("%s does not belong here", cmp.Or(kinds[e.JSONKind], "this value"))
}

func unprefixed(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "jsontext: "), "json: ")
}
