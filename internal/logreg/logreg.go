// Package logreg fits a binary logistic regression with a quadratic penalty to plain
// numbers. Column names and files are left to its callers.
//
// The objective is separate from the solver. [Fit] calls one [Pass] over the rows per
// iteration, which adds up loss, gradient and Hessian at given weights; where the rows
// are is not its concern. [Rows] are rows in memory.
//
// Weights are d+1 numbers throughout, the intercept last.
package logreg

import (
	"context"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Sums is what one pass over the rows adds up, at weights w of length d+1. With
// xᵢ the row's numbers and a last one of 1, yᵢ its label ±1, sᵢ its class weight,
// zᵢ = xᵢ·w and pᵢ = 1/(1+exp(−zᵢ)):
//
//	Loss     Σ sᵢ log(1+exp(−yᵢzᵢ))
//	Gradient Σ sᵢ (pᵢ − [yᵢ=1]) xᵢ            d+1 numbers
//	Hessian  Σ sᵢ pᵢ(1−pᵢ) xᵢxᵢᵀ              (d+1)² numbers by row, upper triangle
type Sums struct {
	Rows     int
	Loss     float64
	Gradient []float64
	Hessian  []float64
}

// NewSums returns sums of zero for d weights and the intercept.
func NewSums(d int) *Sums {
	return &Sums{Gradient: make([]float64, d+1), Hessian: make([]float64, (d+1)*(d+1))}
}

// Add adds the sums of other rows.
func (s *Sums) Add(t *Sums) {
	s.Rows += t.Rows
	s.Loss += t.Loss
	floats.Add(s.Gradient, t.Gradient)
	floats.Add(s.Hessian, t.Hessian)
}

// A Pass adds the sums over all rows at weights w to sums, which are zero.
type Pass func(ctx context.Context, w []float64, sums *Sums) error

// penalised returns the Hessian of the summed loss, upper triangle by row, with the
// penalty wᵀPw/(2c).
func penalised(s *Sums, c float64, p Penalty) *mat.SymDense {
	h := mat.NewSymDense(len(s.Gradient), slices.Clone(s.Hessian))
	for _, e := range p {
		h.SetSym(e.I, e.J, h.At(e.I, e.J)+1/c*e.Value)
	}
	return h
}
