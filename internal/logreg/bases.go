package logreg

import (
	"context"
	"math"
)

// A Basis is a feature as terms see it: each value has at most two adjacent functions that
// are not zero there. A column of few different values has Codes, and At by code.
type Basis struct {
	Codes []uint16 // by row: position in At, 65535 for a missing cell
	At    []Spot   // by code, that of a missing cell last
	X     []float64
	Of    func(x float64) Spot // without Codes: of X, which is by row
	Width int                  // number of functions
}

// A Spot is the functions of a basis that are not zero at a value: N of them, 0 to 2,
// beginning with number First.
type Spot struct {
	First, N int32
	Value    [2]float64
}

// Spot returns the functions that are not zero in row i.
func (b *Basis) Spot(i int32) Spot {
	if b.Codes == nil {
		return b.Of(b.X[i])
	}
	return b.At[position(b.Codes[i], len(b.At)-1)]
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
func (t *Term) Append(to []Entry, a, b Spot, widthB int) []Entry {
	for i := range a.N {
		if t.B < 0 {
			to = append(to, Entry{t.First + a.First + i, a.Value[i]})
			continue
		}
		row := t.First + (a.First+i)*int32(widthB) + b.First
		for j := range b.N {
			to = append(to, Entry{row + j, a.Value[i] * b.Value[j]})
		}
	}
	return to
}

// entries returns the functions that are not zero in row i, but for the intercept.
// spots has room for one of each basis.
func (r *Rows) entries(i int32, spots []Spot, to []Entry) []Entry {
	for k := range r.Bases {
		spots[k] = r.Bases[k].Spot(i)
	}
	for k := range r.Terms {
		t := &r.Terms[k]
		if t.B < 0 {
			to = t.Append(to, spots[t.A], Spot{}, 0)
		} else {
			to = t.Append(to, spots[t.A], spots[t.B], r.Bases[t.B].Width)
		}
	}
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
		spots, entries := make([]Spot, len(r.Bases)), []Entry(nil)
		return func(_, from, to int) {
			for k, i := range r.Use[from:to] {
				entries = r.entries(i, spots, entries[:0])
				p[from+k] = Sigmoid(Dot(entries, w))
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
		spots, entries := make([]Spot, len(r.Bases)), []Entry(nil)
		return func(shard, from, to int) {
			s := NewSums(r.Width)
			for _, i := range r.Use[from:to] {
				entries = r.entries(i, spots, entries[:0])
				s.add(entries, w, r.Positive[i], r.ClassWeight, scoreCov)
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
	z, weight := Dot(entries, w), classWeight[0]
	p := Sigmoid(z)
	residual := p
	if positive {
		residual, weight, z = p-1, classWeight[1], -z
	}
	residual *= weight
	h := weight * p * (1 - p)
	if scoreCov {
		h = residual * residual
	}
	s.Rows++
	s.Loss += weight * (max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))))
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
