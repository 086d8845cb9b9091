package predictor

import (
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/predictor/budget"
	"churn/internal/predictor/httpbody"

	"github.com/go-json-experiment/json"
)

const (
	recordA = `{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":"basic","region":"NA"}`
	recordB = `{"tenure_months":50,"num_complaints":0,"avg_session_minutes":40,"plan_type":"premium","region":"EU",` +
		`"request_id":"mine"}`
	split = `{"index":[7,8],"columns":["region","plan_type","avg_session_minutes","num_complaints",
		"tenure_months","churn"],
		"data":[["NA","basic",21.5,3,6,1],["EU","premium",40,0,50,null]]}`
	inputs = `{"request_id":["a",null],"tenure_months":[6,50],"num_complaints":[3,0],"avg_session_minutes":[21.5,40],
		"plan_type":["basic","premium"],"region":["NA","EU"]}`
)

func TestInvocationsAnswerAsPredictDoes(t *testing.T) {
	s := start(t)
	s.train(1)
	predictions, probabilities := s.want()
	rows := 2
	check := func(media, body string, want []float64) {
		t.Helper()
		var a struct {
			Predictions []float64 `json:"predictions"`
		}
		status, kind, text := s.send("/invocations", media, body)
		if err := json.Unmarshal([]byte(text), &a); err != nil || status != 200 || kind != httpbody.JSON ||
			!reflect.DeepEqual(a.Predictions, want) {
			t.Errorf("%s %.60s: %d %s %s, want %v: %v", media, body, status, kind, text, want, err)
		}
		rows += len(want)
	}
	for _, table := range []string{
		`"dataframe_split":` + split,
		`"dataframe_split":{"data":[["NA","basic",21.5,3,6],["EU","premium",40,0,50]],"columns":["region","plan_type",` +
			`"avg_session_minutes","num_complaints","tenure_months"]}`,
		`"dataframe_records":[` + recordA + "," + recordB + "]",
		`"instances":[` + recordA + "," + recordB + "]",
		`"inputs":[` + recordA + "," + recordB + "]",
		`"inputs":` + inputs,
	} {
		check("application/json", "{"+table+"}", predictions)
		check("application/json; charset=utf-8", `{"params":{"predict_method":"predict_proba","x":[1]},`+table+`}`,
			probabilities)
		check("application/json", "{"+table+`,"params":{"predict_method":"predict_proba"}}`, probabilities)
		check("application/json", "{"+table+`,"params":null,"extra":1}`, predictions)
	}
	check("application/json", `{"inputs":`+recordA+`}`, predictions[:1])
	check("application/json", `{"dataframe_records":[]}`, []float64{})
	check("text/csv", batchCSV, predictions)

	// A frame's index and other columns are ignored.
	check("application/json", `{"dataframe_records":[{"Unnamed: 0":1,`+recordA[1:]+`]}`, predictions[:1])
	index := strings.NewReplacer("request_id", "", "\na,", "\n0,", "\nb,", "\n1,").Replace(batchCSV)
	check("text/csv", index, predictions)
	answer, _ := s.ask("POST", "/invocations?proba=1", index, "Content-Type: text/csv")
	if got := answer.Header.Get("X-Ignored-Columns"); got != `""` {
		t.Errorf("ignored: %s", got)
	}
	rows += 2
	long := `{"` + strings.Repeat("x", 100) + `":1,`
	answer, _ = s.ask("POST", "/invocations", `{"dataframe_records":[`+long+recordA[1:]+","+long+recordB[1:]+"]}")
	if got := answer.Header.Get("X-Ignored-Columns"); strings.Contains(got, ",") {
		t.Errorf("one column of two rows is ignored: %s", got)
	}
	rows += 2
	if _, text := s.ask("GET", "/metrics", ""); !strings.Contains(text, "\nchurn_ignored_columns_total 4\n") {
		t.Error("four columns were ignored, and are not counted as four")
	}
	if n := len(s.records()); n != rows {
		t.Errorf("%d records in the log after %d answers", n, rows)
	}
}

// Python writes missing numbers as NaN, and divisions by zero as Infinity.
func TestNaNIsMissing(t *testing.T) {
	s := start(t)
	s.publish(termsModel(t))
	check := func(path, body, missing string) {
		t.Helper()
		_, _, want := s.send(path, httpbody.JSON, strings.ReplaceAll(body, "?", "null"))
		_, _, got := s.send(path, httpbody.JSON, strings.ReplaceAll(body, "?", missing))
		if got != want || !strings.Contains(got, "predict") {
			t.Errorf("%s with %s: %s, want %s", path, missing, got, want)
		}
	}
	for _, missing := range []string{"NaN", "Infinity", "-Infinity"} {
		check("/invocations?proba=true", `{"dataframe_split":{"columns":["age","products","balance","country"],
			"data":[[?,2,-1.5,"NaN\\"],[50,2,?,"a\"Infinity"]]}}`, missing)
		check("/v2/models/left/infer", `{"id":"i","inputs":[{"name":"age","shape":[1],"datatype":"FP64","data":[?]},
			{"name":"products","shape":[1],"datatype":"INT64","data":[2]}]}`, missing)
	}
	s.expect("POST", "/invocations", `{"dataframe_split":{"columns":["age","products"],"data":[[1,NaN]]}}`, 400,
		"body.0.products: none is not an allowed value")
	s.expect("POST", "/invocations", `{"dataframe_split":{"columns":["age","products"],"data":[[1,NaNs]]}}`, 400,
		"not JSON")
}

func TestInvalidInvocations(t *testing.T) {
	s := start(t)
	s.train(1)
	check := func(media, body string, status int, message string) {
		t.Helper()
		got, _, text := s.send("/invocations", media, body)
		code := map[bool]string{true: "TEMPORARILY_UNAVAILABLE", false: "BAD_REQUEST"}[status == 503]
		if got != status || !strings.HasPrefix(text, `{"error_code":"`+code+`","message":"`) || !strings.Contains(text,
			message) {
			t.Errorf("%.80s: %d %s, want %d with %s", body, got, text, status, message)
		}
	}
	bad := func(table, old, new, message string) {
		t.Helper()
		check("application/json", "{"+strings.Replace(table, old, new, 1)+"}", 400, message)
	}
	const bySplit, byInputs, byRecords = `"dataframe_split":` + split, `"inputs":` + inputs,
		`"dataframe_records":[` + recordA + "," + recordB + "]"
	bad(bySplit, "region", "regoin",
		`"body.dataframe_split.region: field required: is it regoin?"`)
	bad(bySplit, `"region"`, `"plan_type"`, "body.dataframe_split.plan_type: the column is there twice")
	bad(bySplit, `"region"`, "7", "body.dataframe_split.columns.0: str type expected")
	bad(bySplit, `"EU",`, "", "body.dataframe_split.data.1: wrong number of values: 5 for 6 columns")
	bad(bySplit, `"EU",`, `"EU",1,2,`, "body.dataframe_split.data.1: wrong number of values: 8 for 6 columns")
	bad(bySplit, `["EU"`, `7,["EU"`, "body.dataframe_split.data.1: value is not a valid list")
	bad(bySplit, "40,0,50", `"x",0.5,-1`,
		`"body.1.avg_session_minutes: value is not a valid float; body.1.num_complaints: value is not a valid integer; `+
			`body.1.tenure_months: ensure this value is greater than or equal to 0"`)
	bad(bySplit, `"data"`, `"rows"`, "body.dataframe_split.data: field required")
	bad(bySplit, `"columns"`, `"names"`, "body.dataframe_split.region: field required")
	bad(bySplit, `"region"`, strings.Repeat(`"",`, maxColumns)+`"region"`, "body.dataframe_split: more than 10000 columns")
	bad(bySplit, split, "[]", "body.dataframe_split: value is not a valid dict")
	bad(byRecords, `"EU"`, "7", "body.1.region: str type expected, such as \\\"EU\\\"")
	bad(byRecords, recordB, "7", "body.1: value is not a valid dict")
	bad(byRecords, recordB, `{"request_id":7}`, "body.1.request_id: str type expected")
	bad(byInputs, "[6,50]", "[6]", "body.inputs.tenure_months: wrong number of values: 1 where request_id has 2")
	bad(byInputs, "[6,50]", "6", "body.inputs.tenure_months: wrong number of values: 1 where request_id has 2")
	bad(byInputs, "[6,50]", "[[6],[50]]", "body.0.tenure_months: value is not a valid integer")
	bad(byInputs, "tenure_months", "tenure_month", "body.inputs.tenure_months: field required: is it tenure_month?")
	bad(byInputs, inputs, `"x"`, "body: value is not a valid list")
	bad(byInputs, inputs, "{}", "body.inputs.region: field required")
	bad(byInputs, "[6,50]", "[6,50", "not JSON")
	bad(byInputs, "{", `{"region":["NA","EU"],`, "duplicate object member name")
	bad(`"instances":[[1,2]]`, "", "", "body.0: value is not a valid dict")
	bad(byInputs+","+byRecords, "", "", "exactly one expected of dataframe_split, dataframe_records, inputs and instances")
	bad("", "", "", "exactly one expected")
	bad(byInputs+`,"params":7`, "", "", "body.params: value is not a valid dict")
	bad(byInputs+`,"params":{"predict_method":"score"}`, "", "",
		"body.params.predict_method: neither predict nor predict_proba")
	check("application/json", "["+recordA+"]", 400, `"body: value is not a valid dict"`)
	check("application/json", "{}{}", 400, "more than one value")
	check("application/json", "", 400, "not JSON")
	check("text/csv", "region\nNA\n", 400, "body.header.tenure_months: field required")
	check("application/json", `{"dataframe_records":[`+strings.Repeat(recordA+",", 1000)+recordA+"]}", 413,
		"more than 1000 rows")
	check("application/json", strings.Replace("{"+byInputs+"}", "[6,50]", "["+strings.Repeat("6,", 1000)+"6]", 1), 413,
		"more than 1000 rows")
	check("application/json", strings.Repeat(" ", 1<<20)+"{}", 413, "more than 1048576 bytes")
	check("application/xml", "<a/>", 415, "Unsupported Media Type")
	if s.log() != "" {
		t.Errorf("refused requests are in the log: %q", s.log())
	}
	s.blockLog()
	check("text/csv", batchCSV, 503, "could not be logged")
}

func TestPing(t *testing.T) {
	s := start(t)
	ping := func(want int) {
		t.Helper()
		if status, text := s.do("GET", "/ping", ""); status != want || text != "\n" {
			t.Errorf("GET /ping: %d %q, want %d and a line end", status, text, want)
		}
	}
	ping(404)
	if status, _, text := s.send("/invocations", "text/csv", batchCSV); status != 503 || !strings.Contains(text,
		`"TEMPORARILY_UNAVAILABLE"`) {
		t.Errorf("no model: %d %s", status, text)
	}
	s.train(1)
	ping(200)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequest("GET", "/version", nil))
	if w.Code != 200 || w.Body.String() != "1.2.3" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("GET /version: %d %q %v", w.Code, w.Body, w.Header())
	}
}

func TestInvocationsWithoutOptionalFeatures(t *testing.T) {
	schema := optional(t)
	check := func(body, want string) {
		t.Helper()
		got := read(schema, func(b *batch) error {
			return readJSON([]byte(body), b, func(r *reader) error { return r.invocation(new(bool)) })
		})
		if got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	// what comes after must not see it
	check(`{"inputs":{"city":["x","y"],"age":[1,2]}}`, `{"age":1,"city":"x"} {"age":2,"city":"y"}`)
	const without = `{"age":1,"city":null} {"age":2,"city":null}`
	check(`{"inputs":{"age":[1,2],"row":[1,2]}}`, without)
	check(`{"inputs":{"age":[1,2],"city":[null,null]}}`, without)
	check(`{"dataframe_split":{"columns":["age"],"data":[[1],[2]]}}`, without)
	check(`{"dataframe_split":{"columns":["city","age"],"data":[[null,1],["",2]]}}`, without)
	check(`{"instances":[{"age":1},{"age":2,"city":null}]}`, without)
	check(`{"inputs":{"age":1}}`, `{"age":1,"city":null}`)
}

func FuzzInvocations(f *testing.F) {
	f.Add([]byte(`{"dataframe_split":`+split+`}`), false)
	f.Add([]byte(`{"inputs":`+inputs+`,"params":{"predict_method":"predict_proba"}}`), false)
	f.Add([]byte(`{"instances":[`+recordA+`,{"age":1}]}`), false)
	f.Add([]byte(`{"inputs":{"age":1,"city":["x"]}}`), false)
	f.Add([]byte(batchCSV), true)
	f.Add([]byte("age,\xff\n1,2\n"), true)
	f.Add([]byte("sep=\r\r"), true)
	f.Add([]byte("sep=;\rage;city\r1;x\r"), true)
	f.Add([]byte("\xff\xfea\x00g\x00e\x00\n\x001\x00"), true)
	models := []*snapshot{fitted(f, dataset.Lab()), fitted(f, optional(f))}
	f.Fuzz(func(t *testing.T, body []byte, isCSV bool) {
		for _, s := range models {
			b := new(batch).start(s, true, new(budget.Claim))
			if isCSV {
				fuzzBatch(t, b, readCSV(slices.Clone(body), b)) // which may change it
			} else {
				fuzzBatch(t, b, readJSON(body, b, func(r *reader) error { return r.invocation(new(bool)) }))
			}
		}
	})
}
