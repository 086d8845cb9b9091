package model

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"

	"github.com/go-json-experiment/json"
)

// Documents that were written when formats 1 and 2 were new. They must stay readable.
var documents = []string{"format1_train", "format1_balanced", "format1_missing", "format2"}

func readDocument(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustParse(t *testing.T, b []byte) *Model {
	t.Helper()
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// checkGolden compares scores and explanations with the document's golden rows, which
// it reads by itself.
func checkGolden(t *testing.T, name string, b []byte, m *Model) {
	t.Helper()
	var doc struct {
		Golden []struct {
			Row         []dataset.Value `json:"row"`
			Probability float64         `json:"probability"`
		} `json:"golden"`
		Threshold float64 `json:"threshold"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Golden) != goldenRows || m.Threshold != doc.Threshold {
		t.Fatalf("%s: %d golden rows, threshold %v", name, len(doc.Golden), m.Threshold)
	}
	for i, g := range doc.Golden {
		if got := m.Score(g.Row).Probability; !(math.Abs(got-g.Probability) <= 1e-9) {
			t.Errorf("%s: golden row %d: %v, want %v", name, i+1, got, g.Probability)
		}
		x := m.Explain(g.Row)
		z := x.Base
		for _, c := range x.Contributions {
			z += c
		}
		if got := logreg.Sigmoid(z); !(math.Abs(got-g.Probability) <= 1e-9) {
			t.Errorf("%s: golden row %d: contributions add up to %v, want %v", name, i+1, got, g.Probability)
		}
	}
}

func TestDocumentsLiveLongerThanPrograms(t *testing.T) {
	for _, name := range documents {
		b := readDocument(t, name)
		checkGolden(t, name, b, mustParse(t, b))
	}
}

// insert returns the document with more behind the first place that has after.
func insert(t *testing.T, b []byte, after, more string) []byte {
	t.Helper()
	if !bytes.Contains(b, []byte(after)) {
		t.Fatalf("the document has no %q", after)
	}
	return sign(bytes.Replace(bytes.Clone(b), []byte(after), []byte(after+more), 1))
}

func TestUnknownKeys(t *testing.T) {
	const novelty = `"novelty": [{"of": 2.5}], `
	first := func(list string) string { return fmt.Sprintf("%q: [\n    {", list) }
	object := func(key string) string { return fmt.Sprintf("%q: {", key) }
	ignored := []string{"", object("data"), object("training"), object("figures"), object("confusion"),
		first("coefficients"), object("reference"), object("probability"), first("golden")}
	rejected := []string{object("schema"), object("target"), "\"features\": [\n      {", object("encoder"),
		object("avg_session_minutes")}
	for _, name := range documents {
		b := readDocument(t, name)
		m := mustParse(t, b)
		places := ignored
		if m.Format == FormatTerms {
			places = append(slices.Clone(ignored), first("effects"))
		}
		for _, place := range places {
			if place == "" {
				place = "{"
			}
			changed := insert(t, b, place, novelty)
			checkGolden(t, name+" "+place, changed, mustParse(t, changed))
			changed[bytes.Index(changed, []byte("2.5"))] = '3'
			if _, err := Parse(changed); err == nil || !strings.Contains(err.Error(), "checksum") {
				t.Errorf("%s: an unknown key behind %q is not in the checksum: %v", name, place, err)
			}
		}
		places = rejected
		if m.Format == FormatTerms {
			places = append(slices.Clone(rejected), object("grids"),
				"\"grids\": {\n      \"avg_session_minutes\": {", "\"curves\": {\n      \"avg_session_minutes\": {")
		}
		for _, place := range places {
			_, err := Parse(insert(t, b, place, novelty))
			if err == nil || !strings.Contains(err.Error(), "novelty") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: an unknown key behind %q: %v, want an error that names it", name, place, err)
			}
		}
	}
}

// A document without what scoring needs is none, though other keys may be missing.
func TestRequiredKeys(t *testing.T) {
	b := readDocument(t, "format1_train")
	for _, key := range []string{"intercept", "threshold", "schema", "encoder", "weights", "golden", "reference"} {
		changed := sign(bytes.Replace(bytes.Clone(b), fmt.Appendf(nil, "\n  %q:", key), []byte("\n  \"other\":"), 1))
		if _, err := Parse(changed); err == nil {
			t.Errorf("a document without %s is read", key)
		}
	}
	changed := sign(bytes.Replace(bytes.Clone(b), []byte(`"figures":`), []byte(`"metrics":`), 1))
	checkGolden(t, "without figures", changed, mustParse(t, changed))
}

func TestParseRejectsTerms(t *testing.T) {
	if testing.Short() {
		t.Skip("it parses many documents")
	}
	check := func(want string, change func(m *Model)) {
		t.Helper()
		m := mustParse(t, readDocument(t, "format2"))
		change(m)
		_, err := Parse(document(t, m))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one line with %q", err, want)
		}
	}
	const number, category = "avg_session_minutes", "plan_type"
	curve := func(change func(b *Basis)) func(m *Model) {
		return func(m *Model) { change(m.Encoder.Curves[number]) }
	}
	grid := func(name string, change func(b *Basis)) func(m *Model) {
		return func(m *Model) { change(m.Encoder.Grids[name]) }
	}
	check("knots must increase", curve(func(b *Basis) { b.Knots[0], b.Knots[1] = b.Knots[1], b.Knots[0] }))
	check("knots must increase", curve(func(b *Basis) { b.Knots[1] = b.Knots[0] }))
	check("not a finite number", curve(func(b *Basis) { b.Knots[0] = -1e101 }))
	check("at least two knots", curve(func(b *Basis) { b.Knots = b.Knots[:1] }))
	check("at least two knots", curve(func(b *Basis) { b.Knots = nil }))
	check("at least two knots", curve(func(b *Basis) { b.Values = []float64{1, 2} }))
	check("weights, the encoder has", curve(func(b *Basis) { b.Knots = b.Knots[1:] }))
	check("weights, the encoder has", curve(func(b *Basis) { b.Knots = append(b.Knots, 1e9) }))
	check("1001 knots", curve(func(b *Basis) { b.Knots = make([]float64, 1001) }))
	check(`the encoder's column "avg_session_minutes@`, curve(func(b *Basis) { b.Knots[0] -= 0.5 }))
	check("no levels", curve(func(b *Basis) { b.Levels = []string{"a"} }))
	check("smooth is -1", curve(func(b *Basis) { b.Smooth = -1 }))
	check("it is null", func(m *Model) { m.Encoder.Curves[number] = nil })
	check("it is null", func(m *Model) { m.Encoder.Curves[category] = nil })
	check(`"nobody10" is not a number`, func(m *Model) { // the first of them, each time
		for i := 99; i >= 10; i-- {
			m.Encoder.Curves[fmt.Sprint("nobody", i)] = &Basis{Values: []float64{1}}
		}
	})
	check(`"plan_type" is not a number`, func(m *Model) { m.Encoder.Missing = []string{category} })
	check("knots must increase", func(m *Model) {
		levels := m.Encoder.Curves["num_complaints"].Values
		levels[1] = levels[0]
	})
	check("at least two knots", grid(number, func(b *Basis) { b.Knots = b.Knots[:1] }))
	check("knots must increase", grid(number, func(b *Basis) { slices.Reverse(b.Knots) }))
	check("knots, values, missing or smooth", grid(category, func(b *Basis) { b.Knots = []float64{1, 2} }))
	check(`"(missing)" occurs twice`, grid(category, func(b *Basis) { b.Levels[1] = b.Levels[0] }))
	check(`"(rest)" occurs twice`, grid(category, func(b *Basis) { b.Levels[0], b.Rest = restLevel, true }))
	check("no levels", grid(category, func(b *Basis) { b.Levels = nil }))
	check(`the name "region=AF"`, func(m *Model) { m.Encoder.Levels["region"][1] = "AF" })

	check("it is null", func(m *Model) { m.Encoder.Grids[category] = nil })
	check("has no grids", func(m *Model) { m.Encoder.Grids = nil })
	check("has no grids", func(m *Model) { m.Encoder.Pairs[0][0] = "nobody" })
	check("is one feature", func(m *Model) { m.Encoder.Pairs[0] = Pair{number, number} })
	check(`grid of "nobody", which is not in the schema`, func(m *Model) {
		m.Encoder.Grids["nobody"], m.Encoder.Pairs[0][0] = &Basis{Levels: []string{"a"}}, "nobody"
	})
	check("grids without pairs", func(m *Model) { m.Encoder.Pairs = nil })
	check("the pair plan_type × region has 90000 cells, more than 4096", func(m *Model) {
		var levels []string
		for i := range 300 {
			levels = append(levels, fmt.Sprint(i))
		}
		m.Encoder.Grids[category], m.Encoder.Grids["region"] = &Basis{Levels: levels}, &Basis{Levels: levels}
		m.Encoder.Pairs[0] = Pair{category, "region"}
	})
	check("two weights have the name", func(m *Model) { // which must not take a million times the memory of one
		m.Encoder.Pairs = slices.Repeat(m.Encoder.Pairs, 1_000_000)
	})

	check("0 effects, the encoder has 6 features and pairs", func(m *Model) { m.Effects = nil })
	check("5 effects, the encoder has 6", func(m *Model) { m.Effects = m.Effects[:5] })
	check(`effect 1 is of "region", the encoder's is "tenure_months"`, func(m *Model) { m.Effects[0].Name = "region" })
	pair := func(m *Model) *Effect { return &m.Effects[len(m.Effects)-1] }
	check("has margins of 2 and", func(m *Model) { pair(m).Margins[0] = pair(m).Margins[0][:2] })
	check("has margins of 3 and 0", func(m *Model) { pair(m).Margins[1] = nil })
	check("has margins of 0 and 0", func(m *Model) { pair(m).Margins = [2][]float64{} })
	check("has margins of 1 and 0, its grids 0 and 0", func(m *Model) { m.Effects[0].Margins[0] = []float64{1} })
	check("is more than 1e+80", func(m *Model) { pair(m).Margins[1][0] = 1e300 })
	for _, threshold := range []float64{-0.1, 1.1, 1e308} {
		check("threshold is", func(m *Model) { m.Threshold = threshold })
	}
	check("format 1 has no curves", func(m *Model) { m.Format = Format })
}

func TestParseRejectsMalformedTerms(t *testing.T) {
	b := readDocument(t, "format2")
	check := func(old, new, want string) {
		t.Helper()
		if !bytes.Contains(b, []byte(old)) {
			t.Fatalf("the document has no %q", old)
		}
		_, err := Parse(sign(bytes.Replace(bytes.Clone(b), []byte(old), []byte(new), 1)))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one line with %q", err, want)
		}
	}
	check(`"knots": [`, `"knots": [1e999,`, "/encoder/curves/avg_session_minutes/knots/0")
	check(`"knots": [`, `"knots": [NaN,`, "not a model")
	check(`"knots": [`, `"knots": [null,`, "60 weights, the encoder has 61 columns")
	check(`"smooth": 10`, `"smooth": 1e999`, "/encoder/curves/avg_session_minutes/smooth")
	check(`"margins": [`, `"margins": [[],`, "/effects/5/margins")
	check(`"pairs": [`, `"pairs": [["region"],`, "/encoder/pairs/0")
}

// A document of format 2 may be without what needs it.
func TestFormat2WithoutTerms(t *testing.T) {
	m := mustParse(t, readDocument(t, "format1_missing"))
	m.Format = FormatTerms
	b := document(t, m)
	checkGolden(t, "format 2", b, mustParse(t, b))
}

// More weights than pairs may have are no reason to reject a document without pairs.
func TestManyLevelsStayReadable(t *testing.T) {
	m := mustParse(t, readDocument(t, "format1_train"))
	const more = 2 * maxWidth
	for i := range more {
		m.Encoder.Levels["region"] = append(m.Encoder.Levels["region"], fmt.Sprintf("Z%05d", i))
	}
	if err := m.Encoder.bind(m.Schema); err != nil {
		t.Fatal(err)
	}
	m.weights = slices.Insert(m.weights, len(m.weights)-1, make([]float64, more)...)
	b := document(t, m)
	checkGolden(t, "many levels", b, mustParse(t, b))
}

// Levels of earlier versions may not be composed, as those of a value are.
func TestLevelsThatAreNotComposed(t *testing.T) {
	s, err := dataset.ParseSchema([]byte(`{"format":1,"target":{"name":"y","positive":"1"},
		"features":[{"name":"city","type":"category"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	e := Encoder{schema: s}
	b := e.basis(0, &Basis{Levels: []string{"Bern", "Zu\u0308rich", "e\u0301", "\u00e9"}})
	for level, want := range map[string]int32{
		"Z\u00fcrich": 1, "Zu\u0308rich": 1, "e\u0301": 2, "\u00e9": 3, "Basel": -1,
	} {
		if got := b.place(level, false); got != want {
			t.Errorf("place(%+q) = %d, want %d", level, got, want)
		}
	}
}
