package predictor

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/drift"
	"churn/internal/predictor/apikey"
	"churn/internal/registry"
	"churn/internal/report"

	"github.com/go-json-experiment/json"
)

// What /what-if answers is what /predict answers, explained; but it leaves no trace.
func TestWhatIfIsPredictWithoutARecord(t *testing.T) {
	s := start(t)
	s.expect("POST", "/what-if", customer, 503, `{"detail":"no usable model`)
	name := s.train(1)
	odd := strings.Replace(customer, "na", "ZZ", 1)
	counted := func() string {
		_, text := s.ask("GET", "/metrics", "")
		var lines []string
		for line := range strings.Lines(text) {
			for _, of := range []string{"churn_predictions_total", "churn_refused_inputs_total", "churn_unseen_categories_total",
				"churn_probability", "churn_drift_rows", "churn_log_batch"} {
				if strings.HasPrefix(line, of) {
					lines = append(lines, line)
				}
			}
		}
		return strings.Join(lines, "")
	}
	s.expect("GET", "/health", "", 200, name) // so that the model is taken up
	before := counted()
	tried := s.expect("POST", "/what-if", odd, 200, `{"model_version":"`+name+`","prediction":`)
	s.expect("POST", "/what-if", strings.Replace(customer, "21.5", "-1", 1), 422,
		`"loc":["body","avg_session_minutes"],"msg":"ensure this value is greater than or equal to 0"`)
	s.expect("POST", "/what-if", `{"tenure_months":6}`, 422, `"loc":["body","region"],"msg":"field required"`)
	s.expect("POST", "/what-if", customer[:20], 422, `"type":"value_error.jsondecode"`)
	s.expect("POST", "/what-if", strings.Replace(customer, "{", `{"request_id":"a",`, 1), 200, `"probability"`)
	s.expect("POST", "/what-if", strings.Replace(customer, "21.5", strings.Repeat(" ", customerBytes)+"1", 1), 413,
		`{"detail":"the body has more than`)
	if status, _, text := s.send("/what-if", "text/csv", "a\n1"); status != 415 {
		t.Errorf("CSV: %d %s", status, text)
	}
	if s.log() != "" {
		t.Errorf("the log has %q", s.log())
	}
	after := counted()
	// too large, and CSV: nobody typed those
	after = strings.Replace(after, `churn_refused_inputs_total{field="(body)"} 2`+"\n", "", 1)
	if after != before {
		t.Errorf("it is counted: %s\nbefore: %s", after, before)
	}

	var got, want struct {
		Prediction             int
		Probability, Threshold float64
		Warnings               []string
		Explanation            struct {
			Base          float64
			Contributions []struct{ Contribution float64 }
		}
	}
	if err := json.Unmarshal([]byte(tried), &got, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(s.expect("POST", "/predict?explain=true", odd, 200, "")), &want,
		json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(got.Warnings) != 1 || len(got.Explanation.Contributions) != 5 {
		t.Errorf("/what-if answers %+v, /predict %+v", got, want)
	}
	z := got.Explanation.Base
	for _, c := range got.Explanation.Contributions {
		z += c.Contribution
	}
	if p := 1 / (1 + math.Exp(-z)); math.Abs(p-got.Probability) > 5e-7 {
		t.Errorf("the explanation adds up to %v, the probability is %v", p, got.Probability)
	}
}

// The form of any schema begins with a customer that is answered.
func TestTheFormBeginsWithACustomer(t *testing.T) {
	check := func(s *service) (current struct {
		Target   struct{ Name, Positive string }
		Features []struct {
			Name    string
			Default any
			Min     *float64
			Max     *float64
			Levels  []formLevel
		}
	}) {
		t.Helper()
		text := s.expect("GET", "/models/current", "", 200, `"features":[`)
		if err := json.Unmarshal([]byte(text), &current, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		customer := map[string]any{}
		for _, f := range current.Features {
			if f.Default != nil {
				customer[f.Name] = f.Default
			}
			if x, ok := f.Default.(float64); ok && (x < *f.Min || x > *f.Max) {
				t.Errorf("%s begins with %v, in training it was %v to %v", f.Name, x, *f.Min, *f.Max)
			}
			for i := range f.Levels[min(1, len(f.Levels)):] {
				if f.Levels[i].Rows < f.Levels[i+1].Rows {
					t.Errorf("%s: %v are not in the order of their rows", f.Name, f.Levels)
				}
			}
			if len(f.Levels) > 0 && f.Levels[0].Level != f.Default {
				t.Errorf("%s begins with %v, the most frequent level is %s", f.Name, f.Default, f.Levels[0].Level)
			}
		}
		s.expect("POST", "/what-if", mustJSON(t, customer), 200, `"explanation"`)
		return current
	}
	lab, odd := start(t), start(t)
	lab.train(1)
	c := check(lab)
	if c.Target.Name != "churn" || c.Target.Positive != "1" || len(c.Features) != 5 {
		t.Errorf("%+v", c)
	}
	odd.publishOdd()
	if c := check(odd); c.Features[5].Default != nil {
		t.Errorf("länge begins with %v, no row had one", c.Features[5].Default)
	}
}

func TestRoundMean(t *testing.T) {
	check := func(mean, std float64, integer bool, want float64) {
		t.Helper()
		if got := roundMean(mean, std, integer); got != want {
			t.Errorf("roundMean(%v, %v, %v) = %v, want %v", mean, std, integer, got, want)
		}
	}
	check(64.76, 30.1, false, 65)
	check(2283.3, 2266.8, false, 2300)
	check(35.029, 12, false, 35)
	check(1.2345, 0.3, false, 1.23)
	check(0.0071234, 0.0004, false, 0.00712)
	check(0.162, 0.37, true, 0)
	check(32.4, 24.6, true, 32)
	check(-12.3456, 2, false, -12.3)
	check(0.16, 0.37, false, 0.16)
	check(5, 1, false, 5)
}

func TestLiveDrift(t *testing.T) {
	s := start(t)
	s.expect("GET", "/drift", "", 503, `{"detail":"no usable model`)
	name := s.train(1)
	post := func(n int, body string) {
		for range n {
			s.expect("POST", "/predict", body, 200, "")
		}
	}
	post(drift.MinRows-1, customer)
	s.expect("POST", "/what-if", customer, 200, "")
	s.expect("GET", "/drift", "", 200,
		`{"current_model":"`+name+`","verdict":"not_enough_data","rows":29,"min_rows":30,"window":200,"checks":[]}`)
	post(1, customer)
	s.expect("GET", "/drift", "", 200, `"verdict":"alert","rows":30,`) // all the same customer
	answer := s.expect("GET", "/drift", "", 200, `{"column":"tenure_months","kind":"mean","rows":30,`)
	if !strings.Contains(answer, `"column":"(probability)"`) {
		t.Errorf("the probability is not checked: %s", answer)
	}
	limits := usual
	limits.DriftRows = 0
	off := startWith(t, limits, func(*Predictor) {})
	off.train(1)
	off.expect("GET", "/drift", "", 200, `"verdict":"off","rows":0,"min_rows":30,"window":0,"checks":[]}`)
}

func TestCards(t *testing.T) {
	s := start(t)
	name := s.train(1)
	card := registry.CardName(name)
	path := filepath.Join(s.dir, "models", card)
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.expect("GET", "/models/"+card, "", 404, `{"detail":"no such card: evaluate writes one`)
	if answer := s.expect("GET", "/models/current", "", 200, ""); strings.Contains(answer, `"card"`) {
		t.Errorf("there is no card, and %s", answer)
	}
	write(path, "<p>the card</p>")
	answer, text := s.ask("GET", "/models/"+card, "")
	if policy := answer.Header.Get("Content-Security-Policy"); answer.StatusCode != 200 || text != "<p>the card</p>" ||
		answer.Header.Get("Content-Type") != "text/html; charset=utf-8" || policy != cardPolicy || strings.Contains(policy,
		"script") {
		t.Errorf("%d %q %v", answer.StatusCode, text, answer.Header)
	}
	s.checkContract(answer, "", text)
	s.expect("GET", "/models/current", "", 200, `"card":"models/`+card+`"`)
	if _, text := s.ask("GET", "/models/current.html", ""); text != "<p>the card</p>" {
		t.Errorf("current.html is %q", text)
	}
	write(path, "<p>the card</p>"+report.BarMark+report.BarMark)
	const bar = `<p>the card</p><nav class="pages" aria-label="Pages"><a href=".././">`
	if _, text := s.ask("GET", "/models/"+card, ""); !strings.HasPrefix(text, bar) ||
		!strings.HasSuffix(text, "</nav>"+report.BarMark) {
		t.Errorf("the card with a bar is %q", text)
	}

	write(filepath.Join(s.dir, "models", "other.html"), "not of a registered model")
	for _, other := range []string{"other.html", name, "..%2f..%2fetc%2fpasswd.html",
		"..%2fregistry%2fmetadata.html", ".html", "%00.html"} {
		s.expect("GET", "/models/"+other, "", 404, `{"detail":`)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret.html")
	write(secret, "a secret")
	if err := os.Symlink(secret, path); err != nil {
		t.Fatal(err)
	}
	s.expect("GET", "/models/"+card, "", 503, `{"detail":"the card cannot be read`)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(path, "")
	if err := os.Truncate(path, registry.MaxCardBytes+1); err != nil {
		t.Fatal(err)
	}
	s.expect("GET", "/models/"+card, "", 503, `{"detail":"the card cannot be read`)
}

// The page names its files relative to itself; each is there, under a strict policy, and without a key.
func TestPageFiles(t *testing.T) {
	keys, err := apikey.ReadKeys(writeKeys(t, "a-key\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, usual, func(p *Predictor) { p.Keys = keys })
	get := func(path, media string) string {
		t.Helper()
		answer, text := s.ask("GET", path, "")
		policy := answer.Header.Get("Content-Security-Policy")
		if answer.StatusCode != http.StatusOK || text == "" || !strings.HasPrefix(answer.Header.Get("Content-Type"), media) ||
			!strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "unsafe") || strings.Contains(policy,
			"data:") {
			t.Errorf("GET %s: %d, %d bytes, %v", path, answer.StatusCode, len(text), answer.Header)
		}
		return text
	}
	page := get("/", "text/html")
	for _, bad := range []string{"<style", "style=", " onclick=", "://", `="/`} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for file, media := range map[string]string{"page.css": "text/css", "page.js": "text/javascript",
		"drift.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		if !strings.Contains(page, `"page/`+file+`"`) {
			t.Errorf("the page does not name %s", file)
		}
		get("/page/"+file, media)
	}
	script := get("/page/page.js", "text/javascript") + get("/page/drift.js", "text/javascript")
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage",
		"sessionStorage", "cookie"} {
		if strings.Contains(script, bad) {
			t.Errorf("the script has %s", bad)
		}
	}
	for _, path := range []string{"/what-if", "/drift", "/models/x.html"} {
		method := "GET"
		if path == "/what-if" {
			method = "POST"
		}
		if answer, text := s.ask(method, path, ""); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a key: %d %s", path, answer.StatusCode, text)
		}
	}
	if answer, _ := s.ask("GET", "/page/none.js", ""); answer.StatusCode != http.StatusNotFound {
		t.Errorf("a file that is not there: %d", answer.StatusCode)
	}
}

// A file comes back with its own columns, ranks and reasons; it leaves no trace and has the limits of a batch.
func TestWhatIfBatch(t *testing.T) {
	limits := usual
	limits.Memory = 1 << 20
	s := startWith(t, limits, func(*Predictor) {})
	name := s.train(1)
	const path = "/what-if/batch"
	const file = "\ufeffname,tenure_months,num_complaints,avg_session_minutes,plan_type,region,note\r\n" +
		"Ann,48,0,40,premium,EU,=1+1\r\n\"Bo, b\",6,3,21.5,basic,NA,\r\nCy,6,3,21.5,basic,ZZ,\r\n"
	answer, text := s.ask("POST", path, file, "Content-Type: text/csv")
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\r", "")), "\n")
	if answer.StatusCode != 200 || len(lines) != 4 || answer.Header.Get("X-Rows-With-Warnings") != "1" {
		t.Fatalf("%d %v %q", answer.StatusCode, answer.Header, text)
	}
	const head = "\ufeffname,tenure_months,num_complaints,avg_session_minutes,plan_type,region,note," +
		"churn_rank,churn_probability,churn_predicted,churn_decile,reason_1,reason_2,reason_3"
	if lines[0] != head || !strings.HasPrefix(lines[1], "Ann,48,0,40,premium,EU,'=1+1,3,0.") ||
		!strings.HasPrefix(lines[2], `"Bo, b",6,3,21.5,basic,NA,,`) ||
		!strings.Contains(lines[2], "num_complaints 3, against") {
		t.Errorf("the list is %q", text)
	}
	tried := s.expect("POST", "/what-if", customer, 200, `"probability":`)
	_, rest, _ := strings.Cut(tried, `"probability":`)
	probability, _, _ := strings.Cut(rest, ",")
	if !strings.Contains(lines[2], ","+probability) {
		t.Errorf("%q has not the probability of /what-if, %s", lines[2], probability)
	}

	s.expect("POST", path, "["+customer+","+customer+"]", 200,
		`[{"model_version":"`+name+`","prediction":1,"probability":`)
	s.expect("POST", path+"?explain=true", "["+customer+"]", 200, `"explanation":{"base":`)
	s.expect("POST", path, "[]", 200, "[]")
	s.expect("POST", path, "["+customer+`,{"tenure_months":1}]`, 422, `"loc":["body",1,"region"]`)
	s.expect("POST", path+"?explain=banana", "["+customer+"]", 422, `"loc":["query","explain"]`)
	s.expect("POST", path, "["+strings.Repeat(customer+",", 1000)+customer+"]", 413, "more than 1000 rows")
	check := func(body, media string, status int, part string) {
		t.Helper()
		if got, _, text := s.send(path, media, body); got != status || !strings.Contains(text, part) {
			t.Errorf("%s %.80q: %d %s, want %d %s", media, body, got, text, status, part)
		}
	}
	check(customer+"\n"+customer, "application/x-ndjson", 200, "}\n{\"model_version\"")
	check(strings.Replace(file, "note", "churn_rank", 1), "text/csv", 422, "has a column churn_rank already")
	check(strings.Replace(file, "region", "area", 1), "text/csv", 422, `"region"],"msg":"field required`)
	check(strings.Replace(file, "Bo, b\"", "Bo", 1), "text/csv", 422, "not CSV")
	check("", "text/csv", 422, "the body is empty")
	check(file, "text/plain", 415, "")
	check(file, "multipart/form-data; boundary=x", 415, "")
	wide := strings.Repeat(`"`+strings.Repeat("x", 900)+`",6,3,21.5,basic,NA,`+"\n", 999)
	check(file[:strings.Index(file, "\r")]+"\n"+wide, "text/csv", 413, "needs more than the 1048576 bytes")
	if held := s.predictor.budget.Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
	if s.log() != "" || s.metrics()["churn_drift_rows"] != 0 {
		t.Errorf("the log has %q, the window %v", s.log(), s.metrics()["churn_drift_rows"])
	}
}
