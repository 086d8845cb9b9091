package onnx

import (
	"encoding/binary"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Versions that the graph needs. Opset 19 is the first whose Equal compares texts.
const (
	irVersion = 9
	opset     = 19
)

// A dataType is that of a tensor's elements: TensorProto.DataType.
type dataType int

const (
	int64s  dataType = 7
	texts   dataType = 8
	doubles dataType = 11
)

// A message is protocol buffers on the wire. Field numbers are those of onnx.proto, where
// fields may come in any order but nodes in that of their use.
type message []byte

func (m *message) number(field protowire.Number, x int) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(x))
}

func (m *message) text(field protowire.Number, s string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), s)
}

func (m *message) message(field protowire.Number, part message) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), part)
}

// A graph is a GraphProto. Its values are known by their names.
type graph struct {
	message
	taken map[string]bool // names
}

// name returns a name that no value has yet: like itself, if it can.
func (g *graph) name(like string) string {
	name := like
	for n := 2; g.taken[name]; n++ {
		name = like + "_" + strconv.Itoa(n)
	}
	g.taken[name] = true
	return name
}

// Fields of a GraphProto that describe values.
const (
	input  protowire.Number = 11
	output protowire.Number = 12
)

// describe adds an input or output of N × more elements: a ValueInfoProto.
func (g *graph) describe(field protowire.Number, name, doc string, elements dataType, more ...int) {
	var n, shape, tensor, of, v message
	n.text(2, "N")
	shape.message(1, n)
	for _, size := range more {
		var d message
		d.number(1, size)
		shape.message(1, d)
	}
	tensor.number(1, int(elements))
	tensor.message(2, shape)
	of.message(1, tensor)
	v.text(1, name)
	v.message(2, of)
	v.text(3, doc)
	g.message.message(field, v)
}

// constant adds a TensorProto, whose elements are in the field data, and returns its name.
func (g *graph) constant(elements dataType, field protowire.Number, data [][]byte, dims ...int) string {
	name := g.name("constant")
	var t message
	for _, d := range dims {
		t.number(1, d)
	}
	t.number(2, int(elements))
	t.text(8, name)
	for _, b := range data {
		t.message(field, b)
	}
	g.message.message(5, t)
	return name
}

// matrix adds a constant of numbers, row by row.
func (g *graph) matrix(rows, columns int, xs []float64) string {
	var raw []byte
	for _, x := range xs {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(x))
	}
	return g.constant(doubles, 9, [][]byte{raw}, rows, columns)
}

func (g *graph) scalar(x float64) string { return g.matrix(1, 1, []float64{x}) }

// texts adds a constant of one row.
func (g *graph) texts(row ...string) string {
	var data [][]byte
	for _, s := range row {
		data = append(data, []byte(s))
	}
	return g.constant(texts, 6, data, 1, len(row))
}

// apply adds a node and returns the name of its output.
func (g *graph) apply(op string, inputs ...string) string {
	return g.node(g.name(op), op, "", 0, inputs...)
}

// node adds a NodeProto with the given output, and an attribute or "".
func (g *graph) node(output, op, attribute string, x int, inputs ...string) string {
	const typeInt = 2 // AttributeProto.AttributeType
	var n message
	for _, name := range inputs {
		n.text(1, name)
	}
	n.text(2, output)
	n.text(3, output)
	n.text(4, op)
	if attribute != "" {
		var a message
		a.text(1, attribute)
		a.number(3, x)
		a.number(20, typeInt)
		n.message(5, a)
	}
	g.message.message(1, n)
	return output
}

// cast turns true and false into 1 and 0.
func (g *graph) cast(x string, to dataType) string {
	return g.node(g.name("Cast"), "Cast", "to", int(to), x)
}

// join puts the columns of b after those of a.
func (g *graph) join(a, b string) string {
	return g.node(g.name("Concat"), "Concat", "axis", 1, a, b)
}

// file returns the ModelProto of the graph, with a description and other texts.
func (g *graph) file(doc string, metadata [][2]string) []byte {
	const producer = "churn"
	var file, version message
	version.number(2, opset)
	g.text(2, producer)
	file.number(1, irVersion)
	file.text(2, producer)
	file.text(6, doc)
	file.message(7, g.message)
	file.message(8, version)
	for _, pair := range metadata {
		var entry message
		entry.text(1, pair[0])
		entry.text(2, pair[1])
		file.message(14, entry)
	}
	return file
}
