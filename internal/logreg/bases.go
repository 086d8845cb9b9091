package logreg

import (
	"context"
	"math"
	"slices"
)

// A Basis is a feature as terms see it: each value has at most two adjacent functions that
// are not zero there. A column of few different values has Codes, and At by code.
type Basis struct {
	Feature int       // column of the table
	Codes   []uint16  // by row: position in At, 65535 for a missing cell
	At      []Active  // by code, that of a missing cell last
	X       []float64 // by row, without Codes: what Shape is at; NaN is a missing cell
	Shape   *Shape    // of a number; nil for a category
	Width   int       // number of functions
}

// A Shape is the functions of a number: a line, hat functions at Knots, which are flat beyond
// the outer ones, or indicators of Values. Of a line (x−Mean)/Scale is function 0 in all rows.
type Shape struct {
	Line              bool
	Knots, Values     []float64
	Fill, Mean, Scale float64 // Fill stands for a missing cell, if that has no function or there is a line
	Missing           int32   // the function of missing cells, or −1
}

// Active is the functions of a basis that are not zero at a value: N of them, 0 to 2,
// beginning with number First.
type Active struct {
	First, N int32
	Value    [2]float64
}

// Active returns the functions that are not zero in row i. It may use room.
func (b *Basis) Active(i int32, room *Active) *Active {
	if b.Codes == nil {
		*room = b.Shape.At(b.X[i])
		return room
	}
	return &b.At[position(b.Codes[i], len(b.At)-1)]
}

// position returns the index of a code in a slice by code whose last element, n, is for missing cells.
func position(code uint16, n int) int { return min(int(code), n) }

// One is one function that is 1, or none for −1.
func One(function int32) Active {
	if function < 0 {
		return Active{}
	}
	return Active{First: function, N: 1, Value: [2]float64{1}}
}

// At returns the functions that are not zero at x, NaN for a missing cell.
func (s *Shape) At(x float64) Active {
	missing := x != x
	if missing && s.Missing >= 0 && !s.Line {
		return One(s.Missing)
	}
	if missing {
		x = s.Fill
	}
	switch {
	case s.Line && missing && s.Missing >= 0:
		return Active{N: 2, Value: [2]float64{s.standardise(x), 1}}
	case s.Line:
		return Active{N: 1, Value: [2]float64{s.standardise(x)}}
	case s.Values != nil:
		if k, ok := slices.BinarySearch(s.Values, x); ok {
			return One(int32(k))
		}
		return Active{}
	}
	k, last := 0, len(s.Knots)-1
	for above := last + 1; k < above; { // faster than slices.BinarySearch, which minds NaN
		if middle := (k + above) / 2; s.Knots[middle] < x {
			k = middle + 1
		} else {
			above = middle
		}
	}
	switch {
	case k > last:
		return One(int32(last))
	case k == 0 || s.Knots[k] == x:
		return One(int32(k))
	}
	from, to := s.Knots[k-1], s.Knots[k]
	share := (x - from) / (to - from)
	return Active{First: int32(k - 1), N: 2, Value: [2]float64{1 - share, share}}
}

// standardise returns the x of a line.
func (s *Shape) standardise(x float64) float64 {
	if x != x {
		x = s.Fill
	}
	return (x - s.Mean) / s.Scale
}

// A Term is one basis, or the products of two: B is −1, or a basis as well. Its weights
// begin at First; those of a product are ordered by the function of A, then that of B.
type Term struct {
	A, B  int
	First int32
}

// An Entry is a function's index among the weights and its value.
type Entry struct {
	At    int32
	Value float64
}

// Append appends the term's functions that are not zero, in the order of their weights.
func (t *Term) Append(to []Entry, a, b *Active, widthB int) []Entry {
	if t.B < 0 {
		if a.N > 0 {
			to = append(to, Entry{t.First + a.First, a.Value[0]})
		}
		if a.N > 1 {
			to = append(to, Entry{t.First + a.First + 1, a.Value[1]})
		}
		return to
	}
	for i := range a.N {
		row := t.First + (a.First+i)*int32(widthB) + b.First
		for j := range b.N {
			to = append(to, Entry{row + j, a.Value[i] * b.Value[j]})
		}
	}
	return to
}

// A reader reads the functions of rows that are not zero.
type reader struct {
	*Rows
	a, b    Active
	entries []Entry
}

// row returns those of row i, but for the intercept, until the next call.
func (r *reader) row(i int32) []Entry {
	to := r.entries[:0]
	for k := range r.Terms {
		t := &r.Terms[k]
		a := r.Bases[t.A].Active(i, &r.a)
		if t.B < 0 {
			to = t.Append(to, a, nil, 0)
			continue
		}
		b := &r.Bases[t.B]
		to = t.Append(to, a, b.Active(i, &r.b), b.Width)
	}
	r.entries = to
	return to
}

// Sum adds entries to z, each times its weight.
func Sum(z float64, entries []Entry, w []float64) float64 {
	for _, e := range entries {
		z += w[e.At] * e.Value
	}
	return z
}

// sumTerms is the pass over rows of any terms. A row has few functions that are not zero, and
// only their products are added to the Hessian.
func (r *Rows) sumTerms(ctx context.Context, w []float64, sums *Sums) error {
	const mostCells = 4 << 20 // of all partial Hessians together
	least := max(shardRows, (len(r.Use)*(r.Width+1)*(r.Width+1)+mostCells-1)/mostCells)
	return r.addUp(ctx, least, sums, func() func(s *Sums, shard, from, to int) {
		rows := reader{Rows: r}
		return func(s *Sums, _, from, to int) {
			for _, i := range r.Use[from:to] {
				s.add(rows.row(i), w, r.Positive[i], r.ClassWeight)
			}
		}
	})
}

// add adds one row.
func (s *Sums) add(entries []Entry, w []float64, positive bool, classWeight [2]float64) {
	z, weight, sign := Sum(w[len(w)-1], entries, w), classWeight[0], 1.0
	if positive {
		z, weight, sign = -z, classWeight[1], -1
	}
	e := math.Exp(-math.Abs(z))
	wrong := 1 / (1 + e) // the probability of the other class
	if z < 0 {
		wrong *= e
	}
	s.Rows++
	s.Loss += weight * (max(z, 0) + math.Log1p(e))
	s.addProducts(entries, sign*weight*wrong, weight*wrong*(1-wrong))
}

// addProducts adds the functions of one row, and the intercept, to the gradient, times its
// residual, and their products to the Hessian, times its curvature h.
func (s *Sums) addProducts(entries []Entry, residual, h float64) {
	width := len(s.Gradient)
	for k, e := range entries {
		s.Gradient[e.At] += residual * e.Value
		row, hx := s.Hessian[int(e.At)*width:][:width], h*e.Value
		for _, other := range entries[k:] {
			row[other.At] += hx * other.Value
		}
		row[width-1] += hx
	}
	s.Gradient[width-1] += residual
	s.Hessian[width*width-1] += h
}
