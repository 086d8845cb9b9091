package dataset

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The bounds compared here must say what validator says, number for number.
func TestBoundsAgreeWithValidator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-5, 5), rapid.Map(rapid.IntRange(-3, 3), func(i int) float64 { return float64(i) }))
		tag := rapid.SampledFrom([]string{"gte", "lte", "gt", "lt", "min", "max"})
		var parts []string
		for range rapid.IntRange(1, 3).Draw(t, "parts") {
			parts = append(parts, fmt.Sprintf("%s=%v", tag.Draw(t, "tag"), limit.Draw(t, "limit")))
		}
		r, err := compileRule(strings.Join(parts, ","), true)
		if err != nil {
			t.Fatal(err)
		}
		if r.bounds == nil {
			t.Fatalf("%s was not taken for bounds", r.tag)
		}
		x := limit.Draw(t, "x")
		got, want := r.checkNumber(x), r.ask(x)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Fatalf("%s of %v: %+v, validator says %+v", r.tag, x, got, want)
		}
	})
}
