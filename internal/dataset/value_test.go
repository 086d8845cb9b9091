package dataset

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

func TestValueInJSONIsTheIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(
			rapid.Map(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), func(x float64) Value { return Value{Number: x} }),
			rapid.Map(rapid.String(), func(s string) Value { return Value{Text: s, Level: true} }),
			rapid.Just(Value{Missing: true}),
		).Draw(t, "value")
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got := Value{Number: 7, Text: "old", Missing: true, Level: true}
		if err := json.Unmarshal(b, &got); err != nil || got != v {
			t.Fatalf("%+v as %s = %+v, %v", v, b, got, err)
		}
	})
}

func TestValueInJSON(t *testing.T) {
	check := func(v Value, want string) {
		t.Helper()
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%+v = %s, %v, want %s", v, got, err, want)
		}
	}
	check(Value{Number: 6}, `6`)
	check(Value{Number: 21.5}, `21.5`)
	check(Value{Text: "NA", Level: true}, `"NA"`)
	check(Value{Text: "", Level: true}, `""`)
	check(Value{Missing: true}, `null`)
	check(Value{Missing: true, Level: true}, `null`)

	refuse := func(text string) {
		t.Helper()
		var v Value
		if err := json.Unmarshal([]byte(text), &v); err == nil {
			t.Errorf("%s = %+v, want an error", text, v)
		}
	}
	refuse(`true`)
	refuse(`[1]`)
	refuse(`{"a":1}`)
	refuse(`1e999`)
	refuse(`NaN`)
	refuse(``)
}

func TestParseNumber(t *testing.T) {
	check := func(s string, want float64) {
		t.Helper()
		if got, ok := parseNumber(s); !ok || got != want {
			t.Errorf("parseNumber(%q) = %v, %v, want %v", s, got, ok, want)
		}
	}
	check("6", 6)
	check("6.0", 6)
	check("+6", 6)
	check("-.5", -0.5)
	check("5.", 5)
	check("007", 7)
	check("1e3", 1000)
	check("1E-3", 0.001)
	check("1e-999", 0)
	for _, s := range []string{"", "-", ".", "e", "NaN", "nan", "Inf", "-Inf", "infinity", "1e999", "-1e999", "0x10", "0x1p4", "1_000", "1,5", "1 000", " 1", "١", "1-2"} {
		if got, ok := parseNumber(s); ok {
			t.Errorf("parseNumber(%q) = %v, want refused", s, got)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"6.50", "-1e-7", "1e999", "0x1p-2", "1_0", "inf", "+.5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseNumber(s)
		want, err := strconv.ParseFloat(s, 64)
		plain := strings.Trim(s, "0123456789+-.eE") == ""
		if ok != (err == nil && plain) {
			t.Fatalf("parseNumber(%q) = %v, %v, strconv has %v, %v", s, got, ok, want, err)
		}
		if ok && (got != want || math.IsNaN(got) || math.IsInf(got, 0)) {
			t.Fatalf("parseNumber(%q) = %v, want %v and finite", s, got, want)
		}
	})
}

func TestCleanNumber(t *testing.T) {
	f := &parse(t, `{"format":1,"target":{"name":"c","positive":"1"},"missing_values":["?"," n/a "],"features":[
		{"name":"a","type":"number","validate":"gte=-5,lte=100","clip_min":-2.5}]}`).Features[0]
	check := func(raw string, want Value, text string, changes Changes) {
		t.Helper()
		v, gotText, got, problem := f.Clean(raw)
		if problem != nil || v != want || gotText != text || got != changes {
			t.Errorf("Clean(%q) = %+v, %q, %b, %v, want %+v, %q, %b", raw, v, gotText, got, problem, want, text, changes)
		}
	}
	check("6", Value{Number: 6}, "6", 0)
	check("6.50", Value{Number: 6.5}, "6.50", 0) // as it was written
	check(" 6\t", Value{Number: 6}, "6", Trimmed)
	check("\u00a06\u00a0", Value{Number: 6}, "6", Trimmed)
	check("-2.5", Value{Number: -2.5}, "-2.5", 0)
	check("-2.51", Value{Number: -2.5}, "-2.5", Clipped)
	check(" -1e9 ", Value{Number: -2.5}, "-2.5", Trimmed|Clipped)
	check("100", Value{Number: 100}, "100", 0)
	check("", Value{Missing: true}, "", 0)
	check("  ", Value{Missing: true}, "", Trimmed)
	check("?", Value{Missing: true}, "", 0)
	check(" n/a", Value{Missing: true}, "", Trimmed)

	refuse := func(raw string, want Problem) {
		t.Helper()
		if v, _, _, got := f.Clean(raw); got == nil || *got != want {
			t.Errorf("Clean(%q) = %+v, %+v, want %+v", raw, v, got, want)
		}
	}
	for _, s := range []string{"NA", "NaN", "Inf", "1e999", "0x10", "1_000", "abc", "1;2"} {
		refuse(s, Problem{Kind: NotANumber, Value: s})
	}
	refuse("100.5", Problem{Kind: BreaksRule, Value: "100.5", Rule: "lte", Param: "100"})
	refuse(" 1e3 ", Problem{Kind: BreaksRule, Value: "1e3", Rule: "lte", Param: "100"})
}

func TestCheckNumber(t *testing.T) {
	f := &Lab().Features[0] // 0 to 200, whole
	check := func(x float64, want ProblemKind, rule string) {
		t.Helper()
		v, p := f.CheckNumber(x)
		if p == nil {
			p = &Problem{}
		}
		if p.Kind != want || p.Rule != rule || v != (Value{Number: x}) {
			t.Errorf("CheckNumber(%v) = %+v, %+v, want kind %v, rule %q", x, v, p, want, rule)
		}
	}
	check(6, 0, "")
	check(6.0, 0, "")
	check(6.5, NotWhole, "")
	check(-6.5, NotWhole, "")
	check(0, 0, "")
	check(200, 0, "")
	check(-1, BreaksRule, "gte")
	check(201, BreaksRule, "lte")
	check(1e90, BreaksRule, "lte")
	check(1e300, OutOfRange, "")
	if v, p := Lab().Features[2].CheckNumber(-1); p == nil || v.Number != -1 {
		t.Errorf("CheckNumber(-1) = %+v, %v, want it refused and not clipped", v, p)
	}
}

func TestCleanCategory(t *testing.T) {
	s := parse(t, `{"format":1,"target":{"name":"c","positive":"1"},"missing_values":["?"],"features":[
		{"name":"lower","type":"category","case":"lower","validate":"oneof=basic premium na"},
		{"name":"upper","type":"category","case":"upper"}, {"name":"kept","type":"category"}]}`)
	check := func(j int, raw, want string, changes Changes) {
		t.Helper()
		f := &s.Features[j]
		v, text, got, problem := f.Clean(raw)
		if problem != nil || v != (Value{Text: want, Level: true}) || text != want || got != changes {
			t.Errorf("%s: Clean(%q) = %+v, %q, %b, %v, want %q, %b", f.Name, raw, v, text, got, problem, want, changes)
		}
		if v, problem := f.CheckLevel(raw); problem != nil || v.Text != want {
			t.Errorf("%s: CheckLevel(%q) = %+v, %v, want %q", f.Name, raw, v, problem, want)
		}
	}
	const lower, upper, kept = 0, 1, 2
	check(lower, "basic", "basic", 0)
	check(lower, " Premium ", "premium", Trimmed|Recased)
	check(upper, "eu", "EU", Recased)
	check(upper, "é", "É", Recased)
	check(kept, "In between", "In between", 0)
	check(upper, "NA", "NA", 0) // a value, not a missing one
	check(lower, "NA", "na", Recased)
	check(kept, "NaN", "NaN", 0)
	check(kept, "null", "null", 0)
	check(kept, "6", "6", 0)

	for _, raw := range []string{"", " \t", "?", " ?"} {
		missing := Value{Missing: true, Level: true}
		if v, text, _, problem := s.Features[kept].Clean(raw); v != missing || text != "" || problem != nil {
			t.Errorf("Clean(%q) = %+v, %q, %v, want missing", raw, v, text, problem)
		}
		if v, problem := s.Features[kept].CheckLevel(raw); v != missing || problem != nil {
			t.Errorf("CheckLevel(%q) = %+v, %v, want missing", raw, v, problem)
		}
	}
	refuse := func(j int, raw string, want Problem) {
		t.Helper()
		if v, _, _, got := s.Features[j].Clean(raw); got == nil || *got != want {
			t.Errorf("Clean(%q) = %+v, %+v, want %+v", raw, v, got, want)
		}
		if v, got := s.Features[j].CheckLevel(raw); got == nil || *got != want {
			t.Errorf("CheckLevel(%q) = %+v, %+v, want %+v", raw, v, got, want)
		}
	}
	refuse(kept, " (missing) ", Problem{Kind: Reserved, Value: "(missing)"})
	refuse(lower, "(MISSING)", Problem{Kind: Reserved, Value: "(missing)"})
	refuse(lower, "GOLD", Problem{Kind: BreaksRule, Value: "gold", Text: true, Rule: "oneof", Param: "basic premium na"})
}

// What prepare has cleaned reads the same in train and needs no change.
func TestCleaningIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchema(t)
		f := &s.Features[rapid.IntRange(0, len(s.Features)-1).Draw(t, "feature")]
		raw := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ \t]?(null|NULL|n/a|\?|-?[0-9]{1,3}(\.[05])?|a|B|(missing))[ ]?`)).Draw(t, "raw")
		cleanTwice(t, f, raw)
	})
}

// A cell must not become a mark for missing by being cleaned: the next reader would take it for one.
func TestCleaningMakesNoMarkForMissing(t *testing.T) {
	check := func(mark, feature, raw string) {
		t.Helper()
		s, err := ParseSchema([]byte(`{"format":1,"target":{"name":"c","positive":"1"},"missing_values":["` + mark + `"],"features":[` + feature + `]}`))
		if err == nil { // to refuse the schema would do as well
			cleanTwice(t, &s.Features[0], raw)
		}
	}
	check("NULL", `{"name":"a","type":"category","case":"upper"}`, "null")
	check("none", `{"name":"a","type":"category","case":"lower"}`, "None")
	check("0", `{"name":"a","type":"number","clip_min":0}`, "-3")
}

func cleanTwice(t rapid.TB, f *Feature, raw string) {
	t.Helper()
	v, text, _, problem := f.Clean(raw)
	v2, text2, changes, problem2 := f.Clean(text)
	if v2 != v || text2 != text || changes != 0 || (problem == nil) != (problem2 == nil) {
		t.Errorf("%s %s, clip_min %v, missing values %q: Clean(%q) = %+v, %q, %v, then Clean(%q) = %+v, %q, %v, changes %b",
			f.Type, f.Case, f.ClipMin, f.missing, raw, v, text, problem, text, v2, text2, problem2, changes)
	}
}

func TestProblemSaysWhatWasExpected(t *testing.T) {
	check := func(p Problem, want string) {
		t.Helper()
		if got := p.Error(); got != want {
			t.Errorf("%#v = %q, want %q", p, got, want)
		}
	}
	check(Problem{Kind: NotANumber, Value: "abc"}, `"abc" is not a number`)
	check(Problem{Kind: NotANumber, Value: strings.Repeat("é", 60)}, `"`+strings.Repeat("é", 60)+`" is not a number`)
	check(Problem{Kind: NotANumber, Value: strings.Repeat("é", 61)}, `"`+strings.Repeat("é", 60)+`…" is not a number`)
	check(Problem{Kind: NotWhole, Value: "6.5"}, `6.5 is not a whole number`)
	check(Problem{Kind: Reserved, Value: "(missing)"}, `"(missing)" is reserved for missing cells`)
	rule := func(name string, text bool, want string) {
		t.Helper()
		check(Problem{Kind: BreaksRule, Value: "7", Rule: name, Param: "8", Text: text}, want)
	}
	rule("gte", false, "7 is below 8")
	rule("gt", false, "7 is not above 8")
	rule("lte", false, "7 is above 8")
	rule("lt", false, "7 is not below 8")
	rule("ne", false, `"7" breaks the rule ne=8`)
	rule("min", true, `"7" breaks the rule min=8`) // counts characters
	check(Problem{Kind: BreaksRule, Value: "7", Rule: "alpha", Text: true}, `"7" breaks the rule alpha`)
}
