package predictor

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/predictor/apikey"
	"churn/internal/predictor/httpbody"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func TestTheDocumentHasTheLimitsOfTheSchema(t *testing.T) {
	s := start(t)
	s.expect("GET", "/openapi.json", "", 503, `{"detail":"no usable model`)
	name := s.train(1)
	s.expect("GET", "/openapi.json", "", 200, name)
	c := s.contract()
	if c.OpenAPI != "3.1.0" || c.Info.Version != "1.2.3" || c.Info.Extensions["x-model-version"] != "v1" {
		t.Errorf("OpenAPI %s, %+v", c.OpenAPI, c.Info)
	}
	tenure := c.property("tenure_months")
	if !tenure.Type.Is("integer") || *tenure.Min != 0 || *tenure.Max != 200 {
		t.Errorf("tenure_months: %+v", tenure)
	}
	if minutes := c.property("avg_session_minutes"); !minutes.Type.Is("number") || *minutes.Max != 500 {
		t.Errorf("avg_session_minutes: %+v", minutes)
	}
	region := c.property("region")
	levels := slices.Sorted(func(yield func(string) bool) {
		for _, e := range region.Examples {
			yield(e.(string))
		}
	})
	if !region.Type.Is("string") || region.Enum != nil || !slices.Equal(levels, []string{"EU", "NA"}) {
		t.Errorf("region: %+v", region)
	}
	customer := c.Components.Schemas["Customer"].Value
	if want := []string{"tenure_months", "num_complaints", "avg_session_minutes", "plan_type",
		"region"}; !slices.Equal(customer.Required, want) {
		t.Errorf("required: %v, want %v", customer.Required, want)
	}
	check := func(customer string, valid bool) {
		t.Helper()
		if err := c.checkLines("Customer", customer); (err == nil) != valid {
			t.Errorf("%s: %v, want it valid: %v", customer, err, valid)
		}
	}
	check(customerA, true)
	check(strings.Replace(customerA, `"NA"`, `"ZZ"`, 1), true)
	check(strings.Replace(customerA, ":6,", ":6.0,", 1), true)
	check(strings.Replace(customerA, ":6,", ":6.5,", 1), false)
	check(strings.Replace(customerA, ":6,", ":201,", 1), false)
	check(strings.Replace(customerA, `"NA"`, `null`, 1), false)
	check(strings.Replace(customerA, `"NA"`, `""`, 1), false)
	check(strings.Replace(customerA, "{", `{"regoin":"NA",`, 1), false)
	check(strings.Replace(customerA, "{", `{"churn":"no matter",`, 1), true)
}

// oddSchema has what the lab's has not.
const oddSchema = `{"format": 1, "target": {"name": "Left?", "positive": "yes"}, "ignore": ["customer ID"],
	"features": [
	{"name": "€/month (\"net\")", "type": "number", "validate": "gt=0,lt=1000,ne=7", "optional": true},
	{"name": "$ref", "type": "number", "integer": true, "validate": "min=-5,max=5,lte=Inf"},
	{"name": "a/b~c{d}", "type": "number"},
	{"name": "plan, type", "type": "category", "case": "lower", "optional": true,
		"validate": "oneof=basic 'very premium'"},
	{"name": "code", "type": "category", "validate": "gt=1,max=3,alpha"},
	{"name": "länge", "type": "category", "optional": true},
	{"name": "since", "type": "number", "date": "dmy", "as_of": "2026-01-31", "optional": true},
	{"name": "seen", "type": "number", "date": "epoch", "as_of": "2026-01-31", "optional": true},
	{"name": "fee", "type": "number", "decimal": ",", "thousands": ".", "optional": true}
]}`

// publishOdd makes a model of oddSchema current.
func (s *service) publishOdd() string {
	s.Helper()
	schema, err := dataset.ParseSchema([]byte(oddSchema))
	if err != nil {
		s.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 0))
	table := dataset.NewTable(schema)
	level := func(text string) dataset.Value { return dataset.Value{Text: text, Level: true} }
	for range 300 {
		values := []dataset.Value{
			{Number: 7 + 0.00001*(rng.Float64()-0.5), Missing: rng.IntN(10) == 0}, // 7, which is not allowed, once rounded
			{Number: float64(rng.IntN(11) - 5)}, {Number: rng.NormFloat64()},
			level([]string{"basic", "very premium"}[rng.IntN(2)]), level([]string{"ab", "xyz"}[rng.IntN(2)]), {Missing: true,
				Level: true}, {Number: float64(rng.IntN(900))}, {Number: float64(rng.IntN(900))},
			{Number: 1000 + rng.Float64()},
		}
		table.Append(&dataset.Row{Values: values, Positive: rng.IntN(3) == 0})
	}
	return s.publish(fit(s, table, 1))
}

func TestTheDocumentOfAnySchema(t *testing.T) {
	s := start(t)
	s.publishOdd()
	c := s.contract()
	either := func(name string) *openapi3.Schema { // or null
		t.Helper()
		s := c.property(name)
		if len(s.OneOf) != 2 || !s.OneOf[1].Value.Type.Is("null") {
			t.Fatalf("%s: %+v", name, s)
		}
		return s.OneOf[0].Value
	}
	if price := either(`€/month ("net")`); *price.ExclusiveMin.Value != 0 || *price.ExclusiveMax.Value != 1000 ||
		!strings.Contains(c.property(`€/month ("net")`).Description, "ne=7") {
		t.Errorf("price: %+v", price)
	}
	if plan := either("plan, type"); !slices.Equal(plan.Enum, []any{"basic", "very premium"}) {
		t.Errorf("plan: %+v", plan)
	}
	if code := c.property("code"); code.MinLength != 2 || *code.MaxLength != 3 {
		t.Errorf("code: %+v", code)
	}
	const days = "a date is its days before 2026-01-31"
	if since := c.property("since"); !strings.HasPrefix(since.Description, "Of what was exported, "+days+". Absent or") {
		t.Errorf("since: %q", since.Description)
	}
	s.expect("GET", "/models/current", "", 200, `"description":"`+days+`"`)
	if customer := c.Components.Schemas["Customer"].Value; !slices.Equal(customer.Required, []string{"$ref", "a/b~c{d}",
		"code"}) {
		t.Errorf("required: %v", customer.Required)
	}
	s.expect("POST", "/predict", `{"$ref":1,"a/b~c{d}":2,"code":"xyz","customer ID":7}`, 200, `"plan, type":null`)
}

// What the document shows, a client may send.
func TestTheExamplesAreAnswered(t *testing.T) {
	check := func(s *service) {
		t.Helper()
		c := s.contract()
		one := c.Paths.Value("/predict").Post.RequestBody.Value.Content
		s.expect("POST", "/predict", mustJSON(t, one[httpbody.JSON].Example), 200, `"prediction"`)
		for media, content := range c.Paths.Value("/predict/batch").Post.RequestBody.Value.Content {
			if media == httpbody.Form {
				continue // its file is one of the others
			}
			body, ok := content.Example.(string)
			if !ok {
				body = mustJSON(t, content.Example)
			}
			status, _, text := s.send("/predict/batch", media, body)
			if status != 200 || strings.Count(text, ".json") != 2 || strings.Contains(text, "seen:") {
				t.Errorf("%s %s: %d %s, want two predictions", media, body, status, text)
			}
		}
	}
	lab, odd := start(t), start(t)
	lab.train(1)
	check(lab)
	odd.publishOdd()
	check(odd)
	terms := start(t)
	terms.publish(termsModel(t))
	check(terms)
}

func mustJSON(t *testing.T, value any) string {
	t.Helper()
	b, err := json.Marshal(value, jsontext.AllowDuplicateNames(false))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheDocumentIsThatOfTheModelThatServes(t *testing.T) {
	s := start(t)
	first := s.train(1)
	s.expect("GET", "/openapi.json", "", 200, first)
	second := s.publishOdd()
	s.expect("GET", "/openapi.json", "", 200, second)
	if err := os.WriteFile(filepath.Join(s.dir, "registry", "current_model.txt"), []byte("absent.json"),
		0o644); err != nil {
		t.Fatal(err)
	}
	s.settle()
	s.expect("GET", "/openapi.json", "", 200, second)
}

func TestEveryRouteIsDocumented(t *testing.T) {
	s := start(t)
	s.train(1)
	var documented []string
	for path, item := range s.contract().Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	var routes []string
	err := chi.Walk(s.handler.(chi.Routes), func(method, route string, _ http.Handler,
		_ ...func(http.Handler) http.Handler) error {
		routes = append(routes, method+" "+strings.Replace(route, "{name:[^:]+}", "{name}", 1))
		return nil
	})
	slices.Sort(documented)
	slices.Sort(routes)
	if err != nil || !slices.Equal(routes, documented) {
		t.Errorf("routes %q, documented %q: %v", routes, documented, err)
	}
}

// With keys the document says what needs one; without them nothing does.
func TestTheDocumentSaysWhatNeedsAKey(t *testing.T) {
	keys, err := apikey.ReadKeys(writeKeys(t, "key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range []*apikey.Keys{nil, keys} {
		s := startWith(t, usual, func(p *Predictor) { p.Keys = keys })
		s.train(1)
		c := s.contract()
		if schemes := c.Components.SecuritySchemes; (len(schemes) == 2) != (keys != nil) || len(schemes) != len(c.Security) {
			t.Errorf("schemes %v, required %v", schemes, c.Security)
		}
		for path, item := range c.Paths.Map() {
			for method, o := range item.Operations() {
				free := o.Security != nil // an empty list
				if want := keys == nil || open(path); free != want {
					t.Errorf("%s %s: free %v, want %v", method, path, free, want)
				}
				if documented := o.Responses.Status(401) != nil; documented == free {
					t.Errorf("%s %s: free %v, 401 documented %v", method, path, free, documented)
				}
				address := strings.NewReplacer("{file}", "x.html", "{name}", "churn", "{version}", "1").Replace(path)
				if answer, text := s.ask(method, address, ""); (answer.StatusCode == 401) == free {
					t.Errorf("%s %s without a key: %d %s, free %v", method, path, answer.StatusCode, text, free)
				}
			}
		}
	}
}

// The check that every test of the service makes finds what is not as documented.
func TestTheContractIsChecked(t *testing.T) {
	s := start(t)
	s.train(1)
	good := s.expect("POST", "/predict", customerA, 200, "")
	c := s.contract()
	check := func(path, media, sent string, status int, got, part string) {
		t.Helper()
		r := httptest.NewRequest("POST", path, nil)
		r.Header.Set("Content-Type", media)
		err := c.check(&http.Response{StatusCode: status, Header: http.Header{"Content-Type": {media}}, Request: r}, sent,
			got)
		if part == "" && err != nil || part != "" && (err == nil || !strings.Contains(err.Error(), part)) {
			t.Errorf("%s %s: %d %s: %v, want %q", path, sent, status, got, err, part)
		}
	}
	check("/predict", httpbody.JSON, customerA, 200, good, "")
	check("/predict", httpbody.JSON, `{}`, 200, good, "tenure_months")
	check("/predict", httpbody.JSON, customerA, 200, `{}`, "probability")
	check("/predict", httpbody.JSON, customerA, 200, strings.Replace(good, `"ts"`, `"time"`, 1), "time")
	check("/predict", httpbody.JSON, customerA, 418, `{"detail":"a teapot"}`, "status")
	check("/predict", httpbody.JSON, customerA, 422, `{"detail":"invalid"}`, "detail")
	check("/predict/batch", httpbody.Lines, customerA+"\n{}", 200, good, "tenure_months")
	check("/predict/batch", httpbody.Lines, customerA, 200, "{}", "probability")
}
