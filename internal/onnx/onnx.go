// Package onnx writes a model as an ONNX graph, for programs that score customers without
// this one, such as ONNX Runtime. All arithmetic is in double precision, so that the
// probabilities are the model's.
//
// Each feature is an input with its name and one row for each customer:
//
//	number    double [N, 1]  NaN is missing
//	category  string [N, 1]  the empty text is missing
//
// The outputs have these names, with _2 after them where a feature has the name:
//
//	probability  double [N]
//	label        int64 [N]   1 for a probability of at least the model's threshold, else 0
//
// The graph knows the schema's maps of spellings, its marks for missing cells, levels that the
// model does not know and numbers beyond its knots. The caller trims texts and sets their case,
// but not that of marks: there is no operator for it. The schema's rules are not checked.
//
// It needs opset 19 and no other operators than the default ones: ONNX Runtime 1.16.
package onnx

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"churn/internal/dataset"
	"churn/internal/model"
)

// Bytes returns the ONNX file of a model that was parsed or has its Weights from its Bytes.
func Bytes(m *model.Model) ([]byte, error) {
	x := exporter{graph: graph{taken: map[string]bool{}}, model: m, cell: map[string]string{}}
	for _, f := range m.Schema.Features { // before any other name is taken
		x.name(f.Name)
	}
	probability, label := x.name("probability"), x.name("label")
	x.columns = x.constant(int64s, 9, [][]byte{binary.LittleEndian.AppendUint64(nil, 1)}, 1)
	for _, f := range m.Schema.Features {
		x.input(f)
	}
	for _, kind := range []string{dataset.Number, dataset.Category} { // the order of the weights
		for _, f := range m.Schema.Features {
			if f.Type == kind {
				x.main(f.Name)
			}
		}
	}
	for _, p := range m.Encoder.Pairs {
		x.pair(p)
	}
	if x.used != len(m.Weights) {
		return nil, fmt.Errorf("the model has %d weights, its terms %d", len(m.Weights), x.used)
	}
	p := x.apply("Sigmoid", x.apply("Sum", append(x.terms, x.scalar(m.Intercept))...))
	positive := x.cast(x.apply("GreaterOrEqual", p, x.scalar(m.Threshold)), int64s)
	x.node(probability, "Squeeze", "", 0, p, x.columns)
	x.node(label, "Squeeze", "", 0, positive, x.columns)
	target := m.Schema.Target.Name + " is " + m.Schema.Target.Positive
	x.describe(output, probability, "that "+target, doubles)
	x.describe(output, label, "1 for a probability of at least the threshold, else 0", int64s)
	return x.file("the probability that "+target, [][2]string{
		{"version", m.Version}, {"trained_at_utc", m.TrainedAtUTC}, {"checksum", m.Checksum},
		{"threshold", strconv.FormatFloat(m.Threshold, 'g', -1, 64)},
	}), nil
}

// An exporter adds a model's terms to a graph, in the order of the weights.
type exporter struct {
	graph
	model   *model.Model
	columns string            // names axis 1
	cell    map[string]string // by feature: its value, with marks for missing cells replaced
	terms   []string          // values that add up to the log-odds, without the intercept
	used    int               // weights
}

// input adds the input of a feature, and replaces spellings and the marks for missing cells.
func (x *exporter) input(f dataset.Feature) {
	cell := f.Name
	replace := func(in, from, to string) { cell = x.apply("Where", x.apply("Equal", in, from), to, cell) }
	if f.Type == dataset.Number {
		x.describe(input, cell, "a number; NaN is missing", doubles, 1)
		for _, mark := range f.MissingNumbers() {
			replace(cell, x.scalar(mark), x.scalar(math.NaN()))
		}
	} else {
		doc := "a trimmed text; the empty one is missing"
		if f.Case != "" {
			doc = "a trimmed text in " + f.Case + " case; the empty one is missing"
		}
		x.describe(input, cell, doc, texts, 1)
		for _, from := range slices.Sorted(maps.Keys(f.Map)) {
			if !f.Missing(from) { // a mark is missing before it is looked up
				replace(f.Name, x.texts(from), x.texts(f.Map[from]))
			}
		}
		for _, mark := range x.model.Schema.MissingValues {
			replace(cell, x.texts(dataset.Trim(mark)), x.texts(""))
		}
	}
	x.cell[f.Name] = cell
}

// take returns the next n weights, as a matrix.
func (x *exporter) take(rows, columns int) string {
	weights := make([]float64, rows*columns)
	for k := range weights {
		if at := x.used + k; at < len(x.model.Weights) {
			weights[k] = x.model.Weights[at].Value
		}
	}
	x.used += len(weights)
	return x.matrix(rows, columns, weights)
}

// main adds the term of a feature of its own.
func (x *exporter) main(feature string) {
	functions, n := x.basis(feature, x.model.Encoder.Own(feature))
	x.terms = append(x.terms, x.apply("MatMul", functions, x.take(n, 1)))
}

// pair adds the term of a pair: uᵀWv for its features' functions u and v.
func (x *exporter) pair(p model.Pair) {
	u, rows := x.basis(p[0], x.model.Encoder.Grids[p[0]])
	v, columns := x.basis(p[1], x.model.Encoder.Grids[p[1]])
	products := x.apply("Mul", x.apply("MatMul", u, x.take(rows, columns)), v)
	x.terms = append(x.terms, x.apply("ReduceSum", products, x.columns))
}

// basis adds the functions of a feature, a column each, and returns them and how many they
// are. A number without knots and values is a line.
func (x *exporter) basis(feature string, b *model.Basis) (functions string, n int) {
	scaling, isNumber := x.model.Encoder.Numbers[feature]
	if !isNumber {
		return x.levels(x.cell[feature], b)
	}
	gap := x.apply("IsNaN", x.cell[feature])
	number := x.apply("Where", gap, x.scalar(scaling.Median), x.cell[feature])
	line := false
	switch n = len(b.Knots) + len(b.Values); {
	case len(b.Knots) > 0:
		functions = x.hats(number, b.Knots)
	case n > 0:
		functions = x.cast(x.apply("Equal", number, x.matrix(1, n, b.Values)), doubles)
	default:
		line, n = true, 1
		functions = x.apply("Div", x.apply("Sub", number, x.scalar(scaling.Mean)), x.scalar(scaling.Std))
	}
	if !b.Missing {
		return functions, n
	}
	if !line { // a line has its value at the median too
		functions = x.apply("Where", gap, x.scalar(0), functions)
	}
	return x.join(functions, x.cast(gap, doubles)), n + 1
}

// hats adds the hat functions of knots. With fᵢ the way from knot i to the next, from 0 to 1,
// function i is fᵢ₋₁ − fᵢ; the f before the first is 1 and the one after the last 0.
func (x *exporter) hats(number string, knots []float64) string {
	n := len(knots)
	var lengths []float64
	first, differences := make([]float64, n), make([]float64, (n-1)*n)
	first[0] = 1
	for i := range n - 1 {
		lengths = append(lengths, knots[i+1]-knots[i])
		differences[i*n+i], differences[i*n+i+1] = -1, 1
	}
	from := x.apply("Sub", number, x.matrix(1, n-1, knots[:n-1]))
	ways := x.apply("Div", from, x.matrix(1, n-1, lengths))
	ways = x.apply("Min", x.apply("Max", ways, x.scalar(0)), x.scalar(1))
	return x.apply("Add", x.apply("MatMul", ways, x.matrix(n-1, n, differences)), x.matrix(1, n, first))
}

// levels adds the indicators of a category's levels, and that of the rest.
func (x *exporter) levels(text string, b *model.Basis) (functions string, n int) {
	levels := slices.Clone(b.Levels)
	if k := slices.Index(levels, dataset.MissingLevel); k >= 0 {
		levels[k] = ""
	}
	functions = x.cast(x.apply("Equal", text, x.texts(levels...)), doubles)
	if !b.Rest {
		return functions, len(levels)
	}
	rest := x.apply("Sub", x.scalar(1), x.apply("ReduceSum", functions, x.columns))
	return x.join(functions, rest), len(levels) + 1
}
