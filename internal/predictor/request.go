package predictor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"churn/internal/dataset"
	"churn/internal/predictor/budget"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// A recorder writes the response of a request, and records what the access log and the
// metrics need. It is the request's own state too: see recorderOf.
type recorder struct {
	http.ResponseWriter
	id       string        // X-Request-ID
	start    time.Time     // of the request
	status   int           // 0 until there is one
	bytes    int           // of the body
	inFlight *atomic.Int64 // where the request is counted; nil while it is not
	claim    budget.Claim  // the memory of the request, until its response is written
}

var recorders = sync.Pool{New: func() any { return new(recorder) }}

type recorderKey struct{}

// recorderOf returns the recorder of a request that observe has seen.
func recorderOf(r *http.Request) *recorder { return r.Context().Value(recorderKey{}).(*recorder) }

func (e *recorder) WriteHeader(status int) {
	if e.status == 0 && status >= http.StatusOK { // lower ones are informational
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *recorder) Write(b []byte) (int, error) {
	e.leave() // the customers are logged: how fast the client reads is its own affair
	e.status = cmp.Or(e.status, http.StatusOK)
	n, err := e.ResponseWriter.Write(b)
	e.bytes += n
	return n, err
}

// observe gives each request its recorder and its id, counts it, and writes its line of the
// access log.
func (p *Predictor) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := recorders.Get().(*recorder)
		*e = recorder{ResponseWriter: w, id: requestID(r), start: time.Now(), claim: p.budget.Claim()}
		r = r.WithContext(context.WithValue(r.Context(), recorderKey{}, e))
		w.Header()[headerRequestID] = []string{e.id}
		if len(r.TransferEncoding) > 0 || p.draining.Load() {
			// A chunked one may have had a Content-Length too, which net/http does not report: what
			// follows such a body cannot be trusted (RFC 9112, 6.1). While the service drains, the
			// next request is for another one.
			w.Header().Set("Connection", "close")
		}
		returned := false
		defer func() { // even if the handler panics
			e.status = cmp.Or(e.status, http.StatusOK)
			if !returned {
				e.status = http.StatusInternalServerError
			}
			p.observed(r, e, time.Since(e.start))
			e.claim.Release()
			*e = recorder{}
			recorders.Put(e)
		}()
		next.ServeHTTP(e, r)
		returned = true
	})
}

func (p *Predictor) observed(r *http.Request, e *recorder, took time.Duration) {
	route := p.metrics.route(routeStatus{r.Pattern, e.status})
	route.requests.Inc()
	route.duration.Observe(took.Seconds())
	if p.AccessLog {
		p.logger.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("method", r.Method), slog.String("route", cmp.Or(r.Pattern, noRoute)), slog.Int("status", e.status),
			slog.Int("bytes", e.bytes), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
			slog.String("request_id", e.id))
	}
}

const headerRequestID = "X-Request-Id" // as net/http writes X-Request-ID

// requestID returns the client's id of a request, or a new one if that is not printable
// ASCII or too long.
func requestID(r *http.Request) string {
	id := r.Header.Get(headerRequestID)
	unprintable := func(c rune) bool { return c < ' ' || c > '~' }
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, unprintable) {
		return rand.Text()
	}
	return id
}

// Media types of bodies.
const (
	mediaJSON  = "application/json"
	mediaLines = "application/x-ndjson"
	mediaCSV   = "text/csv"

	mediaBinary = "application/octet-stream"
)

// errMediaType is for a body of a media type that the endpoint does not read.
var errMediaType = errors.New("unsupported media type")

// mediaType returns the media type of a body with a header; "" if it has none that is valid.
// Without a Content-Type, and with the one that curl -d sends by default, it is JSON.
func mediaType(header http.Header) string {
	text := header.Get("Content-Type")
	if text == "" || text == "application/x-www-form-urlencoded" {
		return mediaJSON
	}
	kind, _, err := mime.ParseMediaType(text)
	switch {
	case err != nil:
		return ""
	case strings.HasSuffix(kind, "+json"):
		return mediaJSON
	}
	switch strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(kind, "application/"), "text/"), "x-") {
	case "ndjson", "jsonlines", "jsonl":
		return mediaLines
	case "csv", "comma-separated-values":
		return mediaCSV
	}
	return kind
}

const mediaForm = "multipart/form-data"

// upload returns the first file of a form, and its media type, by its name if the form says none.
func (b *batch) upload(r *http.Request, body []byte) (file []byte, kind string, err error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, "", errMediaType
	}
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := form.NextRawPart()
		if err != nil {
			return nil, "", shape([]any{"body"}, "a form with a file expected", "value_error.missing")
		}
		name := part.FileName()
		if name == "" {
			continue
		}
		if b.spend(len(body)); b.full != nil {
			return nil, "", b.full
		}
		if file, err = io.ReadAll(part); err != nil {
			return nil, "", shape([]any{"body"}, "the form ends within its file", "value_error.missing")
		}
		// browsers take a CSV file for Excel's
		byName := map[string]string{".csv": mediaCSV, ".json": mediaJSON, ".ndjson": mediaLines, ".jsonl": mediaLines}
		return file, cmp.Or(byName[strings.ToLower(path.Ext(name))], mediaType(http.Header(part.Header))), nil
	}
}

const (
	customerBytes = 1 << 20  // bytes of a body of one customer: hundreds of features take far less
	smallBody     = 64 << 10 // bytes of a body whose memory is reused, and which its connection counts for
)

// A body is that of a request, in memory that is reused after release.
type body struct{ bytes []byte }

var bodies = sync.Pool{New: func() any { return new(body) }}

func (b *body) release() {
	if cap(b.bytes) <= smallBody {
		b.bytes = b.bytes[:0]
		bodies.Put(b)
	}
}

// errEncoding is for bodies that are packed in another way than gzip.
var errEncoding = fmt.Errorf("%w: of all Content-Encodings gzip alone is read", errMediaType)

// unpackers read gzip.
var unpackers = sync.Pool{New: func() any { return new(gzip.Reader) }}

// readBody reads a body of at most limit bytes, packed and unpacked. It counts as it arrives,
// not as it is announced.
func (p *Predictor) readBody(w http.ResponseWriter, r *http.Request, limit int64) (*body, error) {
	coding := strings.Join(r.Header["Content-Encoding"], ", ")
	packed := strings.EqualFold(coding, "gzip")
	if !packed && coding != "" && coding != "identity" {
		w.Header().Set("Accept-Encoding", "gzip, identity")
		return nil, errEncoding
	}
	if r.ContentLength > limit {
		readOn(r)
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
			return nil, notPacked(err)
		}
		in, most = z, limit
	}
	b := bodies.Get().(*body)
	if err := b.read(in, most, &recorderOf(r).claim); err != nil {
		b.release()
		if packed {
			err = notPacked(err)
		}
		if errors.As(err, new(*http.MaxBytesError)) {
			readOn(r)
		}
		return nil, err
	}
	return b, nil
}

// readOn reads the rest of a body that is too large, unless its length is unknown or far too large, or the client
// waits for leave to send it. Most clients look for an answer once they have sent all: they would see a broken
// connection instead.
func readOn(r *http.Request) {
	if 0 <= r.ContentLength && r.ContentLength <= 64<<20 && r.Header.Get("Expect") == "" {
		io.Copy(io.Discard, r.Body)
	}
}

// notPacked says that a body is not the gzip that it is said to be.
func notPacked(err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.As(err, new(flate.CorruptInputError)) || errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		return shape([]any{"body"}, "not gzip: "+err.Error(), "value_error.gzip")
	}
	return err
}

// read reads a body of at most some bytes to its end. The memory doubles as it is filled.
func (b *body) read(in io.Reader, most int64, claim *budget.Claim) error {
	for {
		if len(b.bytes) == cap(b.bytes) {
			size := max(4<<10, min(2*cap(b.bytes), int(most)+1)) // one more shows the end
			if size <= cap(b.bytes) {
				return &http.MaxBytesError{Limit: most}
			}
			if size > smallBody {
				if err := claim.Spend(int64(size - max(cap(b.bytes), smallBody))); err != nil {
					return err
				}
			}
			b.bytes = append(make([]byte, 0, size), b.bytes...)
		}
		n, err := in.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// A detail is a validation error of a request, as in FastAPI.
type detail struct {
	Loc  []any          `json:"loc"`
	Msg  string         `json:"msg"`
	Type string         `json:"type"`
	Ctx  map[string]any `json:"ctx,omitempty"`
}

// invalidError lists all validation errors of a request.
type invalidError struct{ details []detail }

// Error is one line for all: "body.1.region: field required; body.2.region: str type expected".
func (e *invalidError) Error() string {
	var text strings.Builder
	for i, d := range e.details {
		if i > 0 {
			text.WriteString("; ")
		}
		for j, part := range d.Loc {
			if j > 0 {
				text.WriteByte('.')
			}
			fmt.Fprint(&text, part)
		}
		text.WriteString(": " + d.Msg)
	}
	return text.String()
}

// fieldError adds an error of a field of the row.
func (b *batch) fieldError(field, msg, kind string) {
	b.add(detail{Loc: b.loc(field), Msg: msg, Type: kind})
}

// bodyError adds an error of the body, or of a part of it that is no field of a row.
func (b *batch) bodyError(msg, kind string, part ...any) {
	b.add(detail{Loc: append([]any{"body"}, part...), Msg: msg, Type: kind})
}

// add adds an error. The last one of maxDetails stands for all that follow.
func (b *batch) add(d detail) {
	const each = 1 << 10 // bytes of an error, in a response that grows
	n := len(b.details) + 1
	if n > maxDetails {
		return
	}
	if n == maxDetails {
		d = detail{Loc: []any{"body"}, Msg: "there is more that is not listed", Type: "value_error"}
	}
	size := each + escaped*len(d.Msg)
	for i, part := range d.Loc {
		if name, ok := part.(string); ok {
			if len(name) > maxText { // the client's
				name = strings.ToValidUTF8(name[:maxText], "") + "…"
				d.Loc[i] = name
			}
			size += escaped * len(name)
		}
	}
	b.spend(size)
	b.details = append(b.details, d)
}

// loc returns the location of a field: ["body", "region"], or if there may be many rows
// ["body", 3, "region"], counted from 0.
func (b *batch) loc(field string) []any {
	if b.many {
		return []any{"body", b.at, field}
	}
	return []any{"body", field}
}

// translate returns a problem as pydantic words it.
func translate(p *dataset.Problem) detail {
	if p.Kind == dataset.NotWhole {
		return detail{Msg: "value is not a valid integer", Type: "type_error.integer"}
	}
	d := detail{Msg: p.Error(), Type: "value_error"}
	bound, ok := map[string][2]string{
		"gte": {"greater than or equal to", "ge"}, "min": {"greater than or equal to", "ge"}, "gt": {"greater than", "gt"},
		"lte": {"less than or equal to", "le"}, "max": {"less than or equal to", "le"}, "lt": {"less than", "lt"},
	}[p.Rule]
	if limit, err := strconv.ParseFloat(p.Param, 64); ok && err == nil && !p.Text {
		d.Msg, d.Type = fmt.Sprintf("ensure this value is %s %s", bound[0], p.Param), "value_error.number.not_"+bound[1]
		d.Ctx = map[string]any{"limit_value": limit}
	}
	return d
}
