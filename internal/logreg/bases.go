package logreg

import (
	"context"
	"math"
)

// A Basis is a feature as terms see it: each value has at most two adjacent functions that
// are not zero there. A column of few different values has Codes, and At by code.
type Basis struct {
	Feature int      // column of the table
	Codes   []uint16 // by row: position in At, 65535 for a missing cell
	At      []Active // by code, that of a missing cell last
	X       []float64
	Of      func(x float64) Active // without Codes: of X, which is by row
	Shape   *Shape                 // what Of computes; nil for a category
	Width   int                    // number of functions
}

// A Shape is the functions of a number: a line, hat functions at Knots, or indicators of
// Values. Of a line (x−Mean)/Scale is function 0 in all rows.
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
		*room = b.Of(b.X[i])
		return room
	}
	return &b.At[position(b.Codes[i], len(b.At)-1)]
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
	rows    *Rows
	room    []Active
	active  []*Active // by basis
	entries []Entry
}

func (r *Rows) reader() *reader {
	return &reader{rows: r, room: make([]Active, len(r.Bases)), active: make([]*Active, len(r.Bases))}
}

// read returns those of row i, but for the intercept, until the next call.
func (r *reader) read(i int32) []Entry {
	for k := range r.active {
		r.active[k] = r.rows.Bases[k].Active(i, &r.room[k])
	}
	to := r.entries[:0]
	for k := range r.rows.Terms {
		t := &r.rows.Terms[k]
		if t.B < 0 {
			to = t.Append(to, r.active[t.A], nil, 0)
		} else {
			to = t.Append(to, r.active[t.A], r.active[t.B], r.rows.Bases[t.B].Width)
		}
	}
	r.entries = to
	return to
}

// Dot returns the sum of the entries' values, each times its weight, and of the intercept.
func Dot(entries []Entry, w []float64) float64 {
	z := w[len(w)-1]
	for _, e := range entries {
		z += w[e.At] * e.Value
	}
	return z
}

// termProbabilities is Probabilities of rows with terms.
func (r *Rows) termProbabilities(ctx context.Context, w []float64) ([]float64, error) {
	p := make([]float64, len(r.Use))
	err := shards(ctx, len(r.Use), shardRows, func() func(shard, from, to int) {
		rows := r.reader()
		return func(_, from, to int) {
			for k, i := range r.Use[from:to] {
				p[from+k] = Sigmoid(Dot(rows.read(i), w))
			}
		}
	})
	return p, err
}

// sumTerms is Pass of rows with terms, or with scoreCov ScoreCovariance. A row has few
// functions that are not zero, and only their products are added to the Hessian.
func (r *Rows) sumTerms(ctx context.Context, w []float64, sums *Sums, scoreCov bool) error {
	const mostCells = 4 << 20 // of all partial Hessians together
	size := max(shardRows, (len(r.Use)*(r.Width+1)*(r.Width+1)+mostCells-1)/mostCells)
	partial := make([]*Sums, maxShards)
	err := shards(ctx, len(r.Use), size, func() func(shard, from, to int) {
		rows := r.reader()
		return func(shard, from, to int) {
			s := NewSums(r.Width)
			for _, i := range r.Use[from:to] {
				s.add(rows.read(i), w, r.Positive[i], r.ClassWeight, scoreCov)
			}
			partial[shard] = s
		}
	})
	for _, p := range partial {
		if p != nil {
			sums.Add(p)
		}
	}
	return err
}

// add adds one row.
func (s *Sums) add(entries []Entry, w []float64, positive bool, classWeight [2]float64, scoreCov bool) {
	z, weight, sign := Dot(entries, w), classWeight[0], 1.0
	if positive {
		z, weight, sign = -z, classWeight[1], -1
	}
	e := math.Exp(-math.Abs(z))
	wrong := 1 / (1 + e) // the probability of the other class
	if z < 0 {
		wrong *= e
	}
	residual, h := sign*weight*wrong, weight*wrong*(1-wrong)
	if scoreCov {
		h = residual * residual
	}
	s.Rows++
	s.Loss += weight * (max(z, 0) + math.Log1p(e))
	s.AddProducts(entries, residual, h)
}

// AddProducts adds the functions of one row, and the intercept, to the gradient, times its
// residual, and their products to the Hessian, times its curvature h.
func (s *Sums) AddProducts(entries []Entry, residual, h float64) {
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
