// Package logreg fits a binary logistic regression with an L2 penalty to plain
// numbers. It knows no column names and no files.
//
// The objective is apart from the solver. [Fit] asks for one [Pass] over the
// rows an iteration, which returns the sums of loss, gradient and Hessian for
// the given weights, and knows nothing else about where the rows live. [Rows] is
// the pass over memory, on all cores.
//
// Weights are d+1 numbers throughout, the intercept last.
package logreg

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
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

// Fitted is the minimum that Fit found.
type Fitted struct {
	Weights      []float64 // d+1, the intercept last
	Sums         *Sums     // without the penalty, at most stepTolerance from Weights
	Objective    float64   // c·Loss + |w|²/2
	Iterations   int       // Newton steps
	GradientNorm float64   // largest absolute component, of the objective over c·n
	NewtonStep   float64   // largest absolute component of H⁻¹g: how far the minimum may be
}

// ErrNotConverged tells that Fit did not come near enough to the minimum.
var ErrNotConverged = errors.New("the fit did not converge")

const (
	stepTolerance = 1e-9 // on H⁻¹g: weights are good to nine decimals; a gradient would hide flat directions
	maxIterations = 100  // Newton needs about 6, and 20 for separable data
)

// Fit minimises
//
//	c Σ sᵢ log(1+exp(−yᵢzᵢ)) + |w|²/2
//
// over w and the intercept, which is not in |w|²; it is what scikit-learn's
// LogisticRegression minimises. c > 0 is the inverse strength of the penalty.
// start is where to begin, d+1 numbers, or nil for zeros.
//
// Newton's method (Nocedal & Wright 2006, chapter 3) runs on 1/(c·n) times that,
// so that no threshold depends on the number of rows. If the weights are not
// within stepTolerance of the minimum at the end the error is ErrNotConverged.
func Fit(ctx context.Context, d int, pass Pass, c float64, start []float64) (*Fitted, error) {
	if !(c > 0) {
		panic("logreg: c must be positive")
	}
	if start == nil {
		start = make([]float64, d+1)
	}
	o := &objective{ctx: ctx, pass: pass, c: c, d: d}
	result, err := optimize.Minimize(optimize.Problem{
		Func:   o.value,
		Grad:   o.gradient,
		Hess:   o.hessian,
		Status: o.status,
	}, start, &optimize.Settings{
		Converger:       o,
		MajorIterations: maxIterations,
	}, &optimize.Newton{
		Linesearcher:      &halving{},
		GradStopThreshold: math.NaN(), // none of its own: a gradient that small is far from the minimum in a flat direction
	})
	if o.err != nil {
		return nil, o.err
	}
	if result == nil {
		return nil, fmt.Errorf("%w: %w", ErrNotConverged, err)
	}
	step := o.newtonStep(result.X)
	if o.err != nil {
		return nil, o.err
	}
	size := math.NaN()
	if step != nil {
		size = floats.Norm(step, math.Inf(1))
	}
	if !(size <= stepTolerance) {
		return nil, fmt.Errorf("%w: after %d iterations the gradient is %.3g and the Newton step %.3g, at most %.3g",
			ErrNotConverged, result.MajorIterations, floats.Norm(result.Gradient, math.Inf(1)), size, stepTolerance)
	}
	fitted := &Fitted{
		Weights:      slices.Clone(result.X),
		Sums:         o.at(result.X),
		Objective:    o.value(result.X) * c * float64(o.sums.Rows),
		Iterations:   result.MajorIterations,
		GradientNorm: floats.Norm(result.Gradient, math.Inf(1)),
		NewtonStep:   size,
	}
	floats.Sub(fitted.Weights, step) // known already, and it squares what is left of the error
	return fitted, nil
}

// objective answers gonum's three questions about a point from one pass.
type objective struct {
	ctx  context.Context
	pass Pass
	c    float64
	d    int

	x    []float64 // where sums was taken; a copy, gonum reuses its own
	sums *Sums
	err  error // of the last pass
}

// at returns the sums at x.
func (o *objective) at(x []float64) *Sums {
	if o.sums == nil || !slices.Equal(x, o.x) {
		o.x = append(o.x[:0], x...)
		o.sums = NewSums(o.d)
		if o.err == nil {
			o.err = o.pass(o.ctx, o.x, o.sums)
		}
	}
	return o.sums
}

func (o *objective) status() (optimize.Status, error) {
	if o.err != nil {
		return optimize.Failure, o.err
	}
	return optimize.NotTerminated, nil
}

func (o *objective) value(x []float64) float64 {
	s := o.at(x)
	if o.err != nil {
		return math.NaN()
	}
	n := float64(s.Rows)
	w := x[:o.d]
	return s.Loss/n + floats.Dot(w, w)/(2*o.c*n)
}

func (o *objective) gradient(dst, x []float64) {
	s := o.at(x)
	n := float64(s.Rows)
	floats.ScaleTo(dst, 1/n, s.Gradient)
	floats.AddScaled(dst[:o.d], 1/(o.c*n), x[:o.d])
}

func (o *objective) hessian(dst *mat.SymDense, x []float64) {
	s := o.at(x)
	n := float64(s.Rows)
	dst.CopySym(penalised(s, o.d, 1/o.c))
	dst.ScaleSym(1/n, dst)
}

// penalised returns the Hessian of the summed loss with a penalty on the diagonal, but for the intercept.
func penalised(s *Sums, d int, penalty float64) *mat.SymDense {
	h := mat.NewSymDense(d+1, slices.Clone(s.Hessian))
	for j := range d {
		h.SetSym(j, j, h.At(j, j)+penalty)
	}
	return h
}

// newtonStep returns H⁻¹g at x, or nil where H cannot be factored.
func (o *objective) newtonStep(x []float64) []float64 {
	h := mat.NewSymDense(o.d+1, nil)
	o.hessian(h, x)
	g := make([]float64, o.d+1)
	o.gradient(g, x)
	var chol mat.Cholesky
	step := mat.NewVecDense(o.d+1, nil)
	if !chol.Factorize(h) || chol.SolveVecTo(step, mat.NewVecDense(o.d+1, g)) != nil {
		return nil
	}
	return step.RawVector().Data
}

// Init and Converged make objective an optimize.Converger.
func (o *objective) Init(int) {}

func (o *objective) Converged(loc *optimize.Location) optimize.Status {
	if step := o.newtonStep(loc.X); step != nil && floats.Norm(step, math.Inf(1)) <= stepTolerance {
		return optimize.MethodConverge
	}
	return optimize.NotTerminated
}

// halving is a line search that takes the full Newton step and halves it until
// the loss has fallen enough (Armijo). Near the minimum the fall is smaller than
// the rounding of a sum over many rows, which gonum's own searches take for a
// failure; here that much is forgiven.
type halving struct {
	f, slope, step float64
}

func (l *halving) Init(f, slope, step float64) optimize.Operation {
	l.f, l.slope, l.step = f, slope, step
	return optimize.FuncEvaluation
}

func (l *halving) Iterate(f, _ float64) (optimize.Operation, float64, error) {
	const (
		enough   = 1e-4  // share of the fall that the slope promises; Nocedal & Wright, section 3.1
		rounding = 1e-13 // relative error of a mean loss over many rows
		least    = 1e-12 // step below which nothing will come of it
	)
	if f <= l.f+enough*l.step*l.slope+rounding*math.Abs(l.f) {
		return optimize.MajorIteration, l.step, nil
	}
	l.step /= 2
	if l.step < least {
		return optimize.NoOperation, l.step, optimize.ErrLinesearcherFailure
	}
	return optimize.FuncEvaluation, l.step, nil
}

// Covariance returns the covariance of the weights, (d+1)×(d+1): the inverse of
// A, the Hessian of the summed loss with the penalty |w|²/(2c). With meat, whose
// Hessian is Σ sᵢ²(pᵢ−[yᵢ=1])² xᵢxᵢᵀ, it is the sandwich A⁻¹ M A⁻¹ (Huber 1967;
// White 1982), which holds for rows weighted by class.
func Covariance(sums *Sums, c float64, meat *Sums) (*mat.SymDense, error) {
	n := len(sums.Gradient)
	var chol mat.Cholesky
	if !chol.Factorize(penalised(sums, n-1, 1/c)) {
		return nil, errors.New("the Hessian is not positive definite: no standard errors")
	}
	inverse := mat.NewSymDense(n, nil)
	if err := chol.InverseTo(inverse); err != nil {
		return nil, fmt.Errorf("the Hessian is nearly singular: no standard errors: %w", err)
	}
	if meat == nil {
		return inverse, nil
	}
	var half, full mat.Dense
	half.Mul(inverse, mat.NewSymDense(n, meat.Hessian))
	full.Mul(&half, inverse)
	sandwich := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			sandwich.SetSym(i, j, (full.At(i, j)+full.At(j, i))/2)
		}
	}
	return sandwich, nil
}
