package predictor

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"churn/internal/predictor/httpbody"
	"churn/internal/predictor/openapi"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/go-json-experiment/json"
	"golang.org/x/text/unicode/norm"
)

var notNumber = regexp.MustCompile(`\bNaN\b|-?\bInfinity\b`)

// A contract is a document as a client reads it.
type contract struct {
	*openapi3.T
	operations routers.Router
}

var readTexts = sync.OnceFunc(func() { // the filter knows none of these, nor other delimiters than commas
	for _, media := range []string{httpbody.Lines, httpbody.CSV, "text/html", "text/css", "text/javascript",
		"image/svg+xml", "application/openmetrics-text"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.PlainBodyDecoder)
	}
})

// readContract reads a document and checks it, its examples included.
func readContract(document []byte) (*contract, error) {
	readTexts()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // the router knows no relative ones
	operations, err := legacy.NewRouter(doc)
	return &contract{doc, operations}, err
}

// known has the contracts that were read; most answers of a test are under the same one.
var known sync.Map // from the document to *contract

// contract returns what the service promises. Without a model it promises the same to all.
func (s *service) contract() *contract {
	s.Helper()
	describe := s.predictor.follower.current().openapi // past what counts and guards
	if describe == nil {
		describe = func() ([]byte, error) {
			return openapi.Document("none.json", labModel(s, 1), s.predictor.follower.service)
		}
	}
	document, err := describe()
	if err != nil {
		s.Fatal(err)
	}
	if c, ok := known.Load(string(document)); ok {
		return c.(*contract)
	}
	c, err := readContract(document)
	if err != nil {
		s.Fatalf("%v in the document %s", err, document)
	}
	known.Store(string(document), c)
	return c
}

// checkContract holds an answer, and the request if it was not refused, against the document.
func (s *service) checkContract(answer *http.Response, sent, got string) {
	s.Helper()
	if err := s.contract().check(answer, sent, got); err != nil {
		s.Errorf("%s %s %.60q is not as documented: %v", answer.Request.Method, answer.Request.URL.Path, sent, err)
	}
}

func (c *contract) check(answer *http.Response, sent, got string) error {
	r := answer.Request.Clone(context.Background())
	path := r.URL.Path
	if strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/v2/") || path == "/invocations" { // more than JSON
		sent = notNumber.ReplaceAllString(sent, "null")
	}
	route, params, err := c.operations.FindRoute(r)
	if err != nil {
		return nil // not documented
	}
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		z, err := gzip.NewReader(strings.NewReader(sent))
		if err != nil || answer.StatusCode != http.StatusOK {
			sent = "" // which is not checked
		} else if text, err := io.ReadAll(z); err == nil {
			sent = string(text)
		}
	}
	sent = norm.NFC.String(strings.TrimPrefix(sent, "\ufeff")) // which the checker does not read, nor other forms of names
	r.Body, r.GetBody = io.NopCloser(strings.NewReader(sent)), nil
	if r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", httpbody.JSON)
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
			ExcludeRequestBody: strings.HasPrefix(r.Header.Get("Content-Type"), httpbody.Form)}, // it knows no unknown fields
	}
	if answer.StatusCode == http.StatusOK && sent != "" { // the filter takes an empty body for none
		if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
			return fmt.Errorf("the request: %w", err)
		}
		if strings.HasPrefix(r.Header.Get("Content-Type"), httpbody.Lines) {
			if err := c.checkLines("Customer", sent); err != nil {
				return fmt.Errorf("the request: %w", err)
			}
		}
	}
	if answer.StatusCode == http.StatusOK && answer.Header.Get("Content-Type") == httpbody.Lines {
		schema := "Prediction"
		if strings.HasPrefix(r.URL.Path, "/what-if") {
			schema = "Trial"
		}
		if err := c.checkLines(schema, got); err != nil {
			return err
		}
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: answer.StatusCode, Header: answer.Header,
		Body: io.NopCloser(strings.NewReader(got)), Options: input.Options,
	})
}

// checkLines checks JSON values, one a line, against a schema of the document.
func (c *contract) checkLines(schema, text string) error {
	for line := range strings.Lines(text) {
		if line == "\n" { // an empty batch
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(line), &value); err != nil {
			return err
		}
		if err := c.Components.Schemas[schema].Value.VisitJSON(value, openapi3.EnableJSONSchema2020()); err != nil {
			return err
		}
	}
	return nil
}

func (c *contract) property(name string) *openapi3.Schema {
	return c.Components.Schemas["Customer"].Value.Properties[name].Value
}
