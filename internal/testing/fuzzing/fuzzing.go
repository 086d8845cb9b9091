// Package fuzzing is what fuzz targets share. It is for tests alone.
package fuzzing

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// limit is a thousand times what any input takes, on a machine that is busy.
const limit = 10 * time.Second

// Watch ends the process if stop is not called in time:
//
//	defer fuzzing.Watch()()
//
// A fuzz target has no time limit of its own. An input that never comes back would
// only make it slow, and be lost in the end; when the process dies it is kept.
func Watch() (stop func()) {
	timer := time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("an input takes more than %v", limit))
	})
	return func() { timer.Stop() }
}

// ReplaceValue returns a JSON document with text in place of its value k, counted
// from 0 as they begin, or the document as it is if it has no such value. So a
// target gets past the JSON, to what the values mean.
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
