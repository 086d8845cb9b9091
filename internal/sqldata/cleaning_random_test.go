package sqldata

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"churn/internal/dataset"
)

// The texts of cells. Those of fatal are rejected unless a rule leaves their rows out.
var (
	clean   = []string{"0", "1", "2", "3", "5", "7", "12.5", "-3", "40", "1.25", "100"}
	unusual = []string{"+5", ".5", "5.", "1e3", "-0", "007", "1e-400", " 7", "\t8 ", "9\u00a0", "\u20031",
		"123456789012345678", "0.1000000000000000055", "-1e150", "6.0", "6.50", "-7.25e1", "1e99"}
	empty        = []string{"", " ", `\N`, "N/A", " N/A", "-999", "-999.0", "-9.99e2", "?", "n/a", "NaN", "0.0", "1"}
	fatal        = []string{"abc", "NaN", "Infinity", "0x10", "1e400", "1,5", "--5", "1e101", "(missing)", "１", "1 000"}
	words        = []string{"a", "b", "A", "B", "c", "ab", "Ab", "yes", "no", "7", "3.0"}
	unusualTexts = []string{" a", "a ", "\u00a0b", "ß", "ẞ", "İ", "i", "I", "Σ", "ς", "σ", "É", "e\u0301", "NA",
		"null", "a,b", `a"b`, "it's", `\`, "x\ny", "%s", "😀", "'; --", "(MISSING)", "N/a", "true", "1e3", "-999"}

	numberRules = []string{"", "", "", "gte=0", "gte=-50,lte=50", "gt=0,lt=100", "min=1,max=7", "ne=5",
		"eq=1|gte=3", "lte=1e120", "lt=1e7"}
	categoryRules = []string{"", "", "", "oneof=a b c yes no", "len=1", "max=3", "ne=b", "alpha|numeric", "min=1"}
	doubles       = []string{"1e-300", "1e99", "-0", "0", "1", "-1", "0.1", "2.5", "-999", "12345.678", "5", "7", "3",
		"-40", "6.5"}
)

// pick draws from several lists in turn, from the first most often.
func pick(rng *rand.Rand, lists ...[]string) string {
	for _, list := range lists[1:] {
		if rng.IntN(8) == 0 {
			return list[rng.IntN(len(list))]
		}
	}
	return lists[0][rng.IntN(len(lists[0]))]
}

// randomTable is a schema and a table at random. About half are accepted.
func randomTable(t testing.TB, rng *rand.Rand, n int) *tableCase {
	chance := func(one int) bool { return rng.IntN(one) == 0 }
	of := func(list []string) string { return list[rng.IntN(len(list))] }
	bad := chance(4)
	d := &tableCase{limits: dataset.Limits{MaxMissing: []float64{1, 1, 1, 0.4, 0.2}[rng.IntN(5)], DropInvalid: !chance(4)}}
	var features []string
	var columns []func() string
	for j := range 1 + rng.IntN(6) {
		f := map[string]any{"name": fmt.Sprintf("%s %d", of([]string{"x", "X", `a"b`, "select", "é%s", "a,b"}), j),
			"type": dataset.Category}
		kind := of([]string{"text", "text", "double precision", "integer", "real", "numeric(20,3)", "bigint", "boolean"})
		if kind == "double precision" && chance(2) || kind == "text" && chance(2) || kind == "integer" && !chance(4) ||
			chance(2) {
			f["type"] = dataset.Number
		}
		rules := categoryRules
		var cell func() string
		if f["type"] == dataset.Number {
			if rules = numberRules; chance(4) {
				f["integer"] = true
			}
			if chance(3) {
				f["clip_min"] = []float64{0, -1, 1, -999, 2.5}[rng.IntN(5)]
			}
			cell = func() string { return pick(rng, clean, unusual, empty) }
			if kind == "boolean" && !bad {
				kind = "text"
			}
		} else {
			if chance(2) {
				f["case"] = of([]string{"lower", "upper"})
			}
			cell = func() string { return pick(rng, words, unusualTexts, empty) }
		}
		if bad && chance(2) {
			good := cell
			cell = func() string {
				if chance(30) {
					return of(fatal)
				}
				return good()
			}
		}
		switch kind {
		case "double precision":
			some := doubles
			if f["type"] == dataset.Category {
				some = doubles[3:] // the text of others is the engine's
			}
			cell = func() string { return of(some) }
			if bad && chance(2) {
				cell = func() string { return pick(rng, some, []string{"NaN", "Infinity", "-Infinity"}) }
			}
		case "real":
			cell = func() string { return of([]string{"0.1", "1", "-2.5", "-999", "0.3", "7", "NaN"}[:6+number01(bad)]) }
		case "integer", "bigint":
			cell = func() string { return of([]string{"0", "1", "2", "3", "5", "7", "-999", "40", "-3"}) }
		case "numeric(20,3)":
			cell = func() string { return of([]string{"0.000", "1.000", "2.500", "-999.000", "6.000", "123456789.125"}) }
		case "boolean":
			cell = func() string { return of([]string{"true", "false"}) }
		}
		if kind != "text" && chance(2) {
			good := cell
			cell = func() string {
				if chance(6) {
					return `\N`
				}
				return good()
			}
		}
		if rule := of(rules); rule != "" {
			f["validate"] = rule
		}
		b, _ := json.Marshal(f)
		features, columns = append(features, string(b)), append(columns, cell)
		d.header, d.types = append(d.header, f["name"].(string)), append(d.types, kind)
	}
	marks := of([]string{"", "", `["N/A", "-999"]`, `["N/A", "?", "0"]`, `["NaN", "-999.00", "n/a"]`,
		`["n/a", "N/A", "?", "-1", "NaN"]`})
	positive, labels, kind := "1", []string{"1", "0"}, of([]string{"text", "integer"})
	if chance(3) {
		positive, labels, kind = "yes", []string{"yes", "no", " yes", "no\u00a0"}, "text"
	} else if kind == "text" {
		labels = []string{"1", "0", "1.0", " 0", "1e0"}
	}
	if marks == `["N/A", "?", "0"]` && positive == "1" {
		marks = ""
	}
	if bad && chance(4) {
		labels = append(labels, []string{"", "2", `\N`}[rng.IntN(3)])
		if kind == "integer" {
			labels[2] = `\N`
		}
	}
	d.header, d.types = append(d.header, "y"), append(d.types, kind)
	columns = append(columns, func() string { return of(labels) })
	d.schema = schemaOf(t, positive, marks, features...)
	for range n {
		texts := make([]string, len(columns))
		for j, cell := range columns {
			texts[j] = cell()
		}
		d.rows = append(d.rows, row(texts...))
	}
	return d
}

func number01(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Schemas and tables at random.
func TestRandomCleaning(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		cases := 300
		if p.engine.scheme == "trino" {
			cases = 30 // each takes a second
		}
		if testing.Short() {
			cases /= 10
		}
		accepted := 0
		for seed := range cases {
			rng := rand.New(rand.NewPCG(7, uint64(seed)))
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				if randomTable(t, rng, []int{200, 30, 7}[seed%3]).compare(t, p, "random") {
					accepted++
				}
			})
		}
		t.Logf("%d of %d accepted", accepted, cases)
		if accepted < cases/5 || accepted > 4*cases/5 {
			t.Errorf("%d of %d accepted: the tables are not varied enough", accepted, cases)
		}
	})
}
