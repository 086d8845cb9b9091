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

// A rule is compiled part by part: a fault behind a part that fails first would
// otherwise come out as a panic in the middle of the data.
func TestEveryPartOfARuleIsTried(t *testing.T) {
	check := func(feature string) {
		t.Helper()
		s, err := ParseSchema([]byte(schemaOf(feature)))
		if err != nil {
			return
		}
		t.Errorf("ParseSchema accepts %s", feature)
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("and panics on a cell: %v", p)
			}
		}()
		s.Features[0].Clean("50")
	}
	check(`{"name":"age","type":"number","validate":"gte=18,lte=1OO"}`)
	check(`{"name":"age","type":"number","validate":"lte=20|gte=3O"}`)
	check(`{"name":"age","type":"number","validate":"gte=18,lte=65,ne=4O"}`)
	check(`{"name":"age","type":"number","validate":"gte=18,lte=65,oneof=40 50"}`)
	check(`{"name":"age","type":"category","validate":"min=2,max=x"}`)
}
