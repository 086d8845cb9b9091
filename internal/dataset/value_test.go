package dataset

import (
	"math"
	"strings"
	"testing"

	"churn/internal/testing/fuzzing"

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

	reject := func(text string) {
		t.Helper()
		var v Value
		if err := json.Unmarshal([]byte(text), &v); err == nil {
			t.Errorf("%s = %+v, want an error", text, v)
		}
	}
	reject(`true`)
	reject(`[1]`)
	reject(`{"a":1}`)
	reject(`1e999`)
	reject(`NaN`)
	reject(``)
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

	reject := func(raw string, want Problem) {
		t.Helper()
		if v, _, _, got := f.Clean(raw); got == nil || *got != want {
			t.Errorf("Clean(%q) = %+v, %+v, want %+v", raw, v, got, want)
		}
	}
	for _, s := range []string{"NA", "NaN", "Inf", "1e999", "0x10", "1_000", "abc", "1;2"} {
		reject(s, Problem{Kind: NotANumber, Value: s})
	}
	reject("100.5", Problem{Kind: BreaksRule, Value: "100.5", Rule: "lte", Param: "100"})
	reject(" 1e3 ", Problem{Kind: BreaksRule, Value: "1e3", Rule: "lte", Param: "100"})
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
		t.Errorf("CheckNumber(-1) = %+v, %v, want it rejected and not clipped", v, p)
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
		if v, problem := f.CheckText(raw); problem != nil || v.Text != want {
			t.Errorf("%s: CheckText(%q) = %+v, %v, want %q", f.Name, raw, v, problem, want)
		}
	}
	const lower, upper, kept = 0, 1, 2
	check(lower, "basic", "basic", 0)
	check(lower, " Premium ", "premium", Trimmed|Recased)
	check(upper, "eu", "EU", Recased)
	check(upper, "é", "É", Recased)
	check(kept, "Zu\u0308rich", "Z\u00fcrich", Trimmed) // composed
	check(upper, "e\u0301", "É", Trimmed|Recased)
	check(kept, "\u1112\u1161\u11ab", "\ud55c", Trimmed) // Korean, from a Mac
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
		if v, problem := s.Features[kept].CheckText(raw); v != missing || problem != nil {
			t.Errorf("CheckText(%q) = %+v, %v, want missing", raw, v, problem)
		}
	}
	reject := func(j int, raw string, want Problem) {
		t.Helper()
		if v, _, _, got := s.Features[j].Clean(raw); got == nil || *got != want {
			t.Errorf("Clean(%q) = %+v, %+v, want %+v", raw, v, got, want)
		}
		if v, got := s.Features[j].CheckText(raw); got == nil || *got != want {
			t.Errorf("CheckText(%q) = %+v, %+v, want %+v", raw, v, got, want)
		}
	}
	reject(kept, " (missing) ", Problem{Kind: Reserved, Value: "(missing)"})
	reject(lower, "(MISSING)", Problem{Kind: Reserved, Value: "(missing)"})
	reject(lower, "GOLD", Problem{Kind: BreaksRule, Value: "gold", Text: true, Rule: "oneof", Param: "basic premium na"})
}

// Cleaning a cleaned cell changes nothing.
func TestCleaningIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchema(t)
		f := &s.Features[rapid.IntRange(0, len(s.Features)-1).Draw(t, "feature")]
		raw := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ `+
			`\t]?(null|NULL|n/a|\?|-?[0-9]{1,3}(\.[05])?|a|B|(missing))[ ]?`)).Draw(t, "raw")
		cleanTwice(t, f, raw)
	})
}

// A cleaned cell is not a missing value of the schema: the next reader would drop it.
func TestCleaningMakesNoMarkForMissing(t *testing.T) {
	check := func(mark, feature, raw string) {
		t.Helper()
		s, err := ParseSchema([]byte(`{"format":1,"target":{"name":"c","positive":"1"},"missing_values":["` + mark +
			`"],"features":[` + feature + `]}`))
		if err == nil { // the schema may be rejected instead
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
			f.Type, f.Case, f.ClipMin, f.marks, raw, v, text, problem, text, v2, text2, problem2, changes)
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
	day := Feature{Type: Number, Notation: Notation{Date: DayFirst, AsOf: "2025-03-01"}}
	_, _, _, problem := day.Clean("31/02/2025")
	check(*problem, `"31/02/2025" is not a number: the column has dates with the day first: days before 2025-03-01`)
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

func TestCheckValue(t *testing.T) {
	s := Lab()
	tenure, plan, region := s.Features[0], s.Features[3], s.Features[4]
	check := func(f Feature, in, want Value, mismatch Mismatch) {
		t.Helper()
		got, o, detail := f.CheckValue(in)
		if o != mismatch || o == "" && got != want || (detail != "") != (o == Outside) {
			t.Errorf("%s.CheckValue(%+v) = %+v, %q, %q; want %+v, %q", f.Name, in, got, o, detail, want, mismatch)
		}
	}
	missing := Value{Missing: true}
	check(tenure, Value{Number: 6}, Value{Number: 6}, "")
	check(tenure, Value{Number: 201}, Value{}, Outside)
	check(tenure, Value{Number: 6.5}, Value{}, Outside)
	check(tenure, Value{Text: "6", Level: true}, Value{}, OtherType)
	check(tenure, missing, Value{}, Absent)
	check(region, Value{Text: "eu", Level: true}, Value{Text: "EU", Level: true}, "")
	check(region, Value{Text: " ", Level: true}, Value{}, Absent)
	check(plan, Value{Text: MissingLevel, Level: true}, Value{}, Outside)
	check(region, Value{Number: 6}, Value{}, OtherType)
	tenure.Optional, region.Optional = true, true
	check(tenure, missing, missing, "")
	check(region, missing, Value{Missing: true, Level: true}, "")
	check(region, Value{Text: "", Level: true}, Value{Missing: true, Level: true}, "")
}

// FuzzCheckValue: a cell is validated alike in a file, a request and the log, and
// a valid value stays valid.
func FuzzCheckValue(f *testing.F) {
	for _, cell := range []string{"", "6", " 6.50 ", "-1e-7", "1e101", "Basic", "ſtraße", "İ", "(missing)", "?",
		"a\r\r\nb", "\u00a0x\u2003", "\xff"} {
		f.Add(cell, "oneof=6 basic a", "lower")
		f.Add(cell, "gte=0,lte=200", "upper")
		f.Add(cell, "min=1|alpha", "")
	}
	f.Fuzz(func(t *testing.T, cell, rule, letters string) {
		defer fuzzing.Watch()()
		for _, kind := range []string{Number, Category} {
			feature := Feature{Name: "x", Type: kind, Validate: rule, Optional: true}
			if kind == Category {
				feature.Case = letters
			}
			text, err := json.Marshal(Schema{Format: Format, Target: Target{Name: "y", Positive: "1"},
				Features: []Feature{feature}, MissingValues: []string{"?"}})
			if err != nil {
				return // not UTF-8
			}
			s, err := ParseSchema(text)
			if err != nil {
				continue
			}
			x := &s.Features[0]
			v, csv, _, problem := x.Clean(cell)
			fromText, textProblem := x.CheckText(cell)
			if v != fromText || (problem == nil) != (textProblem == nil) {
				t.Fatalf("%s %q of %s: Clean has %+v, %v, CheckText %+v, %v", kind, cell, text, v, problem, fromText, textProblem)
			}
			if problem != nil {
				if problem.Error() == "" {
					t.Fatalf("%q: a problem without words", cell)
				}
				continue
			}
			if again, csv2, changes, problem := x.Clean(csv); again != v || csv2 != csv || changes != 0 || problem != nil {
				t.Fatalf("%s %q is %+v, written %q, read again %+v, written %q, changes %b, %v", kind, cell, v, csv, again, csv2,
					changes, problem)
			}
			checked, mismatch, detail := x.CheckValue(v)
			if checked != v || mismatch != "" {
				t.Fatalf("%s %q is %+v, logged it is %+v, %s %s", kind, cell, v, checked, mismatch, detail)
			}
		}
	})
}

func TestMarksForMissingAreNumbersToo(t *testing.T) {
	s, err := people(t).With(nil, []string{"-999"})
	if err != nil {
		t.Fatal(err)
	}
	age := &s.Features[0]
	for _, text := range []string{"-999", "-999.0", " -9.99e2 "} {
		if v, cell, _, problem := age.Clean(text); !v.Missing || cell != "" || problem != nil {
			t.Errorf("Clean(%q) = %+v, %q, %v, want missing", text, v, cell, problem)
		}
	}
	if v, problem := age.CheckNumber(-999); !v.Missing || problem != nil {
		t.Errorf("CheckNumber(-999) = %+v, %v, want missing", v, problem)
	}
}

func TestNumbersHaveABound(t *testing.T) {
	age := Feature{Name: "a", Type: Number}
	for _, x := range []float64{1e101, -1e101, 1e308} {
		if _, problem := age.CheckNumber(x); problem == nil || problem.Kind != OutOfRange {
			t.Errorf("CheckNumber(%v) = %v, want out of range", x, problem)
		}
	}
	if _, problem := age.CheckNumber(-1e100); problem != nil {
		t.Errorf("CheckNumber(-1e100) = %v", problem)
	}
}
