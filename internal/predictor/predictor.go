// Package predictor is the HTTP service: it scores a customer with the current
// model, and answers once the record is in the log.
//
//	POST /predict         a customer as a flat JSON object; answers the record
//	POST /predict/batch   customers as a JSON array, NDJSON or CSV; answers in kind
//	POST /what-if         a customer as for /predict, scored and explained without a record
//	GET  /models          the registry; /models/current what is served, /models/NAME.html a model's card
//	GET  /drift           whether the last rows look like the training rows
//	GET  /health          whether there is a usable model, and which
//	GET  /livez           always 200; /readyz 503 without a model and while draining
//	GET  /                a page to fill in a customer, on the endpoints above
//	GET  /openapi.json    all of this for programs, with the limits of the model's schema
//	GET  /docs            the same for people, to read and to try
//	GET  /metrics         what was asked and answered, for Prometheus
//	/v2/…                 the Open Inference Protocol
//	/invocations, /ping, /version   as MLflow's scoring server has them
//
// It follows the registry's pointer by itself: a model that becomes current
// answers the next request. One that cannot be used is refused, and the last
// good one goes on. Every error body is {"detail": …}, as FastAPI has it, but for
// the protocols that have their own.
package predictor

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"churn/internal/predlog"
	"churn/internal/registry"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
)

// A Predictor is the service. Its zero value is not usable; make one with New.
type Predictor struct {
	Keys      *Keys // who may ask; nil is anybody. Set it before Routes.
	AccessLog bool  // a line in the log for each request. Set it before Routes.

	LocalOnly bool     // only this machine reaches the service: it is asked by no name but localhost and Hosts. Set it before Routes.
	Hosts     []string // names, with a port or without, that the service is asked by too. Set them before Routes.

	follower *follower
	log      *predlog.Writer
	logger   *slog.Logger
	limits   Limits
	draining atomic.Bool
	working  atomic.Int64 // requests at work
	bodies   atomic.Int64 // bytes of the large bodies in memory
	metrics  *metrics
}

// Limits bound what a request, or all of them, may ask for. Where 0 is not a
// limit that says so.
type Limits struct {
	BatchRows  int   // customers in a batch
	BatchBytes int64 // of a batch's body
	Rate       int   // requests a minute of one client; 0 is any number
	InFlight   int   // requests at work at once; 0 is any number
	DriftRows  int   // last rows whose drift /drift and /metrics tell; 0 is none
}

// New returns a service for the registry's current model, which may come later.
// Predictions go to log, events to logger.
func New(reg *registry.Registry, log *predlog.Writer, logger *slog.Logger, limits Limits) *Predictor {
	m := newMetrics(limits.DriftRows)
	p := &Predictor{follower: newFollower(reg, logger, m), log: log, logger: logger, limits: limits, metrics: m}
	log.Observe = m.wrote
	m.registry.MustRegister(&modelCollector{p.follower})
	p.follower.current() // so that the first request does not wait
	return p
}

// Routes returns the service's handler.
func (p *Predictor) Routes() http.Handler {
	r := chi.NewRouter()
	r.Use(p.observe, p.ownPagesOnly, p.guard)
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) { answerDetail(w, http.StatusNotFound, "Not Found") })
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) {
		allow(w, r, req.URL.Path)
		answerDetail(w, http.StatusMethodNotAllowed, "Method Not Allowed")
	})
	r.Post("/predict", p.predict)
	r.Post("/predict/batch", p.predictBatch)
	r.Post("/what-if", p.whatIf)
	r.Get("/health", p.health)
	r.Get("/livez", p.live)
	r.Get("/readyz", p.ready)
	r.Get("/models", p.models)
	r.Get("/models/current", p.currentModel)
	r.Get("/models/{file}", p.card)
	r.Get("/drift", p.liveDrift)
	r.Get("/", page)
	r.Get("/page/{file}", page)
	r.Get("/openapi.json", p.openapi)
	r.Get("/docs", docs)
	r.Get("/docs/{file}", docs)
	r.Method("GET", "/metrics", p.metrics.handler())
	r.Route("/v2", p.openInference)
	r.Post("/invocations", p.invocations)
	r.Get("/ping", p.ping)
	r.Get("/version", p.version)
	return r
}

// allow names the methods that a path has, as an answer of 405 must.
func allow(w http.ResponseWriter, routes chi.Routes, path string) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if routes.Match(chi.NewRouteContext(), method, path) {
			w.Header().Add("Allow", method)
		}
	}
}

// errNoModel stands for whatever keeps the service from having a model; the
// reason is in /health and the log.
var errNoModel = errors.New("no usable model: see /health")

// receive reads the body and returns the model to answer with, after that, so
// that a slow body is answered by the model that is current at its end.
func (p *Predictor) receive(w http.ResponseWriter, r *http.Request, limit int64) (*serving, *body, error) {
	b, err := p.readBody(w, r, limit)
	if err == nil && !p.enter(w.(*exchange)) {
		b.release()
		err = errBusy
	}
	if err != nil {
		if err == errBusy {
			setRetry(w)
		}
		return nil, nil, err
	}
	s := p.follower.current()
	if s.model == nil {
		b.release()
		return nil, nil, errNoModel
	}
	return s, b, nil
}

// logError marks a prediction that could not be logged and so is not answered.
type logError struct{ error }

func (e *logError) Unwrap() error { return e.error }

// answerError answers an error as FastAPI does.
func (p *Predictor) answerError(w http.ResponseWriter, err error) {
	var invalid *invalidError
	if errors.As(err, &invalid) {
		p.metrics.refused(p.follower.serving.Load(), err)
		answerDetail(w, http.StatusUnprocessableEntity, invalid.details)
		return
	}
	status, text := p.failure(err)
	answerDetail(w, status, text)
}

// failure maps an error to a status and what the client is told. What is not
// the client's business goes to the log alone.
func (p *Predictor) failure(err error) (status int, text string) {
	p.metrics.refused(p.follower.serving.Load(), err)
	var (
		tooLarge *http.MaxBytesError
		tooMany  *tooManyError
		invalid  *invalidError
		unknown  *unknownModelError
		log      *logError
	)
	switch {
	case errors.As(err, &invalid):
		return http.StatusBadRequest, err.Error()
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit)
	case errors.As(err, &tooMany):
		return http.StatusRequestEntityTooLarge, err.Error()
	case errors.As(err, &unknown):
		return http.StatusNotFound, err.Error()
	case errors.Is(err, errEncoding):
		return http.StatusUnsupportedMediaType, err.Error()
	case errors.Is(err, errMediaType):
		return http.StatusUnsupportedMediaType, "Unsupported Media Type"
	case errors.Is(err, errNoModel), errors.Is(err, errBusy):
		return http.StatusServiceUnavailable, err.Error()
	case errors.As(err, &log):
		p.logger.Error("prediction not logged, not answered", "error", err.Error())
		return http.StatusServiceUnavailable, "the prediction could not be logged, so it is not answered: try again"
	}
	return http.StatusBadRequest, "the body could not be read" // the client went away, or sent half of it
}

func answerDetail(w http.ResponseWriter, status int, detail any) {
	answerJSON(w, status, struct {
		Detail any `json:"detail"`
	}{detail})
}

// answerJSON answers a value that always has a JSON form: of structs, texts that are UTF-8, finite numbers.
func answerJSON(w http.ResponseWriter, status int, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		panic("predictor: " + err.Error())
	}
	answer(w, status, append(b, '\n'))
}

// jsonHeader is the value of a header, shared by all answers.
var jsonHeader = []string{mediaJSON}

func answer(w http.ResponseWriter, status int, body []byte) {
	if h := w.Header(); h["Content-Type"] == nil {
		h["Content-Type"] = jsonHeader
	}
	w.WriteHeader(status)
	w.Write(body) // an error means that the client went away
}
