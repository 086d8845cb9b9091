package predictor

import (
	"strconv"
	"time"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/model"

	"github.com/prometheus/client_golang/prometheus"
)

// A watch is what is counted of one model, resolved once.
type watch struct {
	reference   map[string]dataset.Summary
	schema      *dataset.Schema
	predictions [2]prometheus.Counter // by label
	unseen      []prometheus.Counter  // by feature; nil for a number
	window      *window               // nil for none
}

func (m *metrics) watch(name string, by *model.Model) *watch {
	w := &watch{reference: by.Reference.Columns, schema: by.Schema, unseen: make([]prometheus.Counter, len(by.Schema.Features))}
	for label := range w.predictions {
		w.predictions[label] = m.predictions.WithLabelValues(name, strconv.Itoa(label))
	}
	for i, f := range by.Schema.Features {
		if f.Type == dataset.Category {
			w.unseen[i] = m.unseen.WithLabelValues(f.Name)
		}
	}
	if m.driftRows > 0 {
		w.window = newWindow(by, m.driftRows)
	}
	return w
}

func (w *watch) countUnseen(values []dataset.Value) {
	for i, v := range values {
		if !v.Level || v.Missing {
			continue
		}
		if _, known := w.reference[w.schema.Features[i].Name].Levels[v.Text]; !known {
			w.unseen[i].Inc()
		}
	}
}

// record puts a batch into the log, and counts it once it is there.
func (p *Predictor) record(s *serving, b *batch, out *scored) error {
	n := int64(len(out.results))
	p.metrics.queued.Add(n)
	err := p.log.Append(out.lines[:len(out.lines)-1])
	p.metrics.queued.Add(-n)
	if err == nil {
		p.metrics.scored(s.watch, b, out)
	}
	return err
}

func (m *metrics) scored(w *watch, b *batch, out *scored) {
	for i := range out.results {
		r := &out.results[i]
		w.predictions[r.prediction()].Inc()
		m.probability.Observe(r.Probability)
		if len(r.Warnings) > 0 {
			w.countUnseen(b.rows[i].values)
		}
	}
	if w.window != nil {
		w.window.add(b.rows, out.results)
	}
}

var (
	infoDesc      = prometheus.NewDesc("churn_model_info", "The model that answers.", []string{"model", "version"}, nil)
	ageDesc       = prometheus.NewDesc("churn_model_age_seconds", "Time since the model that answers was trained.", nil, nil)
	driftRowsDesc = prometheus.NewDesc("churn_drift_rows", "Rows that the drift gauges rest on; below 30 there are none.", nil, nil)
	driftZDesc    = prometheus.NewDesc("churn_drift_z", "Mean of the last rows less that of the training rows, in standard errors.", []string{"feature"}, nil)
	driftPDesc    = prometheus.NewDesc("churn_drift_p", "Chance of such a mean, or such levels, without drift, after Holm over all checks.", []string{"feature"}, nil)
)

// A modelCollector tells of the current model, when it is asked.
type modelCollector struct{ follower *follower }

// Describe implements prometheus.Collector.
func (c *modelCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{infoDesc, ageDesc, driftRowsDesc, driftZDesc, driftPDesc} {
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
	if trained, err := time.Parse(time.RFC3339, s.model.TrainedAtUTC); err == nil {
		gauge(ageDesc, time.Since(trained).Seconds())
	}
	if s.watch.window == nil {
		return
	}
	rows, checks, _ := s.watch.window.checks()
	gauge(driftRowsDesc, float64(rows))
	for _, check := range checks {
		switch check.Kind {
		case drift.Mean:
			gauge(driftZDesc, check.Statistic, check.Column)
			gauge(driftPDesc, check.PAdjusted, check.Column)
		case drift.Levels:
			gauge(driftPDesc, check.PAdjusted, check.Column)
		}
	}
}
