package predictor

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"

	"churn/internal/dataset"
)

// An inference is a request, apart from its customers.
type inference struct {
	id      string
	tensors []tensor
	outputs []string // in the request's order; none: all
}

// A tensor is an input whose data is still JSON.
type tensor struct {
	name, datatype string
	shape          []int
	data           []byte
}

// rowID is the request_id of row k of n if it has none of its own.
func (q *inference) rowID(k, n int) string {
	if n == 1 {
		return q.id
	}
	return q.id + "-" + strconv.Itoa(k)
}

// readInference fills a batch from a body.
func readInference(body []byte, b *batch) (*inference, error) {
	var q inference
	body, err := b.withoutNaN(body)
	if err != nil {
		return nil, err
	}
	err = readJSON(body, b, func(r *reader) error { return r.inference(&q) })
	return &q, err
}

// inference reads a whole request. Data is read last, since its datatype and its feature
// may follow it.
func (r *reader) inference(q *inference) error {
	err := r.request(q)
	if err == nil {
		err = r.finish()
	}
	if err == nil {
		err = r.err()
	}
	if err != nil {
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
		r.reset(t.data)
		n, err := r.fill(columns[k], len(t.shape) == 2, "inputs", t.name)
		if err != nil {
			return err
		}
		if n >= 0 && n != t.shape[0] {
			r.bodyError(fmt.Sprintf("the data has %d values, the shape is %v", n, t.shape), "value_error.list", "inputs", t.name)
		}
	}
	if err := r.err(); err != nil {
		return err
	}
	r.endAll()
	if q.id == "" {
		q.id = rand.Text()
	}
	for k := range r.rows {
		if r.rows[k].requestID == "" {
			r.rows[k].requestID = q.rowID(k, len(r.rows))
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
	}{{"name", t.name == ""}, {"datatype", t.datatype == ""}, {"shape", t.shape == nil}, {"data", t.data == nil}} {
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
		output := ""
		err := r.members(func(member string) (err error) {
			if member != "name" {
				return r.in.SkipValue()
			}
			output, err = r.str("outputs", i, member)
			return err
		}, "outputs", i)
		switch {
		case output != outputPredict && output != outputProba:
			r.bodyError("neither "+outputPredict+" nor "+outputProba, "value_error", "outputs", i, "name")
		case !slices.Contains(q.outputs, output):
			q.outputs = append(q.outputs, output)
		}
		return err
	}, "outputs")
	return err
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
		plain := isNumeric(t.datatype) || t.datatype == typeBool
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
	return c >= 0 && slices.ContainsFunc(b.snapshot.model.Encoder.Levels[b.schema.Features[c].Name], func(level string) bool {
		_, known := dataset.Truth(level)
		_, err := strconv.ParseFloat(level, 64)
		return datatype == typeBool && known || datatype != typeBool && err == nil
	})
}

// isNumeric reports whether a datatype holds numbers. FP16 has no JSON form in the specification.
func isNumeric(datatype string) bool {
	switch datatype {
	case "FP64", "FP32", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64":
		return true
	}
	return false
}
