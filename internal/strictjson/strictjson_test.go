package strictjson

import "testing"

func TestErrorsAreInPlainWords(t *testing.T) {
	type inner struct {
		Count int `json:"count"`
	}
	type document struct {
		Name  string  `json:"name"`
		Inner []inner `json:"inner"`
	}
	check := func(text, want string) {
		t.Helper()
		got := ""
		if err := Unmarshal([]byte(text), new(document)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Unmarshal(%s): %q, want %q", text, got, want)
		}
	}
	const unknown = ": unknown key: correct it or, if a later version wrote it, upgrade this program first"
	check(`{"name":"a","inner":[{"count":1}]}`, "")
	check(`{"nam":"a"}`, "/nam"+unknown)
	check(`{"inner":[{"count":1},{"cuont":1}]}`, "/inner/1/cuont"+unknown)
	check(`{"name":7}`, "/name: a number does not belong here")
	check(`[]`, "a list does not belong here")
	check(`{"inner":[{"count":1.5}]}`, "/inner/0/count: invalid syntax")
	check(`{"a\nb":1}`, `"/a\nb"`+unknown)
	check(`{"name":"a"`, "byte 11: unexpected EOF")
	check(`{"name":"a","name":"b"}`, "byte 12: duplicate object member name")
	check(`{} {}`, "byte 3: invalid character '{' after top-level value")
}

func TestWord(t *testing.T) {
	for text, want := range map[string]string{
		"Churn": "Churn", "in/x.csv": "in/x.csv", "해지여부": "해지여부",
		"Churn Value": "'Churn Value'", "Cancelou?": "'Cancelou?'",
		"it's": `'it'\''s'`, "a=ymd": "a=ymd", "#1": "'#1'", "a\nb": `'"a\nb"'`,
	} {
		if got := Word(text); got != want {
			t.Errorf("Word(%q) = %s, want %s", text, got, want)
		}
	}
}
