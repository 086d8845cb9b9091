package apikey

import (
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-chi/httprate"
)

// Limits of a Throttle.
const (
	MaxUnknownKeys  = 60     // per address and minute
	maxKnownClients = 10_000 // later ones are treated as guessers while their address is over its limit
)

// A Throttle limits how many unknown keys an address may try. Over the limit no key from
// there is accepted for a while, right or wrong, except from known clients, which used a
// known key from there before: nobody can lock out others behind the same address, such as
// a proxy's, by sending wrong keys.
type Throttle struct {
	limiter *httprate.RateLimiter

	mu    sync.RWMutex
	known map[client]struct{}
}

// A client is a known key's name and an address that it was used from.
type client struct{ key, address string }

// NewThrottle returns a throttle that knows no client.
func NewThrottle() *Throttle {
	return &Throttle{limiter: httprate.NewRateLimiter(MaxUnknownKeys, time.Minute), known: map[client]struct{}{}}
}

// Exceeded counts a request and reports whether its address has exceeded the limit. key is
// the name of its key if that is known.
func (t *Throttle) Exceeded(w http.ResponseWriter, r *http.Request, key string) bool {
	if key != "" {
		return !t.admit(client{key, Address(r.RemoteAddr)})
	}
	return sentKey(r) != "" && t.limiter.OnLimit(w, r, Address(r.RemoteAddr)) // a request without a key guesses none
}

// admit reports whether a request with a known key is accepted.
func (t *Throttle) admit(c client) bool {
	t.mu.RLock()
	_, known := t.known[c]
	t.mu.RUnlock()
	if known {
		return true
	}
	if _, tried, err := t.limiter.Status(c.address); err != nil || math.Round(tried) >= MaxUnknownKeys {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) < maxKnownClients {
		t.known[c] = struct{}{}
	}
	return true
}

// Address returns the address in a host and port that requests come from, as limits count it. Headers
// about other addresses are ignored: any client can write them.
func Address(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return httprate.CanonicalizeIP(host)
}
