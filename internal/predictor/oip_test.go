package predictor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/predictor/budget"
	"churn/internal/predictor/httpbody"
	"churn/internal/predlog"

	"github.com/go-json-experiment/json"
)

// tensors are the inputs of customerA and customerB, flat and nested.
const tensors = `{"name":"tenure_months","shape":[2],"datatype":"INT64","data":[6,50]},
	{"name":"num_complaints","shape":[2,1],"datatype":"UINT8","data":[[3],[0]]},
	{"name":"avg_session_minutes","shape":[2,1],"datatype":"FP32","data":[21.5,40]},
	{"data":["basic","premium"],"datatype":"BYTES","shape":[2],"name":"plan_type"},
	{"name":"region","shape":[2],"datatype":"BYTES","data":["NA","EU"],"parameters":{"content_type":"str"}}`

const inference2 = `{"id":"42","parameters":{"x":1},"inputs":[` + tensors + `]}`

// inferred is an answer of the protocol.
type inferred struct {
	ModelName    string `json:"model_name"`
	ModelVersion string `json:"model_version"`
	ID           string `json:"id"`
	Outputs      []struct {
		Name     string    `json:"name"`
		Datatype string    `json:"datatype"`
		Shape    []int     `json:"shape"`
		Data     []float64 `json:"data"`
	} `json:"outputs"`
}

func (s *service) infer(path, body string) inferred {
	s.Helper()
	var a inferred
	if err := json.Unmarshal([]byte(s.expect("POST", path, body, 200, "")), &a); err != nil {
		s.Fatal(err)
	}
	return a
}

// want returns the answers of /predict for customerA and customerB.
func (s *service) want() (predictions, probabilities []float64) {
	s.Helper()
	for _, c := range []string{customerA, customerB} {
		var a answered
		if err := json.Unmarshal([]byte(s.expect("POST", "/predict", c, 200, "")), &a); err != nil {
			s.Fatal(err)
		}
		predictions, probabilities = append(predictions, float64(a.Prediction)), append(probabilities, a.Probability)
	}
	return predictions, probabilities
}

// records returns the request_id of every record in the log.
func (s *service) records() (ids []string) {
	s.Helper()
	for line := range strings.Lines(s.log()) {
		r, err := predlog.Parse([]byte(line))
		if err != nil {
			s.Fatal(err)
		}
		ids = append(ids, r.RequestID)
	}
	return ids
}

func TestInferenceAnswersAsPredictDoes(t *testing.T) {
	s := start(t)
	version := strings.TrimSuffix(s.train(1), ".json")
	predictions, probabilities := s.want()

	a := s.infer("/v2/models/churn/infer", inference2)
	if a.ModelName != "churn" || a.ModelVersion != version || a.ID != "42" || len(a.Outputs) != 2 {
		t.Fatalf("answer %+v", a)
	}
	for i, want := range []struct {
		name, datatype string
		data           []float64
	}{{"predict", "INT64", predictions}, {"predict_proba", "FP64", probabilities}} {
		got := a.Outputs[i]
		if got.Name != want.name || got.Datatype != want.datatype || !reflect.DeepEqual(got.Shape, []int{2}) ||
			!reflect.DeepEqual(got.Data, want.data) {
			t.Errorf("output %+v, want %+v", got, want)
		}
	}

	one := strings.NewReplacer("[2]", "[1]", "[2,1]", "[1,1]", "6,50", "6", "[[3],[0]]", "[[3]]", ",40", "", `,"premium"`,
		"", `,"EU"`, "")
	a = s.infer("/v2/models/churn/versions/"+version+"/infer", one.Replace(inference2))
	if got := a.Outputs[1].Data; len(got) != 1 || got[0] != probabilities[0] {
		t.Errorf("one customer: %v, want %v", got, probabilities[:1])
	}
	a = s.infer("/v2/models/churn/infer", `{"outputs":[{"name":"predict_proba"},{"name":"predict_proba"}],
		"inputs":[`+tensors+`,
		{"name":"request_id","shape":[2],"datatype":"BYTES","data":[null,"mine"]},
		{"name":"churn","shape":[2],"datatype":"BOOL","data":[true,false]}]}`)
	if len(a.Outputs) != 1 || a.Outputs[0].Name != "predict_proba" || a.ID == "" {
		t.Errorf("one output asked for, no id: %+v", a)
	}
	if got, want := s.records(), []string{"a", "b", "42-0", "42-1", "42", a.ID + "-0", "mine"}; !reflect.DeepEqual(got,
		want) {
		t.Errorf("the log has the records %q, want %q", got, want)
	}
	s.expect("POST", "/v2/models/churn/infer", strings.NewReplacer("[2]", "[0]", "[2,1]", "[0,1]", "[6,50]", "[]",
		"[[3],[0]]", "[]",
		"[21.5,40]", "[]", `["basic","premium"]`, "[]", `["NA","EU"]`, "[]").Replace(inference2), 200,
		`"shape":[0],"data":[]`)
}

func TestInferenceMetadata(t *testing.T) {
	s := start(t)
	s.expect("GET", "/v2", "", 200, `{"name":"churn","version":"`)
	s.expect("GET", "/v2/", "", 200, `"extensions":["binary_tensor_data"]}`)
	s.expect("GET", "/v2/health/live", "", 200, `{"live":true}`)
	s.expect("GET", "/v2/health/ready", "", 503, `"ready":false`)
	s.expect("GET", "/v2/models/churn/ready", "", 503, `{"name":"churn","ready":false}`)
	s.expect("GET", "/v2/models/churn", "", 503, `{"error":"no usable model: see /health"}`)
	s.expect("POST", "/v2/models/churn/infer", inference2, 503, `{"error":"no usable model: see /health"}`)

	name := s.train(1)
	version := strings.TrimSuffix(name, ".json")
	s.expect("GET", "/v2/health/ready", "", 200, `"ready":true`)
	for _, path := range []string{"/v2/models/churn", "/v2/models/churn/versions/" + version} {
		s.expect("GET", path+"/ready", "", 200, `{"name":"churn","ready":true}`)
		s.expect("GET", path, "", 200, `{"name":"churn","versions":["`+version+`"],"platform":"churn_json","inputs":[`+
			`{"name":"tenure_months","datatype":"INT64","shape":[-1]},{"name":"num_complaints","datatype":"INT64",`+
			`"shape":[-1]},`+
			`{"name":"avg_session_minutes","datatype":"FP64","shape":[-1]},{"name":"plan_type","datatype":"BYTES",`+
			`"shape":[-1]},`+
			`{"name":"region","datatype":"BYTES","shape":[-1]}],"outputs":[{"name":"predict","datatype":"INT64","shape":[-1]},`+
			`{"name":"predict_proba","datatype":"FP64","shape":[-1]}]}`)
	}
	for _, path := range []string{"/v2/models/Churn", "/v2/models/ch%2Furn", "/v2/models/%ff%2F"} {
		s.expect("GET", path, "", 404, `{"error":"no model \"`)
		s.expect("GET", path+"/ready", "", 404, `{"error":"no model \"`)
		s.expect("POST", path+"/infer", inference2, 404, `\"churn\" is being served`)
	}
	s.expect("POST", "/v2/models/churn/versions/"+name+"/infer", inference2, 404, `{"error":"no version \"`)
	s.expect("GET", "/v2/models", "", 404, `{"error":"Not Found"}`)
	s.expect("GET", "/v2/models/churn/infer", "", 405, `{"error":"Method Not Allowed"}`)
}

func TestInvalidInferences(t *testing.T) {
	s := start(t)
	s.train(1)
	check := func(old, new string, status int, parts ...string) {
		t.Helper()
		body := strings.Replace(inference2, old, new, 1)
		for _, part := range parts {
			s.expect("POST", "/v2/models/churn/infer", body, status, part)
		}
	}
	check("[6,50]", "[6.5,-1]", 400,
		`{"error":"body.0.tenure_months: value is not a valid integer; body.1.tenure_months: ensure this value is greater `+
			`than or equal to 0"}`)
	check("[6,50]", `["6",1e400]`, 400, "body.0.tenure_months", "body.1.tenure_months")
	check("[6,50]", "[[6],50]", 400, "body.0.tenure_months: value is not a valid integer")
	check("[6,50]", "[6,null]", 400, "body.1.tenure_months: none is not an allowed value")
	check("[6,50]", "[6]", 400, "body.inputs.tenure_months: the data has 1 values, the shape is [2]")
	check("[6,50]", "[6,50,7]", 400, "body.inputs.tenure_months: the data has 3 values")
	check("[6,50]", "6", 400, "body.inputs.tenure_months: value is not a valid list")
	check("[6,50]", strings.Repeat("[", 100_000), 400, "not JSON: exceeded max depth")
	check("[6,50]", "[NaN,50]", 400, "body.0.tenure_months: none is not an allowed value")
	check("[6,50]", "[Nan,50]", 400, "not JSON: ")
	check("[[3],[0]]", "[[3,0],[]]", 400,
		"body.inputs.num_complaints.0: one value expected; body.inputs.num_complaints.1: one value expected")
	check("[2]", "[3]", 400, "body.inputs.num_complaints: 2 rows where tenure_months has 3")
	check("[2]", "[1,2]", 400, "body.inputs.tenure_months: the shape is neither [n] nor [n,1]")
	check("[2]", "[]", 400, "body.inputs.tenure_months: the shape is neither [n] nor [n,1]")
	check("[2]", "[-2]", 400, "body.inputs.0.shape: a size is a whole number")
	check("[2]", "[99999999999999999999]", 400, "body.inputs.0.shape: a size is a whole number")
	check("INT64", "BYTES", 400, `body.inputs.tenure_months: the datatype is \"BYTES\", expected INT64`)
	check(`BYTES","shape"`, `INT64","shape"`, 400, `body.inputs.plan_type: the datatype is \"INT64\", expected BYTES`)
	check(`"datatype":"INT64",`, "", 400, "body.inputs.0.datatype: field required")
	check(`,"data":[6,50]`, "", 400, "body.inputs.0.data: field required")
	check(`"shape":[2],`, "", 400, "body.inputs.0.shape: field required")
	check(`"name":"tenure_months"`, `"name":7`, 400, "body.inputs.0.name: str type expected")
	check("region", "regoin", 400, "body.inputs.regoin: extra fields not permitted: did you mean region?",
		"body.inputs.region: field required")
	check("region", "plan_type", 400, "body.inputs.plan_type: the column is there twice")
	check("["+tensors+"]", "[]", 400, `{"error":"body.inputs: field required"}`)
	check("["+tensors+"]", "{}", 400, `{"error":"body.inputs: value is not a valid list"}`)
	check(`"id":"42"`, `"id":7`, 400, "body.id: str type expected")
	check(`"id":"42"`, `"id":"`+strings.Repeat("x", maxRequestID+1)+`"`, 400,
		"body.id: ensure this value has at most 200 characters")
	check(`"id":"42"`, `"id":"4\u00002"`, 400, "body.id: ensure this value has no control characters")
	check(`"id":"42"`, `"outputs":[{"name":"score"}]`, 400, "body.outputs.0.name: neither predict nor predict_proba")
	check("["+tensors+"]", "["+strings.Repeat("{},", maxColumns)+"{}]", 400,
		`{"error":"body.inputs: more than 10000 columns"}`)
	check("["+tensors+"]", "["+strings.Repeat("{},", 400)+"{}]", 400, `; body: there is more that is not listed"}`)
	check("[2]", "["+strings.Repeat("-1,", 5000)+"2]", 400, `; body: there is more that is not listed"}`)
	check(inference2, "[]", 400, `{"error":"body: value is not a valid dict"}`)
	check(inference2, inference2+"{}", 400, "more than one value")
	check(inference2, inference2[:50], 400, "not JSON")
	check("[6,50]", "["+strings.Repeat("6,", 1000)+"6]", 413, `{"error":"the batch has more than 1000 rows: `)
	check("[6,50]", strings.Repeat(" ", 1<<20)+"[6,50]", 413, `{"error":"the body has more than 1048576 bytes"}`)
	if got, _, text := s.send("/v2/models/churn/infer", "application/octet-stream", inference2); got != 415 ||
		!strings.HasPrefix(text, `{"error":`) {
		t.Errorf("binary data: %d %s, want 415", got, text)
	}
	if s.log() != "" {
		t.Errorf("refused requests are in the log: %q", s.log())
	}
	s.blockLog()
	check("", "", 503, `{"error":"the prediction could not be logged`)
}

// blockLog makes the log impossible to write.
func (s *service) blockLog() {
	s.Helper()
	logs := filepath.Join(s.dir, "logs")
	if err := errors.Join(os.RemoveAll(logs), os.WriteFile(logs, nil, 0o644)); err != nil {
		s.Fatal(err)
	}
}

// optional returns a schema of a required number and an optional category.
func optional(t testing.TB) *dataset.Schema {
	t.Helper()
	s, err := dataset.ParseSchema([]byte(`{"format":1,"target":{"name":"Left","positive":"1"},"ignore":["row"],
		"features":[{"name":"age","type":"number"},{"name":"city","type":"category","optional":true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// read returns the rows of a request as text, or its error.
func read(schema *dataset.Schema, decode func(*batch) error) string {
	b := new(batch).start(forSchema(schema), true, new(budget.Claim))
	if err := decode(b); err != nil {
		return err.Error()
	}
	var rows []string
	for _, r := range b.rows {
		record := predlog.Record{RequestID: r.requestID, ModelVersion: "m.json"}
		for i, v := range r.values {
			record.Features = append(record.Features, predlog.Feature{Name: schema.Features[i].Name, Value: v})
		}
		_, text, _ := strings.Cut(string(record.Append(nil)), `"features":`)
		text, _, _ = strings.Cut(text, `,"ts"`)
		rows = append(rows, text)
	}
	return strings.Join(rows, " ")
}

func TestInferenceWithoutOptionalFeatures(t *testing.T) {
	schema := optional(t)
	check := func(inputs, want string) {
		t.Helper()
		got := read(schema, func(b *batch) error {
			_, err := readInference([]byte(`{"inputs":[`+inputs+`]}`), "", b)
			return err
		})
		if got != want {
			t.Errorf("%s: %s, want %s", inputs, got, want)
		}
	}
	age := `{"name":"age","shape":[2],"datatype":"FP64","data":[1,2]}`
	city := `{"name":"city","shape":[2],"datatype":"BYTES","data":["x","y"]}`
	check(city+","+age, `{"age":1,"city":"x"} {"age":2,"city":"y"}`) // what comes after must not see it
	check(age, `{"age":1,"city":null} {"age":2,"city":null}`)
	check(age+","+strings.Replace(city, `"x"`, "null", 1), `{"age":1,"city":null} {"age":2,"city":"y"}`)
	check(city, "body.inputs.age: field required")
}

// fuzzBatch checks what every decoder promises: rows that make records of a line, or faults that make JSON.
func fuzzBatch(t *testing.T, b *batch, err error) {
	t.Helper()
	if err != nil {
		var invalid *invalidError
		if !errors.As(err, &invalid) {
			t.Fatalf("%v is not an *invalidError", err)
		}
		if _, err := json.Marshal(invalid.details); err != nil {
			t.Errorf("details that are not JSON: %v", err)
		}
		if _, err := json.Marshal(invalid.Error()); err != nil || len(invalid.details) == 0 {
			t.Errorf("a text of %d details that is not JSON: %v", len(invalid.details), err)
		}
		return
	}
	for _, row := range b.rows {
		r := predlog.Record{RequestID: row.requestID, ModelVersion: "m.json"}
		for i, v := range row.values {
			if !row.seen[i] {
				t.Errorf("%s was not set", b.schema.Features[i].Name)
			}
			r.Features = append(r.Features, predlog.Feature{Name: b.schema.Features[i].Name, Value: v})
		}
		line := r.Append(nil)
		if _, err := predlog.Parse(line); err != nil || strings.ContainsAny(string(line), "\n\r") {
			t.Errorf("record %q: %v", line, err)
		}
	}
}

// Binary tensors are those of JSON; the answer is binary where that is asked for.
func TestBinaryInference(t *testing.T) {
	s := start(t)
	s.train(1)
	_, probabilities := s.want()
	input := func(name, datatype string, size int) string {
		return fmt.Sprintf(`{"name":%q,"shape":[2],"datatype":%q,"parameters":{"binary_data_size":%d}}`, name, datatype, size)
	}
	header := `{"inputs":[` + strings.Join([]string{
		input("tenure_months", "INT64", 16), input("num_complaints", "UINT8", 2),
		input("avg_session_minutes", "FP32", 8), input("plan_type", "BYTES", 20), input("region", "BYTES", 12)}, ",") + `]`
	data := "\x06\x00\x00\x00\x00\x00\x00\x00\x32\x00\x00\x00\x00\x00\x00\x00" + "\x03\x00" +
		"\x00\x00\xac\x41\x00\x00\x20\x42\x05\x00\x00\x00basic\x07\x00\x00\x00premium\x02\x00\x00\x00NA\x02\x00\x00\x00EU"
	ask := func(header, data, media string) (*http.Response, string) {
		return s.ask("POST", "/v2/models/churn/versions/1/infer", header+data, "Content-Type: "+media,
			headerLength+": "+strconv.Itoa(len(header)))
	}
	answer, text := ask(header+"}", data, httpbody.Binary)
	if answer.StatusCode != 200 || !strings.Contains(text, strconv.FormatFloat(probabilities[1], 'f', 6, 64)) {
		t.Fatalf("%d %s, want %v", answer.StatusCode, text, probabilities)
	}
	answer, text = ask(header+`,"parameters":{"binary_data_output":true,"explain":true}}`, data, httpbody.JSON)
	n, err := strconv.Atoi(answer.Header.Get(headerLength))
	if err != nil || n > len(text) || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != httpbody.Binary {
		t.Fatalf("%d %v %q", answer.StatusCode, answer.Header, text)
	}
	if !strings.Contains(text[:n], `"parameters":{"explanations":"[{\"base\":`) || !strings.Contains(text[:n],
		`{"name":"predict_proba","datatype":"FP64","shape":[2],"parameters":{"binary_data_size":16}}`) || len(text) != n+32 {
		t.Fatalf("%q", text)
	}
	for i, want := range probabilities {
		if got := math.Float64frombits(binary.LittleEndian.Uint64([]byte(text[n+16+8*i:]))); got != want {
			t.Errorf("probability %d: %v, want %v", i, got, want)
		}
	}

	// What is cut off, too long, or of another kind.
	for _, bad := range []struct{ header, data, media, want string }{
		{header + "}", data[:len(data)-1], httpbody.Binary, "body.inputs.region: the body ends within the data"},
		{header + "}", data + "x", httpbody.Binary, "body: 1 bytes behind the last tensor"},
		{header + "}", strings.Replace(data, "\x05", "\xff", 1), httpbody.Binary,
			"body.inputs.plan_type: the data ends within a value"},
		{header + "}", strings.Replace(data, "NA", "\xff\xff", 1), httpbody.Binary, "body.inputs.region.0: not UTF-8"},
		{strings.Replace(header, "INT64", "FP16", 1) + "}", data, httpbody.Binary,
			`body.inputs.tenure_months: the datatype is \"FP16\"`},
		{strings.Replace(header, "16}", "-1}", 1) + "}", data, httpbody.Binary, "a size is a whole number"},
		{strings.Replace(header, "[2]", "[3]", 1) + "}", data, httpbody.Binary, "2 rows where tenure_months has 3"},
		{strings.Replace(header, "[2]", "[1]", 1) + "}", data, httpbody.Binary, "2 rows where tenure_months has 1"},
	} {
		answer, text := ask(bad.header, bad.data, bad.media)
		if answer.StatusCode != 400 || !strings.Contains(text, bad.want) {
			t.Errorf("%d %s, want 400 with %s", answer.StatusCode, text, bad.want)
		}
	}
	for _, length := range []string{"x", "-1", "99999999999999999999", strconv.Itoa(len(header) + 100000)} {
		answer, text := s.ask("POST", "/v2/models/churn/infer", header+"}"+data, headerLength+": "+length)
		if answer.StatusCode != 400 || !strings.Contains(text, headerLength) {
			t.Errorf("length %s: %d %s", length, answer.StatusCode, text)
		}
	}
	answer, text = s.ask("POST", "/v2/models/churn/infer", header, "Content-Type: "+httpbody.Binary)
	if answer.StatusCode != 415 {
		t.Errorf("binary without a header: %d %s", answer.StatusCode, text)
	}
}

func FuzzInfer(f *testing.F) {
	f.Add([]byte(inference2), "")
	f.Add([]byte(`{"outputs":[{"name":"predict"}],"inputs":[{"data":[[6]],"shape":[1,1],"datatype":"FP64",`+
		`"name":"age"}],"id":"\ud83d\ude00"}`), "")
	f.Add([]byte(`{"inputs":[{"name":"age","shape":[1],"datatype":"INT8","data":[1]},{"name":"city","shape":[1],`+
		`"datatype":"BYTES","data":[null]}]}`), "0")
	binary := `{"inputs":[{"name":"age","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}},` +
		`{"name":"city","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":10}}]}`
	f.Add([]byte(binary+"\x00\x00\x80\x3f\x00\x00\xc0\x7f\x01\x00\x00\x00x\x01\x00\x00\x00y"), strconv.Itoa(len(binary)))
	models := []*snapshot{fitted(f, dataset.Lab()), fitted(f, optional(f))}
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		for _, s := range models {
			b := new(batch).start(s, true, new(budget.Claim))
			q, err := readInference(body, header, b)
			fuzzBatch(t, b, err)
			if err == nil && q.id == "" {
				t.Error("no id")
			}
		}
	})
}
