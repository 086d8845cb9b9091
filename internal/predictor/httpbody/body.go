// Package httpbody reads the bodies of requests, plain or packed, within their limits and the
// memory that there is for them.
package httpbody

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"churn/internal/predictor/budget"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// Media types, as MediaType returns them.
const (
	JSON   = "application/json"
	Lines  = "application/x-ndjson"
	CSV    = "text/csv"
	Binary = "application/octet-stream"
	Form   = "multipart/form-data"
)

var (
	// ErrMediaType is for a body of a media type that the endpoint does not read.
	ErrMediaType = errors.New("unsupported media type")
	// ErrEncoding is for a body that is packed in another way than gzip. It is an ErrMediaType too.
	ErrEncoding = fmt.Errorf("%w: of all Content-Encodings gzip alone is read", ErrMediaType)
	// ErrNotGzip is for a body that is not the gzip that it is said to be.
	ErrNotGzip = errors.New("not gzip")
)

// MediaType returns the media type of a body with a header; "" if it has none that is valid.
// Without a Content-Type, and with the one that curl -d sends by default, it is JSON.
func MediaType(header http.Header) string {
	text := header.Get("Content-Type")
	if text == "" || text == "application/x-www-form-urlencoded" {
		return JSON
	}
	kind, _, err := mime.ParseMediaType(text)
	switch {
	case err != nil:
		return ""
	case strings.HasSuffix(kind, "+json"):
		return JSON
	}
	switch strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(kind, "application/"), "text/"), "x-") {
	case "ndjson", "jsonlines", "jsonl":
		return Lines
	case "csv", "comma-separated-values":
		return CSV
	}
	return kind
}

// unpackers read gzip.
var unpackers = sync.Pool{New: func() any { return new(gzip.Reader) }}

// Read reads a body of at most limit bytes, packed and unpacked, into the memory of b if it has room.
// It counts as it arrives, not as it is announced. The error is ErrEncoding, ErrNotGzip, an
// *http.MaxBytesError, one of claim, or that of the connection.
func Read(w http.ResponseWriter, r *http.Request, limit int64, claim *budget.Claim, b []byte) ([]byte, error) {
	coding := strings.Join(r.Header["Content-Encoding"], ", ")
	packed := strings.EqualFold(coding, "gzip")
	if !packed && coding != "" && coding != "identity" {
		w.Header().Set("Accept-Encoding", "gzip, identity")
		return nil, ErrEncoding
	}
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	var in io.Reader = r.Body
	most := r.ContentLength
	if most < 0 { // otherwise net/http limits it
		in, most = http.MaxBytesReader(w, r.Body, limit), limit
	}
	if packed {
		z := unpackers.Get().(*gzip.Reader)
		defer unpackers.Put(z)
		if err := z.Reset(in); err != nil {
			return nil, notGzip(err)
		}
		in, most = z, limit
	}
	b, err := read(in, most, claim, b[:0])
	if packed && err != nil {
		err = notGzip(err)
	}
	return b, err
}

// ReadOn reads the rest of a body that is rejected, unless its length is unknown or far too large, or the client
// waits for leave to send it. Most clients look for an answer once they have sent all: they would see a broken
// connection instead.
func ReadOn(r *http.Request) {
	if 0 <= r.ContentLength && r.ContentLength <= 64<<20 && r.Header.Get("Expect") == "" {
		io.Copy(io.Discard, r.Body)
	}
}

// notGzip returns ErrNotGzip for an error of the format.
func notGzip(err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.As(err, new(flate.CorruptInputError)) || errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		return fmt.Errorf("%w: %w", ErrNotGzip, err)
	}
	return err
}

// read reads at most some bytes to the end. The memory doubles as it is filled.
func read(in io.Reader, most int64, claim *budget.Claim, b []byte) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			size := max(4<<10, min(2*cap(b), int(most)+1)) // one more shows the end
			if size > budget.Free {
				if err := claim.Spend(int64(size - max(cap(b), budget.Free))); err != nil {
					return nil, err
				}
			}
			b = append(make([]byte, 0, size), b...)
		}
		n, err := in.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > most:
			return nil, &http.MaxBytesError{Limit: most}
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, err
		}
	}
}
