package fuzzing

import "testing"

func TestReplaceValue(t *testing.T) {
	const document = `{"a": [1, {"b": "x"}], "c": null}`
	check := func(k int, want string) {
		t.Helper()
		if got := string(ReplaceValue([]byte(document), k, "7")); got != want {
			t.Errorf("value %d replaced: %s, want %s", k, got, want)
		}
	}
	check(0, `7`)
	check(1, `{"a": 7, "c": null}`)
	check(2, `{"a": [7, {"b": "x"}], "c": null}`)
	check(3, `{"a": [1, 7], "c": null}`)
	check(4, `{"a": [1, {"b": 7}], "c": null}`)
	check(5, `{"a": [1, {"b": "x"}], "c": 7}`)
	check(6, document)
	if got := string(ReplaceValue([]byte(`[1, `), 2, "7")); got != `[1, ` {
		t.Errorf("half a document becomes %s", got)
	}
}
