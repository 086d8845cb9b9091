package predictor

import (
	"crypto/rand"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"churn/internal/predictor/budget"
	"churn/internal/predlog"

	"github.com/go-json-experiment/json/jsontext"
)

// score scores a valid batch, and returns when all its records are in the log, in one
// write. The error is a *problem, or that of the batch's claim, and then none is there.
func (p *Predictor) score(b *batch, start time.Time) error {
	for _, f := range b.schema.Features {
		b.features = append(b.features, predlog.Feature{Name: f.Name})
	}
	for i := range b.rows {
		giveWay(i)
		if err := b.score(&b.rows[i], start); err != nil {
			return err
		}
	}
	if len(b.lines) > budget.Free {
		if err := b.claim.Spend(2 * int64(len(b.lines))); err != nil { // the log's copy, which grows
			return err
		}
	}
	if len(b.rows) == 0 {
		return nil
	}
	n := int64(len(b.rows))
	p.metrics.queued.Add(n)
	err := p.log.Append(b.lines[:len(b.lines)-1])
	p.metrics.queued.Add(-n)
	if err != nil {
		text := "the prediction could not be logged, so it is not sent: " + cause(err) + ": try again"
		return &problem{http.StatusServiceUnavailable, text, "prediction not logged, not sent", err}
	}
	p.metrics.scored(b)
	return nil
}

// score scores a row and appends its record.
func (b *batch) score(r *row, start time.Time) error {
	m := b.snapshot.model
	r.Score = m.Score(r.values)
	if r.requestID == "" {
		r.requestID = rand.Text()
	}
	if err := b.reserve(r); err != nil {
		return err
	}
	for i, v := range r.values {
		b.features[i].Value = v
	}
	now := time.Now()
	record := predlog.Record{
		RequestID: r.requestID, ModelVersion: b.snapshot.name, Prediction: r.Prediction(), Probability: r.Probability,
		LatencyMS: float64(now.Sub(start).Nanoseconds()) / 1e6, Features: b.features, TS: float64(now.UnixMilli()) / 1000,
		Threshold: m.Threshold, Warnings: r.Warnings,
	}
	b.lines = append(record.Append(b.lines), '\n')
	b.ends = append(b.ends, len(b.lines))
	return nil
}

// reserve makes room for the record of a row.
func (b *batch) reserve(r *row) error {
	const rest, number = 512, 32 // bytes: names and numbers of all records; a number, with its quotes and colon
	size, kept := rest+escaped*(len(b.snapshot.name)+len(r.requestID)), 0
	for i := range r.values {
		size += escaped*(len(b.features[i].Name)+len(r.values[i].Text)) + number
	}
	for _, w := range r.Warnings {
		size += escaped*len(w) + len(`"",`)
		kept += len(w) + allocation
	}
	grown := cap(b.lines)
	if size > grown-len(b.lines) {
		grown = max(2*grown, len(b.lines)+size, 4<<10)
		kept += grown - cap(b.lines)
	}
	if err := b.claim.Spend(int64(kept)); err != nil {
		return err
	}
	if grown > cap(b.lines) {
		b.lines = append(make([]byte, 0, grown), b.lines...)
	}
	return nil
}

// line returns the record of row i, without its line end.
func (b *batch) line(i int) []byte {
	return b.lines[b.ends[i] : b.ends[i+1]-1]
}

// output returns the predictions as a JSON array of 0 and 1, or the probabilities as they are in the
// records.
func (b *batch) output(proba bool) jsontext.Value {
	return appendArray(nil, len(b.rows), func(text []byte, i int) []byte {
		if proba {
			return strconv.AppendFloat(text, b.rows[i].Probability, 'f', 6, 64)
		}
		return strconv.AppendInt(text, int64(b.rows[i].Prediction()), 10)
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
