package predictor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"churn/internal/dataset"
	"churn/internal/predlog"

	"github.com/go-json-experiment/json/jsontext"
)

// maxRequestID is the longest request_id taken, in bytes: it is in every line of the log.
const maxRequestID = 200

// asked is a request's customer, good to be scored.
type asked struct {
	requestID string
	values    []dataset.Value // in the schema's order
}

// features returns the customer as the log has it.
func (a *asked) features(s *dataset.Schema) []predlog.Feature {
	fs := make([]predlog.Feature, len(a.values))
	for i, v := range a.values {
		fs[i] = predlog.Feature{Name: s.Features[i].Name, Value: v}
	}
	return fs
}

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
// at once; JSON that cannot be read to its end is reported alone.
func decode(body []byte, s *dataset.Schema) (*asked, error) {
	d := &decoder{schema: s, in: jsontext.NewDecoder(bytes.NewReader(body)), seen: make([]bool, len(s.Features))}
	d.asked.values = make([]dataset.Value, len(s.Features))
	if err := d.object(); err != nil {
		return nil, d.syntax(err)
	}
	var details []detail
	for i, f := range s.Features {
		if !d.seen[i] {
			if !f.Optional {
				details = append(details, missing(f.Name))
			}
			d.asked.values[i] = dataset.Value{Missing: true, Level: f.Type == dataset.Category}
		}
	}
	if details = append(details, d.details...); len(details) > 0 {
		return nil, &invalidError{details}
	}
	return &d.asked, nil
}

// decoder holds the state of one decode.
type decoder struct {
	schema  *dataset.Schema
	in      *jsontext.Decoder
	asked   asked
	seen    []bool
	details []detail
}

func (d *decoder) fault(field, msg, kind string) {
	d.details = append(d.details, detail{Loc: []any{"body", field}, Msg: msg, Type: kind})
}

// syntax tells where the body stops being JSON.
func (d *decoder) syntax(err error) error {
	var invalid *invalidError
	if errors.As(err, &invalid) {
		return err
	}
	offset, msg := d.in.InputOffset(), err.Error()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset, msg = syntax.ByteOffset, syntax.Err.Error()
	}
	return &invalidError{[]detail{{Loc: []any{"body", offset}, Msg: "not JSON: " + msg, Type: "value_error.jsondecode"}}}
}

// object reads the whole body. Its error is one of the body's form.
func (d *decoder) object() error {
	if kind := d.in.PeekKind(); kind != '{' {
		if err := d.in.SkipValue(); err != nil {
			return err
		}
		if err := d.end(); err != nil {
			return err
		}
		return &invalidError{[]detail{{Loc: []any{"body"}, Msg: "value is not a valid dict", Type: "type_error.dict"}}}
	}
	if _, err := d.in.ReadToken(); err != nil {
		return err
	}
	for d.in.PeekKind() != '}' {
		token, err := d.in.ReadToken()
		if err != nil {
			return err
		}
		if err := d.member(token.String()); err != nil {
			return err
		}
	}
	if _, err := d.in.ReadToken(); err != nil {
		return err
	}
	return d.end()
}

// end refuses anything after the value.
func (d *decoder) end() error {
	_, err := d.in.ReadToken()
	switch {
	case err == nil:
		return errors.New("more than one value")
	case err == io.EOF:
		return nil
	}
	return err
}

// member reads the value of one field.
func (d *decoder) member(name string) error {
	if i := d.schema.Index(name); i >= 0 {
		d.seen[i] = true
		return d.feature(i)
	}
	switch kind := d.in.PeekKind(); {
	case name == "request_id" && kind == '"':
		token, err := d.in.ReadToken()
		if err != nil {
			return err
		}
		if d.asked.requestID = token.String(); len(d.asked.requestID) > maxRequestID {
			d.fault(name, "ensure this value has at most "+strconv.Itoa(maxRequestID)+" characters", "value_error.any_str.max_length")
		}
		return nil
	case name == "request_id" && kind != 'n':
		d.fault(name, "str type expected", "type_error.str")
	case name != "request_id" && !d.schema.Skips(name):
		d.fault(name, "extra fields not permitted", "value_error.extra")
	}
	return d.in.SkipValue()
}

// feature reads the value of a feature and judges it by the schema's rules.
func (d *decoder) feature(i int) error {
	f := &d.schema.Features[i]
	var problem *dataset.Problem
	switch kind := d.in.PeekKind(); {
	case kind == 'n':
		d.asked.values[i] = dataset.Value{Missing: true, Level: f.Type == dataset.Category}
		if !f.Optional {
			d.fault(f.Name, "none is not an allowed value", "type_error.none.not_allowed")
		}
		return d.in.SkipValue()
	case kind == '0' && f.Type == dataset.Number:
		token, err := d.in.ReadToken()
		if err != nil {
			return err
		}
		x, err := token.Float()
		if err != nil { // out of range
			d.notNumber(f)
			return nil
		}
		d.asked.values[i], problem = f.CheckNumber(x)
	case kind == '"' && f.Type == dataset.Category:
		token, err := d.in.ReadToken()
		if err != nil {
			return err
		}
		d.asked.values[i], problem = f.CheckLevel(token.String())
		if d.asked.values[i].Missing && !f.Optional {
			d.details = append(d.details, missing(f.Name))
		}
	case f.Type == dataset.Category:
		d.fault(f.Name, "str type expected", "type_error.str")
		return d.in.SkipValue()
	default:
		d.notNumber(f)
		return d.in.SkipValue()
	}
	if problem != nil {
		d.details = append(d.details, translate(f.Name, problem))
	}
	return nil
}

func (d *decoder) notNumber(f *dataset.Feature) {
	kind := "float"
	if f.Integer {
		kind = "integer"
	}
	d.fault(f.Name, "value is not a valid "+kind, "type_error."+kind)
}

func missing(field string) detail {
	return detail{Loc: []any{"body", field}, Msg: "field required", Type: "value_error.missing"}
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
