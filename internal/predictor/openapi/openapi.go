// Package openapi describes the service to programs, as OpenAPI 3.1, with the limits of
// the current model's schema. It answers no requests.
package openapi

import (
	_ "embed"
	"fmt"
	"net/http"
	"strings"

	"churn/internal/drift"
	"churn/internal/model"

	"github.com/getkin/kin-openapi/openapi3"
)

// A Service is what clients need to know of the service.
type Service struct {
	Version         string // of the program
	Keys            bool   // clients need one
	BatchRows       int    // customers in a batch
	BatchBytes      int64  // of a batch's body
	RequestIDLength int    // of a request_id, in characters
}

// Everything that is the same for all models and limits: the paths, and the schemas of
// all answers. A %d stands for a limit, a %s for a name.
//
//go:embed openapi.json
var static []byte

// Document returns the OpenAPI 3.1 document of a service whose current model is m, in
// the file name. It is JSON.
func Document(name string, m *model.Model, s Service) ([]byte, error) {
	var doc openapi3.T
	if err := doc.UnmarshalJSON(static); err != nil {
		return nil, err
	}
	target := &m.Schema.Target
	doc.Info.Title, doc.Info.Version = fmt.Sprintf(doc.Info.Title, target.Name), strings.TrimPrefix(s.Version, "v")
	if s.Version == "(devel)" {
		doc.Info.Version = "0.0.0-devel" // generators name a package by it
	}
	doc.Info.Description = fmt.Sprintf(doc.Info.Description, name, m.TrainedAtUTC, target.Name, target.Positive)
	doc.Info.Extensions = map[string]any{"x-model-version": m.Version}
	describeGuard(&doc, s.Keys)
	describeCustomer(doc.Components.Schemas, m, s)
	kind := doc.Components.Schemas["DriftKind"].Value
	for _, name := range drift.Kinds() {
		kind.Enum = append(kind.Enum, name)
	}

	e := exemplify(name, m, s)
	for _, path := range []string{"/predict", "/what-if"} {
		body(&doc, path)["application/json"].Example = e.customer
	}
	answer := doc.Paths.Value("/predict").Post.Responses.Status(http.StatusOK).Value
	answer.Content["application/json"].Example = e.prediction
	batch := body(&doc, "/predict/batch")
	batch["application/json"].Example = e.array
	batch["application/json"].Schema.Value.MaxItems = new(uint64(s.BatchRows))
	batch["application/x-ndjson"].Example = e.lines
	batch["text/csv"].Example = e.csv
	o := doc.Paths.Value("/predict/batch").Post
	o.Description = fmt.Sprintf(o.Description, s.BatchRows, s.BatchBytes)
	return doc.MarshalJSON()
}

// guards are what is answered before an endpoint is, by status.
var guards = map[int]string{
	http.StatusUnauthorized:       "The request has no known API key.",
	http.StatusForbidden:          "A browser sent it for a page of another origin.",
	http.StatusMisdirectedRequest: "The service is not known by that name of the host.",
	http.StatusTooManyRequests:    "The client is over its rate; Retry-After has seconds.",
	http.StatusServiceUnavailable: "The service is busy; Retry-After has seconds.",
}

// describeGuard adds these answers to all operations. Those that need no key, nor have limits,
// are marked in the static part by an empty list.
func describeGuard(doc *openapi3.T, keys bool) {
	if !keys {
		doc.Security, doc.Components.SecuritySchemes = nil, nil
	}
	for path, item := range doc.Paths.Map() {
		kind := "Error"
		switch {
		case strings.HasPrefix(path, "/v2"), strings.HasPrefix(path, "/v1"):
			kind = "InferenceError"
		case path == "/invocations":
			kind = "InvocationError"
		}
		for method, o := range item.Operations() {
			guarded := o.Security == nil
			if !keys {
				o.Security = openapi3.NewSecurityRequirements()
			}
			for status, text := range guards {
				answered := status == http.StatusMisdirectedRequest || guarded
				switch status {
				case http.StatusUnauthorized:
					answered = guarded && keys
				case http.StatusForbidden:
					answered = method == http.MethodPost
				}
				if answered && o.Responses.Status(status) == nil {
					ref := openapi3.NewSchemaRef("#/components/schemas/"+kind, nil)
					o.AddResponse(status, openapi3.NewResponse().WithDescription(text).WithJSONSchemaRef(ref))
				}
			}
		}
	}
}

// body returns the bodies that a POST of a path accepts, by media type.
func body(doc *openapi3.T, path string) openapi3.Content {
	return doc.Paths.Value(path).Post.RequestBody.Value.Content
}
