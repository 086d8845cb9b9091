package predlog

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"churn/internal/dataset"
)

// Whatever texts a record has, it is one line of printable characters, and reading it returns
// the same texts.
func TestRecordIsAPrintableLine(t *testing.T) {
	for _, text := range []string{"a\nb", "a\r\nb", "\x1b[2J\x1b]0;title\a", "\u009b2J", "\u0085", "\u2028\u2029",
		"\u202etxt.exe", "\ufeff", "\x00", "\x7f", "\u00a0",
		"\U000e0001\U0001f600", `"},"prediction":1,"x":{"`, `\u000a\n`, "é漢", strings.Repeat("\u009b", 1000),
		"a\u200db"} {
		r := Record{RequestID: text, ModelVersion: "m.json",
			Features: []Feature{{Name: "x" + text, Value: dataset.Value{Text: text, Level: true}}},
			Warnings: []string{text}}
		line := r.Append(nil)
		if i := bytes.IndexFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }); i >= 0 {
			t.Errorf("%q: the line has %q at %d", text, line, i)
		}
		got, err := Parse(line)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if f := got.Features[0]; got.RequestID != text || f.Name != "x"+text || f.Value.Text != text ||
			got.Warnings[0] != text {
			t.Errorf("%q is read as %+v", text, got)
		}
		// The fast path reads the same.
		p := parser{ids: true, texts: map[string]string{}}
		for range 2 {
			got, err := p.parse(line)
			if err != nil || got.RequestID != text || got.Features[0].Value.Text != text {
				t.Errorf("%q: %+v, %v", text, got, err)
			}
		}
	}
	r := Record{RequestID: "a\xffb", ModelVersion: "m.json"}
	if line := r.Append(nil); !bytes.Contains(line, []byte(`"request_id":"a`+"\ufffd"+`b"`)) {
		t.Errorf("invalid UTF-8: %s", line)
	}
}
