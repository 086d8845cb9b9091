package predictor

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"churn/internal/predictor/budget"
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
	claim    budget.Claim  // the memory of the request, until its response is written
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
	e.leave() // the customers are logged: how fast the client reads is its own affair
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
		*e = recorder{ResponseWriter: w, id: requestID(r), start: time.Now(), claim: p.budget.Claim(budget.Free)}
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
			e.claim.Release()
			*e = recorder{}
			recorders.Put(e)
		}()
		if r.ProtoMajor > 1 { // its connection may have many requests, so that each counts
			e.claim = p.budget.Claim(-budget.Free)
		}
		if err := e.claim.Spend(0); err != nil {
			setRetry(w)
			reject(e, r, http.StatusServiceUnavailable, err.Error())
		} else {
			next.ServeHTTP(e, r)
		}
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
	maxBody   = 1 << 20  // bytes of a body of one customer: hundreds of features take far less
	smallBody = 64 << 10 // bytes of a body whose memory is reused, and which its connection counts for
)

// A body is that of a request, in memory that is reused after release.
type body struct{ bytes []byte }

var bodies = sync.Pool{New: func() any { return new(body) }}

func (b *body) release() {
	if cap(b.bytes) <= smallBody {
		b.bytes = b.bytes[:0]
		bodies.Put(b)
	}
}

// errEncoding is for compressed bodies: a small one may unpack to a huge one.
var errEncoding = fmt.Errorf("%w: a Content-Encoding is not read, send the body as it is", errMediaType)

// readBody reads a body of at most limit bytes. It counts as it arrives, not as it is
// announced.
func (p *Predictor) readBody(w http.ResponseWriter, r *http.Request, limit int64) (*body, error) {
	if coding := r.Header["Content-Encoding"]; len(coding) > 1 || len(coding) == 1 && coding[0] != "" &&
		coding[0] != "identity" {
		w.Header().Set("Accept-Encoding", "identity")
		return nil, errEncoding
	}
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	in, most := r.Body, r.ContentLength
	if most < 0 { // otherwise net/http limits it
		in, most = http.MaxBytesReader(w, in, limit), limit
	}
	b := bodies.Get().(*body)
	if err := b.read(in, most, &recorderOf(r).claim); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

// read reads a body of at most some bytes to its end. The memory doubles as it is filled.
func (b *body) read(in io.Reader, most int64, claim *budget.Claim) error {
	for {
		if len(b.bytes) == cap(b.bytes) {
			size := max(4<<10, min(2*cap(b.bytes), int(most)+1)) // one more shows the end
			if size <= cap(b.bytes) {
				return &http.MaxBytesError{Limit: most}
			}
			if size > smallBody {
				if err := claim.Spend(int64(size - max(cap(b.bytes), smallBody))); err != nil {
					return err
				}
			}
			b.bytes = append(make([]byte, 0, size), b.bytes...)
		}
		n, err := in.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// A detail is a validation error of a request, as in FastAPI.
type detail struct {
	Loc  []any          `json:"loc"`
	Msg  string         `json:"msg"`
	Type string         `json:"type"`
	Ctx  map[string]any `json:"ctx,omitempty"`
}

// invalidError lists all validation errors of a request.
type invalidError struct{ details []detail }

// Error is one line for all: "body.1.region: field required; body.2.region: str type expected".
func (e *invalidError) Error() string {
	var text strings.Builder
	for i, d := range e.details {
		if i > 0 {
			text.WriteString("; ")
		}
		for j, part := range d.Loc {
			if j > 0 {
				text.WriteByte('.')
			}
			fmt.Fprint(&text, part)
		}
		text.WriteString(": " + d.Msg)
	}
	return text.String()
}
