package database_test

import (
	"fmt"
	"math"
	"testing"
)

// wantAlike compares two JSON documents; numbers may differ by rounding.
func wantAlike(t *testing.T, at string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		for name := range want {
			other, ok := got.(map[string]any)
			if !ok {
				t.Fatalf("%s is %v, want %v", at, got, want)
			}
			wantAlike(t, at+"."+name, want[name], other[name])
		}
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			t.Errorf("%s has %d elements, want %d", at, len(list), len(want))
			return
		}
		for i := range want {
			wantAlike(t, fmt.Sprintf("%s[%d]", at, i), want[i], list[i])
		}
	case float64:
		if x, ok := got.(float64); !ok || math.Abs(x-want) > 1e-9*max(1, math.Abs(want)) {
			t.Errorf("%s is %v, want %v", at, got, want)
		}
	default:
		if want != got {
			t.Errorf("%s is %v, want %v", at, got, want)
		}
	}
}

// withoutText returns the columns of a quality report without the count of trimmed numbers,
// which a table of numbers does not have.
func withoutText(columns any) any {
	for _, c := range columns.([]any) {
		if c := c.(map[string]any); c["type"] == "number" {
			delete(c, "trimmed")
			delete(c, "distinct") // not counted in a table
		}
	}
	return columns
}
