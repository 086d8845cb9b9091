package predictor

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// An exchange is an answer on its way to the client, and what became of it.
type exchange struct {
	http.ResponseWriter
	id     string        // the request's name
	start  time.Time     // when it came
	status int           // 0 while there is none
	bytes  int           // of the body
	place  *atomic.Int64 // where the request is counted as at work; nil while it is not
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func (e *exchange) WriteHeader(status int) {
	if e.status == 0 && status >= http.StatusOK { // below are announcements
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(b []byte) (int, error) {
	e.leave() // the answer is whole: what is left is the client's pace
	if e.status == 0 {
		e.status = http.StatusOK
	}
	n, err := e.ResponseWriter.Write(b)
	e.bytes += n
	return n, err
}

// arrived returns when the request came that w answers, as observe noted.
func arrived(w http.ResponseWriter) time.Time { return w.(*exchange).start }

// Unwrap is for http.ResponseController.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// observe names each request, counts it, and writes its line of the access log.
func (p *Predictor) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := exchanges.Get().(*exchange)
		*e = exchange{ResponseWriter: w, id: requestName(r), start: time.Now()}
		w.Header()[headerRequestID] = []string{e.id}
		if len(r.TransferEncoding) > 0 {
			// It may have had a Content-Length too, which net/http does not tell. What comes
			// after such a body is not to be trusted (RFC 9112, 6.1).
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
			*e = exchange{}
			exchanges.Put(e)
		}()
		next.ServeHTTP(e, r)
		returned = true
	})
}

func (p *Predictor) observed(r *http.Request, e *exchange, took time.Duration) {
	p.metrics.answered(r.Pattern, e.status, took)
	if p.AccessLog {
		p.logger.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("method", r.Method), slog.String("route", named(r.Pattern)), slog.Int("status", e.status),
			slog.Int("bytes", e.bytes), slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.String("request_id", e.id))
	}
}

const headerRequestID = "X-Request-Id" // as net/http writes X-Request-ID

// requestName returns the name that the client gave its request, or a new one if
// that cannot go into a log line and back as it is.
func requestName(r *http.Request) string {
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
