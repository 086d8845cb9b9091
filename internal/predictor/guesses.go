package predictor

import (
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/go-chi/httprate"
)

const (
	maxGuesses = 60     // unknown keys of one address in a minute
	maxOwners  = 10_000 // keys with an address that has used them, kept until the end; later ones are not told from guessers
)

// guesses limits how many keys an address may try. One that has tried too many is
// told nothing for a while, be its next key right or wrong; only who had asked
// with a known key from there before goes on, so that nobody can shut out others
// behind the same address, a proxy's say, by asking with wrong ones.
type guesses struct {
	limiter *httprate.RateLimiter

	mu     sync.RWMutex
	owners map[owner]struct{}
}

// An owner is a known key's name, and an address that it came from.
type owner struct{ key, address string }

func newGuesses() *guesses {
	return &guesses{limiter: httprate.NewRateLimiter(maxGuesses, time.Minute), owners: map[owner]struct{}{}}
}

// refused tells whether a request came from where too many keys were tried, and
// answers it then. key is the name of its key if that is known.
func (g *guesses) refused(w http.ResponseWriter, r *http.Request, key string) bool {
	over := false
	if key == "" {
		over = sentKey(r) != "" && g.limiter.OnLimit(w, r, remote(r)) // without a key it is no guess
	} else {
		over = !g.admit(owner{key, remote(r)})
	}
	if over {
		w.Header().Set("Retry-After", "60")
		refuse(w, r, http.StatusTooManyRequests, "too many unknown API keys came from this address: try again after a minute")
	}
	return over
}

// admit tells whether a known key is answered.
func (g *guesses) admit(o owner) bool {
	g.mu.RLock()
	_, seen := g.owners[o]
	g.mu.RUnlock()
	if seen {
		return true
	}
	if _, tried, err := g.limiter.Status(o.address); err != nil || math.Round(tried) >= maxGuesses {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.owners) < maxOwners {
		g.owners[o] = struct{}{}
	}
	return true
}
