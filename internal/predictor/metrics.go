package predictor

import (
	"errors"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Fields of churn_refused_inputs_total that no schema has.
const (
	fieldBody    = "(body)"    // the body itself
	fieldUnknown = "(unknown)" // a name that the schema does not have
)

// requestID is a field of every request, whatever the schema.
const fieldRequestID = "request_id"

var (
	secondsBuckets     = []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	probabilityBuckets = prometheus.LinearBuckets(0.1, 0.1, 10)
	recordsBuckets     = prometheus.ExponentialBuckets(1, 2, 14) // up to 8,192
)

// metrics is what the service counts. Labels are bounded: routes, statuses,
// models of the registry, and features of their schemas.
type metrics struct {
	registry  *prometheus.Registry
	driftRows int

	requests       *prometheus.CounterVec
	durations      *prometheus.HistogramVec
	predictions    *prometheus.CounterVec
	probability    prometheus.Histogram
	refusedInputs  *prometheus.CounterVec
	unseen         *prometheus.CounterVec
	reloads        prometheus.Counter
	reloadsRefused prometheus.Counter
	batchRecords   prometheus.Histogram
	queued         atomic.Int64 // records on their way to the log

	mu     sync.Mutex // held to add to routes
	routes atomic.Pointer[map[routeStatus]routeMetrics]
}

// routeStatus tells what requests are counted together.
type routeStatus struct {
	route  string // the pattern; "" for none
	status int
}

// routeMetrics are resolved once, not for each request.
type routeMetrics struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

func newMetrics(driftRows int) *metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	make := promauto.With(r)
	counter := func(name, help string) prometheus.CounterOpts { return prometheus.CounterOpts{Name: name, Help: help} }
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}
	}
	m := &metrics{
		registry:       r,
		driftRows:      driftRows,
		requests:       make.NewCounterVec(counter("churn_http_requests_total", "Requests answered."), []string{"route", "status"}),
		durations:      make.NewHistogramVec(histogram("churn_http_request_duration_seconds", "Time from a request's header to the end of its answer.", secondsBuckets), []string{"route"}),
		predictions:    make.NewCounterVec(counter("churn_predictions_total", "Customers scored and logged."), []string{"model", "label"}),
		probability:    make.NewHistogram(histogram("churn_probability", "Probabilities predicted.", probabilityBuckets)),
		refusedInputs:  make.NewCounterVec(counter("churn_refused_inputs_total", "Faults found in requests, by field."), []string{"field"}),
		unseen:         make.NewCounterVec(counter("churn_unseen_categories_total", "Values scored that no training row had."), []string{"feature"}),
		reloads:        make.NewCounter(counter("churn_model_reloads_total", "Models taken up after the first.")),
		reloadsRefused: make.NewCounter(counter("churn_model_reloads_refused_total", "Models that became current and could not be used.")),
		batchRecords:   make.NewHistogram(histogram("churn_log_batch_records", "Records in one write to the log.", recordsBuckets)),
	}
	make.NewGaugeFunc(prometheus.GaugeOpts{Name: "churn_log_queue_records", Help: "Records on their way to the log."},
		func() float64 { return float64(m.queued.Load()) })
	m.routes.Store(&map[routeStatus]routeMetrics{})
	return m
}

// handler answers GET /metrics.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorHandling:     promhttp.ContinueOnError, // one bad series must not hide the others
	})
}

// answered counts a request.
func (m *metrics) answered(route string, status int, took time.Duration) {
	r := m.route(routeStatus{route, status})
	r.requests.Inc()
	r.duration.Observe(took.Seconds())
}

func (m *metrics) route(key routeStatus) routeMetrics {
	if r, ok := (*m.routes.Load())[key]; ok {
		return r
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	name := named(key.route)
	r := routeMetrics{m.requests.WithLabelValues(name, strconv.Itoa(key.status)), m.durations.WithLabelValues(name)}
	routes := maps.Clone(*m.routes.Load())
	routes[key] = r
	m.routes.Store(&routes)
	return r
}

// named returns a route's label.
func named(route string) string {
	if route == "" {
		return "(none)"
	}
	return route
}

// wrote is told by the log of each write.
func (m *metrics) wrote(records int) { m.batchRecords.Observe(float64(records)) }

// refused counts what is wrong with a request's input, if that is why it failed.
func (m *metrics) refused(s *serving, err error) {
	var (
		invalid  *invalidError
		tooLarge *http.MaxBytesError
		tooMany  *tooManyError
	)
	switch {
	case errors.As(err, &invalid):
		for i := range invalid.details {
			m.refusedInputs.WithLabelValues(s.field(invalid.details[i].Loc)).Inc()
		}
	case errors.As(err, &tooLarge), errors.As(err, &tooMany), errors.Is(err, errMediaType):
		m.refusedInputs.WithLabelValues(fieldBody).Inc()
	}
}

// field returns the label for what a detail is about.
func (s *serving) field(loc []any) string {
	name, ok := loc[len(loc)-1].(string)
	switch {
	case !ok || len(loc) == 1: // ["body"], or a row or an offset of it
		return fieldBody
	case name == fieldRequestID, s.model != nil && s.model.Schema.Index(name) >= 0:
		return name
	}
	return fieldUnknown
}
