package predictor

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"churn/internal/predictor/apikey"
	"churn/internal/predictor/budget"
	"churn/internal/predictor/httpbody"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/httprate"
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

	// Of the request; their memory is for the next one.
	body  []byte
	batch batch
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
	e.status = cmp.Or(e.status, http.StatusOK)
	n, err := e.ResponseWriter.Write(b)
	e.bytes += n
	return n, err
}

// observe gives each request its recorder and its id, counts it, and writes its line of the
// access log.
func (p *Predictor) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := recorders.Get().(*recorder)
		*e = recorder{ResponseWriter: w, id: requestID(r), start: time.Now(), claim: p.budget.Claim(),
			body: e.body, batch: e.batch}
		r = r.WithContext(context.WithValue(r.Context(), recorderKey{}, e))
		w.Header()[headerRequestID] = []string{e.id}
		if len(r.TransferEncoding) > 0 || p.draining.Load() {
			// A chunked one may have had a Content-Length too, which net/http does not report: what
			// follows such a body cannot be trusted (RFC 9112, 6.1). While the service drains, the
			// next request is for another one.
			w.Header().Set("Connection", "close")
		}
		returned := false
		defer func() { // even if the handler panics
			e.status = cmp.Or(e.status, http.StatusOK)
			if !returned {
				e.status = http.StatusInternalServerError
			}
			p.observed(r, e, time.Since(e.start))
			e.claim.Release()
			if returned && e.status >= http.StatusBadRequest {
				httpbody.ReadOn(r) // before the response, which is short, is sent
			}
			const rows = 64
			if e.ResponseWriter = nil; max(cap(e.body), cap(e.batch.lines)) <= budget.Free && cap(e.batch.rows) <= rows {
				recorders.Put(e) // one with more is left to the collector
			}
		}()
		next.ServeHTTP(e, r)
		returned = true
	})
}

func (p *Predictor) observed(r *http.Request, e *recorder, took time.Duration) {
	route := p.metrics.route(routeStatus{r.Pattern, e.status})
	route.requests.Inc()
	route.duration.Observe(took.Seconds())
	if p.AccessLog {
		p.logger.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("method", r.Method), slog.String("route", cmp.Or(r.Pattern, noRoute)), slog.Int("status", e.status),
			slog.Int("bytes", e.bytes), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
			slog.String("request_id", e.id))
	}
}

const headerRequestID = "X-Request-Id" // as net/http writes X-Request-ID

// requestID returns the client's id of a request, or a new one if that is not printable
// ASCII or too long.
func requestID(r *http.Request) string {
	id := r.Header.Get(headerRequestID)
	unprintable := func(c rune) bool { return c < ' ' || c > '~' }
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, unprintable) {
		return rand.Text()
	}
	return id
}

// open reports whether a path needs no key and has no rate limit: health, the page and the
// documentation. All others are guarded, so that a new one is too.
func open(path string) bool {
	switch path {
	case "/", "/health", "/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json",
		"/favicon.ico", "/robots.txt":
		return true
	}
	return strings.HasPrefix(path, "/docs/") || strings.HasPrefix(path, "/page/")
}

// guard lets a request through if its client has a key, where keys are required, is within
// its rate, and the service is not busy.
func (p *Predictor) guard(next http.Handler) http.Handler {
	tooOften := func(w http.ResponseWriter, r *http.Request) { // Retry-After is set already
		reject(w, r, http.StatusTooManyRequests, "too many requests: try again after a while")
	}
	limiter := httprate.NewRateLimiter(p.limits.Rate, time.Minute, httprate.WithLimitHandler(tooOften))
	throttle := apikey.NewThrottle()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		key := ""
		if p.Keys != nil {
			key = p.Keys.Known(r)
			if throttle.Exceeded(w, r, key) {
				w.Header().Set("Retry-After", "60")
				reject(w, r, http.StatusTooManyRequests,
					"too many unknown API keys came from this address: try again after a minute")
				return
			}
		}
		allowed := p.Keys == nil || key != ""
		free := r.URL.Path == "/metrics"                    // so that reaching the limits can be seen
		limited := p.limits.Rate > 0 && (!free || !allowed) // guessing keys is limited everywhere
		if limited && limiter.RespondOnLimit(w, r, cmp.Or(key, apikey.Address(r.RemoteAddr))) {
			return
		}
		if !allowed {
			w.Header().Set("WWW-Authenticate", `Bearer realm="churn"`)
			reject(w, r, http.StatusUnauthorized,
				"a known API key is needed, as Authorization: Bearer KEY or as X-API-Key: KEY")
			return
		}
		if !free {
			e := recorderOf(r)
			defer e.leave()
			if r.Method != http.MethodPost && !p.enter(e) { // serve enters with a body
				setRetry(w)
				reject(w, r, errBusy.status, errBusy.text)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// errBusy is for a service with as many requests in flight as it may have.
var errBusy = &problem{status: http.StatusServiceUnavailable, text: "too many requests are in flight: try again"}

// setRetry says when a request may be repeated.
func setRetry(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1") // a second: requests take milliseconds
}

// enter counts a request as in flight, unless the limit is reached. It is from when its body
// is read to when its response is written, so that slow clients take no place from others.
func (p *Predictor) enter(e *recorder) bool {
	if n := p.inFlight.Add(1); p.limits.InFlight > 0 && n > int64(p.limits.InFlight) {
		p.inFlight.Add(-1)
		return false
	}
	e.inFlight = &p.inFlight
	return true
}

// leave undoes enter.
func (e *recorder) leave() {
	if e.inFlight != nil {
		e.inFlight.Add(-1)
		e.inFlight = nil
	}
}

// reject answers a request before it is routed, counted under the route that it names.
func reject(w http.ResponseWriter, r *http.Request, status int, detail string) {
	r.Pattern = chi.RouteContext(r.Context()).Routes.Find(chi.NewRouteContext(), r.Method, r.URL.Path)
	answerProblem(w, r, status, detail)
}

// A page of another site can make a browser send requests to a service on the person's own
// machine, where no key is needed (cross-site request forgery). It cannot read the answers,
// but would write predictions into the log; with DNS rebinding it could read them too.
//
// So a POST whose Origin or Sec-Fetch-Site is another site's is rejected, and a service that
// only its machine can reach and that needs no keys accepts as Host only addresses,
// localhost and Hosts.

// sameOrigin rejects requests that a browser sends for a page of another origin.
func (p *Predictor) sameOrigin(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	for _, host := range p.Hosts {
		for _, scheme := range []string{"http://", "https://"} {
			if err := origins.AddTrustedOrigin(scheme + host); err != nil {
				panic("predictor: " + err.Error())
			}
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case p.LocalOnly && !p.local(r.Host):
			reject(w, r, http.StatusMisdirectedRequest, "this service accepts localhost or its address as Host: "+
				"for another name start serve with --host NAME")
		case origins.Check(r) != nil:
			reject(w, r, http.StatusForbidden, "a browser sent this for a page of another origin: "+
				"for that of a proxy start serve with --host NAME")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// local reports whether a Host header is an address, localhost, or one of Hosts.
func (p *Predictor) local(host string) bool {
	if host == "" || slices.Contains(p.Hosts, host) { // browsers always send it
		return true
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil { // no port
		name = strings.Trim(host, "[]")
	}
	if strings.Trim(port, "0123456789") != "" {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(p.Hosts, name)
}

// CheckHost reports whether a text can be one of Hosts.
func CheckHost(host string) error {
	return http.NewCrossOriginProtection().AddTrustedOrigin("http://" + host)
}
