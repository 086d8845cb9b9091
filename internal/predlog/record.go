// Package predlog is the log of predictions: one JSON object a line, appended
// before the response is sent, and read again for drift.
//
//	{"request_id":"…","model_version":"churn_model_v1_20261122_193000.json","prediction":1,"probability":0.897622,
//	 "latency_ms":0.041,"features":{"tenure_months":6,…,"region":"AF"},"ts":1795375800.123,"threshold":0.5}
//
// A record is one line, shown here on two.
package predlog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"churn/internal/dataset"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Record is one prediction. The fields up to TS are those of the reference lab, in its order.
type Record struct {
	RequestID    string    `json:"request_id"`
	ModelVersion string    `json:"model_version"` // the model's file name
	Prediction   int       `json:"prediction"`    // 1: churn
	Probability  float64   `json:"probability"`   // six decimals
	LatencyMS    float64   `json:"latency_ms"`    // three decimals
	Features     []Feature `json:"-"`
	TS           float64   `json:"ts"` // unix seconds, three decimals
	Threshold    float64   `json:"threshold"`
	Warnings     []string  `json:"warnings"`
}

// A Feature is a column and its value, as it was scored.
type Feature struct {
	Name  string
	Value dataset.Value
}

// Append appends the record as a JSON object, without a line end.
func (r *Record) Append(b []byte) []byte {
	b = append(b, `{"request_id":`...)
	b = appendString(b, r.RequestID)
	b = append(b, `,"model_version":`...)
	b = appendString(b, r.ModelVersion)
	b = append(b, `,"prediction":`...)
	b = strconv.AppendInt(b, int64(r.Prediction), 10)
	b = append(b, `,"probability":`...)
	b = strconv.AppendFloat(b, r.Probability, 'f', 6, 64)
	b = append(b, `,"latency_ms":`...)
	b = strconv.AppendFloat(b, r.LatencyMS, 'f', 3, 64)
	b = append(b, `,"features":{`...)
	for i, f := range r.Features {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, f.Name)
		b = append(b, ':')
		switch {
		case f.Value.Missing:
			b = append(b, "null"...)
		case f.Value.Level:
			b = appendString(b, f.Value.Text)
		default:
			b = jsontext.AppendFloat(b, f.Value.Number, 64)
		}
	}
	b = append(b, `},"ts":`...)
	b = strconv.AppendFloat(b, r.TS, 'f', 3, 64)
	b = append(b, `,"threshold":`...)
	b = jsontext.AppendFloat(b, r.Threshold, 64)
	if len(r.Warnings) > 0 {
		b = append(b, `,"warnings":[`...)
		for i, w := range r.Warnings {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, w)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD, and characters that
// do not print are escaped, more than JSON requires: some readers take U+0085 or U+2028 for
// the end of a line, and a terminal takes U+009B for a command.
func appendString(b []byte, s string) []byte {
	start := len(b)
	b, _ = jsontext.AppendQuote(b, s) // its only error is for bytes that are not UTF-8
	if !strings.ContainsFunc(s, hidden) {
		return b
	}
	quoted := string(b[start:])
	b = b[:start]
	for _, c := range quoted {
		if !hidden(c) {
			b = utf8.AppendRune(b, c)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, c) {
			b = fmt.Appendf(b, `\u%04x`, unit)
		}
	}
	return b
}

// hidden reports whether a character does not print.
func hidden(c rune) bool { return c >= 0x7f && !unicode.IsPrint(c) }

// Parse reads a line of the log. A line that is not a record is an error:
// anything but an object with the model's name, a prediction, a probability and features.
// Unknown fields are skipped.
func Parse(line []byte) (*Record, error) {
	var r struct {
		Record      `json:",embed"`
		Prediction  *int      `json:"prediction"`
		Probability *float64  `json:"probability"`
		Features    *features `json:"features"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, err
	}
	if r.ModelVersion == "" || r.Prediction == nil || r.Probability == nil || r.Features == nil {
		return nil, errors.New("not a prediction: model_version, prediction, probability or features is missing")
	}
	if *r.Prediction != 0 && *r.Prediction != 1 {
		return nil, errors.New("not a prediction: its prediction is not 0 or 1")
	}
	if !(*r.Probability >= 0 && *r.Probability <= 1) {
		return nil, errors.New("not a prediction: its probability is not in 0 to 1")
	}
	r.Record.Prediction, r.Record.Probability = *r.Prediction, *r.Probability
	r.Record.Features = *r.Features
	return &r.Record, nil
}

// features reads a JSON object in order.
type features []Feature

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (fs *features) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return errors.Join(err, errors.New("features are not an object"))
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		f := Feature{Name: name.String()}
		if err := f.Value.UnmarshalJSONFrom(d); err != nil {
			return err
		}
		*fs = append(*fs, f)
	}
	_, err := d.ReadToken()
	return err
}
