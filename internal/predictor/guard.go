package predictor

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/httprate"
)

// open tells which paths anybody may ask, as often as they like: those that tell
// whether the service lives, its page, and its documentation. All others are guarded, so
// that a new one is.
func open(path string) bool {
	switch path {
	case "/", "/health", "/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json":
		return true
	}
	return strings.HasPrefix(path, "/docs/") || strings.HasPrefix(path, "/page/")
}

// unlimited tells which guarded paths are outside the limits: how else would
// one see that they are reached.
func unlimited(path string) bool { return path == "/metrics" }

// guard lets a request through if its client has a key, where keys are asked
// for, has not asked too often, and the service is not busy.
func (p *Predictor) guard(next http.Handler) http.Handler {
	limited := func(_ http.ResponseWriter, _ *http.Request, key string) bool { return false }
	if p.limits.Rate > 0 {
		limiter := httprate.NewRateLimiter(p.limits.Rate, time.Minute, httprate.WithLimitHandler(tooOften))
		limited = func(w http.ResponseWriter, r *http.Request, key string) bool {
			if key == "" {
				key = remote(r)
			}
			return limiter.RespondOnLimit(w, r, key)
		}
	}
	guesses := newGuesses()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		key := ""
		if p.Keys != nil {
			key = p.Keys.known(r)
			if guesses.refused(w, r, key) {
				return
			}
		}
		allowed := p.Keys == nil || key != ""
		free := unlimited(r.URL.Path)
		if (!free || !allowed) && limited(w, r, key) { // who guesses keys is limited everywhere
			return
		}
		if !allowed {
			unauthorized(w, r)
			return
		}
		if !free {
			e := w.(*exchange)
			defer e.leave()
			if r.Method != http.MethodPost && !p.enter(e) { // receive enters with a body
				setRetry(w)
				refuse(w, r, http.StatusServiceUnavailable, errBusy.Error())
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// remote returns the address that a request came from. Headers that tell of
// another one are anybody's to write, so they are not looked at.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return httprate.CanonicalizeIP(host)
}

func unauthorized(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="churn"`)
	refuse(w, r, http.StatusUnauthorized, "a known API key is needed, as Authorization: Bearer KEY or as X-API-Key: KEY")
}

// tooOften answers who has asked more than the rate allows. Retry-After is set already.
func tooOften(w http.ResponseWriter, r *http.Request) {
	refuse(w, r, http.StatusTooManyRequests, "too many requests: try again after a while")
}

// errBusy stands for a service that has as many requests at work as it may.
var errBusy = errors.New("too many requests are under way: try again")

// setRetry tells when a service that is busy may be asked again.
func setRetry(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1") // a second: requests take milliseconds
}

// enter takes a place among the requests at work, if there is one left. A
// request holds it from when its body is there to when its answer goes out: who
// sends slowly or reads slowly takes no place from others.
func (p *Predictor) enter(e *exchange) bool {
	if n := p.working.Add(1); p.limits.InFlight > 0 && n > int64(p.limits.InFlight) {
		p.working.Add(-1)
		return false
	}
	e.place = &p.working
	return true
}

// leave gives the place back, if the request has one.
func (e *exchange) leave() {
	if e.place != nil {
		e.place.Add(-1)
		e.place = nil
	}
}

// refuse answers a request that goes no further, counted by the route that it would have taken.
func refuse(w http.ResponseWriter, r *http.Request, status int, detail string) {
	r.Pattern = chi.RouteContext(r.Context()).Routes.Find(chi.NewRouteContext(), r.Method, r.URL.Path)
	answerDetail(w, status, detail)
}
