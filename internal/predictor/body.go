package predictor

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

const (
	maxBody     = 1 << 20  // bytes of a body that is no batch: a customer of hundreds of features is far below it
	smallBody   = 64 << 10 // bytes of a body that there is always memory for, and that is kept for the next
	largeBodies = 16       // times BatchBytes: what the larger ones may take together
)

// A body is a request's, in memory that is used again after release.
type body struct {
	bytes.Buffer
	large *atomic.Int64 // counts what large bodies take
	taken int64         // of it
}

var bodies = sync.Pool{New: func() any { return new(body) }}

func (b *body) release() {
	if b.taken > 0 {
		b.large.Add(-b.taken)
		b.taken = 0
	}
	if b.Cap() <= smallBody+bytes.MinRead {
		b.Reset()
		bodies.Put(b)
	}
}

// errEncoding stands for a body that would have to be unpacked first: a small one
// may become a huge one.
var errEncoding = fmt.Errorf("%w: a Content-Encoding is not read, send the body as it is", errMediaType)

// readBody reads a body of at most limit bytes. Of large bodies there are only as
// many in memory as there is room for, else the error is errBusy. What counts is
// what has come, not what is announced.
func (p *Predictor) readBody(w http.ResponseWriter, r *http.Request, limit int64) (*body, error) {
	if coding := r.Header["Content-Encoding"]; len(coding) > 1 || len(coding) == 1 && coding[0] != "" && coding[0] != "identity" {
		w.Header().Set("Accept-Encoding", "identity")
		return nil, errEncoding
	}
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	in := r.Body
	if r.ContentLength < 0 { // else it ends by itself
		in = http.MaxBytesReader(w, in, limit)
	}
	b := bodies.Get().(*body)
	b.large = &p.bodies
	if err := b.read(in, r.ContentLength, largeBodies*p.limits.BatchBytes); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

// read reads a body to its end. length is what was announced, or negative; most is
// what large bodies may take.
func (b *body) read(in io.Reader, length, most int64) error {
	if length >= 0 && length <= smallBody {
		_, err := b.ReadFrom(in)
		return err
	}
	const step = 1 << 20
	for room := int64(smallBody); ; room = min(int64(b.Len()), step) {
		if b.Len() > 0 { // the first part is free
			b.taken += room
			if b.large.Add(room) > most {
				return errBusy
			}
		}
		if _, err := io.CopyN(b, in, room); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
