package predictor

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/predictor/budget"
	"churn/internal/predlog"
	"churn/internal/registry"

	"github.com/go-json-experiment/json"
)

const customer = `{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":" Basic","region":"na"}`

// service is a real one, on a real registry and a real log.
type service struct {
	testing.TB
	dir       string
	reg       *registry.Registry
	predictor *Predictor
	handler   http.Handler
	url       string
}

func verify(b []byte) error {
	_, err := model.Parse(b)
	return err
}

// usual limits: none that a test would meet by chance.
var usual = Limits{BatchRows: 1000, BatchBytes: 1 << 20, InFlight: 256, DriftRows: 200}

// start starts a service without a model.
func start(t testing.TB) *service {
	t.Helper()
	return startWith(t, usual, func(*Predictor) {})
}

// startWith is start with other limits, and a last look at the Predictor.
func startWith(t testing.TB, limits Limits, setUp func(*Predictor)) *service {
	t.Helper()
	dir := t.TempDir()
	log, err := predlog.NewWriter(filepath.Join(dir, "logs", "predictions.log"), predlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{TB: t, dir: dir, reg: registry.Open(dir, verify)}
	s.predictor = New(s.reg, log, slog.New(slog.NewTextHandler(io.Discard, nil)), limits)
	s.predictor.Version = "1.2.3"
	setUp(s.predictor)
	s.handler = s.predictor.Routes()
	server := httptest.NewServer(s.handler)
	s.url = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// train makes a model of random customers current, and returns its name.
func (s *service) train(seed uint64) string {
	s.Helper()
	return s.publish(labModel(s, seed))
}

// labModel returns a model of random customers.
func labModel(t testing.TB, seed uint64) *model.Model {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	table := dataset.NewTable(dataset.Lab())
	for range 300 {
		values := []dataset.Value{
			{Number: float64(rng.IntN(60))}, {Number: float64(rng.IntN(5))}, {Number: 60 * rng.Float64()},
			{Text: []string{"basic", "premium"}[rng.IntN(2)], Level: true}, {Text: []string{"NA", "EU"}[rng.IntN(2)],
				Level: true},
		}
		table.Append(&dataset.Row{Values: values, Positive: rng.Float64() < values[1].Number/5})
	}
	return fit(t, table, seed)
}

func fit(t testing.TB, table *dataset.Table, seed uint64) *model.Model {
	t.Helper()
	m, err := model.Train(context.Background(), model.InMemory(table), model.Options{Version: "v1", Seed: seed,
		TestSize: 0.25, C: 1, ClassWeight: model.WeightNone, Tune: model.TuneF1})
	if err != nil {
		t.Fatal(err)
	}
	m.TrainedAtUTC = time.Now().UTC().Format(time.RFC3339)
	return m
}

// publish makes a model current, and returns its name.
func (s *service) publish(m *model.Model) string {
	s.Helper()
	b, err := m.Bytes()
	if err != nil {
		s.Fatal(err)
	}
	entry := registry.Entry{Version: "v1", TrainedAtUTC: m.TrainedAtUTC, PassedGate: true, TrainedBy: "train"}
	entry, err = s.reg.Add(context.Background(), b, m.NamePrefix(), entry, "test")
	if err != nil {
		s.Fatal(err)
	}
	s.settle()
	return entry.ModelFile
}

// settle lets the time pass in which the service need not look at the pointer.
func (s *service) settle() { time.Sleep(checkEvery) }

// do sends a request and returns the status and the body.
func (s *service) do(method, path, body string) (int, string) {
	s.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	if got := answer.Header.Get("Content-Type"); got != "application/json" {
		s.Errorf("%s %s: content type %q", method, path, got)
	}
	s.checkContract(answer, body, string(b))
	return answer.StatusCode, string(b)
}

// expect sends a request and compares the status and a part of the body.
func (s *service) expect(method, path, body string, status int, part string) string {
	s.Helper()
	got, answer := s.do(method, path, body)
	if got != status || !strings.Contains(answer, part) {
		s.Errorf("%s %s %.60s: %d %s, want %d with %s", method, path, body, got, answer, status, part)
	}
	return answer
}

func (s *service) log() string {
	s.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "logs", "predictions.log"))
	if err != nil {
		s.Fatal(err)
	}
	return string(b)
}

func TestTheAnswerIsTheRecord(t *testing.T) {
	s := start(t)
	name := s.train(1)
	answer := s.expect("POST", "/predict", customer, 200,
		`"features":{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":"basic","region":"NA"}`)
	if s.log() != answer {
		t.Errorf("the log has %q, the answer was %q", s.log(), answer)
	}
	r, err := predlog.Parse([]byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	if r.ModelVersion != name || r.RequestID == "" || len(r.Warnings) != 0 || r.TS < 1e9 {
		t.Errorf("record %+v", r)
	}
	if (r.Prediction == 1) != (r.Probability >= r.Threshold) || r.Threshold == 0.5 {
		t.Errorf("prediction %d for a probability of %v: the model's threshold is %v", r.Prediction, r.Probability,
			r.Threshold)
	}
	s.expect("POST", "/predict", strings.Replace(customer, "na", "ZZ", 1), 200,
		`"warnings":["region: \"ZZ\" was not in the training rows`)
	s.expect("POST", "/predict", strings.Replace(customer, "{", `{"request_id":"a\"b",`, 1), 200, `{"request_id":"a\"b",`)
	s.expect("POST", "/predict", strings.Replace(customer, "{", `{"churn":1,`, 1), 200, `"prediction"`)
	far := strings.Repeat(" ", 1<<12) // a name must survive until its value is read
	s.expect("POST", "/predict", strings.Replace(customer, "{", `{"request_id"`+far+`:"a",`, 1), 200, `{"request_id":"a",`)
	s.expect("POST", "/predict", strings.Replace(customer, "{", `{"unknown"`+far+`:"a",`, 1), 422, `"unknown"`)
	if lines := strings.Count(s.log(), "\n"); lines != 5 {
		t.Errorf("%d lines in the log after 5 answers", lines)
	}
}

// An id is logged as outcomes are read: without white space around it; blanks alone are none.
func TestRequestIDsAreTrimmed(t *testing.T) {
	s := start(t)
	s.train(1)
	with := func(id string) string { return strings.Replace(customerA, `"a"`, `"`+id+`"`, 1) }
	s.expect("POST", "/predict", with(` \ta b\n\u00a0`), 200, `{"request_id":"a b",`)
	_, _, answer := s.send("/predict", "application/json", with(" "))
	if r, err := predlog.Parse([]byte(answer)); err != nil || len(r.RequestID) < 20 {
		t.Errorf("the id of a blank one is %q, %v", r.RequestID, err)
	}
	s.send("/predict/batch", "text/csv", strings.Replace(batchCSV, "\na,", "\n a ,", 1))
	if log := s.log(); strings.Count(log, `"request_id":"a b"`) != 1 || strings.Count(log, `"request_id":"a"`) != 1 {
		t.Errorf("the log is %s", log)
	}
}

func TestInvalidRequests(t *testing.T) {
	s := start(t)
	s.train(1)
	check := func(body, part string) {
		t.Helper()
		s.expect("POST", "/predict", body, 422, part)
	}
	with := func(old, new string) string { return strings.Replace(customer, old, new, 1) }
	check(with(`,"region":"na"`, ""),
		`{"detail":[{"loc":["body","region"],"msg":"field required","type":"value_error.missing"}]}`)
	check(with(`"na"`, "null"),
		`{"detail":[{"loc":["body","region"],"msg":"none is not an allowed value","type":"type_error.none.not_allowed"}]}`)
	check(with(`"na"`, `" "`),
		`{"detail":[{"loc":["body","region"],"msg":"field required","type":"value_error.missing"}]}`)
	check(with(`"na"`, "7"), `"msg":"str type expected, such as \"EU\", \"NA\"","type":"type_error.str"`)
	check(with("21.5", "-1"),
		`{"detail":[{"loc":["body","avg_session_minutes"],"msg":"ensure this value is greater than or equal to 0",`+
			`"type":"value_error.number.not_ge","ctx":{"limit_value":0}}]}`)
	check(with("21.5", "501"), `"type":"value_error.number.not_le","ctx":{"limit_value":500}`)
	check(with("21.5", `"21.5"`), `"msg":"value is not a valid float","type":"type_error.float"`)
	check(with("21.5", "1e400"), `"type":"type_error.float"`)
	check(with("21.5", "[1]"), `"type":"type_error.float"`)
	check(with(":6,", ":6.5,"), `"msg":"value is not a valid integer","type":"type_error.integer"`)
	check(with("{", `{"regoin":"na",`), `"loc":["body","regoin"],"msg":"extra fields not permitted: did you mean region?"`)
	check(with("{", `{"request_id":7,`), `"loc":["body","request_id"],"msg":"str type expected"`)
	check(with("{", `{"request_id":"`+strings.Repeat("x", maxRequestID+1)+`",`), `"type":"value_error.any_str.max_length"`)
	check(with("{", `{"request_id":"a\u0000b",`), `no control characters","type":"value_error.str.regex"`)
	check(with("{", `{"request_id":"a\nb",`), `no control characters`)
	check(with(`"na"`, `"`+strings.Repeat("x", maxText+1)+`"`),
		`{"detail":[{"loc":["body","region"],"msg":"ensure this value has at most 1000 characters",`+
			`"type":"value_error.any_str.max_length"}]}`)
	check(with("{", `{"region":"na",`), `duplicate object member name`)
	check(with("{", `{"request_id":"","request_id":"x",`), `duplicate object member name`)
	check(with("{", `{"request_id":null,"request_id":"x",`), `duplicate object member name`)
	check(`{"tenure_months":-1,"num_complaints":0.5,"avg_session_minutes":9e9}`, `"plan_type"`)
	check("", `"type":"value_error.jsondecode"`)
	check("null", `{"detail":[{"loc":["body"],"msg":"value is not a valid dict","type":"type_error.dict"}]}`)
	check("[]", `"type":"type_error.dict"`)
	check(customer+"{}", `more than one value`)
	check(customer[:40], `"type":"value_error.jsondecode"`)
	check("{\"region\":\"\xff\"}", `"type":"value_error.jsondecode"`)
	check(with("21.5", "NaN"), `"type":"value_error.jsondecode"`)
	check(with("21.5", strings.Repeat("[", 100_000)), `"type":"value_error.jsondecode"`)
	if s.log() != "" {
		t.Errorf("refused requests are in the log: %q", s.log())
	}
	s.expect("POST", "/predict", with("21.5", strings.Repeat(" ", customerBytes)+"1"), 413,
		`{"detail":"the body has more than`)
	s.expect("GET", "/predict", "", 405, `{"detail":"Method Not Allowed"}`)
	s.expect("GET", "/nothing", "", 404, `{"detail":"Not Found"}`)
}

// Load balancers ask with HEAD, and clients write paths in several ways.
func TestRoutes(t *testing.T) {
	s := start(t)
	s.train(1)
	check := func(method, path string, status int, header, want string) {
		t.Helper()
		r := httptest.NewRecorder()
		s.handler.ServeHTTP(r, httptest.NewRequest(method, path, nil))
		if got := r.Header().Get(header); r.Code != status || got != want {
			t.Errorf("%s %s: %d, %s: %q, want %d and %q", method, path, r.Code, header, got, status, want)
		}
	}
	for _, path := range []string{"/", "/health", "/livez", "/readyz", "/models", "/models/current", "/drift", "/docs",
		"/openapi.json", "/metrics", "/ping", "/version", "/v2", "/v2/health/live", "/v2/models/churn/ready"} {
		check("HEAD", path, 200, "Allow", "")
		check("OPTIONS", path, 204, "Allow", "GET, HEAD, OPTIONS")
		check("DELETE", path, 405, "Allow", "GET, HEAD, OPTIONS")
	}
	for _, path := range []string{"/predict", "/predict/batch", "/what-if", "/invocations", "/v2/models/churn/infer"} {
		check("OPTIONS", path, 204, "Allow", "POST, OPTIONS")
		check("HEAD", path, 405, "Allow", "POST, OPTIONS")
		check("DELETE", path, 405, "Allow", "POST, OPTIONS")
	}
	check("POST", "/predict/?explain=true", 308, "Location", "../predict?explain=true")
	check("POST", "/predict/batch//", 308, "Location", "../../batch")
	check("GET", "/v2/models/churn/ready/", 308, "Location", "../ready")
	check("GET", "/h%65alth", 200, "Location", "")
	check("GET", "/v2/models/ch%75rn/ready", 200, "Location", "")
	check("GET", "/v2/models/a%2fb/ready", 404, "Location", "")
	check("GET", "/nothing/", 404, "Location", "")
	check("OPTIONS", "/nothing", 404, "Allow", "")
}

func TestReadinessAndModels(t *testing.T) {
	s := start(t)
	s.expect("GET", "/livez", "", 200, `{"status":"ok"}`)
	s.expect("GET", "/readyz", "", 503, `{"detail":"no usable model`)
	s.expect("GET", "/models", "", 200, "[]")
	s.expect("GET", "/models/current", "", 503, `{"detail":"no usable model`)
	first, second := s.train(1), s.train(2)
	s.expect("GET", "/readyz", "", 200, `{"status":"ok"}`)
	s.expect("GET", "/models", "", 200, `[{"model_file":"`+first+`"`)
	s.expect("GET", "/models", "", 200, `{"model_file":"`+second+`"`)
	s.expect("GET", "/models/current", "", 200, `{"model_file":"`+second+`"`)
	if err := os.Remove(filepath.Join(s.dir, "registry", "metadata.json")); err != nil {
		t.Fatal(err)
	}
	s.expect("GET", "/models/current", "", 200, `{"model_file":"`+second+`"`)
	s.predictor.Drain()
	s.expect("GET", "/readyz", "", 503, `{"detail":"stopping"}`)
	s.expect("POST", "/predict", customer, 200, `"prediction"`)
	s.expect("GET", "/livez", "", 200, `{"status":"ok"}`)
}

func TestNoAnswerWithoutARecord(t *testing.T) {
	s := start(t)
	s.train(1)
	logs := filepath.Join(s.dir, "logs")
	if err := os.RemoveAll(logs); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(logs, nil, 0o644); err != nil { // in the folder's way
		t.Fatal(err)
	}
	s.expect("GET", "/health", "", 200, `"status":"ok"`)
	s.expect("POST", "/predict", customer, 503, `{"detail":"the prediction could not be logged`)
	s.expect("GET", "/health", "", 503, `"detail":"predictions cannot be logged`)
	if err := os.Remove(logs); err != nil {
		t.Fatal(err)
	}
	// By itself, once a disk is as fast as a probe waits for.
	eventually(t, "the log is writable", func() bool { status, _ := s.do("GET", "/health", ""); return status == 200 })
	if s.log() != "" {
		t.Errorf("the log has %q before any answer", s.log())
	}
	answer := s.expect("POST", "/predict", customer, 200, `"prediction"`)
	if s.log() != answer {
		t.Errorf("the log has %q after it came back, the answer was %q", s.log(), answer)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(customer))
	f.Add([]byte(`{"request_id":null,"region":"\ud800"}`))
	f.Add([]byte(`[1,2`))
	schema := dataset.Lab()
	s := fitted(f, schema)
	f.Fuzz(func(t *testing.T, body []byte) {
		b := new(batch).start(s, false, new(budget.Claim))
		if err := readJSON(body, b, (*reader).object); err != nil {
			if _, err := json.Marshal(err.(*invalidError).details); err != nil {
				t.Errorf("details that are not JSON: %v", err)
			}
			return
		}
		r := predlog.Record{RequestID: b.rows[0].requestID, ModelVersion: "m.json"}
		for i, v := range b.rows[0].values {
			r.Features = append(r.Features, predlog.Feature{Name: schema.Features[i].Name, Value: v})
		}
		line := r.Append(nil)
		if strings.ContainsAny(string(line), "\n\r") {
			t.Errorf("the record %q is more than a line", line)
		}
		if _, err := predlog.Parse(line); err != nil {
			t.Errorf("record %q: %v", line, err)
		}
	})
}

// A model that is not registered says itself what metadata.json would say.
func TestCurrentModelThatIsNotRegistered(t *testing.T) {
	s := start(t)
	m := labModel(t, 1)
	s.publish(m)
	if err := os.Remove(filepath.Join(s.dir, registry.MetadataFile)); err != nil {
		t.Fatal(err)
	}
	s.expect("GET", "/models/current", "", 200, `"f1":`+string(marshal(m.Metrics.F1))+",")
}
