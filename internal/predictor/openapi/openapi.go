// Package openapi describes the service to programs, as OpenAPI 3.1, with the limits of
// the current model's schema. It answers no requests.
package openapi

import (
	_ "embed"
	"fmt"
	"net/http"

	"churn/internal/drift"
	"churn/internal/model"

	"github.com/getkin/kin-openapi/openapi3"
)

// Limits are those of the service, as clients need to know them.
type Limits struct {
	BatchRows      int   // customers in a batch
	BatchBytes     int64 // of a batch's body
	RequestIDBytes int   // of a request_id
}

// Everything that is the same for all models and limits: the paths, and the schemas of
// all answers. A %d stands for a limit.
//
//go:embed openapi.json
var static []byte

// Document returns the OpenAPI 3.1 document of a service whose current model is m, in
// the file name. It is JSON.
func Document(name string, m *model.Model, l Limits) ([]byte, error) {
	doc, err := describe(name, m, l)
	if err != nil {
		return nil, err
	}
	return doc.MarshalJSON()
}

func describe(name string, m *model.Model, l Limits) (*openapi3.T, error) {
	var doc openapi3.T
	if err := doc.UnmarshalJSON(static); err != nil {
		return nil, err
	}
	target := &m.Schema.Target
	doc.Info = &openapi3.Info{
		Title:   "Predictions of " + target.Name,
		Version: m.Version,
		Description: fmt.Sprintf("The current model is %s, trained at %s. A prediction of 1 means %s = %s.",
			name, m.TrainedAtUTC, target.Name, target.Positive),
	}
	describeCustomer(doc.Components.Schemas, m, l)
	kind := doc.Components.Schemas["Drift"].Value.Properties["checks"].Value.Items.Value.Properties["kind"].Value
	for _, name := range drift.Kinds() {
		kind.Enum = append(kind.Enum, name)
	}

	e := exemplify(name, m, l)
	for _, path := range []string{"/predict", "/what-if"} {
		body(&doc, path)["application/json"].Example = e.customer
	}
	answer := doc.Paths.Value("/predict").Post.Responses.Status(http.StatusOK).Value
	answer.Content["application/json"].Example = e.prediction
	batch := body(&doc, "/predict/batch")
	batch["application/json"].Example = e.array
	batch["application/json"].Schema.Value.MaxItems = new(uint64(l.BatchRows))
	batch["application/x-ndjson"].Example = e.lines
	batch["text/csv"].Example = e.csv
	o := doc.Paths.Value("/predict/batch").Post
	o.Description = fmt.Sprintf(o.Description, l.BatchRows, l.BatchBytes)
	return &doc, nil
}

// body returns the bodies that a POST of a path accepts, by media type.
func body(doc *openapi3.T, path string) openapi3.Content {
	return doc.Paths.Value(path).Post.RequestBody.Value.Content
}
