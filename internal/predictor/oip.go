package predictor

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"churn/internal/dataset"
	"churn/internal/predictor/httpbody"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json/jsontext"
)

// The Open Inference Protocol, version 2, over HTTP
// (github.com/kserve/open-inference-protocol, inference_rest.md). A model is
// named by the schema's target in lower case, its version by the file name
// without .json, or 1; only the one being served is known. A request has a tensor a
// feature, with the customers in the first dimension:
//
//	{"id": "42",
//	 "inputs": [{"name": "tenure_months", "shape": [2], "datatype": "INT64", "data": [6, 50]},
//	            {"name": "region", "shape": [2,1], "datatype": "BYTES", "data": [["NA"], ["EU"]]}, …],
//	 "outputs": [{"name": "predict_proba"}]}
//
// The shape is [n] or [n,1], the data flat or nested. A datatype says number or text; the
// schema validates the values. An optional feature may be left out or have nulls. A BYTES
// tensor request_id is accepted too; rows without one get the request's id. Unknown members
// are skipped. With the binary data extension data is behind the JSON, whose length is in the
// header Inference-Header-Content-Length, in requests and responses.

// Outputs that a request may name, as MLflow's clients do too.
const (
	outputPredict = "predict"       // 0 or 1
	outputProba   = "predict_proba" // the probability of churn
	neitherOutput = "neither " + outputPredict + " nor " + outputProba
)

// Datatypes that are no numbers.
const (
	typeBytes = "BYTES" // texts
	typeBool  = "BOOL"
)

// A namedTensor is an output, or the description of an input or output.
type namedTensor struct {
	Name     string         `json:"name"`
	Datatype string         `json:"datatype"`
	Shape    []int          `json:"shape"`
	Data     jsontext.Value `json:"data,omitzero"`

	Parameters *binaryData `json:"parameters,omitempty"`
}

type binaryData struct {
	Size int `json:"binary_data_size"`
}

// openInference adds the protocol's routes.
func (p *Predictor) openInference(r chi.Router) {
	r.Get(oipRoot, p.serverMetadata)
	r.Get(oipRoot+"/health/live", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, map[string]bool{"live": true})
	})
	r.Get(oipRoot+"/health/ready", p.serverReady)
	for _, model := range []string{oipRoot + "/models/{name}", oipRoot + "/models/{name}/versions/{version}"} {
		r.Get(model, p.handle(p.modelMetadata))
		r.Get(model+"/ready", p.handle(p.modelReady))
		r.Post(model+"/infer", p.handle(p.infer))
	}
}

const oipRoot = "/v2"

// serverMetadata answers GET /v2.
func (p *Predictor) serverMetadata(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, struct {
		Name       string   `json:"name"`
		Version    string   `json:"version"`
		Extensions []string `json:"extensions"`
	}{"churn", p.Version, []string{"binary_tensor_data"}})
}

// serverReady answers GET /v2/health/ready by its status. The specification has live in the
// body, servers have ready.
func (p *Predictor) serverReady(w http.ResponseWriter, _ *http.Request) {
	ready := p.unready() == nil
	answerJSON(w, readiness(ready), struct {
		Live  bool `json:"live"`
		Ready bool `json:"ready"`
	}{true, ready})
}

func readiness(ready bool) int {
	if ready {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// modelReady answers GET /v2/models/{name}/ready. Without a model no name is known and none is ready.
func (p *Predictor) modelReady(w http.ResponseWriter, r *http.Request) error {
	s := p.follower.current()
	name, err := s.named(r)
	if err != nil && s.model != nil {
		return err
	}
	ready := err == nil && p.unready() == nil
	answerJSON(w, readiness(ready), struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
	}{strings.ToValidUTF8(name, "\uFFFD"), ready})
	return nil
}

// modelMetadata answers GET /v2/models/{name}.
func (p *Predictor) modelMetadata(w http.ResponseWriter, r *http.Request) error {
	s := p.follower.current()
	name, err := s.named(r)
	if err != nil {
		return err
	}
	rows := []int{-1} // any number
	var inputs []namedTensor
	for i := range s.model.Schema.Features {
		f := &s.model.Schema.Features[i]
		inputs = append(inputs, namedTensor{Name: f.Name, Datatype: datatype(f), Shape: rows})
	}
	answerJSON(w, http.StatusOK, struct {
		Name     string        `json:"name"`
		Versions []string      `json:"versions"`
		Platform string        `json:"platform"`
		Inputs   []namedTensor `json:"inputs"`
		Outputs  []namedTensor `json:"outputs"`
	}{name, []string{s.version()}, "churn_json", inputs, []namedTensor{
		{Name: outputPredict, Datatype: "INT64", Shape: rows},
		{Name: outputProba, Datatype: "FP64", Shape: rows},
	}})
	return nil
}

// named returns the model's name in a request's path, and a *problem unless name and version are
// what is being served.
func (s *snapshot) named(r *http.Request) (string, error) {
	name, version := pathValue(r, "name"), pathValue(r, "version")
	if s.model == nil {
		return name, errNoModel
	}
	unknown := func(kind, named, served string) error {
		return &problem{status: http.StatusNotFound, text: fmt.Sprintf("no %s %q: %q is being served", kind, named, served)}
	}
	if served := strings.ToLower(s.model.Schema.Target.Name); name != served {
		return name, unknown("model", name, served)
	}
	if served := s.version(); version != "" && version != "1" && version != served {
		return name, unknown("version", version, served)
	}
	return name, nil
}

// version is the protocol's name for the model's file.
func (s *snapshot) version() string { return strings.TrimSuffix(s.name, ".json") }

// pathValue returns a part of the path. If a slash is escaped, chi leaves all escapes.
func pathValue(r *http.Request, key string) string {
	value := chi.URLParam(r, key)
	if text, err := url.PathUnescape(value); err == nil && slashEscaped(r) {
		return text
	}
	return value
}

// infer answers POST /v2/models/{name}/infer.
func (p *Predictor) infer(w http.ResponseWriter, r *http.Request) error {
	kind := httpbody.MediaType(r.Header)
	if kind != httpbody.JSON && (kind != httpbody.Binary || r.Header.Get(headerLength) == "") {
		return httpbody.ErrMediaType
	}
	var q *inference
	decode := func(body []byte, b *batch) (err error) {
		if _, err := b.snapshot.named(r); err != nil {
			return err
		}
		q, err = readInference(body, r.Header.Get(headerLength), b)
		if err == nil && q.explain {
			err = b.claim.Spend(int64(len(b.rows)) * b.snapshot.explanationBytes())
		}
		return err
	}
	return p.serve(w, r, protocol{many: true, decode: decode, respond: func(b *batch) {
		tensors, binary := q.outputTensors(b)
		text := marshal(struct {
			ModelName    string            `json:"model_name"`
			ModelVersion string            `json:"model_version"`
			ID           string            `json:"id"`
			Parameters   map[string]string `json:"parameters,omitempty"`
			Outputs      []namedTensor     `json:"outputs"`
		}{pathValue(r, "name"), b.snapshot.version(), q.id, q.responseParameters(b), tensors})
		if binary != nil {
			w.Header().Set("Content-Type", httpbody.Binary)
			w.Header().Set(headerLength, strconv.Itoa(len(text)))
		} else {
			text = append(text, '\n')
		}
		answer(w, http.StatusOK, append(text, binary...))
	}})
}

// headerLength says where in a body the JSON ends and binary data begins.
const headerLength = "Inference-Header-Content-Length"

// outputTensors returns the requested outputs, and the data of the binary ones.
func (q *inference) outputTensors(b *batch) (tensors []namedTensor, data []byte) {
	outputs := q.outputs
	if len(outputs) == 0 {
		outputs = []output{{outputPredict, q.binary}, {outputProba, q.binary}}
	}
	const bytes = 8 // of a value
	for _, o := range outputs {
		t := namedTensor{Name: o.name, Datatype: "INT64", Shape: []int{len(b.rows)}}
		proba := o.name == outputProba
		if proba {
			t.Datatype = "FP64"
		}
		if o.binary {
			t.Parameters = &binaryData{bytes * len(b.rows)}
			for i := range b.rows {
				value := uint64(b.rows[i].Prediction())
				if proba {
					value = math.Float64bits(math.Round(b.rows[i].Probability*decimals) / decimals) // as in the record
				}
				data = binary.LittleEndian.AppendUint64(data, value)
			}
		} else {
			t.Data = b.output(proba)
		}
		tensors = append(tensors, t)
	}
	return tensors, data
}

// responseParameters are the parameters of the response: the warnings, and the explanations if they are
// wanted, as JSON arrays with an element for each customer.
func (q *inference) responseParameters(b *batch) map[string]string {
	found := map[string]string{}
	list := func(name string, add func(text []byte, i int) []byte) {
		found[name] = string(appendArray(nil, len(b.rows), func(text []byte, i int) []byte {
			giveWay(i)
			return add(text, i)
		}))
	}
	if slices.ContainsFunc(b.rows, func(r row) bool { return len(r.Warnings) > 0 }) {
		list("warnings", func(text []byte, i int) []byte {
			text, _ = jsontext.AppendQuote(text, strings.Join(b.rows[i].Warnings, "; ")) // UTF-8
			return text
		})
	}
	if q.explain {
		list("explanations", b.appendExplanation)
	}
	return found
}

// explanationBytes is how much memory the explanation of a customer takes in a response that
// is made whole.
func (s *snapshot) explanationBytes() (bytes int64) {
	const copies, each = 4, 80 // texts that grow, and are quoted; the names and the number of a member
	for _, name := range s.model.Contributors() {
		bytes += copies * int64(each+escaped*len(name))
	}
	return bytes
}

// datatype is what a feature's tensor holds.
func datatype(f *dataset.Feature) string {
	switch {
	case f.Type == dataset.Category:
		return typeBytes
	case f.Integer:
		return "INT64"
	}
	return "FP64"
}
