// Package openapi describes the service to programs, as OpenAPI 3.1, with the limits of
// the current model's schema. It answers no requests.
package openapi

import (
	"churn/internal/model"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Limits are those of the service, as clients need to know them.
type Limits struct {
	BatchRows      int   // customers in a batch
	BatchBytes     int64 // of a batch's body
	RequestIDBytes int   // of a request_id
}

// Media types of bodies.
const (
	mediaJSON  = "application/json"
	mediaLines = "application/x-ndjson"
	mediaCSV   = "text/csv"
	mediaHTML  = "text/html"
)

// Document returns the OpenAPI 3.1 document of a service whose current model is m, in
// the file name. It is JSON.
func Document(name string, m *model.Model, l Limits) ([]byte, error) {
	return describe(name, m, l).MarshalJSON()
}

// An operation is one method of one path. What is in braces in the path is a
// parameter. A route that is not told of here is in the test's list of exceptions.
type operation struct {
	method, path, tag, summary, about string

	query   []*openapi3.Parameter
	takes   openapi3.Content         // bodies by media type; nil: none
	answers map[int]openapi3.Content // by status
	refuses []int                    // statuses of a body of {"detail": …}
}

// refusals are the statuses that operations refuse with.
var refusals = map[int]struct{ about, schema string }{
	http.StatusNotFound:              {"There is none of that name.", "Error"},
	http.StatusBadRequest:            {"The body could not be read to its end.", "Error"},
	http.StatusRequestEntityTooLarge: {"The body has too many bytes or rows.", "Error"},
	http.StatusUnsupportedMediaType:  {"The body is of a kind that is not read here.", "Error"},
	http.StatusUnprocessableEntity: {"All that is wrong with the body. Nothing was scored or logged.",
		"HTTPValidationError"},
	http.StatusServiceUnavailable: {"There is no usable model, or a file that is needed cannot be read or written.",
		"Error"},
}

// operations are what the document tells of.
func operations(e examples, l Limits) []operation {
	bodyRefusals := []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	explain := openapi3.NewQueryParameter("explain").WithSchema(openapi3.NewBoolSchema()).
		WithDescription("Add what each feature contributes to the log-odds against the average training customer.")
	return []operation{
		{
			method: "POST", path: "/predict", tag: "predictions", summary: "Score one customer",
			about:   "It is answered once its record is in the log.",
			query:   []*openapi3.Parameter{explain},
			takes:   openapi3.Content{mediaJSON: mediaOf(refTo("Customer"), e.customer)},
			answers: map[int]openapi3.Content{http.StatusOK: {mediaJSON: mediaOf(refTo("Prediction"), e.prediction)}},
			refuses: bodyRefusals,
		},
		{
			method: "POST", path: "/what-if", tag: "predictions", summary: "Try one customer",
			about:   "Scored and explained as by /predict, but not logged, counted or looked at for drift.",
			takes:   openapi3.Content{mediaJSON: mediaOf(refTo("Customer"), e.customer)},
			answers: map[int]openapi3.Content{http.StatusOK: {mediaJSON: mediaOf(refTo("Trial"), nil)}},
			refuses: bodyRefusals,
		},
		{
			method: "POST", path: "/predict/batch", tag: "predictions", summary: "Score many customers",
			about: fmt.Sprintf("At most %d customers and %d bytes. All are checked before any is scored; the answer is in the "+
				"kind of the body, in its order.",
				l.BatchRows, l.BatchBytes),
			query: []*openapi3.Parameter{explain},
			takes: openapi3.Content{
				mediaJSON:  mediaOf(listOf(refTo("Customer")).WithMaxItems(int64(l.BatchRows)).NewRef(), e.array),
				mediaLines: mediaOf(textOf("A Customer a line."), e.lines),
				mediaCSV: mediaOf(textOf("A header line, which names the fields of Customer in any order, and a customer a "+
					"line. An empty cell is null."), e.csv),
			},
			answers: map[int]openapi3.Content{http.StatusOK: {
				mediaJSON:  mediaOf(listOf(refTo("Prediction")).NewRef(), nil),
				mediaLines: mediaOf(textOf("A Prediction a line."), nil),
				mediaCSV: mediaOf(textOf("request_id, prediction, probability, threshold, model_version, warnings; explained, "+
					"also base and contribution:FEATURE for each."), nil),
			}},
			refuses: bodyRefusals,
		},
		{
			method: "GET", path: "/health", tag: "service", summary: "Whether there is a usable model, and which",
			answers: map[int]openapi3.Content{
				http.StatusOK:                 {mediaJSON: mediaOf(refTo("Health"), nil)},
				http.StatusServiceUnavailable: {mediaJSON: mediaOf(refTo("Health"), nil)},
			},
		},
		{
			method: "GET", path: "/livez", tag: "service", summary: "That the process runs",
			answers: map[int]openapi3.Content{http.StatusOK: {mediaJSON: mediaOf(refTo("Status"), nil)}},
		},
		{
			method: "GET", path: "/readyz", tag: "service", summary: "Whether to send requests here",
			about:   "A model has been loaded and has reproduced its golden rows, and the service is not about to stop.",
			answers: map[int]openapi3.Content{http.StatusOK: {mediaJSON: mediaOf(refTo("Status"), nil)}},
			refuses: []int{http.StatusServiceUnavailable},
		},
		{
			method: "GET", path: "/models", tag: "models", summary: "The registered models, in order of registration",
			answers: map[int]openapi3.Content{http.StatusOK: {mediaJSON: mediaOf(listOf(refTo("Model")).NewRef(), nil)}},
			refuses: []int{http.StatusServiceUnavailable},
		},
		{
			method: "GET", path: "/models/current", tag: "models", summary: "The model that answers",
			about: "With what a form for customers needs: of each feature what a typical training customer has, and what " +
				"the training rows had.",
			answers: map[int]openapi3.Content{http.StatusOK: {mediaJSON: mediaOf(refTo("CurrentModel"), nil)}},
			refuses: []int{http.StatusServiceUnavailable},
		},
		{
			method: "GET", path: "/models/{file}", tag: "models", summary: "The card of a registered model",
			about:   "The file is the model's with .html in the place of .json. evaluate writes it.",
			answers: map[int]openapi3.Content{http.StatusOK: {mediaHTML: mediaOf(textOf("A page of its own."), nil)}},
			refuses: []int{http.StatusNotFound, http.StatusServiceUnavailable},
		},
		{
			method: "GET", path: "/drift", tag: "service", summary: "Whether the last rows look like the training rows",
			about: "Of the rows that the current model answered, since this process took it up. What /what-if scored is not " +
				"among them.",
			answers: map[int]openapi3.Content{http.StatusOK: {mediaJSON: mediaOf(refTo("Drift"), nil)}},
			refuses: []int{http.StatusServiceUnavailable},
		},
	}
}

func refTo(schema string) *openapi3.SchemaRef {
	return openapi3.NewSchemaRef("#/components/schemas/"+schema, nil)
}

func listOf(item *openapi3.SchemaRef) *openapi3.Schema {
	s := openapi3.NewArraySchema()
	s.Items = item
	return s
}

func textOf(is string) *openapi3.SchemaRef { return described(is, openapi3.NewStringSchema()).NewRef() }

func mediaOf(schema *openapi3.SchemaRef, example any) *openapi3.MediaType {
	return &openapi3.MediaType{Schema: schema, Example: example}
}

// describe makes the document of a service that has a model.
func describe(name string, m *model.Model, l Limits) *openapi3.T {
	doc := &openapi3.T{
		OpenAPI: "3.1.0",
		Info: &openapi3.Info{
			Title:   "Predictions of " + m.Schema.Target.Name,
			Version: m.Version,
			Description: fmt.Sprintf("The current model is %s, trained at %s. A prediction of 1 means %s = %s.",
				name, m.TrainedAtUTC, m.Schema.Target.Name, m.Schema.Target.Positive),
		},
		Components: &openapi3.Components{Schemas: schemas(m, l), Responses: openapi3.ResponseBodies{}},
		Paths:      openapi3.NewPaths(),
	}
	for status, r := range refusals {
		doc.Components.Responses[responseName(status)] = &openapi3.ResponseRef{
			Value: openapi3.NewResponse().WithDescription(r.about).WithJSONSchemaRef(refTo(r.schema)),
		}
	}
	for _, o := range operations(exemplify(name, m, l), l) {
		item := doc.Paths.Value(o.path)
		if item == nil {
			item = &openapi3.PathItem{}
			doc.Paths.Set(o.path, item)
		}
		item.SetOperation(o.method, o.describe())
		if doc.Tags.Get(o.tag) == nil { // they come in the order of the operations
			doc.Tags = append(doc.Tags, &openapi3.Tag{Name: o.tag})
		}
	}
	return doc
}

var inBraces = regexp.MustCompile(`\{(\w+)\}`)

func (o *operation) describe() *openapi3.Operation {
	d := &openapi3.Operation{Tags: []string{o.tag}, Summary: o.summary, Description: o.about, OperationID: o.id(),
		Responses: openapi3.NewResponses()}
	for _, name := range inBraces.FindAllStringSubmatch(o.path, -1) {
		d.AddParameter(openapi3.NewPathParameter(name[1]).WithSchema(openapi3.NewStringSchema()))
	}
	for _, q := range o.query {
		d.AddParameter(q)
	}
	if o.takes != nil {
		d.RequestBody = &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithRequired(true).WithContent(o.takes)}
	}
	for status, content := range o.answers {
		d.AddResponse(status, openapi3.NewResponse().WithDescription(http.StatusText(status)).WithContent(content))
	}
	for _, status := range o.refuses {
		d.Responses.Set(fmt.Sprint(status), &openapi3.ResponseRef{Ref: "#/components/responses/" + responseName(status)})
	}
	return d
}

// responseName is the name of a refusal among the components.
func responseName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }

// id is the name that generated clients give the operation, such as post_predict_batch.
func (o *operation) id() string {
	return strings.ToLower(o.method) + strings.NewReplacer("/", "_", "{", "", "}", "").Replace(o.path)
}
