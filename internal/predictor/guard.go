package predictor

import (
	"net"
	"net/http"
	"strings"
	"sync/atomic"
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
	var inFlight atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		key := ""
		if p.Keys != nil {
			key = p.Keys.known(r)
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
			defer inFlight.Add(-1)
			if n := inFlight.Add(1); p.limits.InFlight > 0 && n > int64(p.limits.InFlight) {
				busy(w, r)
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

func busy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "1") // a second: requests take milliseconds
	refuse(w, r, http.StatusServiceUnavailable, "too many requests are under way: try again")
}

// refuse answers a request that goes no further, counted by the route that it would have taken.
func refuse(w http.ResponseWriter, r *http.Request, status int, detail string) {
	r.Pattern = chi.RouteContext(r.Context()).Routes.Find(chi.NewRouteContext(), r.Method, r.URL.Path)
	answerDetail(w, status, detail)
}
