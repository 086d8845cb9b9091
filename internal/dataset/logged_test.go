package dataset

import "testing"

func TestCheckValue(t *testing.T) {
	s := Lab()
	tenure, plan, region := s.Features[0], s.Features[3], s.Features[4]
	check := func(f Feature, in, want Value, objection Objection) {
		t.Helper()
		got, o, detail := f.CheckValue(in)
		if o != objection || o == "" && got != want || (detail != "") != (o == Outside) {
			t.Errorf("%s.CheckValue(%+v) = %+v, %q, %q; want %+v, %q", f.Name, in, got, o, detail, want, objection)
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
