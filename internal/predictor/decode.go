package predictor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"churn/internal/dataset"
	"churn/internal/predlog"

	"github.com/go-json-experiment/json/jsontext"
)

// maxRequestID is the longest request_id taken, in bytes: it is in every line of the log.
const maxRequestID = 200

// asked is a request's customer, good to be scored. It is used again for another
// request once release has been called.
type asked struct {
	requestID string
	values    []dataset.Value   // in the schema's order
	features  []predlog.Feature // the same, as the log has them

	schema  *dataset.Schema
	reader  bytes.Reader
	in      *jsontext.Decoder
	seen    []bool // by feature
	details []detail
}

var askedPool = sync.Pool{New: func() any { return &asked{in: jsontext.NewDecoder(strings.NewReader(""))} }}

func (a *asked) release() { askedPool.Put(a) }

// A detail is one thing wrong with a request, in FastAPI's words.
type detail struct {
	Loc  []any          `json:"loc"`
	Msg  string         `json:"msg"`
	Type string         `json:"type"`
	Ctx  map[string]any `json:"ctx,omitempty"`
}

// invalidError lists all that is wrong with a request's body.
type invalidError struct{ details []detail }

func (e *invalidError) Error() string { return fmt.Sprintf("%d invalid fields", len(e.details)) }

// decode reads a customer from a flat JSON object. All bad fields are reported
// at once, as an *invalidError; a body that is not a JSON object to its end is
// reported alone. The caller releases what it returns.
func decode(body []byte, s *dataset.Schema) (*asked, error) {
	a := askedPool.Get().(*asked)
	a.reset(body, s)
	err := a.object()
	if err == nil {
		if details := append(a.absent(), a.details...); len(details) > 0 {
			err = &invalidError{details}
		}
	} else {
		err = a.syntax(err)
	}
	if err != nil {
		a.release()
		return nil, err
	}
	for i, v := range a.values {
		a.features[i] = predlog.Feature{Name: s.Features[i].Name, Value: v}
	}
	return a, nil
}

func (a *asked) reset(body []byte, s *dataset.Schema) {
	n := len(s.Features)
	if cap(a.values) < n {
		a.values, a.features, a.seen = make([]dataset.Value, n), make([]predlog.Feature, n), make([]bool, n)
	}
	a.values, a.features, a.seen = a.values[:n], a.features[:n], a.seen[:n]
	clear(a.seen)
	a.schema, a.requestID, a.details = s, "", nil
	a.reader.Reset(body)
	a.in.Reset(&a.reader)
}

// absent fills in the features that the body does not have, and returns what is wrong with that.
func (a *asked) absent() (details []detail) {
	for i := range a.values {
		if a.seen[i] {
			continue
		}
		f := &a.schema.Features[i]
		a.values[i] = missingValue(f)
		if !f.Optional {
			details = append(details, missingDetail(f.Name))
		}
	}
	return details
}

func missingValue(f *dataset.Feature) dataset.Value {
	return dataset.Value{Missing: true, Level: f.Type == dataset.Category}
}

func missingDetail(field string) detail {
	return detail{Loc: []any{"body", field}, Msg: "field required", Type: "value_error.missing"}
}

// syntax tells where the body stops being JSON.
func (a *asked) syntax(err error) error {
	var invalid *invalidError
	if errors.As(err, &invalid) {
		return err
	}
	offset, msg := a.in.InputOffset(), err.Error()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset, msg = syntax.ByteOffset, syntax.Err.Error()
	}
	return &invalidError{[]detail{{Loc: []any{"body", offset}, Msg: "not JSON: " + msg, Type: "value_error.jsondecode"}}}
}

func (a *asked) fault(field, msg, kind string) {
	a.details = append(a.details, detail{Loc: []any{"body", field}, Msg: msg, Type: kind})
}

// object reads the whole body. Its error is one of the body's form.
func (a *asked) object() error {
	if kind := a.in.PeekKind(); kind != '{' {
		if err := a.in.SkipValue(); err != nil {
			return err
		}
		if err := a.end(); err != nil {
			return err
		}
		return &invalidError{[]detail{{Loc: []any{"body"}, Msg: "value is not a valid dict", Type: "type_error.dict"}}}
	}
	if _, err := a.in.ReadToken(); err != nil {
		return err
	}
	for a.in.PeekKind() != '}' {
		name, err := a.text()
		if err != nil {
			return err
		}
		if i := a.index(name); i >= 0 {
			a.seen[i] = true
			err = a.feature(i)
		} else {
			err = a.other(string(name))
		}
		if err != nil {
			return err
		}
	}
	if _, err := a.in.ReadToken(); err != nil {
		return err
	}
	return a.end()
}

// end refuses anything after the value.
func (a *asked) end() error {
	_, err := a.in.ReadToken()
	switch {
	case err == nil:
		return errors.New("more than one value")
	case err == io.EOF:
		return nil
	}
	return err
}

// text reads a string, which is good until the next read.
func (a *asked) text() ([]byte, error) {
	quoted, err := a.in.ReadValue()
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(quoted, '\\') < 0 && len(quoted) >= 2 {
		return quoted[1 : len(quoted)-1], nil
	}
	return jsontext.AppendUnquote(nil, quoted)
}

func (a *asked) index(name []byte) int {
	for i := range a.schema.Features {
		if a.schema.Features[i].Name == string(name) {
			return i
		}
	}
	return -1
}

// other reads the value of a field that is not a feature.
func (a *asked) other(name string) error {
	switch kind := a.in.PeekKind(); {
	case name == "request_id" && kind == '"':
		id, err := a.text()
		if err != nil {
			return err
		}
		if len(id) > maxRequestID {
			a.fault(name, "ensure this value has at most "+strconv.Itoa(maxRequestID)+" characters", "value_error.any_str.max_length")
		}
		a.requestID = string(id)
		return nil
	case name == "request_id" && kind != 'n':
		a.fault(name, "str type expected", "type_error.str")
	case name != "request_id" && !a.schema.Skips(name):
		a.fault(name, "extra fields not permitted", "value_error.extra")
	}
	return a.in.SkipValue()
}

// feature reads the value of a feature and judges it by the schema's rules.
func (a *asked) feature(i int) error {
	f := &a.schema.Features[i]
	var problem *dataset.Problem
	switch kind := a.in.PeekKind(); {
	case kind == 'n':
		a.values[i] = missingValue(f)
		if !f.Optional {
			a.fault(f.Name, "none is not an allowed value", "type_error.none.not_allowed")
		}
		return a.in.SkipValue()
	case kind == '0' && f.Type == dataset.Number:
		token, err := a.in.ReadToken()
		if err != nil {
			return err
		}
		x, err := token.Float()
		if err != nil { // out of range
			a.notNumber(f)
			return nil
		}
		a.values[i], problem = f.CheckNumber(x)
	case kind == '"' && f.Type == dataset.Category:
		text, err := a.text()
		if err != nil {
			return err
		}
		a.values[i], problem = f.CheckLevel(string(text))
		if a.values[i].Missing && !f.Optional {
			a.details = append(a.details, missingDetail(f.Name))
		}
	case f.Type == dataset.Category:
		a.fault(f.Name, "str type expected", "type_error.str")
		return a.in.SkipValue()
	default:
		a.notNumber(f)
		return a.in.SkipValue()
	}
	if problem != nil {
		a.details = append(a.details, translate(f.Name, problem))
	}
	return nil
}

func (a *asked) notNumber(f *dataset.Feature) {
	kind := "float"
	if f.Integer {
		kind = "integer"
	}
	a.fault(f.Name, "value is not a valid "+kind, "type_error."+kind)
}

// translate puts a problem in pydantic's words.
func translate(field string, p *dataset.Problem) detail {
	d := detail{Loc: []any{"body", field}, Msg: p.Error(), Type: "value_error"}
	if p.Kind == dataset.NotWhole {
		d.Msg, d.Type = "value is not a valid integer", "type_error.integer"
	}
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
