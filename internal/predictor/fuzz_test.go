package predictor

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/internal/drift"
	"churn/internal/model"
	"churn/internal/predictor/httpbody"
	"churn/internal/predlog"
	"churn/internal/registry"
	"churn/internal/testing/fuzzing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A question is a way to ask for predictions, and how an answer of 200 is read.
type question struct {
	path, media string
	statuses    []int                              // besides 200
	rows        func(t *testing.T, b []byte) []any // of the answer: the probability or the prediction of each row
	unlogged    bool                               // it leaves no record
}

var (
	faults         = []int{422, 413, 415}
	protocolFaults = []int{400, 413, 415}
)

var questions = []question{
	{"/predict", httpbody.JSON, faults, oneRow, false},
	{"/predict?explain=true", httpbody.JSON, faults, oneRow, false},
	{"/what-if", httpbody.JSON, faults, oneRow, true},
	{"/predict/batch", httpbody.JSON, faults, arrayRows, false},
	{"/predict/batch?explain=1", httpbody.Lines, faults, lineRows, false},
	{"/predict/batch", httpbody.Lines, faults, lineRows, false},
	{"/predict/batch", httpbody.CSV, faults, csvRows, false},
	{"/predict/batch?explain=t", httpbody.CSV, faults, csvRows, false},
	{"/invocations", httpbody.JSON, protocolFaults, invocationRows, false},
	{"/invocations", httpbody.CSV, protocolFaults, invocationRows, false},
	{"/v2/models/churn/infer", httpbody.JSON, protocolFaults, inferenceRows, false},
}

func decoded[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in the answer %q", err, b)
	}
	return v
}

func record(t *testing.T, b []byte) any {
	t.Helper()
	r := decoded[struct {
		ModelVersion string   `json:"model_version"`
		Prediction   int      `json:"prediction"`
		Probability  *float64 `json:"probability"`
		Threshold    float64  `json:"threshold"`
	}](t, b)
	if r.ModelVersion == "" || r.Probability == nil {
		t.Fatalf("the answer %q is no prediction", b)
	}
	return *r.Probability
}

func oneRow(t *testing.T, b []byte) []any { return []any{record(t, b)} }

func arrayRows(t *testing.T, b []byte) (rows []any) {
	for _, one := range decoded[[]jsontext.Value](t, b) {
		rows = append(rows, record(t, one))
	}
	return rows
}

func lineRows(t *testing.T, b []byte) (rows []any) {
	for line := range bytes.Lines(b) {
		if len(line) > 1 {
			rows = append(rows, record(t, line))
		}
	}
	return rows
}

func csvRows(t *testing.T, b []byte) (rows []any) {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil || len(records) == 0 || records[0][2] != "probability" {
		t.Fatalf("the answer %q is no CSV: %v", b, err)
	}
	for _, r := range records[1:] {
		rows = append(rows, decoded[float64](t, []byte(r[2])))
	}
	return rows
}

func invocationRows(t *testing.T, b []byte) (rows []any) {
	for _, p := range decoded[struct {
		Predictions []float64 `json:"predictions"`
	}](t, b).Predictions {
		rows = append(rows, p)
	}
	return rows
}

func inferenceRows(t *testing.T, b []byte) (rows []any) {
	outputs := decoded[struct {
		Outputs []struct {
			Shape []int     `json:"shape"`
			Data  []float64 `json:"data"`
		} `json:"outputs"`
	}](t, b).Outputs
	for _, o := range outputs {
		if len(o.Shape) != 1 || o.Shape[0] != len(o.Data) || len(o.Data) != len(outputs[0].Data) {
			t.Fatalf("the answer %q has data of another shape", b)
		}
	}
	for _, p := range outputs[len(outputs)-1].Data {
		rows = append(rows, p)
	}
	return rows
}

// FuzzAnswer: to whatever body the service answers with a documented status and in
// a documented form; each row that is accepted has a probability and one record,
// which is read back, and a body that is refused has none.
func FuzzAnswer(f *testing.F) {
	s := start(f)
	name := s.train(1)
	contract := s.contract()
	for k, q := range questions {
		for _, body := range []string{customerA, "[" + customerA + "," + customerB + "]", customerA + "\n" + customerB + "\n",
			batchCSV, inference2,
			`{"dataframe_split":` + split + `}`, `{"inputs":` + inputs + `,"params":{"predict_method":"predict_proba"}}`} {
			f.Add(uint8(k), q.media, []byte(body))
		}
	}
	f.Add(uint8(0), "text/html", []byte(customerA))
	f.Add(uint8(0), "application/json;charset", []byte(strings.Replace(customerA, ":6,", ":-0,", 1)))
	f.Add(uint8(3), httpbody.JSON, []byte("[]"))
	f.Add(uint8(5), httpbody.Lines, []byte("\n \n"))
	f.Add(uint8(0), httpbody.JSON, []byte(strings.Replace(customerA, `"NA"`, `"\u2028\u0000\\\ud83d\ude00"`, 1)))
	f.Add(uint8(6), httpbody.CSV, []byte(strings.Replace(batchCSV, "a,NA", "\"a\r\n\x00\",\"=1+1\n\"", 1)))
	path := filepath.Join(s.dir, "logs", "predictions.log")
	f.Fuzz(func(t *testing.T, k uint8, media string, body []byte) {
		defer fuzzing.Watch()()
		q := questions[int(k)%len(questions)]
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", q.path, bytes.NewReader(body))
		r.Header.Set("Content-Type", media)
		if k >= 128 {
			r.ContentLength = -1 // it comes in chunks
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		answer := w.Body.Bytes()
		response := w.Result()
		response.Request = r
		if err := contract.check(response, "", string(answer)); err != nil {
			t.Fatalf("%s %q %q: %v", q.path, media, body, err)
		}
		var logged []*predlog.Record
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found, err := predlog.Read(t.Context(), predlog.Logs{path}, 0, func(r *predlog.Record) error {
			logged = append(logged,
				r)
			return nil
		})
		if err != nil || found.Malformed > 0 || found.Truncated {
			t.Fatalf("%s %q: the log is %q: %+v, %v", q.path, body, text, found, err)
		}
		if w.Code != http.StatusOK {
			if !slices.Contains(q.statuses, w.Code) || !jsontext.Value(answer).IsValid() || len(logged) > 0 {
				t.Fatalf("%s %q %q: %d %q, records %d", q.path, media, body, w.Code, answer, len(logged))
			}
			return
		}
		kind := httpbody.MediaType(r.Header)
		rows := q.rows
		if strings.HasPrefix(q.path, "/predict/batch") {
			rows = map[string]func(*testing.T, []byte) []any{
				httpbody.JSON: arrayRows, httpbody.Lines: lineRows, httpbody.CSV: csvRows,
			}[kind]
		}
		got := rows(t, answer)
		for i, p := range got {
			if p := p.(float64); !(p >= 0 && p <= 1) {
				t.Fatalf("%s %q: row %d is answered with %v: %q", q.path, body, i, p, answer)
			}
		}
		want := len(got)
		if q.unlogged {
			want = 0
		}
		if len(logged) != want {
			t.Fatalf("%s %q: %d rows are answered, %d records logged: %q", q.path, body, len(got), len(logged), text)
		}
		for _, one := range logged {
			if !(one.Probability >= 0 && one.Probability <= 1) || one.ModelVersion != name || one.RequestID == "" ||
				len(one.Features) != 5 {
				t.Fatalf("%s %q: logged %+v", q.path, body, one)
			}
		}
	})
}

// FuzzPath: to whatever path and headers the service answers with a documented
// status, and nothing but cards and its own files is sent.
func FuzzPath(f *testing.F) {
	s := start(f)
	name := s.train(1)
	const secret = "SECRET"
	for _, file := range []string{"secret.html", "registry/secret.html", "models/unregistered.html", "logs/secret.html"} {
		if err := os.WriteFile(filepath.Join(s.dir, file), []byte(secret), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	card := "/models/" + registry.CardName(name)
	if err := os.WriteFile(filepath.Join(s.dir, filepath.FromSlash(card)), []byte("<p>a card"), 0o644); err != nil {
		f.Fatal(err)
	}
	for _, path := range []string{card, "/models/" + name, "/models/unregistered.html", "/models/..%2fsecret.html",
		"/models/../secret.html", "/models/%2e%2e/secret.html", "/models/secret.html%00", "/models/x/../../secret.html",
		"/", "/page/page.js", "/page/..%2fdocs%2finit.js", "/docs", "/docs/init.js", "/docs/%2e%2e", "/health", "/livez",
		"/readyz", "/models", "/models/current", "/drift", "/metrics", "/openapi.json", "/ping", "/version",
		"/v2", "/v2/", "/v2/health/live", "/v2/models/churn", "/v2/models/churn/ready", "/v2/models/%ff/ready",
		"/v2/models/churn/versions/" + strings.TrimSuffix(name, ".json"), "/v2/models/a%2fb/versions/%0a/infer",
		"/predict?explain=%zz", "//predict", "/predict/", "/what-if?a=b;c", "*"} {
		f.Add("GET", path, "id", "")
		f.Add("POST", path, "a\x00b", "gzip")
	}
	f.Add("BREW", "/predict", strings.Repeat("x", 300), "\r\nX: y")
	documented := []int{200, 204, 308, 400, 404, 405, 413, 415, 422, 503}
	f.Fuzz(func(t *testing.T, method, path, id, header string) {
		defer fuzzing.Watch()()
		u, err := url.ParseRequestURI(path)
		if err != nil || method == "" {
			return // net/http answers those
		}
		r := (&http.Request{Method: method, URL: u, RequestURI: path, Host: "x", Header: http.Header{}, Body: http.NoBody,
			RemoteAddr: "127.0.0.1:1"}).WithContext(t.Context())
		r.Header.Set("X-Request-Id", id)
		for _, name := range []string{"Accept", "Accept-Encoding", "Authorization", "X-Api-Key", "Content-Type"} {
			r.Header.Set(name, header)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if !slices.Contains(documented, w.Code) {
			t.Fatalf("%s %q: %d %q", method, path, w.Code, w.Body)
		}
		if bytes.Contains(w.Body.Bytes(), []byte(secret)) {
			t.Fatalf("%s %q gives away what is no card", method, path)
		}
		if media := w.Header().Get("Content-Type"); strings.HasPrefix(media, httpbody.JSON) && w.Body.Len() > 1 &&
			!jsontext.Value(w.Body.Bytes()).IsValid() {
			t.Fatalf("%s %q: %d %q is no JSON", method, path, w.Code, w.Body)
		}
		for name, values := range w.Header() {
			for _, v := range append(values, name) {
				if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' }) {
					t.Fatalf("%s %q: the header %s is %q", method, path, name, v)
				}
			}
		}
	})
}

// FuzzServedModel: a model that is taken for sound is served: no value in it makes
// an answer break.
func FuzzServedModel(f *testing.F) {
	m := labModel(f, 1)
	m.Golden = m.Golden[:2]
	lab, err := m.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	values := 0
	for replaced := lab; !bytes.Equal(replaced, lab) || values == 0; values++ {
		replaced = fuzzing.ReplaceValue(lab, values, `"?"`)
	}
	// the least that breaks things
	words := []string{"5e-324", "1e300", "-1", "0", "9007199254740993", "[]", "{}", "null", `""`, `"\u0000"`}
	for k := 0; k < values; k += 5 {
		f.Add(uint16(k), uint8(k), "", uint16(values-k), uint8(k/7), "")
	}
	f.Add(uint16(values), uint8(255), "", uint16(values), uint8(255), "1e308")
	s := start(f)
	f.Fuzz(func(t *testing.T, k uint16, word uint8, text string, k2 uint16, word2 uint8, text2 string) {
		defer fuzzing.Watch()()
		if text == "" {
			text = words[int(word)%len(words)]
		}
		if text2 == "" {
			text2 = words[int(word2)%len(words)]
		}
		k, k2 = k%uint16(values), k2%uint16(values+values/2) // often there is one change alone
		doc := fuzzing.ReplaceValue(fuzzing.ReplaceValue(lab, int(k), text), int(k2), text2)
		m, err := model.Parse(sign(doc))
		if err != nil {
			return
		}
		f := s.predictor.follower
		f.snapshot.Store(f.snapshotOf("m.json", m))
		ask := func(method, path, body string) {
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
			if w.Code >= 500 || strings.HasPrefix(w.Header().Get("Content-Type"), httpbody.JSON) &&
				!jsontext.Value(w.Body.Bytes()).IsValid() {
				t.Fatalf("%q for value %d, %q for value %d: %s %s: %d %q", text, k, text2, k2, path, body, w.Code, w.Body)
			}
		}
		for _, path := range []string{"/openapi.json", "/models/current", "/v2/models/churn"} {
			ask("GET", path, "")
		}
		for range drift.MinRows {
			ask("POST", "/predict", customerA)
		}
		ask("POST", "/predict?explain=1", customerB)
		ask("POST", "/what-if", customerB)
		ask("GET", "/drift", "")
		ask("GET", "/metrics", "")
	})
}

// sign puts the right checksum at the end of a model that was changed.
func sign(doc []byte) []byte {
	const digits, end = 2 * sha256.Size, "\"\n}\n"
	at := len(doc) - digits - len(end)
	if at < 0 || string(doc[at+digits:]) != end {
		return doc
	}
	doc = slices.Concat(doc[:at], bytes.Repeat([]byte("0"), digits), []byte(end))
	sum := sha256.Sum256(doc)
	copy(doc[at:], hex.EncodeToString(sum[:]))
	return doc
}
