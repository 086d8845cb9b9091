package logreg

import (
	"context"
	"math"
	"testing"

	"gonum.org/v1/gonum/floats"
)

// A design is rows of numbers and categories as tests write them down. Weights are ordered:
// Numbers, then the levels of Levels, then the intercept.
type design struct {
	Numbers     []Numbers
	Levels      []Levels
	Positive    []bool
	ClassWeight [2]float64
	Use         []int32
	Width       int
}

// Numbers is a column of numbers: (x−Mean)/Scale.
type Numbers struct {
	Codes             []uint16  // by row: position in Values, 65535 for a missing cell; nil if Values are by row
	Values            []float64 // by code, or by row; NaN is a missing cell
	Fill, Mean, Scale float64   // Fill stands for a missing cell
}

// At returns row i, standardised.
func (c *Numbers) At(i int32) float64 {
	x := math.NaN()
	if c.Codes == nil {
		x = c.Values[i]
	} else if code := c.Codes[i]; code != math.MaxUint16 {
		x = c.Values[code]
	}
	if math.IsNaN(x) {
		x = c.Fill
	}
	return (x - c.Mean) / c.Scale
}

// Levels is a column of categories: the weight of each code, −1 for a level that has none.
type Levels struct {
	Codes   []uint16
	Weight  []int32 // by code
	Missing int32   // the weight of code 65535
}

// At returns the position of row i's weight, or −1.
func (c *Levels) At(i int32) int32 {
	if code := c.Codes[i]; code != math.MaxUint16 {
		return c.Weight[code]
	}
	return c.Missing
}

// rows returns the rows as passes read them.
func (d *design) rows() *Rows {
	r := &Rows{Positive: d.Positive, ClassWeight: d.ClassWeight, Use: d.Use, Width: d.Width}
	for j, n := range d.Numbers {
		b := Basis{
			Codes: n.Codes, X: n.Values, Width: 1,
			Shape: &Shape{Line: true, Fill: n.Fill, Mean: n.Mean, Scale: n.Scale, Missing: -1},
		}
		if n.Codes != nil {
			for _, x := range append(n.Values[:len(n.Values):len(n.Values)], math.NaN()) {
				b.At = append(b.At, b.Shape.At(x))
			}
		}
		r.Bases, r.Terms = append(r.Bases, b), append(r.Terms, Term{A: len(r.Bases), B: -1, First: int32(j)})
	}
	for _, l := range d.Levels { // whose functions are all weights
		b := Basis{Codes: l.Codes, Width: d.Width}
		for _, weight := range append(l.Weight[:len(l.Weight):len(l.Weight)], l.Missing) {
			b.At = append(b.At, One(weight))
		}
		r.Bases, r.Terms = append(r.Bases, b), append(r.Terms, Term{A: len(r.Bases), B: -1})
	}
	return r
}

// Pass implements the type Pass.
func (d *design) Pass(ctx context.Context, w []float64, sums *Sums) error {
	return d.rows().pass(ctx, w, sums)
}

func (r *Rows) pass(ctx context.Context, w []float64, sums *Sums) error {
	pass, err := r.Group(ctx)
	if err != nil {
		return err
	}
	return pass(ctx, w, sums)
}

func scoreCovariance(t *testing.T, d *design, w []float64) *Sums {
	t.Helper()
	r := d.rows()
	r.ClassWeight = [2]float64{1, 1}
	s := NewSums(r.Width)
	if err := r.pass(t.Context(), w, s); err != nil {
		t.Fatal(err)
	}
	floats.Scale(d.ClassWeight[0]*d.ClassWeight[1], s.Hessian)
	return s
}

func (d *design) Probabilities(ctx context.Context, w []float64) ([]float64, error) {
	return d.rows().Probabilities(ctx, w)
}
