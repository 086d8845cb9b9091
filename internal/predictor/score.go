package predictor

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/csv"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"churn/internal/filedata"
	"churn/internal/model"
	"churn/internal/predictor/budget"
	"churn/internal/predlog"
	"churn/internal/scoring"

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
	if err == nil && len(out.lines) > smallBody {
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

// whatIfBatch answers POST /what-if/batch: customers as for /predict/batch, scored as by /what-if.
// CSV comes back with its own columns, and with ranks and reasons, as serve --score writes it.
func (p *Predictor) whatIfBatch(w http.ResponseWriter, r *http.Request) error {
	kind, decode, err := batchDecoder(r)
	if err != nil || *kind == mediaForm {
		return errMediaType
	}
	explain, err := flag(r, "explain")
	if err != nil {
		return err
	}
	var list *scoring.List
	var in *csv.Reader // of a valid file, after its header
	read := func(body []byte, b *batch) error {
		b.lenient = *kind == mediaCSV
		if err := decode(body, b); err != nil || *kind != mediaCSV {
			return err
		}
		var header []string
		if in, header, err = b.openCSV(body); err != nil {
			return err
		}
		const reasons = 3 // as serve --score
		if list, err = scoring.NewList(b.snapshot.model, header, len(b.rows), reasons); err != nil {
			return shape([]any{"body", "header"}, err.Error(), "value_error.csv")
		}
		return nil
	}
	respond := func(s *snapshot, b *batch) {
		answerInPieces(w, *kind, func(text *bufio.Writer) {
			if list != nil {
				writeList(w.Header(), text, list, in, b)
				return
			}
			writeRows(text, *kind, len(b.rows), func(_ []byte, i int) []byte {
				return marshal(newTrial(s, b.rows[i].values, explain))
			})
		})
	}
	return p.serve(w, r, protocol{limit: p.limits.BatchBytes, many: true, decode: read, respond: respond})
}

// openCSV returns a reader of a CSV body behind its header, and the header. Encoding and delimiter
// are found as prepare finds them.
func (b *batch) openCSV(body []byte) (in *csv.Reader, header []string, err error) {
	const decoded = 6 // times a body: up to three bytes for one, in memory that grows
	if !utf8.Valid(body) {
		if b.spend(decoded * len(body)); b.full != nil {
			return nil, nil, b.full
		}
	}
	text, comma, guessed, err := filedata.Decode(body)
	if err != nil || !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, nil, shape([]any{"body"}, "not CSV: neither UTF-8, UTF-16 with a byte order mark nor Windows-1252: "+
			"save it as CSV in UTF-8", "value_error.csv")
	}
	b.guessed = guessed
	if err := b.spendWidest(text, comma); err != nil {
		return nil, nil, err
	}
	in = csv.NewReader(bytes.NewReader(text))
	in.Comma, in.ReuseRecord = rune(comma), true
	record, err := in.Read()
	if err != nil {
		return nil, nil, csvError(err)
	}
	seen := make(map[string]bool, len(record))
	for i, name := range record {
		name = strings.TrimSpace(name)
		place := "#" + strconv.Itoa(i+1) // as prepare calls a column without a name, and before a name that is there twice
		if again := strings.TrimSpace(place + " " + name); (name == "" || seen[name]) &&
			(b.schema.Skips(again) || b.schema.Skips(place)) {
			name = again
		}
		seen[name] = true
		header = append(header, name)
	}
	return in, header, nil
}

// nextRecord reads a line. As in prepare, lines of nothing but delimiters do not count.
func nextRecord(in *csv.Reader) (record []string, err error) {
	for {
		record, err = in.Read()
		filled := func(cell string) bool { return strings.TrimSpace(cell) != "" }
		if err != nil || len(record) == 1 || slices.ContainsFunc(record, filled) {
			return record, err
		}
	}
}

// writeList writes the rows of a CSV file with their scores, and counts those with a warning in the
// header X-Rows-With-Warnings.
func writeList(h http.Header, text *bufio.Writer, list *scoring.List, in *csv.Reader, b *batch) {
	m := b.snapshot.model
	ranked, warned := make([]float64, len(b.rows)), 0
	for i := range b.rows {
		giveWay(i)
		score := m.Score(b.rows[i].values)
		if ranked[i] = -score.Probability; len(score.Warnings) > 0 {
			warned++
		}
	}
	slices.Sort(ranked) // the highest probability first
	h.Set("X-Rows-With-Warnings", strconv.Itoa(warned))
	text.Write(list.Head())
	var cells [][]byte
	for i := range b.rows {
		giveWay(i)
		record, err := nextRecord(in)
		if err != nil {
			return // it was read before
		}
		cells = cells[:0]
		for _, cell := range record {
			cells = append(cells, []byte(cell))
		}
		score := m.Score(b.rows[i].values)
		above, _ := slices.BinarySearch(ranked, -score.Probability)
		if _, err := text.Write(list.Append(text.AvailableBuffer(), cells, b.rows[i].values, score, above+1)); err != nil {
			return
		}
	}
}
