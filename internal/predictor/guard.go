package predictor

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"churn/internal/predictor/apikey"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/httprate"
)

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
				reject(w, r, http.StatusServiceUnavailable, errBusy.Error())
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// errBusy is for a service with as many requests in flight as it may have.
var errBusy = errors.New("too many requests are in flight: try again")

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
