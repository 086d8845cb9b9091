package logreg

import (
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"
)

// MostVariance is that of a direction of which neither the data nor a weak penalty say
// anything: more would drown the digits of what they do say.
const MostVariance = 1e8

// Covariance returns the covariance of the weights, (d+1)×(d+1): the inverse of
// A, the Hessian of the summed loss with the penalty wᵀPw/(2c). With scoreCov, whose
// Hessian is Σ sᵢ²(pᵢ−[yᵢ=1])² xᵢxᵢᵀ, it is the sandwich A⁻¹ M A⁻¹ (Huber 1967;
// White 1982), which holds for rows weighted by class.
//
// It ignores Problem.Monotone: intervals are as wide as those of a curve that may bend either
// way, about a constrained estimate. Where the truth is monotone they are too wide rather than
// too narrow, since to constrain the estimate is to project it, which brings it no further
// from the truth (in the norm of A). Where a bound is active they say nothing about its side.
//
// Where the data say nothing the variance is the penalty's, with a c of at most MostVariance.
func (f *Fitted) Covariance(scoreCov *Sums) (*mat.SymDense, error) {
	n, a := len(f.Weights), penalised(f.Sums, f.problem.C, f.problem.Penalty)
	var chol mat.Cholesky
	if d := f.dependence; d != nil && len(d.others) > 0 {
		in, ok := d.invert(a, min(f.problem.C, MostVariance))
		if !ok {
			return nil, errNoStdErrors
		}
		return in.covariance(scoreCov)
	}
	if !chol.Factorize(a) {
		return nil, errNoStdErrors
	}
	inverse := mat.NewSymDense(n, nil)
	if err := chol.InverseTo(inverse); err != nil {
		return nil, fmt.Errorf("the Hessian is nearly singular: no standard errors: %w", err)
	}
	if scoreCov == nil {
		return inverse, nil
	}
	var half, full mat.Dense
	half.Mul(inverse, mat.NewSymDense(n, scoreCov.Hessian))
	full.Mul(&half, inverse)
	return symmetric(&full), nil
}

// covariance is Fitted.Covariance.
func (in *inverse) covariance(scoreCov *Sums) (*mat.SymDense, error) {
	var free, k mat.SymDense
	if err := errors.Join(in.chol.InverseTo(&free), in.k.InverseTo(&k)); err != nil {
		return nil, fmt.Errorf("the Hessian is nearly singular: no standard errors: %w", err)
	}
	if scoreCov != nil {
		free = *within(&free, within(in.span, mat.NewSymDense(len(scoreCov.Gradient), scoreCov.Hessian)))
		return within(in.span.T(), &free), nil
	}
	all, rest := within(in.span.T(), &free), within(in.null.T(), &k)
	rest.ScaleSym(in.c, rest)
	all.AddSym(all, rest)
	return all, nil
}

var errNoStdErrors = errors.New("the Hessian is not positive definite: no standard errors")
