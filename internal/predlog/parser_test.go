package predlog

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"churn/internal/dataset"

	"pgregory.net/rapid"
)

// same reports whether two records are equal to the last bit.
func same(a, b *Record) bool {
	return reflect.DeepEqual(a, b) && bytes.Equal(a.Append(nil), b.Append(nil)) // −0 is not 0
}

// agree checks a parser against Parse on successive lines.
func agree(t interface{ Fatalf(string, ...any) }, lines ...[]byte) {
	p := parser{ids: true}
	for i, line := range lines {
		want, wantErr := Parse(line)
		expected := p.heads != nil && p.parseFast(line)
		got, err := p.parse(line)
		if (err == nil) != (wantErr == nil) || err == nil && !same(got, want) {
			t.Fatalf("after %q\nparse(%q) = %+v, %v\nwant %+v, %v", lines[:i], line, got, err, want, wantErr)
		}
		if expected && wantErr != nil {
			t.Fatalf("after %q\n%q was accepted, but is not a record: %v", lines[:i], line, wantErr)
		}
	}
}

func FuzzParserAgreesWithParse(f *testing.F) {
	lab := string(labLine(7))
	f.Add([]byte(lab), []byte(labLine(8)))
	edit := func(old, new string) {
		f.Add([]byte(lab), []byte(strings.Replace(lab, old, new, 1)))
	}
	for _, number := range []string{"-0", "0.1", "00", "01", "-", "1.", ".5", "+1", "1e3", "123456789012345",
		"1234567890123456789012345", "18446744073709551617", "184467440737095516.17", "0.30000000000000004",
		"9007199254740993", "\"\"", "null", "nul", "true", "[1]", ""} {
		edit(`"num_complaints":3`, `"num_complaints":`+number)
		edit(`0.007000`, number)
		edit(`"prediction":1`, `"prediction":`+number)
		edit(`0.47162381903`, number)
	}
	for _, text := range []string{"", "é", "\xff", `\u00e9`, `\n`, "\n", "\x7f", "\x00", "\u2028", "\xed\xa0\x80",
		`"`} {
		edit(`premium`, text)
		edit(`Y2EIV`, text)
		edit(`churn_model_v1`, text)
	}
	for _, end := range []string{"", "}", " }", "}\r\n", "}\n\n", "}\r", "} \n", "}x\n", `,"warnings":[]}`,
		`,"warnings":["a \"b\"","\u00e9"]}` + "\r\n", `,"warnings":[1]}`, `,"warnings":null}`,
		`,"warnings":["a"],"x":1}`, `,"warnings":["a"]`, `,"warnings":["a"]}}`, `,"warnings":`, `,"threshold":1}`} {
		edit("}\n", end)
	}
	edit(`"tenure_months"`, `"num_complaints"`)
	edit(`"num_complaints":3,`, ``)
	escaped := Record{ModelVersion: `a"b\`, Features: []Feature{{`"`, number(1)}, {"é\n", level(`\`)}},
		Warnings: []string{"w"}}
	f.Add(escaped.Append(nil), escaped.Append(nil))
	none := Record{ModelVersion: "m", Features: []Feature{}}
	f.Add(none.Append(nil), none.Append(nil))
	f.Fuzz(func(t *testing.T, first, second []byte) { agree(t, first, second, first, second) })
}

// Records of Append, with the same or other features, complete, truncated or changed.
func TestParserAgreesWithParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		var lines [][]byte
		for range rapid.IntRange(1, 6).Draw(t, "lines") {
			next := drawRecord(t)
			if rapid.IntRange(0, 3).Draw(t, "features") > 0 {
				next.ModelVersion = r.ModelVersion
				next.Features = nil
				for _, f := range r.Features {
					f.Value = rapid.SampledFrom([]dataset.Value{f.Value, number(1), number(-2.25), number(1e-9),
						level("a"), level("\u00e9"), level("a\tb"), {Missing: true}}).Draw(t, "value")
					next.Features = append(next.Features, f)
				}
			}
			line := append(next.Append(nil), rapid.SampledFrom([]string{"\n", "\r\n", "", " \n"}).Draw(t, "end")...)
			if rapid.IntRange(0, 3).Draw(t, "change") == 0 {
				at := rapid.IntRange(0, len(line)-1).Draw(t, "at")
				line[at] = rapid.SampledFrom([]byte("0123456789.,-eE\"\\{}[]:nxu \n\x00\xff")).Draw(t, "byte")
			}
			r, lines = next, append(lines, line)
		}
		agree(t, lines...)
	})
}

// Lines that serve writes take the fast path: otherwise drift would be ten times slower.
func TestSimilarLinesTakeTheFastPath(t *testing.T) {
	var p parser
	if _, err := p.parse(labLine(0)); err != nil {
		t.Fatal(err)
	}
	check := func(line []byte) {
		t.Helper()
		if !p.parseFast(line) {
			t.Errorf("%q does not take the fast path", line)
		}
	}
	for i := range 5000 {
		check(labLine(i))
	}
	line := string(labLine(1))
	for _, edit := range [][2]string{
		{`"EU"`, `null`}, {`"EU"`, `"Île"`}, {`:0.1,`, `:12.345678901234567,`}, {`:0.1,`, `:-3,`}, {"}\n", "}\r\n"},
		{"}\n", `,"warnings":["region \"XX\" is new"]}`}, {"churn_model_v1", "churn_model_v2"},
	} {
		changed := strings.Replace(line, edit[0], edit[1], 1)
		if changed == line {
			t.Fatalf("no %s in %s", edit[0], line)
		}
		check([]byte(changed))
	}
}

// A category of very many levels does not fill the memory.
func TestParserInternsFewTexts(t *testing.T) {
	var p parser
	for i := range 3 * maxTexts {
		r := Record{ModelVersion: "m", Features: []Feature{{"c", level(strings.Repeat("x", i))}}}
		if got, err := p.parse(r.Append(nil)); err != nil || got.Features[0] != r.Features[0] {
			t.Fatalf("%+v was read as %+v, %v", r, got, err)
		}
	}
	if len(p.texts) > maxTexts {
		t.Errorf("%d texts are interned, want at most %d", len(p.texts), maxTexts)
	}
}
