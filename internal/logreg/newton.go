package logreg

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Fitted is the minimum that Fit found.
type Fitted struct {
	Weights      []float64 // d+1, the intercept last
	Sums         *Sums     // without the penalty, at the weights before the last Newton step
	Objective    float64   // c·Loss + wᵀPw/2
	Iterations   int       // Newton steps
	GradientNorm float64   // there: largest absolute component, of the objective over c·n, less what Monotone holds
	NewtonStep   float64   // largest absolute component of that step, or the bound on what is left if it is not verified

	// EffectiveDF is, after Covariance, the number of weights less what the penalty takes: the trace
	// of A⁻¹H, H without the penalty (Hastie & Tibshirani 1990, section 5.4.5).
	EffectiveDF float64

	problem    Problem
	dependence *dependence
}

// ErrNotConverged is returned by Fit if it did not come close enough to the minimum.
var ErrNotConverged = errors.New("the fit did not converge")

const (
	stepTolerance = 1e-9 // on H⁻¹g: weights are good to nine decimals; a gradient would hide flat directions
	maxIterations = 100  // Newton needs about 6, and 20 for separable data

	// From this condition of H on, columns that are combinations of others are looked for. Without
	// any, rounding may keep the step above its tolerance: then the fall of the loss that it promises counts.
	mostCondition = 1e9
	leastFall     = 1e-20 // gᵀH⁻¹g; the weights are then 1e-10·√n standard errors from the minimum
)

// A Problem is what Fit solves.
type Problem struct {
	C         float64    // inverse strength of the penalty, above 0
	Penalty   Penalty    // P
	Start     []float64  // where to begin, d+1 numbers
	Tolerance float64    // on the last Newton step, at least stepTolerance, which 0 stands for
	Monotone  []Monotone // constraints, which the weights satisfy exactly

	// LogitChange returns a bound on |xᵢ·step| for all rows. With it the pass that would only verify the last
	// step is left out if after that step no weight is further than Unverified from the minimum.
	LogitChange func(step []float64) float64
	Unverified  float64
}

// Fit minimises
//
//	c Σ sᵢ log(1+exp(−yᵢzᵢ)) + wᵀPw/2
//
// over w and the intercept, which has no penalty; with P = 1 it is what scikit-learn's
// LogisticRegression minimises.
//
// Newton's method with backtracking (Nocedal & Wright 2006, algorithms 3.2 and 3.3)
// runs on 1/(c·n) times that, so that no threshold depends on the number of rows. It ends
// with a step of at most Tolerance, or one that leaves at most Unverified; if none is found the
// error is ErrNotConverged. It panics if C is not positive.
//
// With Monotone each step goes to the constrained minimum of the quadratic model (sequential
// quadratic programming; Nocedal & Wright, chapter 18): the segment to it is feasible, and near
// the minimum a step squares the error as without constraints.
func Fit(ctx context.Context, pass Pass, p Problem) (*Fitted, error) {
	if !(p.C > 0) {
		panic("logreg: C must be positive")
	}
	tolerance := max(p.Tolerance, stepTolerance)
	o := objective{pass: pass, c: p.C, penalty: p.Penalty, bounds: newBounds(p.Monotone)}
	start := slices.Clone(p.Start)
	o.bounds.enforce(start, nil)
	at, err := o.evaluate(ctx, start)
	if err != nil {
		return nil, err
	}
	for iterations := 0; ; iterations++ {
		s := at.newtonStep()
		if s.flat && o.dependence == nil {
			if o.dependence, err = o.findDependence(ctx, len(start)); err != nil {
				return nil, err
			}
			at.setGradient()
			s = at.newtonStep()
		}
		size, gradientNorm := floats.Norm(s.step, math.Inf(1)), floats.Norm(s.gradient, math.Inf(1))
		done := s.exact && (size <= tolerance || s.flat && floats.Dot(s.gradient, s.step) <= leastFall)
		if bound := at.errorAfter(s, p.LogitChange); !done && bound <= p.Unverified {
			at.value -= floats.Dot(s.gradient, s.step) / 2
			done, size, iterations = true, bound, iterations+1
		}
		if done {
			floats.Sub(at.w, s.step) // known already, and it squares what is left of the error
			o.bounds.enforce(at.w, s.active)
			return &Fitted{
				Weights: at.w, Sums: at.sums, Objective: at.value * p.C * float64(at.sums.Rows),
				Iterations: iterations, GradientNorm: gradientNorm, NewtonStep: size, problem: p, dependence: o.dependence,
			}, nil
		}
		next, err := o.backtrack(ctx, at, s)
		if err != nil {
			return nil, err
		}
		if next == nil || iterations == maxIterations {
			return nil, fmt.Errorf("%w: after %d iterations the gradient is %.3g and the Newton step %.3g, at most %.3g",
				ErrNotConverged, iterations, gradientNorm, size, tolerance)
		}
		at = next
	}
}

// objective is the penalised loss over c·n.
type objective struct {
	pass    Pass
	c       float64
	penalty Penalty
	bounds  bounds

	dependence *dependence // nil unless it was looked for
}

// findDependence looks for it at weights of zero, where p(1−p) is 1/4 in each row.
func (o *objective) findDependence(ctx context.Context, weights int) (*dependence, error) {
	sums := NewSums(weights - 1)
	if err := o.pass(ctx, make([]float64, weights), sums); err != nil {
		return nil, err
	}
	return findDependence(mat.NewSymDense(weights, sums.Hessian), o.penalty), nil
}

// A point is the objective at w: its value and gradient, and what its Hessian is made of.
type point struct {
	w, gradient []float64
	value       float64
	sums        *Sums
	objective   *objective
}

func (o *objective) evaluate(ctx context.Context, w []float64) (*point, error) {
	p := &point{w: slices.Clone(w), sums: NewSums(len(w) - 1), objective: o}
	if err := o.pass(ctx, p.w, p.sums); err != nil {
		return nil, err
	}
	n := float64(p.sums.Rows)
	p.value = p.sums.Loss/n + floats.Dot(w, o.penalty.times(w))/(2*o.c*n)
	p.setGradient()
	return p, nil
}

func (p *point) setGradient() {
	n, o := float64(p.sums.Rows), p.objective
	p.gradient = slices.Clone(p.sums.Gradient)
	if o.dependence.any() {
		o.dependence.clean(p.gradient)
	}
	floats.Scale(1/n, p.gradient)
	floats.AddScaled(p.gradient, 1/(o.c*n), o.penalty.times(p.w))
}

// A newtonStep is what to subtract from the weights.
type newtonStep struct {
	step     []float64
	exact    bool
	flat     bool      // H is nearly singular
	gradient []float64 // less what active bounds hold
	active   []bool    // by bound: whether it is an equation at the step's end
}

// A solver sets dst to H⁻¹b. An error means that H is nearly singular.
type solver interface {
	SolveTo(dst *mat.Dense, b mat.Matrix) error
}

// newtonStep returns H⁻¹g, or the step that the bounds leave of it. Where rounding has left
// an H that is not positive definite a multiple of the identity is added to it, and the step
// is not exact.
func (p *point) newtonStep() newtonStep {
	const least = 1e-3 // first multiple; it grows fivefold until H can be factored, as in gonum's optimize.Newton
	h := penalised(p.sums, p.objective.c, p.objective.penalty)
	h.ScaleSym(1/float64(p.sums.Rows), h)
	var f cholesky
	factored := f.factorize(h)
	s := newtonStep{exact: factored, gradient: p.gradient, flat: !factored || f.cond() > mostCondition}
	var solver solver = &f
	if d := p.objective.dependence; s.flat && d.any() {
		if inverse, ok := d.invert(h, p.objective.c*float64(p.sums.Rows)); ok {
			solver, factored, s.exact = inverse, true, true
		}
	}
	for lift := least; !factored && lift < 1/least; lift *= 5 {
		lifted := mat.NewSymDense(len(p.w), nil)
		lifted.CopySym(h)
		for j := range p.w {
			lifted.SetSym(j, j, h.At(j, j)+lift)
		}
		factored = f.factorize(lifted)
	}
	if !factored {
		s.step = slices.Clone(p.gradient) // steepest descent
		return s
	}
	solution := mat.NewDense(len(p.w), 1, nil)
	err := solver.SolveTo(solution, mat.NewVecDense(len(p.w), p.gradient))
	s.step, s.exact = solution.RawMatrix().Data, s.exact && err == nil
	if len(p.objective.bounds) > 0 {
		p.objective.bounds.constrain(&s, p.w, solver)
	}
	return s
}

// errorAfter bounds how far any weight is from the minimum after the full step s: +Inf without a bound on
// |xᵢ·step|, or where that is more than mostChange.
//
// The curvature of a row's loss changes by at most a factor of exp(|xᵢ·s|) along the step
// (self-concordance; Bach 2010, Self-concordant analysis for logistic regression). With L the Hessian
// of the loss alone, ‖u‖² = uᵀLu and r the bound on |xᵢ·s|, the gradient g at its end has
// |uᵀg| ≤ (eʳ−1−r)/r ‖u‖‖s‖ for all u. Weight j is as far from its minimum as that of u = H⁻¹eⱼ,
// but for the changes of H, which are less than a factor of 2.
func (p *point) errorAfter(s newtonStep, logitChange func([]float64) float64) float64 {
	const mostChange = 0.1 // up to which that is so
	if logitChange == nil || !s.exact || s.flat || len(p.objective.bounds) > 0 {
		return math.Inf(1)
	}
	r, d := logitChange(s.step), len(p.w)
	var chol mat.Cholesky
	if !(r <= mostChange) || !chol.Factorize(penalised(p.sums, p.objective.c, p.objective.penalty)) {
		return math.Inf(1)
	}
	loss, u := mat.NewSymDense(d, p.sums.Hessian), mat.NewVecDense(d, nil)
	step, most := mat.NewVecDense(d, s.step), 0.0
	for j := range d {
		unit := mat.NewVecDense(d, nil)
		unit.SetVec(j, 1)
		if chol.SolveVecTo(u, unit) != nil {
			return math.Inf(1)
		}
		most = max(most, mat.Inner(u, loss, u))
	}
	return 2 * (r / 2 * math.Exp(r)) * math.Sqrt(most*mat.Inner(step, loss, step)) // (eʳ−1−r)/r ≤ r/2 eʳ
}

// backtrack takes the full step from a point, and halves it until the objective has
// fallen enough (Armijo). It returns nil if no step will do.
func (o *objective) backtrack(ctx context.Context, from *point, s newtonStep) (*point, error) {
	const (
		enough   = 1e-4  // share of the fall that the slope promises; Nocedal & Wright, section 3.1
		rounding = 1e-13 // relative error of a mean loss over many rows: near the minimum the fall is smaller
		least    = 1e-12 // share of the step at which the search ends
	)
	slope := -floats.Dot(s.gradient, s.step) // bounds can only make it steeper
	w := make([]float64, len(s.step))
	for share := 1.0; slope < 0 && share >= least; share /= 2 {
		floats.AddScaledTo(w, from.w, -share, s.step)
		o.bounds.enforce(w, nil)
		to, err := o.evaluate(ctx, w)
		if err != nil {
			return nil, err
		}
		if to.value <= from.value+enough*share*slope+rounding*math.Abs(from.value) {
			return to, nil
		}
	}
	return nil, nil
}
