package predictor

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"churn/internal/predictor/httpbody"

	"github.com/go-json-experiment/json/jsontext"
)

// The scoring server of MLflow 2 and 3 (mlflow/pyfunc/scoring_server):
//
//	{"dataframe_split": {"columns": ["tenure_months", …], "data": [[6, …], …]}}
//	{"dataframe_records": [{"tenure_months": 6, …}, …]}    or instances
//	{"inputs": {"tenure_months": [6, …], …}}               or one customer's values, or records
//
// or CSV with a header. The response is {"predictions": [1, …]}, in the order of the rows.
// A request_id is accepted wherever a feature is. NaN and Infinity are missing numbers, and a
// column that the model does not have is ignored and named in a header. For probabilities say
// "params": {"predict_method": "predict_proba"}, or ?proba=true.

// invocations answers POST /invocations.
func (p *Predictor) invocations(w http.ResponseWriter, r *http.Request) error {
	kind := httpbody.MediaType(r.Header)
	if kind != httpbody.JSON && kind != httpbody.CSV {
		return httpbody.ErrMediaType
	}
	proba, err := flag(r, "proba")
	if err != nil {
		return err
	}
	decode := func(body []byte, b *batch) (err error) {
		b.lenient = true
		if kind == httpbody.CSV {
			return readCSV(body, b)
		}
		if body, err = b.withoutNaN(body); err != nil {
			return err
		}
		return readJSON(body, b, func(r *reader) error { return r.invocation(&proba) })
	}
	return p.serve(w, r, protocol{many: true, decode: decode, respond: func(b *batch) {
		p.reportIgnored(w, b)
		answerJSON(w, http.StatusOK, map[string]jsontext.Value{"predictions": b.output(proba)})
	}})
}

// predictV1 answers POST /v1/models/{name}:predict, the older protocol of KServe's clients and of
// TensorFlow Serving: {"instances": […]} is answered by {"predictions": […]}, as for MLflow.
func (p *Predictor) predictV1(w http.ResponseWriter, r *http.Request) error {
	if _, err := p.follower.current().named(r); err != nil {
		return err
	}
	return p.invocations(w, r)
}

// reportIgnored names the columns that were ignored, as MLflow ignores them, in a header, and
// counts them.
func (p *Predictor) reportIgnored(w http.ResponseWriter, b *batch) {
	if len(b.ignored) == 0 {
		return
	}
	names := make([]string, len(b.ignored))
	for i, name := range b.ignored {
		names[i] = strconv.QuoteToASCII(name)
	}
	w.Header().Set("X-Ignored-Columns", strings.Join(names, ", "))
	p.metrics.ignored.Add(float64(len(names)))
}

// ping answers GET /ping.
func (p *Predictor) ping(w http.ResponseWriter, _ *http.Request) {
	status := http.StatusOK
	if p.unready() != nil {
		status = http.StatusNotFound
	}
	answer(w, status, []byte("\n"))
}

// version answers GET /version: that of the program, in the place of MLflow's.
func (p *Predictor) version(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	answer(w, http.StatusOK, []byte(p.Version))
}

var notJSON = [][]byte{[]byte("NaN"), []byte("Infinity"), []byte("-Infinity")}

// withoutNaN replaces NaN, Infinity and -Infinity outside texts by null, as clients in Python
// write missing numbers. Other bodies are returned as they are.
func (b *batch) withoutNaN(body []byte) ([]byte, error) {
	if !bytes.Contains(body, []byte("NaN")) && !bytes.Contains(body, []byte("Infinity")) {
		return body, nil
	}
	if b.spend(2 * len(body)); b.full != nil {
		return nil, b.full
	}
	replaced := make([]byte, 0, len(body)+len(body)/3) // null is longer than NaN
	quoted := false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\' && i+1 < len(body): // what follows ends no text
			replaced = append(replaced, c)
			i++
		case !quoted && (c == 'N' || c == 'I' || c == '-'):
			next := func(word []byte) bool { return bytes.HasPrefix(body[i:], word) }
			if k := slices.IndexFunc(notJSON, next); k >= 0 {
				replaced = append(replaced, "null"...)
				i += len(notJSON[k]) - 1
				continue
			}
		}
		replaced = append(replaced, body[i])
	}
	return replaced, nil
}

// invocation reads a whole request, and sets proba if its params ask for probabilities. The table is
// read last: params may follow it.
func (r *reader) invocation(proba *bool) error {
	var format string
	var table []byte
	formats := 0
	err := r.members(func(name string) (err error) {
		switch name {
		case "dataframe_split", "dataframe_records", "inputs", "instances":
			format = name
			formats++
			table, err = r.raw()
		case "params":
			err = r.params(proba)
		default: // as MLflow does
			err = r.in.SkipValue()
		}
		return err
	})
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return err
	}
	if formats != 1 && len(r.details) == 0 {
		r.bodyError("exactly one expected of dataframe_split, dataframe_records, inputs and instances", "value_error")
	}
	if err := r.err(); err != nil {
		return err
	}
	r.reset(table)
	switch {
	case format == "dataframe_split":
		return r.split(format)
	case format == "inputs" && r.in.PeekKind() == '{':
		return r.inputs(format)
	}
	return r.array()
}

// params reads the parameters of the request: the method. Others are skipped.
func (r *reader) params(proba *bool) error {
	if r.in.PeekKind() == 'n' {
		return r.in.SkipValue()
	}
	return r.members(func(name string) error {
		if name != "predict_method" {
			return r.in.SkipValue()
		}
		text, err := r.str("params", name)
		switch text {
		case "", outputPredict:
		case outputProba:
			*proba = true
		default:
			r.bodyError(neitherOutput, "value_error", "params", name)
		}
		return err
	}, "params")
}

// split reads a table whose columns and rows are separate members, in any order.
func (r *reader) split(part string) error {
	var names []string
	var data []byte
	err := r.members(func(member string) (err error) {
		switch member {
		case "columns":
			_, err = r.elements(func(i int) error {
				name, err := r.str(part, member, i)
				names = append(names, name)
				return cmp.Or(err, checkCount(len(names), part))
			}, part, member)
		case "data":
			data, err = r.raw()
		default: // such as index
			err = r.in.SkipValue()
		}
		return err
	}, part)
	if err := cmp.Or(err, r.err()); err != nil {
		return err
	}
	columns := r.columns(part, names)
	if data == nil {
		r.bodyError("field required", "value_error.missing", part, "data")
	}
	if err := r.err(); err != nil {
		return err
	}
	r.reset(data)
	_, err = r.elements(func(k int) error { return r.record(columns, part, "data", k) }, part, "data")
	return err
}

// record reads a row from an array with the values of all columns.
func (r *reader) record(columns []int, part ...any) error {
	if err := r.begin(); err != nil {
		return err
	}
	n, err := r.elements(func(i int) error {
		if i >= len(columns) {
			return r.in.SkipValue()
		}
		return r.cell(columns[i])
	}, part...)
	switch {
	case err != nil || n < 0:
		return err
	case n != len(columns):
		text := "wrong number of values: " + strconv.Itoa(n) + " for " + strconv.Itoa(len(columns)) + " columns"
		r.bodyError(text, "value_error.list", part...)
	default:
		r.end()
	}
	return nil
}

// inputs reads a table by column: an array of one value per row, or the one value of one row.
func (r *reader) inputs(part string) error {
	var names []string
	var values [][]byte
	err := r.members(func(name string) error {
		text, err := r.raw()
		names, values = append(names, name), append(values, text)
		return cmp.Or(err, checkCount(len(names), part))
	}, part)
	if err != nil {
		return err
	}
	columns := r.columns(part, names)
	if err := r.err(); err != nil {
		return err
	}
	rows := -1 // unknown
	for k, text := range values {
		r.reset(text)
		n := 1
		if r.in.PeekKind() == '[' {
			n, err = r.fill(columns[k], false, part, names[k])
		} else if err = r.goTo(0); err == nil {
			err = r.cell(columns[k])
		}
		if err != nil {
			return err
		}
		if rows < 0 {
			rows = n
		}
		if n != rows {
			text := "wrong number of values: " + strconv.Itoa(n) + " where " + names[0] + " has " + strconv.Itoa(rows)
			r.bodyError(text, "value_error.list", part, names[k])
		}
	}
	if len(r.details) == 0 {
		r.endAll()
	}
	return nil
}
