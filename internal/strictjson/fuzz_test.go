package strictjson

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"churn/internal/testing/fuzzing"
)

// FuzzUnmarshal: a valid document is read as by the standard library; the error of any other is
// one printable line without the names of Go types.
func FuzzUnmarshal(f *testing.F) {
	for _, text := range []string{`{"name":"a","inner":[{"count":1}],"share":0.5}`, `{"nam":"a"}`,
		`{"inner":[{"cuont":1}]}`, `{"name":7}`, `{"name":"a"`, `{"name":"a","name":"b"}`,
		`{} {}`, `{"inner":null,"name":"\ud83d\ude00"}`, "{\"a\nb\":1}", `{"a\nb":1}`, `{"a\u001b[31m":1}`,
		`{"name":"` + "\xff" + `"}`, `{"share":1e999}`, `[[[[`, "\xef\xbb\xbf{}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzing.Watch()()
		type inner struct {
			Count int `json:"count"`
		}
		type document struct {
			Name  string         `json:"name"`
			Inner []inner        `json:"inner"`
			Share *float64       `json:"share"`
			More  map[string]any `json:"more"`
		}
		var got, want document
		if err := Unmarshal(b, &got); err != nil {
			text := err.Error()
			if text == "" || !utf8.ValidString(text) ||
				strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Fatalf("%q: the error %q is not one printable line", b, text)
			}
			for _, word := range []string{"Go ", "strictjson", "json:", "jsontext", "struct", "cannot unmarshal"} {
				if strings.Contains(text, word) && !strings.Contains(string(b), word) {
					t.Fatalf("%q: the error %q names Go types", b, text)
				}
			}
			return
		}
		if err := json.Unmarshal(b, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is %+v, encoding/json has %+v, %v", b, got, want, err)
		}
	})
}
