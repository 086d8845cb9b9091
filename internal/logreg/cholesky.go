package logreg

import (
	"math"
	"slices"

	lapack "gonum.org/v1/gonum/lapack/gonum"
	"gonum.org/v1/gonum/mat"
)

// fewest weights are worth to be eliminated.
const fewest = 64

// A cholesky is a Cholesky factorisation. Of the levels of a category a row has one, so that the Hessian has no
// products of them: where they are many they are eliminated first, which costs their number and not its cube (block
// elimination; Boyd & Vandenberghe 2004, Convex Optimization, appendix C.4):
//
//	A = [D B; Bᵀ C]   Y = D^−½B   S = C − YᵀY
type cholesky struct {
	n        int
	from, to int          // the weights that D is of
	root     []float64    // D^½
	across   *mat.Dense   // Y
	rest     mat.Cholesky // of S, or without a run of A
	norm     float64      // ‖A‖₁
}

// factorize factors A, and reports whether it is positive definite.
func (f *cholesky) factorize(a *mat.SymDense) bool {
	f.n, f.across = a.SymmetricDim(), nil
	if f.from, f.to = longestRun(a); f.to-f.from < fewest {
		return f.rest.Factorize(a)
	}
	f.norm, f.root = mat.Norm(a, 1), make([]float64, 0, f.to-f.from)
	others := f.others()
	f.across = mat.NewDense(f.to-f.from, len(others), nil)
	for i := f.from; i < f.to; i++ {
		root := math.Sqrt(a.At(i, i))
		if !(root > 0) {
			return false
		}
		f.root = append(f.root, root)
		row := f.across.RawRowView(i - f.from)
		for k, j := range others {
			row[k] = a.At(i, j) / root
		}
	}
	s := mat.NewSymDense(len(others), nil)
	for k, i := range others {
		for l, j := range others[k:] {
			s.SetSym(k, k+l, a.At(i, j))
		}
	}
	s.SymRankK(s, -1, f.across.T())
	return f.rest.Factorize(s)
}

// longestRun returns the longest run of weights, without the last, whose products with each other are all zero.
func longestRun(a *mat.SymDense) (from, to int) {
	raw := a.RawSymmetric()
	start := 0
	for j := range raw.N - 1 {
		for i := j - 1; i >= start; i-- {
			if raw.Data[i*raw.Stride+j] != 0 {
				start = i + 1
			}
		}
		if j+1-start > to-from {
			from, to = start, j+1
		}
	}
	return from, to
}

// others are the weights outside the run.
func (f *cholesky) others() []int {
	all := make([]int, f.n)
	for i := range all {
		all[i] = i
	}
	return slices.Delete(all, f.from, f.to)
}

// SolveTo sets dst to A⁻¹b. An error means that A is nearly singular.
func (f *cholesky) SolveTo(dst *mat.Dense, b mat.Matrix) error {
	if f.across == nil {
		return f.rest.SolveTo(dst, b)
	}
	_, columns := b.Dims()
	others := f.others()
	run, rest := mat.NewDense(len(f.root), columns, nil), mat.NewDense(len(others), columns, nil)
	for c := range columns {
		for i, root := range f.root {
			run.Set(i, c, b.At(f.from+i, c)/root)
		}
		for k, j := range others {
			rest.Set(k, c, b.At(j, c))
		}
	}
	var less mat.Dense
	less.Mul(f.across.T(), run)
	rest.Sub(rest, &less)
	err := f.rest.SolveTo(rest, rest)
	less.Reset()
	less.Mul(f.across, rest)
	run.Sub(run, &less)
	if dst.IsEmpty() {
		dst.ReuseAs(f.n, columns)
	}
	for c := range columns {
		for i, root := range f.root {
			dst.Set(f.from+i, c, run.At(i, c)/root)
		}
		for k, j := range others {
			dst.Set(j, c, rest.At(k, c))
		}
	}
	return err
}

// cond estimates the condition number of A in the 1-norm, as mat.Cholesky does.
func (f *cholesky) cond() float64 {
	if f.across == nil {
		return f.rest.Cond()
	}
	x := mat.NewDense(f.n, 1, nil)
	v, sign, state, norm, next := make([]float64, f.n), make([]int, f.n), [3]int{}, 0.0, 0
	for {
		norm, next = lapack.Implementation{}.Dlacn2(f.n, v, x.RawMatrix().Data, sign, norm, next, &state)
		if next == 0 {
			return norm * f.norm
		}
		f.SolveTo(x, x) // nearly singular: the estimate says so
	}
}
