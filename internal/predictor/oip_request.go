package predictor

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"churn/internal/dataset"
)

// An inference is a request, apart from its customers.
type inference struct {
	id      string
	tensors []tensor
	outputs []output // in the request's order; none: all
	binary  bool     // outputs that do not say otherwise are binary
	explain bool
}

// A tensor is an input whose data is still JSON, or binary.
type tensor struct {
	name, datatype string
	shape          []int
	data           []byte
	binary         int // bytes behind the request's JSON; -1: none
}

// An output is one that the request names.
type output struct {
	name   string
	binary bool
}

// readInference fills a batch from a body, whose first bytes are JSON and whose others are
// the data of binary tensors; header says how many the first are, "" is all.
func readInference(body []byte, header string, b *batch) (*inference, error) {
	var q inference
	var binary []byte
	if header != "" {
		n, err := strconv.ParseUint(header, 10, 63)
		if err != nil || n > uint64(len(body)) {
			return nil, shape([]any{"body"}, headerLength+" is not the length of a part of the body", "value_error.binary")
		}
		body, binary = body[:n], body[n:]
	}
	body, err := b.withoutNaN(body)
	if err != nil {
		return nil, err
	}
	err = readJSON(body, b, func(r *reader) error { return r.inference(&q, binary) })
	return &q, err
}

// inference reads a whole request. Data is read last, since its datatype and its feature
// may follow it.
func (r *reader) inference(q *inference, binary []byte) error {
	err := r.request(q)
	if err == nil {
		err = r.finish()
	}
	if err = cmp.Or(err, r.err()); err != nil {
		return err
	}
	names := make([]string, len(q.tensors))
	for k, t := range q.tensors {
		names[k] = t.name
	}
	columns := r.columns("inputs", names)
	r.checkTensors(q.tensors, columns)
	if err := r.err(); err != nil {
		return err
	}
	for k, t := range q.tensors {
		var n int
		var err error
		if t.binary < 0 {
			r.reset(t.data)
			n, err = r.fill(columns[k], len(t.shape) == 2, "inputs", t.name)
		} else {
			data := binary[:min(t.binary, len(binary))]
			if binary = binary[len(data):]; len(data) < t.binary {
				return shape([]any{"body", "inputs", t.name}, "the body ends within the data", "value_error.binary")
			}
			n, err = r.fillBinary(columns[k], t.datatype, data, t.name)
		}
		if err != nil {
			return err
		}
		if n >= 0 && n != t.shape[0] {
			r.bodyError(fmt.Sprintf("the data has %d values, the shape is %v", n, t.shape), "value_error.list", "inputs", t.name)
		}
	}
	if len(binary) > 0 {
		r.bodyError(strconv.Itoa(len(binary))+" bytes behind the last tensor", "value_error.binary")
	}
	if err := r.err(); err != nil {
		return err
	}
	r.endAll()
	q.id = cmp.Or(q.id, rand.Text())
	for k := range r.rows {
		id := &r.rows[k].requestID
		if *id == "" && len(r.rows) == 1 {
			*id = q.id
		} else if *id == "" {
			*id = q.id + "-" + strconv.Itoa(k)
		}
	}
	return nil
}

// request reads the request, but for its tensors' data.
func (r *reader) request(q *inference) error {
	err := r.members(func(name string) (err error) {
		switch name {
		case "id":
			q.id, err = r.str(name)
			var msg, kind string
			if q.id, msg, kind = loggedID(q.id); msg != "" {
				r.bodyError(msg, kind, name)
			}
		case "inputs":
			_, err = r.elements(func(i int) error {
				t, err := r.tensor(i)
				q.tensors = append(q.tensors, t)
				return cmp.Or(err, checkCount(len(q.tensors), name))
			}, name)
		case "outputs":
			err = r.outputs(q)
		case "parameters":
			err = r.parameters(map[string]any{"binary_data_output": &q.binary, "explain": &q.explain}, name)
		default:
			err = r.in.SkipValue()
		}
		return err
	})
	if err == nil && len(q.tensors) == 0 && len(r.details) == 0 {
		r.bodyError("field required", "value_error.missing", "inputs")
	}
	return err
}

// tensor reads input i, but for its data.
func (r *reader) tensor(i int) (t tensor, err error) {
	faults := len(r.details)
	t.binary = -1
	err = r.members(func(name string) (err error) {
		switch name {
		case "name":
			t.name, err = r.str("inputs", i, name)
		case "datatype":
			t.datatype, err = r.str("inputs", i, name)
		case "shape":
			t.shape = []int{}
			_, err = r.elements(func(int) error {
				text, err := r.in.ReadValue()
				size, bad := strconv.ParseUint(string(text), 10, 31) // far above any batch
				if err == nil && bad != nil {
					r.bodyError("a size is a whole number", "type_error.integer", "inputs", i, "shape")
				}
				if len(t.shape) <= 2 { // more is an error, however many
					t.shape = append(t.shape, int(size))
				}
				return err
			}, "inputs", i, name)
		case "data":
			t.data, err = r.raw()
		case "parameters":
			err = r.parameters(map[string]any{"binary_data_size": &t.binary}, "inputs", i, name)
		default:
			err = r.in.SkipValue()
		}
		return err
	}, "inputs", i)
	if err != nil || len(r.details) > faults {
		return t, err
	}
	for _, part := range []struct {
		name    string
		missing bool
	}{{"name", t.name == ""}, {"datatype", t.datatype == ""}, {"shape", t.shape == nil},
		{"data", t.data == nil && t.binary < 0}} {
		if part.missing {
			r.bodyError("field required", "value_error.missing", "inputs", i, part.name)
		}
	}
	return t, nil
}

// outputs reads the requested outputs.
func (r *reader) outputs(q *inference) error {
	if r.in.PeekKind() == 'n' {
		return r.in.SkipValue()
	}
	_, err := r.elements(func(i int) error {
		o := output{binary: q.binary}
		err := r.members(func(member string) (err error) {
			switch member {
			case "name":
				o.name, err = r.str("outputs", i, member)
			case "parameters":
				err = r.parameters(map[string]any{"binary_data": &o.binary}, "outputs", i, member)
			default:
				err = r.in.SkipValue()
			}
			return err
		}, "outputs", i)
		switch {
		case o.name != outputPredict && o.name != outputProba:
			r.bodyError(neitherOutput, "value_error", "outputs", i, "name")
		case !slices.ContainsFunc(q.outputs, func(other output) bool { return other.name == o.name }):
			q.outputs = append(q.outputs, o)
		}
		return err
	}, "outputs")
	return err
}

// parameters reads an object's booleans and sizes into the places of their names.
func (r *reader) parameters(places map[string]any, part ...any) error {
	if r.in.PeekKind() == 'n' {
		return r.in.SkipValue()
	}
	return r.members(func(name string) error {
		text, err := r.raw()
		switch place := places[name].(type) {
		case *bool:
			if *place = string(text) == "true"; !*place && string(text) != "false" {
				r.bodyError("value could not be parsed to a boolean", "type_error.bool", append(part, name)...)
			}
		case *int:
			size, bad := strconv.ParseUint(string(text), 10, 31)
			if *place = int(size); bad != nil {
				r.bodyError("a size is a whole number", "type_error.integer", append(part, name)...)
			}
		}
		return err
	}, part...)
}

// fillBinary reads a column's values from little-endian bytes, and returns their number. A
// text is behind its length, of four bytes. NaN is missing.
func (r *reader) fillBinary(column int, datatype string, data []byte, name string) (n int, err error) {
	cut := shape([]any{"body", "inputs", name}, "the data ends within a value", "value_error.binary")
	for ; len(data) > 0; n++ {
		size := binarySize[datatype]
		if datatype == typeBytes {
			if size = 4; len(data) >= size {
				size = int(min(uint64(binary.LittleEndian.Uint32(data)), 1<<31-1)) + size
			}
		}
		if size == 0 {
			return n, shape([]any{"body", "inputs", name}, datatype+" has no binary form here", "type_error.datatype")
		}
		if len(data) < size {
			return n, cut
		}
		if err := r.goTo(n); err != nil {
			return n, err
		}
		value := data[:size]
		data = data[size:]
		switch {
		case column == columnSkipped:
		case datatype == typeBytes && column == columnRequestID:
			r.setRequestID(string(value[4:]))
		case column == columnRequestID:
			r.fieldError("request_id", "str type expected", "type_error.str")
		case datatype == typeBytes:
			if text := value[4:]; utf8.Valid(text) {
				r.setText(column, text)
			} else {
				return n, shape([]any{"body", "inputs", name, n}, "not UTF-8", "value_error.binary")
			}
		case datatype == typeBool:
			r.setBool(column, value[0] != 0)
		default:
			if x := binaryNumber(datatype, value); math.IsNaN(x) || math.IsInf(x, 0) {
				r.setNull(column)
			} else {
				r.setNumber(column, x)
			}
		}
	}
	return n, nil
}

// binarySize is the length of a value in bytes. FP16 and BF16 have none: no client of
// customers sends them.
var binarySize = map[string]int{"FP64": 8, "FP32": 4, typeBool: 1, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8,
	"UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8}

func binaryNumber(datatype string, b []byte) float64 {
	var x uint64
	for i, c := range b {
		x |= uint64(c) << (8 * i)
	}
	switch {
	case datatype == "FP64":
		return math.Float64frombits(x)
	case datatype == "FP32":
		return float64(math.Float32frombits(uint32(x)))
	case strings.HasPrefix(datatype, "INT"):
		above := 64 - 8*len(b) // bits, which get the sign
		return float64(int64(x<<above) >> above)
	}
	return float64(x)
}

// checkTensors notes datatypes that do not fit their columns, and shapes that do not fit each other.
func (b *batch) checkTensors(tensors []tensor, columns []int) {
	for k, t := range tensors {
		want := typeBytes
		switch c := columns[k]; {
		case c >= 0:
			want = datatype(&b.schema.Features[c])
		case c == columnSkipped:
			want = t.datatype
		}
		plain := binarySize[t.datatype] > 0 // numbers and booleans: FP16 has no JSON form in the specification
		if t.datatype != want && (!plain || want == typeBytes && !b.spellsOne(columns[k], t.datatype)) {
			b.bodyError(fmt.Sprintf("the datatype is %.10q, expected %s", t.datatype, want), "type_error.datatype", "inputs",
				t.name)
		}
		rows := tensors[0].shape
		switch {
		case len(t.shape) != 1 && (len(t.shape) != 2 || t.shape[1] != 1):
			b.bodyError("the shape is neither [n] nor [n,1]", "value_error.shape", "inputs", t.name)
		case len(rows) > 0 && t.shape[0] != rows[0]:
			b.bodyError(fmt.Sprintf("%d rows where %s has %d", t.shape[0], tensors[0].name, rows[0]), "value_error.shape",
				"inputs", t.name)
		}
	}
}

// spellsOne reports whether a level of column c, if it is a category, is a number or a boolean.
func (b *batch) spellsOne(c int, datatype string) bool {
	if c < 0 {
		return false
	}
	return slices.ContainsFunc(b.snapshot.model.Encoder.Levels[b.schema.Features[c].Name], func(level string) bool {
		_, known := dataset.YesNo(level)
		_, err := strconv.ParseFloat(level, 64)
		return datatype == typeBool && known || datatype != typeBool && err == nil
	})
}
