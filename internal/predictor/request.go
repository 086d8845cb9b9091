package predictor

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A recorder writes the response of a request, and records what the access log and the
// metrics need. It is the request's own state too: see recorderOf.
type recorder struct {
	http.ResponseWriter
	id       string        // X-Request-ID
	start    time.Time     // of the request
	status   int           // 0 until there is one
	bytes    int           // of the body
	inFlight *atomic.Int64 // where the request is counted; nil while it is not
}

var recorders = sync.Pool{New: func() any { return new(recorder) }}

type recorderKey struct{}

// recorderOf returns the recorder of a request that observe has seen.
func recorderOf(r *http.Request) *recorder { return r.Context().Value(recorderKey{}).(*recorder) }

func (e *recorder) WriteHeader(status int) {
	if e.status == 0 && status >= http.StatusOK { // lower ones are informational
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *recorder) Write(b []byte) (int, error) {
	e.leave() // the response is complete: how fast the client reads is its own affair
	if e.status == 0 {
		e.status = http.StatusOK
	}
	n, err := e.ResponseWriter.Write(b)
	e.bytes += n
	return n, err
}

// Unwrap is for http.ResponseController.
func (e *recorder) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// observe gives each request its recorder and its id, counts it, and writes its line of the
// access log.
func (p *Predictor) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := recorders.Get().(*recorder)
		*e = recorder{ResponseWriter: w, id: requestID(r), start: time.Now()}
		r = r.WithContext(context.WithValue(r.Context(), recorderKey{}, e))
		w.Header()[headerRequestID] = []string{e.id}
		if len(r.TransferEncoding) > 0 {
			// It may have had a Content-Length too, which net/http does not report. What
			// follows such a body cannot be trusted (RFC 9112, 6.1).
			w.Header().Set("Connection", "close")
		}
		if p.draining.Load() {
			w.Header().Set("Connection", "close") // the next request is for another service
		}
		returned := false
		defer func() { // even if the handler panics
			switch {
			case !returned:
				e.status = http.StatusInternalServerError
			case e.status == 0:
				e.status = http.StatusOK
			}
			p.observed(r, e, time.Since(e.start))
			*e = recorder{}
			recorders.Put(e)
		}()
		next.ServeHTTP(e, r)
		returned = true
	})
}

func (p *Predictor) observed(r *http.Request, e *recorder, took time.Duration) {
	p.metrics.answered(r.Pattern, e.status, took)
	if p.AccessLog {
		p.logger.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("method", r.Method), slog.String("route", named(r.Pattern)), slog.Int("status", e.status),
			slog.Int("bytes", e.bytes), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
			slog.String("request_id", e.id))
	}
}

const headerRequestID = "X-Request-Id" // as net/http writes X-Request-ID

// requestID returns the client's id of a request, or a new one if that is not printable
// ASCII or too long.
func requestID(r *http.Request) string {
	id := r.Header.Get(headerRequestID)
	if len(id) == 0 || len(id) > maxRequestID {
		return rand.Text()
	}
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return rand.Text()
		}
	}
	return id
}

const (
	maxBody     = 1 << 20  // bytes of a body of one customer: hundreds of features take far less
	smallBody   = 64 << 10 // bytes of a body that is always accepted, and whose memory is reused
	largeBodies = 16       // times BatchBytes: limit of all larger bodies together
)

// A body is that of a request, in memory that is reused after release.
type body struct {
	bytes.Buffer
	large *atomic.Int64 // bytes of all large bodies
	taken int64         // bytes of this one among them
}

var bodies = sync.Pool{New: func() any { return new(body) }}

func (b *body) release() {
	if b.taken > 0 {
		b.large.Add(-b.taken)
		b.taken = 0
	}
	if b.Cap() <= smallBody+bytes.MinRead {
		b.Reset()
		bodies.Put(b)
	}
}

// errEncoding is for compressed bodies: a small one may unpack to a huge one.
var errEncoding = fmt.Errorf("%w: a Content-Encoding is not read, send the body as it is", errMediaType)

// readBody reads a body of at most limit bytes. If large bodies together exceed their
// limit the error is errBusy. Bytes count as they arrive, not as they are announced.
func (p *Predictor) readBody(w http.ResponseWriter, r *http.Request, limit int64) (*body, error) {
	if coding := r.Header["Content-Encoding"]; len(coding) > 1 || len(coding) == 1 && coding[0] != "" &&
		coding[0] != "identity" {
		w.Header().Set("Accept-Encoding", "identity")
		return nil, errEncoding
	}
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	in := r.Body
	if r.ContentLength < 0 { // otherwise net/http limits it
		in = http.MaxBytesReader(w, in, limit)
	}
	b := bodies.Get().(*body)
	b.large = &p.bodies
	if err := b.read(in, r.ContentLength, largeBodies*p.limits.BatchBytes); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

// read reads a body to its end. length is the announced one, or negative; most is the
// limit of all large bodies.
func (b *body) read(in io.Reader, length, most int64) error {
	if length >= 0 && length <= smallBody {
		_, err := b.ReadFrom(in)
		return err
	}
	const step = 1 << 20
	for room := int64(smallBody); ; room = min(int64(b.Len()), step) {
		if b.Len() > 0 { // the first smallBody bytes are not counted
			b.taken += room
			if b.large.Add(room) > most {
				return errBusy
			}
		}
		if _, err := io.CopyN(b, in, room); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
