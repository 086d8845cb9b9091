package logreg

import (
	"errors"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// MostVariance bounds the variance of a direction of which neither the data nor a weak penalty say
// anything: a larger one would drown the digits of the others.
const MostVariance = 1e8

// Covariance returns the covariance of the weights, (d+1)×(d+1): the inverse of
// A, the Hessian of the summed loss with the penalty wᵀPw/(2c). With scores, the covariance M
// of the gradient of that loss, it is the sandwich A⁻¹ (M + P/c) A⁻¹ (Huber 1967; White 1982),
// which holds for rows weighted by class. Without weights M is A − P/c, and both are the same; then
// scores may be nil. An error says that A is nearly singular.
//
// It ignores Problem.Monotone: intervals are as wide as those of a curve that may bend either
// way, about a constrained estimate. Where the truth is monotone they are too wide rather than
// too narrow, since to constrain the estimate is to project it, which brings it no further
// from the truth (in the norm of A). Where a bound is active they say nothing about its side.
//
// Where the data say nothing the variance is the penalty's, with a c of at most MostVariance.
//
// It fills in EffectiveDF. Only the Hessian of scores is read: it is M.
//
// bias is that of the weights that the penalty causes, −A⁻¹Pw/c to first order (le Cessie & van
// Houwelingen 1992, Ridge Estimators in Logistic Regression, section 3). No covariance has it.
func (f *Fitted) Covariance(scores *Sums) (cov *mat.SymDense, bias *mat.VecDense, err error) {
	c := min(f.problem.C, MostVariance)
	inverse, err := f.invert(c)
	if err != nil {
		return nil, nil, err
	}
	f.EffectiveDF = float64(len(f.Weights)) - f.problem.Penalty.Trace(inverse)/f.problem.C
	if f.dependence.any() { // the penalty takes all of these, and that trace has c/C of each
		f.EffectiveDF -= float64(len(f.dependence.others)) * (1 - c/f.problem.C)
	}
	bias = mat.NewVecDense(len(f.Weights), f.problem.Penalty.times(f.Weights))
	bias.MulVec(inverse, bias)
	bias.ScaleVec(-1/f.problem.C, bias)
	if scores == nil {
		return inverse, bias, nil
	}
	all := penalised(scores, f.problem.C, f.problem.Penalty)
	if !f.dependence.any() {
		return within(mat.DenseCopyOf(inverse), all), bias, nil
	}
	known, err := f.invert(0) // where the data say something
	if err != nil {
		return nil, nil, err
	}
	cov = within(mat.DenseCopyOf(known), all)
	cov.AddSym(cov, inverse)
	known.ScaleSym(-1, known)
	cov.AddSym(cov, known)
	return cov, bias, nil
}

// FellnerSchall returns by which factor to multiply each of some parts of the penalty, such as a smoothness, so that
// the restricted likelihood rises (REML; Wood & Fasiolo 2017, A generalized Fellner-Schall method for smoothing
// parameter optimization, equation 4): (tr P⁻¹S − tr A⁻¹S) / wᵀSw for the part S of P, the penalty in
// units of the loss. P must be positive definite but for the intercept. An error says that A is nearly singular.
func (f *Fitted) FellnerSchall(parts []Penalty) (factors []float64, err error) {
	const tiny = 1e-12     // of a part of which neither the data nor the weights say anything
	place := map[int]int{} // of the weights that the parts penalise; P has no entries of these and others
	for _, e := range slices.Concat(parts...) {
		if _, known := place[e.I]; !known {
			place[e.I] = len(place)
		}
	}
	columns, prior := mat.NewDense(len(f.Weights), len(place), nil), mat.NewSymDense(len(place), nil)
	for i, k := range place {
		columns.Set(i, k, 1)
	}
	for _, e := range f.problem.Penalty {
		i, here := place[e.I]
		if j, both := place[e.J]; here && both {
			prior.SetSym(i, j, prior.At(i, j)+e.Value/f.problem.C)
		}
	}
	var chol mat.Cholesky
	a, solvable := f.solver(min(f.problem.C, MostVariance))
	if !solvable || !chol.Factorize(prior) || errors.Join(chol.InverseTo(prior), a.SolveTo(columns, columns)) != nil {
		return nil, errNoStdErrors
	}
	for _, s := range parts {
		free := 0.0
		for _, e := range s {
			i, j, twice := place[e.I], place[e.J], 2.0
			if e.I == e.J {
				twice = 1
			}
			free += twice * e.Value * (prior.At(i, j) - columns.At(e.I, j))
		}
		factors = append(factors, (max(free, 0)+tiny)/(floats.Dot(f.Weights, s.times(f.Weights))+tiny))
	}
	return factors, nil
}

// solver returns what solves A, with a variance of c where the data say nothing, and whether there is one.
func (f *Fitted) solver(c float64) (solver, bool) {
	a := penalised(f.Sums, f.problem.C, f.problem.Penalty)
	if f.dependence.any() {
		return f.dependence.invert(a, c)
	}
	chol := &cholesky{}
	return chol, chol.factorize(a)
}

// invert returns A⁻¹, with a variance of c where the data say nothing.
func (f *Fitted) invert(c float64) (*mat.SymDense, error) {
	a, solvable := f.solver(c)
	if !solvable {
		return nil, errNoStdErrors
	}
	if chol, plain := a.(*cholesky); plain && chol.across == nil {
		inverse := mat.NewSymDense(chol.n, nil)
		if chol.rest.InverseTo(inverse) != nil {
			return nil, errNoStdErrors
		}
		return inverse, nil
	}
	x := mat.DenseCopyOf(mat.NewDiagDense(len(f.Weights), slices.Repeat([]float64{1}, len(f.Weights))))
	if a.SolveTo(x, x) != nil {
		return nil, errNoStdErrors
	}
	return symmetric(x), nil
}

var errNoStdErrors = errors.New("the Hessian is nearly singular: no standard errors")
