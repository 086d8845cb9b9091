package predictor

import (
	"encoding/csv"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/predictor/budget"
	"churn/internal/predictor/httpbody"

	"github.com/go-json-experiment/json"
)

// send posts a body of a media type and returns the status, the answer's media type and the answer.
func (s *service) send(path, media, body string) (int, string, string) {
	s.Helper()
	answer, err := http.Post(s.url+path, media, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	s.checkContract(answer, body, string(text))
	return answer.StatusCode, answer.Header.Get("Content-Type"), string(text)
}

const (
	customerA = `{"request_id":"a","tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":"basic",` +
		`"region":"NA"}`
	customerB = `{"request_id":"b","tenure_months":50,"num_complaints":0,"avg_session_minutes":40,"plan_type":"premium",` +
		`"region":"EU"}`
	batchCSV = "\xef\xbb\xbfrequest_id,region,plan_type,avg_session_minutes,num_complaints,tenure_months,churn\na,NA," +
		"basic,21.5,3,6,1\nb,\"EU\",premium,40,0,50,\n"
)

// answered is the part of a record that every kind of answer has.
type answered struct {
	RequestID   string  `json:"request_id"`
	Prediction  int     `json:"prediction"`
	Probability float64 `json:"probability"`
	Explanation *struct {
		Base          float64 `json:"base"`
		Contributions []struct {
			Feature      string  `json:"feature"`
			Contribution float64 `json:"contribution"`
		} `json:"contributions"`
	} `json:"explanation"`
}

// One customer gets one answer, however it is asked.
func TestBatchesAnswerAsPredictDoes(t *testing.T) {
	s := start(t)
	s.train(1)
	var want []answered
	for _, c := range []string{customerA, customerB} {
		var a answered
		if err := json.Unmarshal([]byte(s.expect("POST", "/predict", c, 200, "")), &a); err != nil {
			t.Fatal(err)
		}
		want = append(want, a)
	}
	compare := func(kind string, got []answered) {
		t.Helper()
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s: %+v, want %+v", kind, got, want)
		}
	}

	status, media, text := s.send("/predict/batch", "application/json", "["+customerA+","+customerB+"]")
	var array []answered
	if err := json.Unmarshal([]byte(text), &array); err != nil || status != 200 || media != httpbody.JSON {
		t.Fatalf("JSON: %d %s %s: %v", status, media, text, err)
	}
	compare("JSON", array)

	status, media, text = s.send("/predict/batch", "application/x-ndjson; charset=utf-8", customerA+"\n"+customerB+"\n")
	var lines []answered
	for line := range strings.Lines(text) {
		var a answered
		if err := json.Unmarshal([]byte(line), &a); err != nil || status != 200 || media != httpbody.Lines {
			t.Fatalf("NDJSON: %d %s %s: %v", status, media, line, err)
		}
		lines = append(lines, a)
	}
	compare("NDJSON", lines)

	status, media, text = s.send("/predict/batch", "text/csv", batchCSV)
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || status != 200 || media != httpbody.CSV || len(records) != 3 {
		t.Fatalf("CSV: %d %s %s: %v", status, media, text, err)
	}
	var rows []answered
	for _, r := range records[1:] {
		p, _ := strconv.ParseFloat(r[2], 64)
		n, _ := strconv.Atoi(r[1])
		rows = append(rows, answered{RequestID: r[0], Prediction: n, Probability: p})
	}
	compare("CSV", rows)

	if n := strings.Count(s.log(), "\n"); n != 8 {
		t.Errorf("%d records in the log after 8 answers", n)
	}
	for kind, empty := range map[string]string{"application/json": "[]", "application/x-ndjson": "",
		"text/csv": "tenure_months,num_complaints,avg_session_minutes,plan_type,region\n"} {
		if status, _, text := s.send("/predict/batch", kind, empty); status != 200 {
			t.Errorf("an empty batch of %s: %d %s", kind, status, text)
		}
	}
}

func TestInvalidBatches(t *testing.T) {
	s := start(t)
	s.train(1)
	check := func(media, body string, status int, part string) {
		t.Helper()
		got, _, text := s.send("/predict/batch", media, body)
		if got != status || !strings.Contains(text, part) {
			t.Errorf("%s %.50q: %d %s, want %d with %s", media, body, got, text, status, part)
		}
	}
	bad := strings.Replace(customerB, `"EU"`, "7", 1)
	check("application/json", "["+customerA+","+bad+"]", 422,
		`{"detail":[{"loc":["body",1,"region"],"msg":"str type expected, such as \"EU\", \"NA\"","type":"type_error.str"}]}`)
	check("application/json", "["+customerA+",7]", 422, `{"detail":[{"loc":["body",1],"msg":"value is not a valid dict"`)
	check("application/json", customerA, 422, `"msg":"value is not a valid list"`)
	check("application/json", "["+customerA, 422, `"type":"value_error.jsondecode"`)
	check("application/x-ndjson", customerA+"\n"+bad+"\n{", 422, `"type":"value_error.jsondecode"`)
	check("text/csv", "", 422, "it needs a header line")
	check("text/csv", strings.Replace(batchCSV, "region", "regoin", 1), 422,
		`{"loc":["body","header","regoin"],"msg":"extra fields not permitted: did you mean region?"`)
	check("text/csv", strings.Replace(batchCSV, "region", "churn", 1), 422,
		`{"loc":["body","header","churn"],"msg":"the column is there twice"`)
	check("text/csv", strings.Replace(batchCSV, "40,0,50", "x,0.5,-1", 1), 422,
		`{"detail":[{"loc":["body",1,"avg_session_minutes"],"msg":"value is not a valid float","type":"type_error.float"},`+
			`{"loc":["body",1,"num_complaints"],"msg":"value is not a valid integer"`)
	check("text/csv", "\x81\n", 422, `Windows-1252: save it as CSV in UTF-8`)
	check("text/csv", batchCSV+"c,1\n", 422, `not CSV: wrong number of fields`)
	check("text/csv", batchCSV+"c,,basic,1,1,1,\n", 422, `{"loc":["body",2,"region"],"msg":"field required"`)
	check("application/json", "["+strings.Repeat(customerA+",", 1000)+customerA+"]", 413,
		`{"detail":"the batch has more than 1000 rows: send it in parts, or score the whole file with serve --score"}`)
	check("application/json", strings.Repeat(" ", 1<<20)+"[]", 413, `{"detail":"the body has more than 1048576 bytes"}`)
	check("application/xml", "<a/>", 415, `{"detail":"Unsupported Media Type"}`)
	for path, want := range map[string]int{"/predict/batch": 413, "/nothing": 404, "/health": 405} {
		if got := s.sendFirst(path, 32<<20); got != want {
			t.Errorf("a large body sent at once to %s: %d, want %d", path, got, want)
		}
	}
	if s.log() != "" {
		t.Errorf("refused batches are in the log: %q", s.log())
	}
	if got, _, text := s.send("/predict", "text/csv", batchCSV); got != 415 {
		t.Errorf("CSV for /predict: %d %s, want 415", got, text)
	}
}

// The decoder reads a body in parts, and any name may be at the end of one.
func TestFieldsAreReadWhereverTheyAre(t *testing.T) {
	b := new(batch).start(forSchema(dataset.Lab()), true, new(budget.Claim))
	var body strings.Builder
	const rows = 5000
	for i := range rows {
		body.WriteString(strings.Replace(customerA, `"a"`, strconv.Quote(strconv.Itoa(i)), 1))
	}
	if err := readJSON([]byte(body.String()), b, (*reader).sequence); err != nil {
		t.Fatalf("%v: %+v", err, b.details)
	}
	for i := range rows {
		if got := b.rows[i].requestID; got != strconv.Itoa(i) {
			t.Fatalf("row %d has request_id %q", i, got)
		}
	}
}

func TestExplanationsAddUpToTheLogit(t *testing.T) {
	s := start(t)
	s.train(1)
	check := func(a answered) {
		t.Helper()
		x := a.Explanation
		if x == nil || len(x.Contributions) != 5 {
			t.Fatalf("%+v: no explanation of five features", a)
		}
		z := x.Base
		for i, c := range x.Contributions {
			z += c.Contribution
			if i > 0 && math.Abs(c.Contribution) > math.Abs(x.Contributions[i-1].Contribution) {
				t.Errorf("%+v: not the largest first", x.Contributions)
			}
		}
		if p := 1 / (1 + math.Exp(-z)); math.Abs(p-a.Probability) > 1e-6 {
			t.Errorf("base and contributions give %v, the answer is %v", p, a.Probability)
		}
	}
	var one answered
	if err := json.Unmarshal([]byte(s.expect("POST", "/predict?explain=true", customerA, 200, "")), &one); err != nil {
		t.Fatal(err)
	}
	check(one)
	var many []answered
	s.expect("POST", "/predict?explain=banana", customerA, 422,
		`{"detail":[{"loc":["query","explain"],"msg":"value could not be parsed to a boolean","type":"type_error.bool"}]}`)
	_, _, text := s.send("/predict/batch?explain=1", "application/json", "["+customerA+","+customerB+"]")
	if err := json.Unmarshal([]byte(text), &many); err != nil {
		t.Fatal(err)
	}
	for _, a := range many {
		check(a)
	}
	_, _, text = s.send("/predict/batch?explain=true", "text/csv", batchCSV)
	if !strings.HasPrefix(text,
		"request_id,prediction,probability,threshold,model_version,warnings,base,contribution:tenure_months,") {
		t.Errorf("CSV with explanations begins %.120q", text)
	}
	if strings.Contains(s.log(), "explanation") {
		t.Error("explanations are in the log")
	}
}

// forSchema stands for a model of the schema, for what only reads requests.
func forSchema(s *dataset.Schema) *snapshot {
	return &snapshot{model: &model.Model{Schema: s}}
}

// fitted is a snapshot of a model of a schema, which knows the levels x and 1.
func fitted(t testing.TB, s *dataset.Schema) *snapshot {
	t.Helper()
	table := dataset.NewTable(s)
	for i := range 120 {
		row := dataset.Row{Positive: i%7 < 3}
		for j := range s.Features {
			v := dataset.Value{Number: float64(i % (j + 5))}
			if s.Features[j].Type == dataset.Category {
				v = dataset.Value{Text: []string{"x", "1"}[i%2], Level: true}
			}
			row.Values = append(row.Values, v)
		}
		table.Append(&row)
	}
	return &snapshot{model: fit(t, table, 1)}
}

// What read the training file as booleans and numbers sends them as such.
func TestSpelledLevels(t *testing.T) {
	schema, err := dataset.ParseSchema([]byte(`{"format":1,"target":{"name":"churn","positive":"1"},"features":[
		{"name":"plan","type":"category"},{"name":"area","type":"category"},{"name":"code","type":"category"},
		{"name":"active","type":"number"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	table := dataset.NewTable(schema)
	level := func(texts ...string) func(i int) dataset.Value {
		return func(i int) dataset.Value { return dataset.Value{Text: texts[i%len(texts)], Level: true} }
	}
	plan, area, code := level("True", "False"), level("408", "415", "510"), level("1", "1.0", "x")
	for i := range 120 {
		values := []dataset.Value{plan(i), area(i / 2), code(i / 3), {Number: float64(i % 2)}}
		table.Append(&dataset.Row{Values: values, Positive: i%7 < 3})
	}
	s := start(t)
	s.publish(fit(t, table, 1))
	const texts = `{"plan":"True","area":"415","code":"1","active":1}`
	want := s.expect("POST", "/what-if", texts, 200, `"probability":`)
	for _, same := range []string{`{"plan":true,"area":415,"code":"1","active":true}`,
		`{"plan":true,"area":415.0,"code":"1","active":1}`} {
		r := httptest.NewRecorder() // the documentation promises less, so that generated clients have plain types
		s.handler.ServeHTTP(r, httptest.NewRequest("POST", "/what-if", strings.NewReader(same)))
		if got := r.Body.String(); got != want {
			t.Errorf("%s: %s, want that of %s: %s", same, got, texts, want)
		}
	}
	s.expect("POST", "/predict", `{"plan":"True","area":416,"code":1,"active":1}`, 422, `{"detail":[`+
		`{"loc":["body","area"],"msg":"str type expected, such as \"408\", \"415\", \"510\"","type":"type_error.str"},`+
		`{"loc":["body","code"],"msg":"str type expected, such as \"1\", \"1.0\", \"x\"","type":"type_error.str"}]}`)
	tensors := func(plan, area string) string {
		return `{"inputs":[{"name":"plan","shape":[1],"datatype":` + plan + `},{"name":"area","shape":[1],"datatype":` +
			area + `},{"name":"code","shape":[1],"datatype":"BYTES","data":["x"]},` +
			`{"name":"active","shape":[1],"datatype":"BOOL","data":[false]}]}`
	}
	spelled := s.infer("/v2/models/churn/infer", tensors(`"BOOL","data":[true]`, `"INT64","data":[415]`))
	named := s.infer("/v2/models/churn/infer", tensors(`"BYTES","data":["True"]`, `"BYTES","data":["415"]`))
	if !reflect.DeepEqual(spelled.Outputs, named.Outputs) {
		t.Errorf("spelled %+v, named %+v", spelled.Outputs, named.Outputs)
	}
	s.expect("POST", "/v2/models/churn/infer", tensors(`"BYTES","data":["True"]`, `"BOOL","data":[true]`), 400,
		`the datatype is \"BOOL\", expected BYTES`)
}

// A form's file is a batch as its body would be.
func TestUploads(t *testing.T) {
	s := start(t)
	s.train(1)
	upload := func(name, kind, text string) (status int, media, answer string) {
		var body strings.Builder
		form := multipart.NewWriter(&body)
		if err := form.WriteField("comment", "not the file"); err != nil {
			t.Fatal(err)
		}
		header := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="` + name + `"`}}
		if kind != "" {
			header.Set("Content-Type", kind)
		}
		part, err := form.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, text) // to memory
		form.Close()
		return s.send("/predict/batch", form.FormDataContentType(), body.String())
	}
	_, _, want := s.send("/predict/batch", "text/csv", batchCSV)
	for _, kind := range []string{"text/csv", "application/csv", "text/x-csv", "application/vnd.ms-excel", ""} {
		status, media, got := upload("customers.CSV", kind, batchCSV)
		if status != 200 || media != "text/csv" || got != want {
			t.Errorf("%s: %d %s %s, want %s", kind, status, media, got, want)
		}
	}
	status, media, got := upload("x", "application/ndjson", customerA+"\n"+customerB)
	if status != 200 || media != httpbody.Lines {
		t.Errorf("lines: %d %s %s", status, media, got)
	}
	if status, _, got := upload("x.xlsx", "application/zip", "PK"); status != 415 {
		t.Errorf("a workbook: %d %s", status, got)
	}
	for _, body := range []string{"", "--x", "--x--\r\n",
		"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n",
		"--x\r\nContent-Disposition: form-data; filename=\"a.csv\"\r\n\r\n1"} {
		if status, _, got := s.send("/predict/batch", "multipart/form-data; boundary=x", body); status != 422 ||
			!strings.Contains(got, "form") {
			t.Errorf("%q: %d %s", body, status, got)
		}
	}
	for _, kind := range []string{"multipart/form-data", "multipart/form-data; boundary"} {
		if status, _, got := s.send("/predict/batch", kind, batchCSV); status != 415 && status != 422 {
			t.Errorf("%s: %d %s", kind, status, got)
		}
	}
}
