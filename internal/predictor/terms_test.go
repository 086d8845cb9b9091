package predictor

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/predictor/httpbody"

	"github.com/go-json-experiment/json"
)

// termsModel returns a model of a curve with a weight for missing cells, a number as levels,
// a line whose missing cells are the median, a category with a missing level, and two pairs.
func termsModel(t testing.TB) *model.Model {
	t.Helper()
	schema, err := dataset.ParseSchema([]byte(`{"format":1,"target":{"name":"left","positive":"1"},"features":[
		{"name":"age","type":"number","optional":true},
		{"name":"products","type":"number","integer":true,"term":"levels"},
		{"name":"balance","type":"number","optional":true,"term":"line"},
		{"name":"country","type":"category","optional":true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 0))
	table := dataset.NewTable(schema)
	for range 800 {
		values := []dataset.Value{
			{Number: math.Round(18 + 60*rng.Float64()), Missing: rng.IntN(8) == 0},
			{Number: []float64{1, 2, 6, 9}[rng.IntN(4)]},
			{Number: 1000 * rng.Float64()},
			{Text: []string{"FR", "DE", "ES"}[rng.IntN(3)], Level: true, Missing: rng.IntN(8) == 0},
		}
		z := math.Abs(values[0].Number-45)/10 - 2
		if values[3].Text == "DE" && values[1].Number > 2 {
			z += 2
		}
		table.Append(&dataset.Row{Values: values, Positive: rng.Float64() < 1/(1+math.Exp(-z))})
	}
	o := model.Options{Version: "v1", Seed: 1, TestSize: 0.25, C: 1, ClassWeight: model.WeightNone, Tune: model.TuneF1}
	o.Terms, o.Pairs.Named = model.TermsCurve, []model.Pair{{"products", "country"}, {"age", "products"}}
	m, err := model.Train(t.Context(), model.InMemory(table), o)
	if err != nil {
		t.Fatal(err)
	}
	m.TrainedAtUTC = "2026-01-01T12:00:00Z"
	return m
}

// explainedAnswer is an answer with its explanation.
type explainedAnswer struct {
	Probability float64  `json:"probability"`
	Warnings    []string `json:"warnings"`
	Explanation struct {
		Base          float64 `json:"base"`
		Contributions []struct {
			Feature      string  `json:"feature"`
			Contribution float64 `json:"contribution"`
			Missing      bool    `json:"missing"`
		} `json:"contributions"`
	} `json:"explanation"`
}

// Every protocol explains features and pairs, and the parts are the probability's log-odds.
func TestTermsAreExplained(t *testing.T) {
	s := start(t)
	m := termsModel(t)
	s.publish(m)
	names := []string{"age", "products", "balance", "country", "products × country", "age × products"}
	rows := []struct {
		json, csv string
		missing   []string
		warnings  int
	}{
		{`{"age":33,"products":6,"balance":12.5,"country":"DE"}`, `33,6,12.5,DE`, nil, 0},
		{`{"products":6}`, `,6,,`, []string{"age", "balance", "country"}, 0},
		{`{"age":-1e6,"products":3,"balance":1e9,"country":"XX"}`, `-1e6,3,1e9,XX`, nil, 4},
	}
	check := func(how string, row int, a explainedAnswer) map[string]float64 {
		t.Helper()
		z, got, missing := a.Explanation.Base, map[string]float64{}, []string(nil)
		for _, c := range a.Explanation.Contributions {
			z += c.Contribution
			if got[c.Feature] = c.Contribution; c.Missing {
				missing = append(missing, c.Feature)
			}
		}
		slices.Sort(missing)
		if len(got) != len(names) || !slices.Equal(missing, rows[row].missing) || len(a.Warnings) != rows[row].warnings {
			t.Errorf("%s: row %d: %+v, want %q, missing %q and %d warnings", how, row, a, names, rows[row].missing,
				rows[row].warnings)
		}
		if p := 1 / (1 + math.Exp(-z)); math.Abs(p-a.Probability) > 1e-6 {
			t.Errorf("%s: row %d: base and contributions give %v, the answer is %v", how, row, p, a.Probability)
		}
		return got
	}
	decode := func(text string) (a explainedAnswer) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return a
	}
	var lines, table strings.Builder
	table.WriteString("age,products,balance,country\n")
	var want []map[string]float64
	for i, row := range rows {
		lines.WriteString(row.json + "\n")
		table.WriteString(row.csv + "\n")
		want = append(want, check("predict", i, decode(s.expect("POST", "/predict?explain=true", row.json, 200, ""))))
		trial := check("what-if", i, decode(s.expect("POST", "/what-if", row.json, 200, "")))
		for _, name := range names {
			if x, ok := trial[name]; !ok || x != want[i][name] {
				t.Errorf("row %d: %s is %v in what-if, %v in predict", i, name, x, want[i][name])
			}
		}
	}
	_, _, text := s.send("/predict/batch?explain=true", httpbody.Lines, lines.String())
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		check("NDJSON", i, decode(line))
	}
	_, _, text = s.send("/predict/batch?explain=true", httpbody.CSV, table.String())
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) != 1+len(rows) {
		t.Fatalf("%q: %v", text, err)
	}
	for i, record := range records[1:] {
		for k, name := range names {
			if column := 7 + k; records[0][column] != "contribution:"+name ||
				record[column] != strconv.FormatFloat(want[i][name], 'g', -1, 64) {
				t.Errorf("row %d: column %s is %s, want %v of %s", i, records[0][column], record[column], want[i][name], name)
			}
		}
	}
}

// Values that the model does not know are told and counted: levels, those of numbers too, and
// numbers far outside the training rows' range.
func TestUnseenNumbersAreCounted(t *testing.T) {
	s := start(t)
	s.publish(termsModel(t))
	s.expect("POST", "/predict", `{"age":4400,"products":3,"country":"XX"}`, 200, `"warnings":["products: 3 was not `+
		`in the training rows: scored as none of the known values","country: \"XX\" was not in the training rows: `+
		`scored as none of the known levels","age: 4400 is far outside the training rows' 18 to 78"]`)
	s.expect("POST", "/predict", `{"age":33,"products":3}`, 200, "warnings")
	s.expect("POST", "/predict", `{"age":-10000,"products":2,"country":"DE"}`, 200,
		`"warnings":["age: -10000 is far outside the training rows' 18 to 78"]`)
	got := s.expect("POST", "/predict", `{"age":80,"products":2,"country":"DE"}`, 200, "")
	if strings.Contains(got, "warn") {
		t.Errorf("just above the training rows: %s", got)
	}
	if !strings.Contains(s.log(), `"age: 4400 is far outside`) {
		t.Error("the warning is not in the log")
	}
	s.wantFamily(s.metrics(), "churn_unseen_categories_total", map[string]float64{`{feature="age"}`: 2,
		`{feature="balance"}`: 0, `{feature="country"}`: 1, `{feature="products"}`: 2})
}

// A number that is used as levels begins with one that the model knows, and the document
// says how missing cells are scored.
func TestTheFormOfTerms(t *testing.T) {
	s := start(t)
	s.publish(termsModel(t))
	var form struct {
		Features []struct {
			Name    string   `json:"name"`
			Type    string   `json:"type"`
			Default any      `json:"default"`
			Min     *float64 `json:"min"`
			Max     *float64 `json:"max"`
		} `json:"features"`
	}
	if err := json.Unmarshal([]byte(s.expect("GET", "/models/current", "", 200, "")), &form); err != nil {
		t.Fatal(err)
	}
	customer := map[string]any{}
	for _, f := range form.Features {
		customer[f.Name] = f.Default
	}
	products := form.Features[1]
	if products.Type != "number" || *products.Min != 1 || *products.Max != 9 ||
		products.Default != 2.0 && products.Default != 6.0 {
		t.Errorf("%+v, want a number of 1 to 9 that begins with 2 or 6", products)
	}
	text, err := json.Marshal(customer)
	if err != nil {
		t.Fatal(err)
	}
	if answer := s.expect("POST", "/what-if", string(text), 200, ""); strings.Contains(answer, "warnings") {
		t.Errorf("%s is answered %s, want no warnings", text, answer)
	}
	c := s.contract()
	for name, want := range map[string]string{
		"age": "training rows without one", "country": "training rows without one", "balance": "training median",
		"products": "knows 4 values",
	} {
		if got := c.property(name).Description; !strings.Contains(got, want) {
			t.Errorf("%s is described by %q, want %q in it", name, got, want)
		}
	}
}
