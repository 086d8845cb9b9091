package logreg

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
)

// A dependence says which columns of X, the last one of ones among them, are combinations of
// others: the levels of a category add up to the ones, and levels of two features may be of the
// same rows. Along these directions, XN = 0, only the penalty has curvature, and if it is weak
// the Hessian A is nearly singular. So the weights are taken apart:
//
//	w = Et + Na   E = [1; 0] − NK⁻¹(PN)ᵀ[1; 0]   K = NᵀPN   A⁻¹ = E(EᵀAE)⁻¹Eᵀ + cNK⁻¹Nᵀ
//
// where the t are what the data identify, one for each column that is no combination, and
// NᵀPE = 0.
type dependence struct {
	others []int        // columns that are combinations; if there are none, null, span and k are empty
	null   *mat.Dense   // N, a column for each of others
	span   *mat.Dense   // E
	k      mat.Cholesky // of K
}

// findDependence finds the combinations by a pivoted Cholesky factorisation of XᵀX, scaled to a
// diagonal of 1 (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 10.3).
func findDependence(gram *mat.SymDense, p Penalty) *dependence {
	const rounding = 1e-12 // share of a column's squares; what sums of products leave of a zero is less
	n := gram.SymmetricDim()
	scale, scaled := make([]float64, n), mat.NewSymDense(n, nil)
	for i := range n {
		scale[i] = 1
		if x := gram.At(i, i); x > 0 {
			scale[i] = 1 / math.Sqrt(x)
		}
		for j := range i + 1 {
			scaled.SetSym(j, i, gram.At(j, i)*scale[i]*scale[j])
		}
	}
	var chol mat.PivotedCholesky
	chol.Factorize(scaled, rounding)
	rank, order, u := chol.Rank(), chol.ColumnPivots(nil), mat.NewTriDense(n, mat.Upper, nil)
	chol.UTo(u)
	d := &dependence{others: order[rank:]}
	if len(d.others) == 0 {
		return d
	}
	var x mat.Dense // the others by the free columns
	if x.Solve(u.SliceTri(0, rank), mat.DenseCopyOf(u).Slice(0, rank, rank, n)) != nil {
		return &dependence{} // not reached: u has a diagonal above rounding
	}
	pn := mat.NewDense(n, n-rank, nil)
	d.null, d.span = mat.NewDense(n, n-rank, nil), mat.NewDense(n, rank, nil)
	for c, other := range d.others {
		for i, free := range order[:rank] {
			d.null.Set(free, c, -x.At(i, c)*scale[free]/scale[other])
		}
		d.null.Set(other, c, 1)
		pn.SetCol(c, p.times(mat.Col(nil, c, d.null)))
	}
	var k, a mat.Dense
	k.Mul(d.null.T(), pn)
	if !d.k.Factorize(symmetric(&k)) || d.k.SolveTo(&a, pn.T()) != nil {
		return &dependence{} // a direction without a penalty
	}
	var less mat.Dense // of the free columns alone
	less.Mul(d.null, &a)
	for i, free := range order[:rank] {
		for row := range n {
			d.span.Set(row, i, -less.At(row, free))
		}
		d.span.Set(free, i, 1-less.At(free, free))
	}
	return d
}

// any reports whether there are combinations.
func (d *dependence) any() bool { return d != nil && len(d.others) > 0 }

// clean takes the rounding error out of a gradient of the loss: it is orthogonal to N.
func (d *dependence) clean(gradient []float64) {
	for _, other := range d.others {
		gradient[other] = 0
	}
	var q mat.VecDense
	q.MulVec(d.null.T(), mat.NewVecDense(len(gradient), gradient))
	for c, other := range d.others {
		gradient[other] = -q.AtVec(c)
	}
}

// An inverse is A⁻¹ with the penalty P/c.
type inverse struct {
	*dependence
	c    float64
	chol mat.Cholesky // of EᵀAE
}

// invert returns the inverse of A, and whether there is one.
func (d *dependence) invert(a *mat.SymDense, c float64) (*inverse, bool) {
	in := &inverse{dependence: d, c: c}
	return in, in.chol.Factorize(within(d.span, a))
}

// SolveTo sets dst to A⁻¹b.
func (in *inverse) SolveTo(dst *mat.Dense, b mat.Matrix) error {
	var t, solved, q, a, rest mat.Dense
	t.Mul(in.span.T(), b)
	q.Mul(in.null.T(), b)
	err := errors.Join(in.chol.SolveTo(&solved, &t), in.k.SolveTo(&a, &q))
	dst.Mul(in.span, &solved)
	rest.Mul(in.null, &a)
	rest.Scale(in.c, &rest)
	dst.Add(dst, &rest)
	return err
}

// within returns BᵀAB.
func within(b *mat.Dense, a mat.Symmetric) *mat.SymDense {
	var half, full mat.Dense
	half.Mul(a, b)
	full.Mul(b.T(), &half)
	return symmetric(&full)
}

// symmetric returns the mean of a matrix and its transpose.
func symmetric(a *mat.Dense) *mat.SymDense {
	n, _ := a.Dims()
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, (a.At(i, j)+a.At(j, i))/2)
		}
	}
	return s
}
