package dataset

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Bounds must agree with validator on every number.
func TestBoundsAgreeWithValidator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-5, 5),
			rapid.Map(rapid.IntRange(-3, 3), func(i int) float64 { return float64(i) }))
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
		got, want := r.checkNumber(x), r.apply(x)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Fatalf("%s of %v: %+v, validator says %+v", r.tag, x, got, want)
		}
	})
}

// Each term of a rule is compiled by itself: an invalid term behind one that fails would
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

// A schema, or a model from elsewhere, must not make the service read the disk or the
// network about what a client sends.
func TestRulesSeeTheCellAlone(t *testing.T) {
	for _, rule := range append(slices.Clone(external), "min=1,ip_addr", "alpha|file", " dir") {
		_, err := ParseSchema([]byte(schemaOf(`{"name":"host","type":"category","validate":"` + rule + `"}`)))
		if err == nil || !strings.Contains(err.Error(), "leave") {
			t.Errorf("validate %q: %v, want an error", rule, err)
		}
	}
}

func TestAllowed(t *testing.T) {
	at := func(x float64) *float64 { return &x }
	check := func(kind, validate string, want Allowed) {
		t.Helper()
		f := Feature{Name: "x", Type: kind, Validate: validate}
		if err := f.compile(); err != nil {
			t.Fatal(err)
		}
		if got := f.Allowed(); !reflect.DeepEqual(got, want) {
			t.Errorf("%q allows %+v, want %+v", validate, got, want)
		}
	}
	check(Number, "", Allowed{})
	check(Number, "gte=0,lte=200", Allowed{Min: at(0), Max: at(200)})
	check(Number, "min=-1.5,gte=-3,max=2,lte=1", Allowed{Min: at(-1.5), Max: at(1)})
	check(Number, "gt=0,gte=0,lt=1,lt=0.5", Allowed{Min: at(0), Above: at(0), Below: at(0.5)})
	check(Number, "gte=0,ne=3,lte=Inf", Allowed{Min: at(0), Other: []string{"ne=3", "lte=Inf"}})
	check(Number, "lt=0|gt=9", Allowed{Other: []string{"lt=0|gt=9"}})
	check(Category, "min=2,max=3,alpha", Allowed{Min: at(2), Max: at(3), Other: []string{"alpha"}})
	check(Category, "oneof=basic 'very premium' 'a0x2Cb'", Allowed{OneOf: []string{"basic", "very premium", "a,b"}})
	check(Category, "oneof=a b,oneof=b c", Allowed{OneOf: []string{"a", "b"}, Other: []string{"oneof=b c"}})
	check(Category, "oneof=a b|numeric", Allowed{Other: []string{"oneof=a b|numeric"}})
}
