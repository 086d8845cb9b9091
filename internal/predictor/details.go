package predictor

import (
	"fmt"
	"strconv"
	"strings"

	"churn/internal/dataset"
)

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
