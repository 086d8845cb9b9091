package predictor

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"churn/internal/dataset"
	"churn/internal/predictor/httpbody"
	"churn/internal/scoring"

	"github.com/go-json-experiment/json/jsontext"
)

// customerBytes limits the body of one customer: hundreds of features take far less.
const customerBytes = 1 << 20

// predict answers POST /predict: one customer, one record.
func (p *Predictor) predict(w http.ResponseWriter, r *http.Request) error {
	if httpbody.MediaType(r.Header) != httpbody.JSON {
		return httpbody.ErrMediaType
	}
	explain, err := flag(r, "explain")
	if err != nil {
		return err
	}
	return p.serve(w, r, protocol{decode: decodeObject, respond: func(b *batch) {
		text := b.lines
		if explain {
			text = append(b.explained(nil, 0), '\n')
		}
		answer(w, http.StatusOK, text)
	}})
}

func decodeObject(body []byte, b *batch) error   { return readJSON(body, b, (*reader).object) }
func decodeArray(body []byte, b *batch) error    { return readJSON(body, b, (*reader).array) }
func decodeSequence(body []byte, b *batch) error { return readJSON(body, b, (*reader).sequence) }

// batchDecoder returns what reads the body of a batch: customers as a JSON array, as JSON objects
// one per line, or as CSV; also as the file of a form. The media type is that of the file once
// the body is read.
func batchDecoder(r *http.Request) (kind *string, decode func([]byte, *batch) error, err error) {
	media := httpbody.MediaType(r.Header)
	decoders := map[string]func([]byte, *batch) error{
		httpbody.JSON: decodeArray, httpbody.Lines: decodeSequence, httpbody.CSV: readCSV,
	}
	decode = decoders[media]
	if media == httpbody.Form {
		decode = func(body []byte, b *batch) (err error) {
			if body, media, err = b.upload(r, body); err == nil && decoders[media] == nil {
				err = httpbody.ErrMediaType
			}
			if err != nil {
				return err
			}
			return decoders[media](body, b)
		}
	}
	if decode == nil {
		return nil, nil, httpbody.ErrMediaType
	}
	return &media, decode, nil
}

// upload returns the first file of a form, and its media type, by its name if the form says none.
func (b *batch) upload(r *http.Request, body []byte) (file []byte, kind string, err error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, "", httpbody.ErrMediaType
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
		byName := map[string]string{ // browsers take a CSV file for Excel's
			".csv": httpbody.CSV, ".json": httpbody.JSON, ".ndjson": httpbody.Lines, ".jsonl": httpbody.Lines,
		}
		return file, cmp.Or(byName[strings.ToLower(path.Ext(name))], httpbody.MediaType(http.Header(part.Header))), nil
	}
}

// predictBatch answers POST /predict/batch. All customers are checked before any is scored.
func (p *Predictor) predictBatch(w http.ResponseWriter, r *http.Request) error {
	kind, decode, err := batchDecoder(r)
	if err != nil {
		return err
	}
	explain, err := flag(r, "explain")
	if err != nil {
		return err
	}
	return p.serve(w, r, protocol{many: true, decode: decode, respond: func(b *batch) {
		answerInPieces(w, *kind, func(text *bufio.Writer) {
			if *kind == httpbody.CSV {
				encodeCSV(text, b, explain)
				return
			}
			writeRows(text, *kind, len(b.rows), func(empty []byte, i int) []byte {
				if explain {
					return b.explained(empty, i)
				}
				return b.line(i)
			})
		})
	}})
}

const decimals = 1e6 // of a probability in a record

// A trial is the response of POST /what-if: that of /predict to the same body, without
// what belongs to a record.
type trial struct {
	ModelVersion string         `json:"model_version"`
	Prediction   int            `json:"prediction"`
	Probability  float64        `json:"probability"` // six decimals, as in a record
	Threshold    float64        `json:"threshold"`
	Warnings     []string       `json:"warnings,omitempty"`
	Explanation  jsontext.Value `json:"explanation,omitempty"`
}

// whatIf answers POST /what-if: one customer, scored and explained. It is not logged, not
// counted as a prediction or as an invalid input, and not in the drift window, since half
// of a number that is being typed is no customer.
func (p *Predictor) whatIf(w http.ResponseWriter, r *http.Request) error {
	if httpbody.MediaType(r.Header) != httpbody.JSON {
		return httpbody.ErrMediaType
	}
	return p.serve(w, r, protocol{trial: true, decode: decodeObject, respond: func(b *batch) {
		answerJSON(w, http.StatusOK, b.trial(0, true))
	}})
}

// trial scores row i.
func (b *batch) trial(i int, explain bool) trial {
	m := b.snapshot.model
	one := m.Score(b.rows[i].values)
	t := trial{
		ModelVersion: b.snapshot.name, Prediction: one.Prediction(),
		Probability: math.Round(one.Probability*decimals) / decimals, Threshold: m.Threshold, Warnings: one.Warnings,
	}
	if explain {
		t.Explanation = b.appendExplanation(nil, i)
	}
	return t
}

// whatIfBatch answers POST /what-if/batch: customers as for /predict/batch, scored as by /what-if.
// CSV comes back with its own columns, and with ranks and reasons, as serve --score writes it.
func (p *Predictor) whatIfBatch(w http.ResponseWriter, r *http.Request) error {
	kind, decode, err := batchDecoder(r)
	if err != nil || *kind == httpbody.Form {
		return httpbody.ErrMediaType
	}
	explain, err := flag(r, "explain")
	if err != nil {
		return err
	}
	var list *scoring.List
	var in *csv.Reader // of a valid file, after its header
	read := func(body []byte, b *batch) error {
		b.lenient = *kind == httpbody.CSV
		if err := decode(body, b); err != nil || *kind != httpbody.CSV {
			return err
		}
		var header []string
		if in, header, err = b.openCSV(body); err != nil {
			return err
		}
		const reasons = 3 // as serve --score
		if list, err = scoring.NewList(b.snapshot.model, header, len(b.rows), reasons); err != nil {
			return shape([]any{"body", "header"}, err.Error(), "value_error.csv")
		}
		return nil
	}
	respond := func(b *batch) {
		answerInPieces(w, *kind, func(text *bufio.Writer) {
			if list != nil {
				writeList(w.Header(), text, list, in, b)
				return
			}
			writeRows(text, *kind, len(b.rows), func(_ []byte, i int) []byte {
				return marshal(b.trial(i, explain))
			})
		})
	}
	return p.serve(w, r, protocol{many: true, trial: true, decode: read, respond: respond})
}

// flag returns a parameter of the query that is true or false; false without it.
func flag(r *http.Request, name string) (bool, error) {
	values := r.URL.Query()
	if !values.Has(name) {
		return false, nil
	}
	yes, err := strconv.ParseBool(values.Get(name))
	if err != nil {
		return false, shape([]any{"query", name}, "value could not be parsed to a boolean", "type_error.bool")
	}
	return yes, nil
}

// pieces are the writers of batches: a response is sent in pieces, and never whole in memory.
var pieces = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, pieceBytes) }}

const pieceBytes = 32 << 10

// answerInPieces answers with what write writes in a media type.
func answerInPieces(w http.ResponseWriter, kind string, write func(text *bufio.Writer)) {
	w.Header().Set("Content-Type", kind)
	text := pieces.Get().(*bufio.Writer)
	text.Reset(w)
	defer func() {
		text.Flush() // an error means that the client went away
		text.Reset(nil)
		pieces.Put(text)
	}()
	write(text)
}

// writeRows writes n rows as a JSON array or a line each, until the client is gone. row returns
// one, which it may append to empty.
func writeRows(text *bufio.Writer, kind string, n int, row func(empty []byte, i int) []byte) {
	start, between, end := "[", ",", "]\n"
	if kind == httpbody.Lines {
		start, between, end = "", "\n", "\n"
	}
	text.WriteString(start)
	for i := range n {
		giveWay(i)
		if i > 0 {
			text.WriteString(between)
		}
		if _, err := text.Write(row(text.AvailableBuffer(), i)); err != nil {
			return
		}
	}
	text.WriteString(end)
}

// explained appends the record of row i with its explanation:
//
//	{…, "explanation": {"base": 0.18, "contributions": [{"feature": "tenure_months", "contribution": 0.71}, …]}}
//
// The contributions are in log-odds, the largest first; those of pairs are named a × b. A
// missing cell, whose contribution is that of its own weight or of the median, is marked.
func (b *batch) explained(text []byte, i int) []byte {
	line := b.line(i)
	text = append(text, line[:len(line)-1]...) // without its brace
	text = append(text, `,"explanation":`...)
	return append(b.appendExplanation(text, i), '}')
}

// appendExplanation appends the explanation of the score of row i, as a JSON object.
func (b *batch) appendExplanation(text []byte, i int) []byte {
	m, values := b.snapshot.model, b.rows[i].values
	x, names := m.Explain(values), m.Contributors()
	order := dataset.UpTo[int](len(x.Contributions))
	slices.SortStableFunc(order, func(j, k int) int {
		return cmp.Compare(math.Abs(x.Contributions[k]), math.Abs(x.Contributions[j]))
	})
	text = append(text, `{"base":`...)
	text = jsontext.AppendFloat(text, x.Base, 64)
	text = append(text, `,"contributions":`...)
	text = appendArray(text, len(order), func(text []byte, i int) []byte {
		j := order[i]
		text = append(text, `{"feature":`...)
		text, _ = jsontext.AppendQuote(text, names[j]) // UTF-8, as the schema was
		text = append(text, `,"contribution":`...)
		text = jsontext.AppendFloat(text, x.Contributions[j], 64)
		if j < len(values) && values[j].Missing {
			text = append(text, `,"missing":true`...)
		}
		return append(text, '}')
	})
	return append(text, '}')
}

// array reads customers from a JSON array of objects.
func (r *reader) array() error {
	_, err := r.elements(func(int) error { return r.object() })
	return err
}

// sequence reads customers from JSON objects one after another.
func (r *reader) sequence() error {
	for {
		if r.in.PeekKind() == 0 {
			return nil // the end, or an error that finish reports
		}
		if err := r.object(); err != nil {
			return err
		}
	}
}
