package sqldata

import (
	"fmt"
	"strings"
	"testing"

	"churn/internal/dataset"
)

// schemaOf reads features, a line each, with the target y that is positive for 1.
func schemaOf(t testing.TB, positive, marks string, features ...string) *dataset.Schema {
	t.Helper()
	if marks == "" {
		marks = "[]"
	}
	s, err := dataset.ParseSchema([]byte(fmt.Sprintf(`{"format": 1, "target": {"name": "y", "positive": %q}, `+
		`"features": [%s], "ignore": [], "missing_values": %s}`,
		positive, strings.Join(features, ", "), marks)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// repeated returns rows of one column x, each n times, with labels 0 and 1 in turn.
func repeated(n int, texts ...string) cells {
	var out cells
	for i := range n {
		for k, text := range texts {
			out = append(out, row(text, fmt.Sprint((i+k)%2)))
		}
	}
	return out
}

func TestCleaning(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long, and TestRandomCleaning has the same cells")
	}
	everywhere(t, func(t *testing.T, p *place) {
		anything := dataset.Limits{MaxMissing: 1}
		dropping := dataset.Limits{MaxMissing: 1, DropInvalid: true}
		check := func(name string, accepted bool, d *tableCase) {
			t.Helper()
			t.Run(name, func(t *testing.T) {
				if got := d.compare(t, p, "cleaned"); got != accepted {
					t.Errorf("accepted: %v, want %v", got, accepted)
				}
			})
		}
		cases := 0
		one := func(name string, accepted bool, limits dataset.Limits, kind, feature, marks string, texts ...string) {
			t.Helper()
			// Texts are cleaned here for either engine, and each case takes Trino a second.
			if cases++; p.engine.scheme == "trino" && kind == "text" && cases%5 > 0 {
				return
			}
			check(name, accepted, &tableCase{
				schema: schemaOf(t, "1", marks, `{"name": "x", `+feature+`}`), limits: limits,
				header: []string{"x", "y"}, types: []string{kind, "text"}, rows: repeated(4, texts...),
			})
		}
		const number, category = `"type": "number"`, `"type": "category"`
		one("white space", true, anything, "text", number, "", " 1", "2 ", "\t3", "4\u00a0", "\u20035\u2003", "\u30006",
			"7\n", "\v8\f", "9\u0085", "10")
		one("white space of levels", true, anything, "text", category, "", " a", "a ", "\ta", "a\u00a0", "b\u2003",
			"\u3000b", "b\n", "\va\f", "b\u0085", "a", "b")
		one("composed", true, anything, "text", category, "", "\u00e9", "e\u0301", "\u1112\u1161\u11ab", "\ud55c",
			"\u212a", "K")
		one("no white space", true, anything, "text", category, "", "a", "\u200ba", "\u001ca", "a\ufeff", "a\u001f")
		one("line ends", true, anything, "text", category, "", "a\nb", "a\rb", "a\r", "a\r\n", "a")
		for _, letters := range []string{"lower", "upper"} {
			one(letters+" case", true, anything, "text", category+`, "case": "`+letters+`"`, `["n/a", "ΝΑΙ"]`,
				"ß", "ẞ", "ss", "SS", "İ", "i̇", "i", "I", "ı", "Σ", "σ", "ς", "ΌΔΟΣ", "όδος", "É", "é",
				"e\u0301", "N/A", "n/a", "N/a", "ναι", "Ναι", "ǅ", "ŉ", "ﬀ", "Ა")
		}
		one("true and false", true, anything, "text", category, "", "true", "false ", " true", "", `\N`, " ")
		one("words for yes and no", true, anything, "text", category, "", "yes", "Yes", "no", "yes", "yes", "no")
		one("reserved", false, anything, "text", category+`, "case": "lower"`, "", "a", "(MISSING)", " (missing) ")
		one("reserved in its case", true, anything, "text", category, "", "a", "(MISSING)")
		one("reserved, dropping", false, dropping, "text", category, "", "a", "(missing)")
		one("quotes", true, anything, "text", category, "", "'", "''", `"`, `\`, `\'`, `\\'`, "%s", "%[1]s", "$1", "?",
			";--", "a,b", "E'\\n'", "'); DROP TABLE customers; --", "NULL", "null", "😀", `\.`)
		one("unusual numbers", true, anything, "text", number, "", "+5", ".5", "5.", "1e3", "1E+3", "-.5e-3", "1e-400",
			"-1e-400", " 7 ", "00012", "-0", "0", "12345678901234567", "123456789012345678901234567890",
			"0.12345678901234567890", "9007199254740993", "999999999999999.999999999999999", "2.2250738585072011e-308",
			"5e-324", "2e-324", "1e100", "-1e100", "1e00000000000000000000001")
		for _, text := range []string{"1e400", "-1e400", "0x10", "NaN", "Infinity", "-inf", "1_000", "1,5,2", "--5", "+-5",
			"５", "1e", "e5", ".", "-", "+", "1 2", "(missing)", "1e101", "-1e101", "1.7976931348623159e308", "0b1", "1d",
			"1f", "٣", "1\u200b", "1\n2"} {
			one("number "+text, false, anything, "text", number, "", "1", text)
		}
		one("marks", true, anything, "text", number, `["-999", "N/A", "NaN", " ? ", "0x10", "1e400"]`, "1", "-999",
			"-999.0", "-9.99e2", "-00999", "N/A", " N/A ", "NaN", "?", "0x10", "1e400", "", " ", `\N`)
		one("marks of levels", true, anything, "text", category, `["-999", "N/A", " ? "]`, "1", "-999", "-999.0", "N/A",
			" N/A ", "n/a", "?", "", " ", `\N`)
		one("a mark in the wrong case", false, anything, "text", number, `["N/A"]`, "1", "n/a")
		one("clip", true, anything, "text", number+`, "clip_min": 0, "validate": "gte=0"`, `["-1"]`, "1", "-1", "-1.0",
			"-2", "-0", "-1e99", "-1e200", "-.5", "0")
		one("clip onto a mark", true, anything, "text", number+`, "clip_min": -1`, `["-1"]`, "1", "-1", "-1.0", "-2",
			"-3.5e0")
		one("clip below the rule", false, anything, "text", number+`, "clip_min": -5, "validate": "gte=0"`, "", "1",
			"-7", "-6e0")
		one("clip below the rule, dropping", true, dropping, "text", number+`, "clip_min": -5, "validate": "gte=0"`, "",
			"1", "2", "-7", "-6e0")
		one("whole numbers", true, anything, "text", number+`, "integer": true`, "", "6.0", "6", "6.", "60e-1", "-0.0",
			"1e20")
		one("fractions", false, anything, "text", number+`, "integer": true`, "", "6.0", "6.5", "6.5e0", "1e-1")
		one("fractions, dropping", true, dropping, "text", number+`, "integer": true`, "", "6.0", "7", "6.5", "6.5e0",
			"1e-1", "1e-400")
		for _, rule := range []string{"gte=1,lte=3", "gt=1,lt=3", "min=1,max=3", "gte=1.5", "lt=2.5", "ne=2",
			"eq=1|eq=2", "gte=-1,ne=3", "gt=0.1,lt=1e9", "lte=inf", "gte=-inf,lte=2", "gt=nan"} {
			feature := number + `, "validate": "` + rule + `"`
			one("rule "+rule, rule == "lte=inf", anything, "text", feature, "", "1", "2", "3", "3.0", "1e0", "\t2", "-999", "5")
			one("rule "+rule+", dropping", rule != "gt=nan", dropping, "text", feature, `["-999"]`, "1", "2", "3", "3.0",
				"1e0", "\t2", "-999", "5", "1.9")
			one("rule "+rule+" of doubles, dropping", rule != "gt=nan", dropping, "double precision", feature, `["-999"]`,
				"1", "2", "3", "-999", "5", "1.9", `\N`)
		}
		for _, rule := range []string{"oneof=a b c", "len=1", "alpha", "max=2", "ne=b", "lowercase", "email|len=1"} {
			feature := category + `, "validate": "` + rule + `"`
			one("rule "+rule, rule == "max=2" || rule == "lowercase", anything, "text", feature, "", "a", "b", " a", "b7")
			one("rule "+rule+", dropping", true, dropping, "text", feature, "", "a", "a", "b", "é", " a", "b777", "A")
		}
		one("points between thousands", true, anything, "text", number+`, "decimal": ",", "thousands": "."`, "", "1.024",
			"12", "1.024,5", "1024", "0,5", "=1.024")
		one("a point in decimal commas", false, anything, "text", number+`, "decimal": ","`, "", "1,5", "7", "1.024")
		one("percent", true, anything, "text", number+`, "unit": "%"`, "", "5 %", "18%", "0.5 %", "=0.18")
		one("no percent", false, anything, "text", number+`, "unit": "%"`, "", "5 %", "18")
		one("seconds since 1970", true, anything, "bigint", number+`, "date": "epoch", "as_of": "2024-12-31"`, "",
			"1704067200", "1704153600", `\N`)
		one("dates as numbers", true, anything, "text", number+`, "date": "ymd", "as_of": "2024-12-31"`, "", "20240131",
			"20241201")
		one("dates as whole numbers", true, anything, "integer", number+`, "date": "ymd", "as_of": "2024-12-31"`, "",
			"20240131", "20241201")
		one("all missing", false, anything, "text", number, `["?"]`, "", "?", `\N`)
		one("all missing levels", false, anything, "text", category, `["?"]`, "", "?", `\N`)
		one("all missing doubles", false, anything, "double precision", number, `["-1"]`, "-1", `\N`)
		one("all null", false, anything, "text", number, "", `\N`)
		one("too much missing", false, dataset.Limits{MaxMissing: 0.3}, "text", number, "", "", "1", "2")
		one("too much missing in doubles", false, dataset.Limits{MaxMissing: 0.3}, "double precision", number, "", `\N`,
			"1", "2")
		one("just enough", true, dataset.Limits{MaxMissing: 1. / 3}, "text", category, "", "", "1", "2")
		one("all dropped", false, dropping, "text", number+`, "validate": "gt=5"`, "", "1", "2")
		one("all dropped doubles", false, dropping, "double precision", number+`, "validate": "gt=5"`, "", "1", "2")

		one("doubles", true, anything, "double precision", number, `["-999", "N/A"]`, "1", "0.1", "-999", "5e-324",
			"1.7e-308", "-0", "0", "1e100", "-1e100", "123456789.123456789", `\N`)
		for _, text := range []string{"NaN", "Infinity", "-Infinity", "1e101", "-1e300"} {
			one("double "+text, false, anything, "double precision", number, "", "1", text)
			one("double "+text+", dropping", false, dropping, "double precision", number+`, "validate": "gte=0,lte=5"`, "",
				"1", text)
			one("double "+text+" and a clip", text == "-1e300", anything, "double precision", number+`, "clip_min": 0`, "",
				"1", "2", text)
			one("double "+text+" as a mark", true, anything, "double precision", number+`, "clip_min": 0`, `["`+text+`"]`,
				"1", "2", text)
		}
		for _, text := range []string{"NaN", "Infinity", "-Infinity"} {
			one("real "+text, false, anything, "real", number, "", "1", text)
			one("double "+text+" as a level", true, anything, "double precision", category, "", "1", text)
		}
		one("doubles far from zero", true, anything, "double precision", number, "", "1e9", "1000000000.001",
			"1000000000.002", "1000000000.004", `\N`)
		one("doubles very far from zero", true, anything, "double precision", number, "", "1e15", "1000000000000001",
			"1000000000000003", `\N`)
		one("reals", true, anything, "real", number, `["0.1"]`, "1", "0.1", "0.2", "3.4e38", "1e-30", "16777216", `\N`)
		one("reals with a bound", true, anything, "real", number+`, "validate": "lte=0.3", "clip_min": 0.1`, "", "0.1",
			"0.2", "0.3", "0.05", `\N`)
		one("integers", true, anything, "bigint", number+`, "integer": true, "validate": "lte=9223372036854775807"`,
			`["-1"]`, "1", "-1", "9007199254740993", "-9223372036854775808", "9223372036854775807", `\N`)
		one("decimals", true, anything, "numeric(20,6)", number, `["-999"]`, "1.000000", "-999.000000", "0.100000",
			"99999999999999.999999", `\N`)
		if p.engine.scheme == "postgres" { // Trino's decimals have 38 digits at most
			one("decimals of any size", true, anything, "numeric", number+`, "clip_min": -5`, `["Infinity"]`, "1", "1.50",
				"1e-400", "-1e-400", "3e-324", "-1e200", "Infinity", `\N`)
			for _, text := range []string{"1e400", "-1e400", "NaN", "Infinity", "1e308"} {
				one("decimal "+text, false, anything, "numeric", number+`, "clip_min": -5`, "", "1", text)
			}
		}
		one("fractions in decimals", false, anything, "numeric(20,6)", number+`, "integer": true`, "", "1.000000", "1.500000")
		one("numbers as levels", true, anything, "integer", category, `["-1"]`, "1", "-1", "12", `\N`)
		one("decimals as levels", true, anything, "numeric(20,2)", category, `["-1.00"]`, "1.00", "-1.00", "12.50", `\N`)
		one("doubles as levels", true, anything, "double precision", category, "", "1", "0.1", "-2.5", `\N`)
		one("reals as levels", true, anything, "real", category, "", "1", "0.1", "-2.5", `\N`)
		one("truth values", true, anything, "boolean", category+`, "case": "upper"`, "", "true", "false", `\N`)
		one("truth values as numbers", false, anything, "boolean", number, "", "true", "false")

		many := make([]string, 150)
		for i := range many {
			many[i] = fmt.Sprint(i)
		}
		one("too many levels", false, anything, "text", category, "", append(many, "n/a")...)
		one("too many levels, no numbers", false, anything, "text", category, "",
			append(many, strings.Split("a b c d e f g h i j k l m n o p q r s t u v w x y z", " ")...)...)
		one("too many numbers as levels", false, anything, "integer", category, "", many...)
		one("an empty table", false, anything, "text", number, "")

		target := func(name string, accepted bool, kind, positive, marks string, texts ...string) {
			t.Helper()
			var rows cells
			for i := range 24 {
				rows = append(rows, row(fmt.Sprint(i%5), texts[i%len(texts)]))
			}
			check("target "+name, accepted, &tableCase{
				schema: schemaOf(t, positive, marks, `{"name": "x", "type": "number"}`), limits: anything,
				header: []string{"x", "y"}, types: []string{"integer", kind}, rows: rows,
			})
		}
		target("of texts", true, "text", "yes", "", "yes", " yes", "no\u00a0", "no")
		target("in another case", true, "text", "yes", "", "yes", "Yes", "no")
		target("1 and 1.0", true, "text", "1", "", "1", "1.0", " 1e0", "0", "-0", "00")
		target("missing", false, "text", "1", `["?"]`, "1", "0", "", "?", `\N`)
		target("of three values", false, "text", "1", "", "1", "0", "2")
		target("constant", false, "text", "1", "", "1", "1.0")
		target("without the positive value", false, "text", "7", "", "1", "0")
		target("of doubles", true, "double precision", "1", "", "1", "0")
		target("of truth values", true, "boolean", "true", "", "true", "false")
		target("of decimals", true, "numeric(5,2)", "1", "", "1.00", "0.00")
		target("of doubles that are not numbers", false, "double precision", "1", "", "1", "0", "NaN")
		target("of many values", false, "text", "1", "", append([]string{"1"}, many[2:20]...)...)
		target("with quotes", true, "text", `it's "\ `+"'x", "", `it's "\ `+"'x", `it's`)

		blank, err := dataset.ParseSchema([]byte(`{"format": 1, "target": {"name": "y", "positive": "left", "blank": true},
			"features": [{"name": "x", "type": "number"}], "ignore": []}`))
		if err != nil {
			t.Fatal(err)
		}
		empty, spaces := row("3", ""), row("4", " ")
		empty[1] = nil
		check("target with empty cells", true, &tableCase{
			schema: blank, limits: anything, header: []string{"x", "y"}, types: []string{"integer", "text"},
			rows: cells{row("1", "left"), row("2", "left"), empty, spaces},
		})

		// A target with rows that are left out counts those that are kept.
		const below5 = `{"name": "x", "type": "number", "validate": "lt=5"}`
		check("a class that is left out", false, &tableCase{
			schema: schemaOf(t, "1", "", below5), limits: dropping,
			header: []string{"x", "y"}, types: []string{"text", "text"},
			rows: cells{row("1", "0"), row("2", "0"), row("7", "1"), row("8e0", "")},
		})
		check("a level that is left out", true, &tableCase{
			schema: schemaOf(t, "1", "", below5, `{"name": "c", "type": "category"}`), limits: dropping,
			header: []string{"y", "c", "x"}, types: []string{"text", "text", "double precision"},
			rows: cells{
				row("0", "a", "1"), row("1", "b", "2"), row("2", "d", "7"), row("1", "e", "9"), row("", `\N`, "9"),
				row("0", `\N`, `\N`),
			},
		})
	})
}

// A number of the engine is plain, whatever the schema says of how texts write it.
func TestNumbersArePlain(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		for i, rule := range []string{"", `, "validate": "gte=0"`, `, "validate": "ne=5"`} {
			table := p.table(t, fmt.Sprint("plain", i), "id", []string{"id", "x", "y"},
				[]string{"bigint", "numeric(9,3)", "text"}, cells{
					row("1", "1.926", "0"), row("2", "12.500", "1"), row("3", "-1.000", "0"), row("4", "-1.000", "1"),
				})
			s := source(t, table, schemaOf(t, "1", `["-1.000"]`, `{"name": "x", "type": "number", "decimal": ",", `+
				`"thousands": "."`+rule+`}`), dataset.Limits{MaxMissing: 1})
			prepared, err := s.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if x := prepared.Summaries["x"]; x.Missing != 2 || x.Numbers.Min != 1.926 || x.Numbers.Max != 12.5 {
				t.Errorf("%s: %+v %+v", rule, x, x.Numbers)
			}
		}
	})
}

// What is wrong with a number of the engine is so too.
func TestProblemsOfPlainNumbers(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		check := func(feature, cell, want string, dropped int) {
			t.Helper()
			table := p.table(t, "problems", "id", []string{"id", "x", "y"}, []string{"bigint", "double precision", "text"},
				cells{row("1", "3", "0"), row("2", "3", "1"), row("3", cell, "0"), row("4", cell, "1")})
			schema := schemaOf(t, "1", "", `{"name": "x", "type": "number", `+feature+`}`)
			_, err := table.Source(t.Context(), schema, dataset.Limits{MaxMissing: 1})
			fails(t, err, want)
			s := source(t, table, schema, dataset.Limits{MaxMissing: 1, DropInvalid: true})
			if s.Quality().RowsDropped != dropped {
				t.Errorf("%s: %d rows are left out, want %d", feature, s.Quality().RowsDropped, dropped)
			}
		}
		check(`"decimal": ",", "validate": "lte=10"`, "12.5", "12.5 is above 10", 2)
		check(`"decimal": ",", "thousands": ".", "validate": "gte=2"`, "1.125", "1.125 is below 2", 2)
		check(`"unit": "%", "integer": true`, "0.5", "0.5 is not a whole number", 2)
	})
}
