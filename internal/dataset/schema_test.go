package dataset

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// schemaOf returns the text of a schema with these features.
func schemaOf(features string) string {
	return `{"format":1,"target":{"name":"churn","positive":"1"},"features":[` + features + `],"ignore":["id"]}`
}

// parse returns a schema that must be good.
func parse(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := ParseSchema([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// public returns the schema as its file has it.
func public(s *Schema) Schema {
	p := *s
	p.marks = Marks{}
	p.Features = slices.Clone(s.Features)
	for i := range p.Features {
		p.Features[i].rule, p.Features[i].marks = nil, Marks{}
	}
	return p
}

func TestParseSchemaReadsEveryField(t *testing.T) {
	got := public(parse(t, `{"format": 1, "target": {"name": "left", "positive": "Yes"}, "features": [
		{"name": "monthly charges", "type": "number", "validate": "gte=0,lte=500", "integer": true,
			"clip_min": 0.5, "optional": true},
		{"name": "plan", "type": "category", "case": "lower", "max_levels": 7, "validate": "oneof=basic premium"}],
		"ignore": ["id"], "missing_values": ["?"]}`))
	half := 0.5
	want := Schema{Format: 1, Target: Target{Name: "left", Positive: "Yes"}, Features: []Feature{
		{Name: "monthly charges", Type: Number, Validate: "gte=0,lte=500", Integer: true, ClipMin: &half, Optional: true},
		{Name: "plan", Type: Category, Case: "lower", MaxLevels: 7, Validate: "oneof=basic premium"},
	}, Ignore: []string{"id"}, MissingValues: []string{"?"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("ParseSchema = %+v, want %+v", got, want)
	}
}

func TestParseSchemaRejects(t *testing.T) {
	check := func(text, want string) {
		t.Helper()
		if s, err := ParseSchema([]byte(text)); err == nil {
			t.Errorf("ParseSchema(%s) = %+v, want the error %q", text, s, want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSchema(%s): %q, want %q", text, err, want)
		}
	}
	check(``, "EOF")
	check(`[]`, "a list does not belong here")
	check(`null`, "it has no format")
	check(`{"format":1,"target":{"name":"c","positive":"1"},"features":[]}`, "no features")
	check(`{"format":1,"target":{"name":"","positive":"1"},"features":[{"name":"a","type":"number"}]}`,
		"target: a name must not be empty")
	check(`{"format":1,"target":{"name":" c","positive":"1"},"features":[{"name":"a","type":"number"}]}`, "space")
	check(`{"format":1,"target":{"name":"c","positive":""},"features":[{"name":"a","type":"number"}]}`,
		"positive value must not be empty")
	check(`{"format":1,"target":{"name":"c","positive":"1","typo":2},"features":[{"name":"a","type":"number"}]}`,
		"/target/typo: unknown key")
	check(strings.Replace(schemaOf(`{"name":"a","type":"number"}`), `"ignore"`, `"ignored"`, 1), "/ignored: unknown key")
	check(strings.Replace(schemaOf(`{"name":"a","type":"number"}`), `"id"`, `"a"`, 1), `"a" is feature 1`)
	check(strings.Replace(schemaOf(`{"name":"a","type":"number"}`), `"id"`, `"churn"`, 1), `"churn" is the target`)

	feature := func(text, want string) { t.Helper(); check(schemaOf(text), want) }
	feature(`{"name":"a","type":"number","gte":0}`, "/features/0/gte: unknown key")
	feature(`{"name":"a","type":"number"},{"name":"a","type":"category"}`, `feature 2: "a" is feature 1 already`)
	feature(`{"name":"churn","type":"number"}`, `"churn" is the target already`)
	feature(`{"name":"","type":"number"}`, "must not be empty")
	feature(`{"name":"a ","type":"number"}`, "end with a space")
	feature(`{"name":"a"}`, `type ""`)
	feature(`{"name":"a","type":"float"}`, `type "float"`)
	feature(`{"name":"a","type":"category","integer":true}`, "for numbers")
	feature(`{"name":"a","type":"category","clip_min":0}`, "for numbers")
	feature(`{"name":"a","type":"number","case":"lower"}`, "for categories")
	feature(`{"name":"a","type":"number","max_levels":5}`, "for categories")
	feature(`{"name":"a","type":"category","case":"title"}`, `case "title"`)
	feature(`{"name":"a","type":"category","max_levels":-1}`, "max_levels -1")
	feature(`{"name":"a","type":"category","max_levels":65535}`, "1 to 65534")
	feature(`{"name":"a","type":"number","validate":"gtee=0"}`, "gtee")
	feature(`{"name":"a","type":"number","validate":"gte=zero"}`, "zero")
	feature(`{"name":"a","type":"number","validate":"oneof=a b"}`, "oneof")
	feature(`{"name":"a","type":"category","validate":"required,oneof=a b"}`, "leave required out")
}

func TestLongestMaxLevelsIsAccepted(t *testing.T) {
	parse(t, schemaOf(`{"name":"a","type":"category","max_levels":65534}`))
}

func TestParseSchemaReportsAllIssues(t *testing.T) {
	_, err := ParseSchema([]byte(`{"format":1,"target":{"name":"c","positive":""},"features":[
		{"name":"a","type":"numb"}, {"name":"a","type":"number"}, {"name":"b","type":"number","validate":"gtee=1"}],
		"ignore":["b"]}`))
	if err == nil {
		t.Fatal("ParseSchema accepts a schema with five issues")
	}
	for _, want := range []string{"positive value must not be empty", `type "numb"`, `feature 2: "a" is feature 1`,
		"gtee", `ignore: "b"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n != 4 {
		t.Errorf("%q has %d lines, want 5", err, n+1)
	}
}

// A later format may have keys that this one does not know: the error is about the format, not the key.
func TestOtherFormatIsRejectedWithBothNumbers(t *testing.T) {
	check := func(more string) {
		t.Helper()
		text := `{"format":2,` + more + `"target":{"name":"c","positive":"1"},"features":[{"name":"a","type":"number"}]}`
		_, err := ParseSchema([]byte(text))
		if err == nil || !strings.Contains(err.Error(), "format 2") || !strings.Contains(err.Error(), "format 1") {
			t.Errorf("ParseSchema(%s): %v, want both formats", text, err)
		}
	}
	check(``)
	check(`"derived":["a*b"],`)
}

func TestMarshalThenParseIsTheIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchema(t)
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseSchema(b)
		if err != nil {
			t.Fatalf("ParseSchema(%s): %v", b, err)
		}
		if !reflect.DeepEqual(public(again), public(s)) {
			t.Fatalf("ParseSchema(%s) = %+v, want %+v", b, public(again), public(s))
		}
	})
}

// drawSchema returns a schema that ParseSchema finds good.
func drawSchema(t *rapid.T) *Schema {
	s := &Schema{
		Format: Format, Target: Target{Name: "churn", Positive: rapid.StringMatching(`[a-z1-9 é"]{0,5}[a-z1]`).Draw(t,
			"positive")},
		Ignore: rapid.SliceOfN(rapid.StringMatching(`ignored [a-z ]{1,5}`), 0, 2).Draw(t, "ignore"),
		MissingValues: rapid.SliceOfN(rapid.SampledFrom([]string{"?", "N/A", "NULL", "null", "-", "0", "-1"}), 1, 3).Draw(t,
			"marks"),
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-d "=]{0,3}[a-zé]`), 1, 4,
		rapid.ID[string]).Draw(t, "names") {
		f := Feature{Name: strings.TrimSpace(name), Type: Number, Optional: rapid.Bool().Draw(t, "optional")}
		if s.Index(f.Name) >= 0 {
			continue
		}
		if rapid.Bool().Draw(t, "number") {
			f.Integer = rapid.Bool().Draw(t, "integer")
			f.Validate = rapid.SampledFrom([]string{"", "gte=0,lte=200", "gt=-5"}).Draw(t, "rule")
			if rapid.Bool().Draw(t, "clips") {
				x := rapid.SampledFrom([]float64{0, 1, -1, 0.25, 1e-7, 1e21}).Draw(t, "clip_min")
				f.ClipMin = &x
			}
		} else {
			f.Type = Category
			f.Case = rapid.SampledFrom([]string{"", "lower", "upper"}).Draw(t, "case")
			f.MaxLevels = rapid.IntRange(0, maxLevels).Draw(t, "max_levels")
			f.Validate = rapid.SampledFrom([]string{"", "oneof=a b", "max=3"}).Draw(t, "rule")
		}
		s.Features = append(s.Features, f)
	}
	if err := s.compile(); err != nil {
		t.Skip(err)
	}
	return s
}

// People edit the file, so it has only what is set.
func TestSchemaIsWrittenAsDocumented(t *testing.T) {
	const want = `{"format":1,"target":{"name":"churn","positive":"1"},"features":[` +
		`{"name":"tenure_months","type":"number","validate":"gte=0,lte=200","integer":true},` +
		`{"name":"num_complaints","type":"number","validate":"gte=0,lte=50","integer":true},` +
		`{"name":"avg_session_minutes","type":"number","validate":"gte=0,lte=500","clip_min":0},` +
		`{"name":"plan_type","type":"category","case":"lower"},` +
		`{"name":"region","type":"category","case":"upper"}],"ignore":[]}`
	if got, err := json.Marshal(Lab()); err != nil || string(got) != want {
		t.Errorf("Lab() = %s, %v, want %s", got, err, want)
	}
}

func TestSchemaInAnotherDocumentIsChecked(t *testing.T) {
	type bundle struct{ Schema *Schema }
	check := func(text string, ok bool) {
		t.Helper()
		var b bundle
		err := json.Unmarshal([]byte(`{"Schema":`+text+`}`), &b)
		if (err == nil) != ok {
			t.Errorf("reading %s: %v, want success %v", text, err, ok)
		}
		if ok && b.Schema.Features[0].rule == nil {
			t.Error("the rule is not ready")
		}
	}
	check(schemaOf(`{"name":"a","type":"number","validate":"gte=0"}`), true)
	check(schemaOf(`{"name":"a","type":"number","validate":"gtee=0"}`), false)
	check(schemaOf(`{"name":"a","type":"number","typo":"gte=0"}`), false)
}

func TestWithLeavesTheSchemaAsItWas(t *testing.T) {
	s := Lab()
	w, err := s.With([]string{"id"}, []string{"?"})
	if err != nil {
		t.Fatal(err)
	}
	if !w.Skips("id") || s.Skips("id") {
		t.Errorf("Skips(id) = %v, and %v in the first schema, want true and false", w.Skips("id"), s.Skips("id"))
	}
	if v, _ := w.Features[4].CheckText("?"); !v.Missing {
		t.Errorf("with the mark ? the level ? = %+v, want missing", v)
	}
	if v, _ := s.Features[4].CheckText("?"); v.Missing {
		t.Error("the mark reached the first schema")
	}
	if _, err := s.With([]string{"region"}, nil); err == nil {
		t.Error("With ignores a feature")
	}
}

func TestTermsThatCannotBe(t *testing.T) {
	check := func(feature, more string, want ...string) {
		t.Helper()
		_, err := ParseSchema([]byte(`{"format":1,"target":{"name":"y","positive":"1"},"features":[
			{"name":"x","type":"number"},{"name":"c","type":"category"},` + feature + `],"ignore":["id"]` + more + `}`))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != strings.Join(want, "\n") {
			t.Errorf("%s%s: error %q, want %q", feature, more, got, want)
		}
	}
	const plain, up = `{"name":"z","type":"number"}`, `{"name":"z","type":"number","monotone":"up"}`
	of := func(keys string) string { return `{"name":"z",` + keys + `}` }
	for _, keys := range []string{"", `,"term":"line"`, `,"term":"curve"`, `,"term":"levels"`, `,"monotone":"down"`,
		`,"term":"curve","monotone":"up"`} {
		check(of(`"type":"number"`+keys), "")
	}
	check(plain, `,"pairs":[["x","c"],["z","x"]],"no_pairs":[["c","z"]]`)
	check(up, `,"no_pairs":[["c","z"]]`)

	const onlyNumbers = `feature 3, "z": term and monotone are for numbers: leave them out, or make it a number`
	check(of(`"type":"category","monotone":"up"`), "", onlyNumbers)
	check(of(`"type":"category","term":"line"`), "", onlyNumbers)
	check(of(`"type":"number","term":"spline"`), "", `feature 3, "z": term "spline" is neither line, curve nor levels`)
	check(of(`"type":"number","monotone":"yes"`), "", `feature 3, "z": monotone "yes" is neither up nor down`)
	check(of(`"type":"number","term":"levels","monotone":"up"`), "",
		`feature 3, "z": levels cannot be monotone: the term must be line or curve`)
	for _, key := range []string{"pairs", "no_pairs"} {
		check(plain, `,"`+key+`":[["x","nobody"]]`,
			`the pair x × nobody: "nobody" is not a feature of the schema: name two of its features`)
		check(plain, `,"`+key+`":[["x","y"]]`,
			`the pair x × y: "y" is not a feature of the schema: name two of its features`)
		check(plain, `,"`+key+`":[["id","x"]]`,
			`the pair id × x: "id" is ignored: name features that the schema does not ignore`)
		check(plain, `,"`+key+`":[["x","x"]]`, `the pair x × x is one feature: name two`)
	}
	check(plain, `,"pairs":[["x","z"]],"no_pairs":[["z","x"]]`,
		`the pair x × z is in pairs and in no_pairs: take it out of one`)
	check(up, `,"pairs":[["x","z"]]`,
		`the pair x × z: "z" is monotone, which it could not be in a pair: leave one of the two out`)
}

func TestColumnsByName(t *testing.T) {
	s := Lab()
	if got := s.Columns(); len(got) != 6 || got[0] != "tenure_months" || got[5] != "churn" {
		t.Errorf("Columns() = %v, want the features and churn", got)
	}
	if got := s.Index("region"); got != 4 {
		t.Errorf("Index(region) = %v, want 4", got)
	}
	if got := s.Index("churn"); got != -1 {
		t.Errorf("Index(churn) = %v, want -1", got)
	}
	const text = "{\"format\":1,\"target\":{\"name\":\"\u00fc\",\"positive\":\"1\"},\"ignore\":[\"I\u0307d\"]," +
		"\"features\":[{\"name\":\"Gro\u0308\u00dfe\",\"type\":\"number\"}]}"
	for _, name := range []string{"Gr\u00f6\u00dfe", "Gro\u0308\u00dfe"} { // in a file, and in an earlier model
		var old Schema
		if err := old.UnmarshalJSON([]byte(text)); err != nil || old.Index(name) != 0 || !old.Skips("\u0130d") {
			t.Errorf("%q in an earlier model: %v, %+v", name, err, old)
		}
		if s := parse(t, text); s.Index(name) != 0 || s.Features[0].Name != "Gr\u00f6\u00dfe" || !s.Skips("u\u0308") {
			t.Errorf("%q: %+v", name, s)
		}
	}
	if !s.Skips("churn") || s.Skips("region") || s.Skips("id") {
		t.Error("Skips: want true for the target alone")
	}
}

func TestReadSchemaNamesTheFileInEachLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "schema.json")
	text := schemaOf(`{"name":"a","type":"x"},{"name":"a","type":"number"}`)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := ReadSchema(path)
	if err == nil {
		t.Fatal("ReadSchema accepts a bad schema")
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !strings.HasPrefix(line, path+": ") {
			t.Errorf("%q does not begin with the file's name", line)
		}
	}
	if _, err := ReadSchema(path + "x"); !os.IsNotExist(err) {
		t.Errorf("ReadSchema of no file: %v", err)
	}
}

func FuzzParseSchema(f *testing.F) {
	lab, _ := json.Marshal(Lab())
	f.Add(lab)
	f.Add([]byte(schemaOf(`{"name":"a","type":"number","validate":"gte=0,lte=5","clip_min":-1e3}`)))
	f.Add([]byte(schemaOf(`{"name":"é","type":"category","validate":"oneof=a 'b c'","max_levels":3}`)))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSchema(b)
		if err != nil {
			return
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseSchema(text)
		if err != nil || !reflect.DeepEqual(public(again), public(s)) {
			t.Fatalf("ParseSchema(%s) = %+v, %v, want %+v", text, again, err, s)
		}
		for i := range s.Features {
			for _, cell := range []string{"", "-7", "50", "1e300", "a", "abc def"} {
				s.Features[i].Clean(cell)
			}
		}
	})
}
