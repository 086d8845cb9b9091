package predictor

import (
	"crypto/rand"
	"sync"
	"time"

	"churn/internal/model"
	"churn/internal/predlog"
)

// scored is a batch that is scored and logged.
type scored struct {
	results []result
	lines   []byte // the records, a line each
	ends    []int  // where each line ends, its line end included

	features []predlog.Feature // of one row at a time
}

// A result is the prediction for one customer.
type result struct {
	requestID string
	model.Score
}

func (r *result) prediction() int {
	if r.Churn {
		return 1
	}
	return 0
}

var scoreds = sync.Pool{New: func() any { return new(scored) }}

// line returns the record of row i, without its line end.
func (s *scored) line(i int) []byte {
	from := 0
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.lines[from : s.ends[i]-1]
}

// release gives the memory back; lines must not be used after it.
func (s *scored) release() {
	const keep = 64 << 10 // bytes
	if cap(s.lines) <= keep {
		scoreds.Put(s)
	}
}

// score scores a valid batch, and returns when all its records are in the log, in one
// write. The error is a *logError, and then none is there.
func (p *Predictor) score(s *snapshot, b *batch, start time.Time) (*scored, error) {
	out := scoreds.Get().(*scored)
	out.results, out.lines, out.ends, out.features = out.results[:0], out.lines[:0], out.ends[:0], out.features[:0]
	for _, f := range s.model.Schema.Features {
		out.features = append(out.features, predlog.Feature{Name: f.Name})
	}
	for i := range b.rows {
		out.add(s, &b.rows[i], start)
	}
	if len(out.results) > 0 {
		if err := p.record(s, b, out); err != nil {
			out.release()
			return nil, &logError{err}
		}
	}
	return out, nil
}

// add scores a row and appends its record.
func (s *scored) add(by *snapshot, r *row, start time.Time) {
	result := result{r.requestID, by.model.Score(r.values)}
	if result.requestID == "" {
		result.requestID = rand.Text()
	}
	for i, v := range r.values {
		s.features[i].Value = v
	}
	now := time.Now()
	record := predlog.Record{
		RequestID: result.requestID, ModelVersion: by.name, Prediction: result.prediction(), Probability: result.Probability,
		LatencyMS: float64(now.Sub(start).Nanoseconds()) / 1e6, Features: s.features, TS: float64(now.UnixMilli()) / 1000,
		Threshold: by.model.Threshold, Warnings: result.Warnings,
	}
	s.lines = append(record.Append(s.lines), '\n')
	s.ends = append(s.ends, len(s.lines))
	s.results = append(s.results, result)
}

// record appends a batch to the log, and counts it.
func (p *Predictor) record(s *snapshot, b *batch, out *scored) error {
	n := int64(len(out.results))
	p.metrics.queued.Add(n)
	err := p.log.Append(out.lines[:len(out.lines)-1])
	p.metrics.queued.Add(-n)
	if err == nil {
		p.metrics.scored(s.metrics, b, out)
	}
	return err
}
