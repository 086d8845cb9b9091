// Package predictor is the HTTP service: it scores customers with the current model, and
// responds once their records are in the log.
//
//	POST /predict         a customer as a flat JSON object; the response is the record
//	POST /predict/batch   customers as a JSON array, NDJSON or CSV; the response likewise
//	POST /what-if         a customer as for /predict, scored and explained without a record; /what-if/batch many
//	GET  /models          the registry; /models/current the served model, /models/NAME.html a model's card,
//	                      /models/history when each was current
//	GET  /drift           whether the last rows differ from the training rows; /drift.html draws it
//	GET  /health          whether there is a usable model, and which
//	GET  /livez           always 200; /readyz 503 without a model or a log, and while draining
//	GET  /                a page to fill in a customer, on the endpoints above
//	GET  /openapi.json    a description for programs, with the limits of the model's schema
//	GET  /docs            the same for people, to read and to try
//	GET  /metrics         for Prometheus
//	/v2/…                 the Open Inference Protocol; /v1/models/NAME:predict the one before it
//	/invocations, /ping, /version   as MLflow's scoring server has them
//
// It follows the registry's pointer: a model that becomes current answers the next request.
// One that cannot be used is rejected, and the last good one keeps serving. Every error
// body is {"detail": …}, as in FastAPI, except for protocols that have their own.
package predictor

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"churn/internal/predictor/apikey"
	"churn/internal/predictor/budget"
	"churn/internal/predictor/httpbody"
	"churn/internal/predictor/openapi"
	"churn/internal/predictor/webui"
	"churn/internal/predlog"
	"churn/internal/registry"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
)

// A Predictor is the service. Its zero value is not usable; make one with New.
type Predictor struct {
	// Set these before Routes.
	Version   string       // of the program
	Keys      *apikey.Keys // that clients need; nil: none
	AccessLog bool         // log a line for each request

	LocalOnly bool     // only this machine can reach the service: accept localhost, addresses and Hosts as Host
	Hosts     []string // other names of the service, with a port or without

	follower *follower
	log      *predlog.Writer
	logger   *slog.Logger
	limits   Limits
	draining atomic.Bool
	inFlight atomic.Int64   // requests
	budget   *budget.Budget // nil: no limit
	metrics  *metrics
}

// Limits bound single requests and all together.
type Limits struct {
	BatchRows  int   // customers in a batch
	BatchBytes int64 // of a batch's body
	Rate       int   // requests per minute and client; 0: no limit
	InFlight   int   // requests in flight; 0: no limit
	DriftRows  int   // last rows that /drift and /metrics compare with the training rows; 0: none
	Memory     int64 // bytes of all requests, without the first budget.Free of each; 0: no limit
}

// New returns a service for the registry's current model, which may come later.
// Predictions go to log, events to logger.
func New(reg *registry.Registry, log *predlog.Writer, logger *slog.Logger, limits Limits) *Predictor {
	m := newMetrics(limits.DriftRows)
	shown := openapi.Service{BatchRows: limits.BatchRows, BatchBytes: limits.BatchBytes, RequestIDLength: maxRequestID}
	f := &follower{reg: reg, logger: logger, metrics: m, service: shown, started: time.Now()}
	f.snapshot.Store(new(snapshot))
	f.check() // so that the first request does not wait
	p := &Predictor{follower: f, log: log, logger: logger, limits: limits, metrics: m}
	if limits.Memory > 0 {
		p.budget = budget.New(limits.Memory)
	}
	log.Observe = func(records int) { m.batchRecords.Observe(float64(records)) }
	m.registry.MustRegister(&modelCollector{f}, writable(log))
	return p
}

// Routes returns the service's handler.
func (p *Predictor) Routes() http.Handler {
	p.metrics.registry.MustRegister(buildInfo(p.Version))
	p.follower.service.Version, p.follower.service.Keys = p.Version, p.Keys != nil
	r := chi.NewRouter()
	r.Use(route, p.observe, p.sameOrigin, p.guard)
	unrouted := func(w http.ResponseWriter, req *http.Request) { unrouted(w, req, r) }
	r.NotFound(unrouted)
	r.MethodNotAllowed(unrouted)
	r.Post("/predict", p.handle(p.predict))
	r.Post("/predict/batch", p.handle(p.predictBatch))
	r.Post("/what-if", p.handle(p.whatIf))
	r.Post("/what-if/batch", p.handle(p.whatIfBatch))
	r.Get("/health", p.health)
	r.Get("/livez", p.live)
	r.Get("/readyz", p.ready)
	r.Get("/models", p.handle(p.models))
	r.Get("/models/current", p.served(p.currentModel))
	r.Get("/models/history", p.handle(p.modelHistory))
	r.Get("/models/{file}", p.handle(p.card))
	r.Get("/drift", p.served(p.liveDrift))
	r.Get("/drift.html", p.served(p.driftPage))
	page, docs := webui.Handler(webui.Console, p.bar, notFound), webui.Handler(webui.API, p.bar, notFound)
	r.Get("/", page)
	r.Get("/page/{file}", page)
	r.Get("/favicon.ico", webui.Icon)
	r.Get("/robots.txt", webui.Robots)
	r.Get("/openapi.json", p.served(p.openapi))
	r.Get("/docs", docs)
	r.Get("/docs/{file}", docs)
	r.Method("GET", "/metrics", p.metrics.handler())
	p.openInference(r)
	r.Post("/invocations", p.handle(p.invocations))
	r.Get("/v1/models/{name:[^:]+}", p.handle(p.modelReady)) // not NAME:predict
	r.Post("/v1/models/{name}:predict", p.handle(p.predictV1))
	r.Get("/ping", p.ping)
	r.Get("/version", p.version)
	return r
}

// handle returns a handler that answers the error of an endpoint which has answered nothing.
func (p *Predictor) handle(endpoint func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := endpoint(w, r); err != nil {
			p.answerError(w, r, err)
		}
	}
}

// served is handle for an endpoint that needs a model.
func (p *Predictor) served(endpoint func(http.ResponseWriter, *http.Request, *snapshot) error) http.HandlerFunc {
	return p.handle(func(w http.ResponseWriter, r *http.Request) error {
		s := p.follower.current()
		if s.model == nil {
			return errNoModel
		}
		return endpoint(w, r, s)
	})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	answerDetail(w, http.StatusNotFound, "Not Found")
}

// route makes HEAD find what GET finds, and a path with escapes what it means without them. A
// slash that is escaped is no separator: then all escapes stay.
func route(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := chi.RouteContext(r.Context())
		if r.Method == http.MethodHead {
			at.RouteMethod = http.MethodGet
		}
		if !slashEscaped(r) {
			at.RoutePath = r.URL.Path
		}
		next.ServeHTTP(w, r)
	})
}

func slashEscaped(r *http.Request) bool {
	return strings.Contains(strings.ToUpper(r.URL.RawPath), "%2F")
}

// unrouted answers a request that no route takes: with the methods that the path has, or the
// path without its last slash, or 404.
func unrouted(w http.ResponseWriter, r *http.Request, routes chi.Routes) {
	answer := func(status int, text string) { answerProblem(w, r, status, text) }
	methods := func(path string) (found []string) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if routes.Match(chi.NewRouteContext(), method, path) {
				found = append(found, method)
			}
		}
		return found
	}
	path := r.URL.Path
	allowed, short := methods(path), strings.TrimRight(path, "/")
	switch {
	case len(allowed) > 0:
		if allowed[0] == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
		w.Header().Set("Allow", strings.Join(append(allowed, http.MethodOptions), ", "))
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(http.StatusMethodNotAllowed, "Method Not Allowed")
	case short != path && short != "" && len(methods(short)) > 0:
		up := "../" // relative, so that it is right behind a proxy's prefix too
		target := url.URL{Path: strings.Repeat(up, len(path)-len(short)) + short[strings.LastIndex(short, "/")+1:],
			RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", target.String())
		answer(http.StatusPermanentRedirect, "this path has no slash at its end")
	default:
		answer(http.StatusNotFound, "Not Found")
	}
}

// errNoModel is for a service without a model; the reason is in /health and the log.
var errNoModel = &problem{status: http.StatusServiceUnavailable, text: "no usable model: see /health"}

// A protocol is how an endpoint that scores customers reads its requests and writes its
// responses. All such endpoints are served by Predictor.serve.
type protocol struct {
	many    bool // a request may have several customers
	trial   bool // they are not logged, and the response scores them
	decode  func(body []byte, b *batch) error
	respond func(b *batch) // once they are logged
}

// serve reads a request, scores and logs its customers, and responds. On an error nothing
// was logged and nothing is written yet.
func (p *Predictor) serve(w http.ResponseWriter, r *http.Request, how protocol) error {
	request := recorderOf(r)
	limit := int64(customerBytes)
	if how.many {
		limit = p.limits.BatchBytes
	}
	body, err := httpbody.Read(w, r, limit, &request.claim, request.body)
	if errors.Is(err, httpbody.ErrNotGzip) {
		err = shape([]any{"body"}, err.Error(), "value_error.gzip")
	}
	if err != nil {
		return err
	}
	request.body = body
	if !p.enter(request) {
		return errBusy
	}
	s := p.follower.current() // once a slow body has arrived
	if s.model == nil {
		return errNoModel
	}
	b := request.batch.start(s, how.many, &request.claim)
	if how.many {
		b.most = p.limits.BatchRows
	}
	if err := how.decode(body, b); err != nil {
		return err
	}
	if b.guessed {
		w.Header().Set("X-Read-As", "windows-1252")
	}
	if !how.many && b.rows[0].requestID == "" {
		b.rows[0].requestID = request.id // the record and the access log have the same id
	}
	if !how.trial {
		if err := p.score(b, request.start); err != nil {
			return err
		}
	}
	how.respond(b)
	return nil
}

// A problem is an error with a status and a text for the client. If it is none of the client's, the
// log gets the event and its cause.
type problem struct {
	status      int
	text, event string
	cause       error
}

func (e *problem) Error() string { return e.text }

// answerError responds to an error, and counts it. Half of a number that is being typed on the
// page is no invalid input.
func (p *Predictor) answerError(w http.ResponseWriter, r *http.Request, err error) {
	invalid := new(invalidError) // without details for any other error
	errors.As(err, &invalid)
	if invalid.details == nil || !strings.HasPrefix(r.URL.Path, "/what-if") {
		p.metrics.rejected(p.follower.snapshot.Load(), err)
	}
	status, text := p.failure(w, err)
	answerProblem(w, r, status, text, invalid.details...)
}

// failure maps an error to a status and the text for the client, and says when to try again
// if that helps. Internals go to the log alone.
func (p *Predictor) failure(w http.ResponseWriter, err error) (status int, text string) {
	var tooLarge *http.MaxBytesError
	var problem *problem
	switch {
	case errors.As(err, new(*invalidError)):
		return http.StatusBadRequest, err.Error()
	case errors.As(err, &tooLarge):
		text = fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit)
		if tooLarge.Limit != customerBytes { // of a batch, unless --batch-bytes is just that
			text += inParts
		}
		return http.StatusRequestEntityTooLarge, text
	case errors.As(err, new(*budget.TooLargeError)):
		return http.StatusRequestEntityTooLarge, err.Error()
	case errors.Is(err, httpbody.ErrEncoding):
		return http.StatusUnsupportedMediaType, err.Error()
	case errors.Is(err, httpbody.ErrMediaType):
		return http.StatusUnsupportedMediaType, "Unsupported Media Type"
	case errors.Is(err, errBusy), errors.Is(err, budget.ErrFull):
		setRetry(w)
		return http.StatusServiceUnavailable, err.Error()
	case errors.As(err, &problem):
		if problem.cause != nil {
			p.logger.Error(problem.event, "error", problem.cause.Error())
		}
		return problem.status, problem.text
	}
	return http.StatusBadRequest, "the body could not be read" // the client went away, or sent half of it
}

func answerDetail(w http.ResponseWriter, status int, detail any) {
	answerJSON(w, status, map[string]any{"detail": detail})
}

// answerProblem responds with an error as the request's protocol has it: as text, or as FastAPI
// does with the details of an invalid body.
func answerProblem(w http.ResponseWriter, r *http.Request, status int, text string, details ...detail) {
	switch path := r.URL.Path; {
	case path == oipRoot, strings.HasPrefix(path, oipRoot+"/"), strings.HasPrefix(path, "/v1/models/"):
		answerJSON(w, status, map[string]string{"error": text})
	case path == "/invocations":
		code := "BAD_REQUEST" // MLflow has no code for 413 and 415
		if status == http.StatusServiceUnavailable {
			code = "TEMPORARILY_UNAVAILABLE"
		}
		answerJSON(w, status, struct {
			ErrorCode string `json:"error_code"`
			Message   string `json:"message"`
		}{code, text})
	case len(details) > 0:
		answerDetail(w, http.StatusUnprocessableEntity, details)
	default:
		answerDetail(w, status, text)
	}
}

// answerJSON responds with a value that always has a JSON form: structs, UTF-8 texts and finite numbers.
func answerJSON(w http.ResponseWriter, status int, value any) {
	answer(w, status, append(marshal(value), '\n'))
}

func marshal(value any) []byte {
	b, err := json.Marshal(value)
	if err != nil {
		panic("predictor: " + err.Error())
	}
	return b
}

// jsonHeader is shared by all responses.
var jsonHeader = []string{httpbody.JSON}

func answer(w http.ResponseWriter, status int, body []byte) {
	if h := w.Header(); h["Content-Type"] == nil {
		h["Content-Type"] = jsonHeader
	}
	w.WriteHeader(status)
	w.Write(body) // an error means that the client went away
}
