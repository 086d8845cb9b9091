package predictor

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"churn/internal/atomicfile"
)

const maxKeysBytes = 1 << 20 // of a file of keys: tens of thousands

// Keys are the API keys of a file, one a line; blank lines and lines that begin
// with # are passed over. In memory there are their sums alone.
type Keys struct {
	path string
	keys atomic.Pointer[[]key]
}

type key struct {
	sum  [sha256.Size]byte
	name string // tells keys apart and does not give them away
}

// ReadKeys reads the keys of a file. It is an error if there are none.
func ReadKeys(path string) (*Keys, error) {
	k := &Keys{path: path}
	return k, k.Reread()
}

// Reread reads the file again. After an error the keys are as before.
func (k *Keys) Reread() error {
	text, err := atomicfile.Read(k.path, maxKeysBytes)
	if err != nil {
		return err
	}
	var keys []key
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.ContainsFunc(line, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return fmt.Errorf("%s:%d: a key is printable ASCII without blanks", k.path, number) // and nobody else's business
		}
		sum := sha256.Sum256([]byte(line))
		keys = append(keys, key{sum, "key " + hex.EncodeToString(sum[:])})
	}
	if len(keys) == 0 {
		return fmt.Errorf("%s: there is no key in it", k.path)
	}
	k.keys.Store(&keys)
	return nil
}

// known returns the name of the key that a request has, "" if it has none or
// another. How long it takes does not tell how near a key was.
func (k *Keys) known(r *http.Request) string {
	sum, keys, found := sha256.Sum256([]byte(sentKey(r))), *k.keys.Load(), -1
	for i := range keys {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(keys[i].sum[:], sum[:]), i, found)
	}
	if found < 0 {
		return ""
	}
	return keys[found].name
}

// sentKey returns the key that a request came with, in X-API-Key or as a bearer's token.
func sentKey(r *http.Request) string {
	if key := r.Header.Get("X-Api-Key"); key != "" {
		return key
	}
	const scheme = "Bearer "
	if auth := r.Header.Get("Authorization"); len(auth) > len(scheme) && strings.EqualFold(auth[:len(scheme)], scheme) {
		return strings.TrimSpace(auth[len(scheme):])
	}
	return ""
}
