package predictor

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/model"
	"churn/internal/predictor/httpbody"
	"churn/internal/predlog"

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

// noRoute is the label of requests that no route takes.
const noRoute = "(none)"

var (
	secondsBuckets = []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .25, .5, 1, 2.5,
		5, 10}
	probabilityBuckets = prometheus.LinearBuckets(0.1, 0.1, 10)
	recordsBuckets     = prometheus.ExponentialBuckets(1, 2, 14) // up to 8,192
)

// metrics are the service's for Prometheus. Labels are bounded: routes, statuses, models of
// the registry, and features of their schemas.
type metrics struct {
	registry  *prometheus.Registry
	driftRows int

	requests        *prometheus.CounterVec
	durations       *prometheus.HistogramVec
	predictions     *prometheus.CounterVec
	probability     prometheus.Histogram
	invalidInputs   *prometheus.CounterVec
	unseen          *prometheus.CounterVec
	ignored         prometheus.Counter
	reloads         prometheus.Counter
	reloadsRejected prometheus.Counter
	batchRecords    prometheus.Histogram
	queued          atomic.Int64 // records waiting to be written to the log

	mu     sync.Mutex
	routes map[routeStatus]routeMetrics
}

// routeStatus groups requests that are counted together.
type routeStatus struct {
	route  string // the pattern; "" for none
	status int
}

// routeMetrics are looked up once, not for each request.
type routeMetrics struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

func newMetrics(driftRows int) *metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	make := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return make.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return make.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return make.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	const duration = "Time from a request's header to the end of its response."
	m := &metrics{
		registry:  r,
		driftRows: driftRows,
		routes:    map[routeStatus]routeMetrics{},
		requests:  counters("churn_http_requests_total", "Requests answered.", "route", "status"),
		durations: make.NewHistogramVec(prometheus.HistogramOpts{
			Name: "churn_http_request_duration_seconds", Help: duration, Buckets: secondsBuckets,
		}, []string{"route"}),
		predictions:   counters("churn_predictions_total", "Customers scored and logged.", "model", "label"),
		probability:   histogram("churn_probability", "Probabilities predicted.", probabilityBuckets),
		invalidInputs: counters("churn_refused_inputs_total", "Customers with a validation error, by field.", "field"),
		unseen: counters("churn_unseen_categories_total",
			"Values scored that were not in the training rows: levels, and numbers far outside.", "feature"),
		ignored: counter("churn_ignored_columns_total",
			"Columns that the model does not have, in MLflow's requests."),
		reloads:         counter("churn_model_reloads_total", "Models loaded after the first."),
		reloadsRejected: counter("churn_model_reloads_refused_total", "Models that became current and could not be loaded."),
		batchRecords:    histogram("churn_log_batch_records", "Records in one write to the log.", recordsBuckets),
	}
	queue := prometheus.GaugeOpts{Name: "churn_log_queue_records", Help: "Records waiting to be written to the log."}
	make.NewGaugeFunc(queue, func() float64 { return float64(m.queued.Load()) })
	return m
}

// buildInfo is 1, with the versions of the program and of Go.
func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "churn_build_info", Help: "1, by version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}}, func() float64 { return 1 })
}

// handler answers GET /metrics.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorHandling:     promhttp.ContinueOnError, // an invalid series must not hide the others
	})
}

// route returns what counts the requests of a route with a status.
func (m *metrics) route(key routeStatus) routeMetrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.routes[key]
	if !ok {
		name := cmp.Or(key.route, noRoute)
		r = routeMetrics{m.requests.WithLabelValues(name, strconv.Itoa(key.status)), m.durations.WithLabelValues(name)}
		m.routes[key] = r
	}
	return r
}

// writable is 0 while predictions cannot be logged.
func writable(log *predlog.Writer) prometheus.Collector {
	const help = "1, or 0 while the log cannot be written or hangs, and so no prediction is sent."
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "churn_log_writable", Help: help}, func() float64 {
		if log.Err() != nil {
			return 0
		}
		return 1
	})
}

// rejected counts the validation errors of a request, if that is why it failed. A field counts once
// a customer, however many of its names the schema does not have.
func (m *metrics) rejected(s *snapshot, err error) {
	var invalid *invalidError
	var problem *problem
	switch {
	case errors.As(err, &invalid):
		counted := map[string]bool{}
		for i := range invalid.details {
			loc := invalid.details[i].Loc
			field := s.field(loc)
			if once := fmt.Sprint(loc[:len(loc)-1], field); !counted[once] {
				counted[once] = true
				m.invalidInputs.WithLabelValues(field).Inc()
			}
		}
	case errors.As(err, new(*http.MaxBytesError)), errors.Is(err, httpbody.ErrMediaType),
		errors.As(err, &problem) && problem.status == http.StatusRequestEntityTooLarge:
		m.invalidInputs.WithLabelValues(fieldBody).Inc()
	}
}

// field returns the label for the location of a validation error.
func (s *snapshot) field(loc []any) string {
	name, ok := loc[len(loc)-1].(string)
	switch {
	case !ok || len(loc) == 1: // ["body"], or a row or an offset of it
		return fieldBody
	case name == "request_id", s.model != nil && s.model.Schema.Index(name) >= 0:
		return name
	}
	return fieldUnknown
}

// modelMetrics are those of one model, looked up once.
type modelMetrics struct {
	predictions [2]prometheus.Counter // by label
	unseen      []prometheus.Counter  // by feature
	window      *window
}

func (m *metrics) ofModel(name string, by *model.Model) *modelMetrics {
	w := &modelMetrics{window: &window{model: by, refs: by.References(), most: m.driftRows}}
	for label := range w.predictions {
		w.predictions[label] = m.predictions.WithLabelValues(name, strconv.Itoa(label))
	}
	for _, f := range by.Schema.Features {
		w.unseen = append(w.unseen, m.unseen.WithLabelValues(f.Name))
	}
	return w
}

func (m *metrics) scored(b *batch) {
	w := b.snapshot.metrics
	for i := range b.rows {
		r := &b.rows[i]
		w.predictions[r.Prediction()].Inc()
		m.probability.Observe(r.Probability)
		if len(r.Warnings) == 0 {
			continue
		}
		for j, v := range r.values {
			if by := b.snapshot.model; !v.Missing && (!by.Knows(j, v) || by.OutOfRange(j, v) != 0) {
				w.unseen[j].Inc()
			}
		}
	}
	w.window.add(b.rows)
}

var (
	infoDesc    = prometheus.NewDesc("churn_model_info", "The current model.", []string{"model", "version"}, nil)
	ageDesc     = prometheus.NewDesc("churn_model_age_seconds", "Time since the current model was trained.", nil, nil)
	refusedDesc = prometheus.NewDesc("churn_model_refused",
		"1 while the current model cannot be loaded and the one before it serves, else 0.", nil, nil)
	driftRowsDesc = prometheus.NewDesc("churn_drift_rows",
		"Rows that the drift gauges are based on; below 30 there are none.", nil, nil)
	driftZDesc = prometheus.NewDesc("churn_drift_z",
		"z score of the mean of the last rows against that of the training rows.", []string{"feature"}, nil)
	driftPDesc = prometheus.NewDesc("churn_drift_p",
		"p-value of the mean or of the levels, adjusted by Holm over all checks.", []string{"feature"}, nil)
)

// A modelCollector collects the metrics of the current model.
type modelCollector struct{ follower *follower }

// Describe implements prometheus.Collector.
func (c *modelCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{infoDesc, ageDesc, refusedDesc, driftRowsDesc, driftZDesc, driftPDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *modelCollector) Collect(out chan<- prometheus.Metric) {
	s := c.follower.current()
	if s.model == nil {
		return
	}
	gauge := func(d *prometheus.Desc, x float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, x, labels...)
	}
	gauge(infoDesc, 1, s.name, s.model.Version)
	refused := 0.0
	if s.rejected != nil {
		refused = 1
	}
	gauge(refusedDesc, refused)
	if trained, err := time.Parse(time.RFC3339, s.model.TrainedAtUTC); err == nil {
		gauge(ageDesc, time.Since(trained).Seconds())
	}
	found := s.metrics.window.compare()
	if found.Verdict == drift.Off {
		return
	}
	gauge(driftRowsDesc, float64(found.Records))
	for _, check := range found.Checks {
		switch check.Kind {
		case drift.Mean:
			gauge(driftZDesc, check.Statistic, check.Column)
			gauge(driftPDesc, check.PAdjusted, check.Column)
		case drift.Levels:
			gauge(driftPDesc, check.PAdjusted, check.Column)
		}
	}
}

// A window is the last rows that a model scored, to be compared with its training rows.
type window struct {
	model *model.Model
	refs  []*dataset.Summary // the features in the schema's order, then the probability

	mu    sync.Mutex
	most  int // rows; 0: no check
	ring  []scoredRow
	next  int                   // index of the oldest row, once there are most
	trend []drift.WindowSummary // as they were when somebody looked, the oldest first
}

// A scoredRow is a row of a window: one value per column, and its time in unix seconds.
type scoredRow struct {
	values []dataset.Value
	at     float64
}

// add adds the rows of a batch.
func (w *window) add(rows []row) {
	now := float64(time.Now().UnixMilli()) / 1000
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := max(0, len(rows)-w.most); i < len(rows); i++ {
		if len(w.ring) < w.most {
			w.ring = append(w.ring, scoredRow{values: make([]dataset.Value, len(w.refs))})
		}
		w.ring[w.next].at = now
		kept := w.ring[w.next].values
		for j, v := range rows[i].values {
			if _, known := w.refs[j].Levels[v.Text]; v.Level && !known {
				v.Text = "" // any other level counts as unseen, and it may be long
			}
			kept[j] = v
		}
		kept[len(kept)-1] = dataset.Value{Number: rows[i].Probability}
		w.next = (w.next + 1) % w.most
	}
}

// compare compares the window with the training rows. With too few rows, or none to be kept, there
// are no checks.
func (w *window) compare() drift.Result {
	if w.most == 0 {
		return drift.Result{Verdict: drift.Off}
	}
	columns := drift.NewColumns(w.model.Schema, w.refs)
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.ring)
	r := drift.Result{Verdict: drift.NotEnoughData, Records: n, ModelRecords: n}
	positive, total := 0, 0.0
	for _, row := range w.ring {
		for j, v := range row.values {
			columns[j].Live.Add(v)
		}
		p := row.values[len(row.values)-1].Number
		if total += p; p >= w.model.Threshold {
			positive++
		}
	}
	if n < drift.MinRows {
		return r
	}
	r.Compare(columns, drift.Pairs{})
	mean := total / float64(n)
	now := drift.WindowSummary{From: w.ring[w.next%n].at, To: w.ring[(w.next+n-1)%n].at, Records: n,
		PositiveShare: float64(positive) / float64(n), MeanProbability: &mean}
	now.Count(r.Checks)
	r.Windows = w.remember(now)
	return r
}

// remember adds a summary to the trend, in the place of one less than a minute after the one
// before it, and returns the trend.
func (w *window) remember(now drift.WindowSummary) []drift.WindowSummary {
	const (
		apart = 60 // s
		most  = 60 // summaries
	)
	if n := len(w.trend); n > 0 && (w.trend[n-1].To == now.To || n > 1 && w.trend[n-1].To-w.trend[n-2].To < apart) {
		w.trend = w.trend[:n-1]
	}
	w.trend = append(w.trend, now)
	w.trend = w.trend[max(0, len(w.trend)-most):]
	return slices.Clone(w.trend)
}
