// Package fuzzing has helpers of fuzz targets.
package fuzzing

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const limit = 10 * time.Second // a thousand times what any input takes on a busy machine

// Watch ends the process if stop is not called in time:
//
//	defer fuzzing.Watch()()
//
// A fuzz target has no time limit. Without this an input that never returns would be lost
// at the end; the fuzzer keeps the input of a process that dies.
func Watch() (stop func()) {
	timer := time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("an input takes more than %v", limit))
	})
	return func() { timer.Stop() }
}

// ReplaceValue returns a JSON document with text in place of its value k, counted from 0 by
// their starts, or the document unchanged without such a value. So a target tests values
// rather than the JSON parser.
func ReplaceValue(document []byte, k int, text string) []byte {
	d := jsontext.NewDecoder(bytes.NewReader(document))
	for {
		parent, length := d.StackIndex(d.StackDepth())
		name := parent == '{' && length%2 == 0
		switch kind := d.PeekKind(); {
		case kind == 0:
			return document
		case name || kind == '}' || kind == ']':
		case k == 0:
			value, err := d.ReadValue()
			if err != nil {
				return document
			}
			end := int(d.InputOffset())
			return slices.Concat(document[:end-len(value)], []byte(text), document[end:])
		default:
			k--
		}
		if _, err := d.ReadToken(); err != nil {
			return document
		}
	}
}
