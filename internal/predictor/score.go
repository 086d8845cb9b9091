package predictor

import (
	"crypto/rand"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"churn/internal/model"
	"churn/internal/predictor/budget"
	"churn/internal/predlog"

	"github.com/go-json-experiment/json/jsontext"
)

// scored is a batch that is scored and logged.
type scored struct {
	results []result
	lines   []byte // the records, a line each
	ends    []int  // 0, and where each line ends, its line end included

	features []predlog.Feature // of one row at a time
	fixed    int               // most bytes of a record without texts
	claim    *budget.Claim     // the memory of lines
}

// A result is the prediction for one customer.
type result struct {
	requestID string
	model.Score
}

var scoreds = sync.Pool{New: func() any { return new(scored) }}

// line returns the record of row i, without its line end.
func (s *scored) line(i int) []byte {
	return s.lines[s.ends[i] : s.ends[i+1]-1]
}

// release gives the memory back; lines must not be used after it.
func (s *scored) release() {
	const keep = 64 << 10 // bytes
	s.claim = nil
	if cap(s.lines) <= keep {
		scoreds.Put(s)
	}
}

// score scores a valid batch, and returns when all its records are in the log, in one
// write. The error is an *internalError, or that of the batch's claim, and then none is there.
func (p *Predictor) score(s *snapshot, b *batch, start time.Time) (*scored, error) {
	out := scoreds.Get().(*scored)
	out.results, out.lines, out.features = out.results[:0], out.lines[:0], out.features[:0]
	out.ends = append(out.ends[:0], 0)
	const number = 32 // bytes of a number, with its quotes and colon
	out.fixed, out.claim = 512+escaped*len(s.name), b.claim
	for _, f := range s.model.Schema.Features {
		out.features = append(out.features, predlog.Feature{Name: f.Name})
		out.fixed += escaped*len(f.Name) + number
	}
	var err error
	for i := 0; i < len(b.rows) && err == nil; i++ {
		giveWay(i)
		err = out.add(s, &b.rows[i], start)
	}
	if err == nil && len(out.lines) > budget.Free {
		err = b.claim.Spend(2 * int64(len(out.lines))) // the log's copy, which grows
	}
	if err == nil && len(out.results) > 0 {
		if err = p.record(s, b, out); err != nil {
			text := "the prediction could not be logged, so it is not sent: " + cause(err) + ": try again"
			err = &internalError{http.StatusServiceUnavailable, text, "prediction not logged, not sent", err}
		}
	}
	if err != nil {
		out.release()
		return nil, err
	}
	return out, nil
}

// reserve makes room for the record of a row.
func (s *scored) reserve(r *row, result *result) error {
	size, kept := s.fixed+escaped*len(result.requestID), 0
	for i := range r.values {
		size += escaped * len(r.values[i].Text)
	}
	for _, w := range result.Warnings {
		size += escaped*len(w) + len(`"",`)
		kept += len(w) + allocation
	}
	grown := cap(s.lines)
	if size > grown-len(s.lines) {
		grown = max(2*grown, len(s.lines)+size, 4<<10)
		kept += grown - cap(s.lines)
	}
	if err := s.claim.Spend(int64(kept)); err != nil {
		return err
	}
	if grown > cap(s.lines) {
		s.lines = append(make([]byte, 0, grown), s.lines...)
	}
	return nil
}

// add scores a row and appends its record.
func (s *scored) add(by *snapshot, r *row, start time.Time) error {
	result := result{r.requestID, by.model.Score(r.values)}
	if result.requestID == "" {
		result.requestID = rand.Text()
	}
	if err := s.reserve(r, &result); err != nil {
		return err
	}
	for i, v := range r.values {
		s.features[i].Value = v
	}
	now := time.Now()
	record := predlog.Record{
		RequestID: result.requestID, ModelVersion: by.name, Prediction: result.Prediction(), Probability: result.Probability,
		LatencyMS: float64(now.Sub(start).Nanoseconds()) / 1e6, Features: s.features, TS: float64(now.UnixMilli()) / 1000,
		Threshold: by.model.Threshold, Warnings: result.Warnings,
	}
	s.lines = append(record.Append(s.lines), '\n')
	s.ends = append(s.ends, len(s.lines))
	s.results = append(s.results, result)
	return nil
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

// output returns the predictions as a JSON array of 0 and 1, or the probabilities as they are in the
// records.
func (s *scored) output(proba bool) jsontext.Value {
	return appendArray(nil, len(s.results), func(text []byte, i int) []byte {
		if proba {
			return strconv.AppendFloat(text, s.results[i].Probability, 'f', 6, 64)
		}
		return strconv.AppendInt(text, int64(s.results[i].Prediction()), 10)
	})
}

// appendArray appends a JSON array of n elements, each of which add appends.
func appendArray(text []byte, n int, add func(text []byte, i int) []byte) []byte {
	text = append(text, '[')
	for i := range n {
		if i > 0 {
			text = append(text, ',')
		}
		text = add(text, i)
	}
	return append(text, ']')
}

// giveWay lets other requests run after some rows of a batch. Go alone would let it run for
// 10 ms, in which a hundred others could be answered.
func giveWay(row int) {
	const rows = 8 // some 100 µs, or 1 ms of the longest texts
	if row%rows == rows-1 {
		runtime.Gosched()
	}
}
