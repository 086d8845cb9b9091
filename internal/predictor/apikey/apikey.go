// Package apikey authenticates requests by API keys from a file, and limits guessing.
package apikey

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

const maxKeysBytes = 1 << 20 // of a key file: tens of thousands of keys

// Keys are the API keys of a file, one per line; blank lines and lines that begin with #
// are skipped. Only their hashes are kept in memory.
type Keys struct {
	path string
	keys atomic.Pointer[[]key]
}

type key struct {
	sum  [sha256.Size]byte
	name string // identifies the key without revealing it
}

// ReadKeys reads the keys of a file. It is an error if there are none.
func ReadKeys(path string) (*Keys, error) {
	k := &Keys{path: path}
	return k, k.Reread()
}

// Reread reads the file again. After an error the last keys stay.
func (k *Keys) Reread() error {
	text, err := atomicfile.Read(k.path, maxKeysBytes)
	if err != nil {
		return err
	}
	var keys []key
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.ContainsFunc(line, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return fmt.Errorf("%s:%d: a key is printable ASCII without blanks", k.path, i+1) // the key itself is secret
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

// Len returns the number of keys.
func (k *Keys) Len() int { return len(*k.keys.Load()) }

// Known returns the name of the key that a request has, or "" if it has none or an
// unknown one. Keys are compared in constant time.
func (k *Keys) Known(r *http.Request) string {
	sum, keys, found := sha256.Sum256([]byte(sentKey(r))), *k.keys.Load(), -1
	for i := range keys {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(keys[i].sum[:], sum[:]), i, found)
	}
	if found < 0 {
		return ""
	}
	return keys[found].name
}

// sentKey returns the key of a request, in X-API-Key or as a bearer token.
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
