package webui

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// PackedFrom is how long a text is that is worth packing, in bytes: a packet has some more.
const PackedFrom = 1 << 10

// Send answers GET with a text that seldom changes: 304 to a client that has it, and packed to
// one that reads gzip. pack returns the text as gzip, or nil to send it as it is.
func Send(w http.ResponseWriter, r *http.Request, text []byte, pack func() []byte) {
	h := w.Header()
	sum := sha256.Sum256(text)
	tag := hex.EncodeToString(sum[:8])
	if len(text) > PackedFrom {
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			if packed := pack(); packed != nil {
				h.Set("Content-Encoding", "gzip")
				text, tag = packed, tag+"-gzip"
			}
		}
	}
	tag = `"` + tag + `"`
	h.Set("ETag", tag)
	for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if known = strings.TrimPrefix(strings.TrimSpace(known), "W/"); known == tag || known == "*" {
			h.Del("Content-Type")
			h.Del("Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.Write(text) // an error means that the client went away
}

// acceptsGzip reports whether a client reads gzip (RFC 9110, 12.5.3).
func acceptsGzip(r *http.Request) bool {
	accepted := false
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, quality, _ := strings.Cut(part, ";")
		_, q, _ := strings.Cut(quality, "=")
		x, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		switch wanted := err != nil || x > 0; strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return wanted
		case "*":
			accepted = wanted
		}
	}
	return accepted
}

// PackBytes is how much memory Pack takes, besides its result.
const PackBytes = 1 << 20

var packers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a valid level
	return z
}}

// Pack returns a text as gzip.
func Pack(text []byte) []byte {
	z := packers.Get().(*gzip.Writer)
	defer packers.Put(z)
	var packed bytes.Buffer
	z.Reset(&packed)
	z.Write(text) // to memory
	z.Close()
	return packed.Bytes()
}

// unpack is the reverse, for a text that is part of the binary.
func unpack(packed []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err == nil {
		if packed, err = io.ReadAll(z); err == nil {
			return packed
		}
	}
	panic("webui: " + err.Error())
}
