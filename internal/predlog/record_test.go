package predlog

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"churn/internal/dataset"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

func number(x float64) dataset.Value { return dataset.Value{Number: x} }
func level(s string) dataset.Value   { return dataset.Value{Text: s, Level: true} }

// line returns the n-th record, with its line end.
func line(n int) string {
	r := Record{ModelVersion: "m.json", Features: []Feature{{"n", number(float64(n))}}, Probability: 0.5,
		TS: float64(n)}
	return string(r.Append(nil)) + "\n"
}

func TestRecordHasTheFormOfTheReferenceLab(t *testing.T) {
	check := func(r Record, want string) {
		t.Helper()
		if got := string(r.Append([]byte("before "))); got != "before "+want {
			t.Errorf("Append(%+v) = %s, want %s", r, got, want)
		}
	}
	r := Record{RequestID: "a1", ModelVersion: "churn_model_v1_20261122_193000.json", Prediction: 1,
		Probability: 0.8976224, LatencyMS: 0.0414,
		Features: []Feature{{"tenure_months", number(6)}, {"avg_session_minutes", number(21.5)},
			{"region", level("NA")}, {"plan_type", dataset.Value{Missing: true, Level: true}}},
		TS: 1795375800.1234, Threshold: 0.36}
	const lab = `{"request_id":"a1","model_version":"churn_model_v1_20261122_193000.json","prediction":1,` +
		`"probability":0.897622,"latency_ms":0.041,` +
		`"features":{"tenure_months":6,"avg_session_minutes":21.5,"region":"NA","plan_type":null},` +
		`"ts":1795375800.123,"threshold":0.36`
	check(r, lab+`}`)
	r.Warnings = []string{`region "XX" is new`, "b"}
	check(r, lab+`,"warnings":["region \"XX\" is new","b"]}`)
	check(Record{}, `{"request_id":"","model_version":"","prediction":0,"probability":0.000000,`+
		`"latency_ms":0.000,"features":{},"ts":0.000,"threshold":0}`)
}

// drawRecord returns a record that is not rounded when it is written.
func drawRecord(t *rapid.T) Record {
	decimals := func(most int, scale float64, label string) float64 {
		return float64(rapid.IntRange(0, most).Draw(t, label)) / scale
	}
	r := Record{
		RequestID:    rapid.String().Draw(t, "request_id"),
		ModelVersion: rapid.StringN(1, 30, -1).Draw(t, "model_version"),
		Prediction:   rapid.IntRange(0, 1).Draw(t, "prediction"), Probability: decimals(1e6, 1e6, "probability"),
		LatencyMS: decimals(1e7, 1e3, "latency"),
		TS:        decimals(2e12, 1e3, "ts"), Threshold: rapid.Float64Range(0, 1).Draw(t, "threshold"),
		Warnings: rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "warnings"),
	}
	if rapid.Bool().Draw(t, "no warnings") {
		r.Warnings = nil
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.String(), 1, 6, rapid.ID[string]).Draw(t, "names") {
		r.Features = append(r.Features, Feature{name, rapid.OneOf(
			rapid.Map(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), number),
			rapid.Map(rapid.String(), level),
			rapid.Just(dataset.Value{Missing: true}),
		).Draw(t, "value")})
	}
	return r
}

func TestAppendThenParseIsTheIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		text := r.Append(nil)
		if bytes.ContainsAny(text, "\n\r") {
			t.Fatalf("Append(%+v) = %q has a line end", r, text)
		}
		got, err := Parse(text)
		if err != nil || !reflect.DeepEqual(*got, r) {
			t.Fatalf("Parse(%s) = %+v, %v, want %+v", text, got, err, r)
		}
		var any map[string]any // for other JSON readers
		if err := json.Unmarshal(text, &any); err != nil {
			t.Fatalf("%s is not JSON: %v", text, err)
		}
	})
}

func TestDecimalsAreRounded(t *testing.T) {
	check := func(p, latency, wantP, wantLatency float64) {
		t.Helper()
		r := Record{ModelVersion: "m", Probability: p, LatencyMS: latency}
		got, err := Parse(r.Append(nil))
		if err != nil || got.Probability != wantP || got.LatencyMS != wantLatency {
			t.Errorf("%v and %v were read as %+v, %v, want %v and %v", p, latency, got, err, wantP, wantLatency)
		}
	}
	check(0.1234567, 1.0006, 0.123457, 1.001)
	check(0.1234564, 1.0004, 0.123456, 1)
	check(0.9999999, 1e6, 1, 1e6)
	check(1e-9, 0, 0, 0)
}

// Whatever bytes a request has, its record is JSON.
func TestInvalidUTF8IsReplaced(t *testing.T) {
	r := Record{RequestID: "a\xffb\x00\n\u2028", ModelVersion: "m", Features: []Feature{{"f\xff", level("\xfe")}},
		Warnings: []string{"\xff"}}
	text := r.Append(nil)
	got, err := Parse(text)
	if err != nil || got.RequestID != "a\ufffdb\x00\n\u2028" || got.Features[0].Name != "f\ufffd" ||
		got.Features[0].Value.Text != "\ufffd" || got.Warnings[0] != "\ufffd" {
		t.Errorf("Parse(%q) = %+v, %v", text, got, err)
	}
	if !utf8.Valid(text) || bytes.ContainsAny(text, "\n\x00") {
		t.Errorf("%q is not a line of UTF-8 text", text)
	}
}

func TestParseReadsRecordsOfTheReferenceLab(t *testing.T) {
	const text = ` {"request_id": "9f0c", "model_version": "churn_model_v1.joblib", "prediction": 1,
		"probability": 0.73, "latency_ms": 5.1,
		"features": {"tenure_months": 6, "region": "AF"}, "ts": 1735689600, "host": {"name": "x"}}` + "\r\n"
	want := &Record{RequestID: "9f0c", ModelVersion: "churn_model_v1.joblib", Prediction: 1, Probability: 0.73,
		LatencyMS: 5.1,
		Features:  []Feature{{"tenure_months", number(6)}, {"region", level("AF")}}, TS: 1735689600}
	if got, err := Parse([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Parse(%s) = %+v, %v, want %+v", text, got, err, want)
	}
}

func TestParseRejectsOtherLines(t *testing.T) {
	good := strings.TrimSuffix(line(1), "\n")
	check := func(text string) {
		t.Helper()
		if r, err := Parse([]byte(text)); err == nil {
			t.Errorf("Parse(%s) = %+v, want an error", text, r)
		}
	}
	replace := func(old, new string) {
		t.Helper()
		text := strings.Replace(good, old, new, 1)
		if text == good {
			t.Fatalf("no %s in %s", old, good)
		}
		check(text)
	}
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "null", "{}", "[]", "7", `"x"`, "not JSON", good + good, good + "x",
		good[:len(good)-1], good[1:], "[" + good + "]", "\x00" + good} {
		check(text)
	}
	replace(`"model_version":"m.json",`, ``)
	replace(`"m.json"`, `""`)
	replace(`"m.json"`, `7`)
	replace(`"probability":0.500000,`, ``)
	replace(`0.500000`, `null`)
	replace(`0.500000`, `"0.5"`)
	replace(`0.500000`, `1.000001`)
	replace(`0.500000`, `-0.1`)
	replace(`0.500000`, `NaN`)
	replace(`0.500000`, `1e999`)
	replace(`"features":{"n":1},`, ``)
	replace(`{"n":1}`, `null`)
	replace(`{"n":1}`, `[1]`)
	replace(`{"n":1}`, `"n"`)
	replace(`{"n":1}`, `{"n":[1]}`)
	replace(`{"n":1}`, `{"n":{"a":1}}`)
	replace(`{"n":1}`, `{"n":true}`)
	replace(`{"n":1}`, `{"n":1e999}`)
	replace(`{"n":1}`, `{"n":1,"n":2}`)
	replace(`"prediction":0`, `"prediction":0.5`)
	replace(`"prediction":0`, `"prediction":2`)
	replace(`"prediction":0`, `"prediction":null`)
	replace(`"prediction":0,`, ``)
	replace(`"ts":1.000`, `"ts":"now"`)
}

// A truncated record is never mistaken for a record.
func TestNoPrefixOfARecordIsARecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		text := r.Append(nil)
		n := rapid.IntRange(0, len(text)-1).Draw(t, "bytes")
		if got, err := Parse(text[:n]); err == nil {
			t.Fatalf("Parse(%s) = %+v", text[:n], got)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(line(1)))
	f.Add([]byte(`{"model_version":"m","prediction":1,"probability":1e-7,` +
		`"features":{"a":null,"é":"\ud83d\ude00","":-0.0},"warnings":[""]}`))
	f.Add([]byte(`{"model_version":"m","prediction":1,"probability":0.5,"features":{"a":[1]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		text := r.Append(nil)
		again, err := Parse(text)
		if err != nil || bytes.ContainsRune(text, '\n') {
			t.Fatalf("Parse(%q) = %+v, written %q: %v", b, r, text, err)
		}
		// The second time nothing is rounded or replaced.
		if twice := again.Append(nil); !bytes.Equal(twice, text) {
			t.Fatalf("%q is written again as %q", text, twice)
		}
	})
}
