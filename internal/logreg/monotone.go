package logreg

import (
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// A Monotone is N adjacent weights that must not fall if Sign is 1, and not rise if it is −1:
// a curve's heights at its knots. One weight alone must have that sign, or be 0: the slope
// of a line.
type Monotone struct {
	First, N int
	Sign     float64
}

// A bound is the constraint sign·(w[high]−w[low]) ≥ 0; without a low, which is then −1,
// sign·w[high] ≥ 0.
type bound struct {
	low, high int
	sign      float64
}

// bounds are the constraints Aw ≥ 0, those of each Monotone in ascending order.
type bounds []bound

func newBounds(monotone []Monotone) bounds {
	var all bounds
	for _, m := range monotone {
		if m.N == 1 {
			all = append(all, bound{-1, m.First, m.Sign})
		}
		for j := m.First + 1; j < m.First+m.N; j++ {
			all = append(all, bound{j - 1, j, m.Sign})
		}
	}
	return all
}

// transposed returns Aᵀ, for d+1 weights.
func (b bounds) transposed(weights int) *mat.Dense {
	a := mat.NewDense(weights, len(b), nil)
	for k, c := range b {
		a.Set(c.high, k, c.sign)
		if c.low >= 0 {
			a.Set(c.low, k, -c.sign)
		}
	}
	return a
}

// enforce makes w satisfy the bounds, without any tolerance, and those that are active as
// equations.
func (b bounds) enforce(w []float64, active []bool) {
	for k, c := range b {
		least := 0.0
		if c.low >= 0 {
			least = w[c.low]
		}
		if (active != nil && active[k]) || c.sign*w[c.high] < c.sign*least {
			w[c.high] = least
		}
	}
}

// constrain turns a Newton step from w, with an H that can be solved, into the step to
// where the same quadratic model is least under the bounds:
//
//	u = w − H⁻¹g + H⁻¹Aᵀλ  with  λ ≥ 0,  Au ≥ 0,  λᵀAu = 0
func (b bounds) constrain(s *newtonStep, w []float64, h solver) {
	a := b.transposed(len(w))
	var inverse, v mat.Dense // H⁻¹Aᵀ and AH⁻¹Aᵀ
	err := h.SolveTo(&inverse, a)
	v.Mul(a.T(), &inverse)
	var slack, by, held mat.VecDense // of the free step; what multipliers take from it, and from the gradient
	slack.MulVec(a.T(), mat.NewVecDense(len(w), floats.SubTo(make([]float64, len(w)), w, s.step)))
	multipliers, solved := complement(&v, &slack)
	s.exact = s.exact && err == nil && solved
	s.active = make([]bool, len(b))
	for k := range b {
		s.active[k] = multipliers.AtVec(k) > 0
	}
	by.MulVec(&inverse, multipliers)
	floats.Sub(s.step, by.RawVector().Data)
	held.MulVec(a, multipliers)
	s.gradient = floats.SubTo(make([]float64, len(w)), s.gradient, held.RawVector().Data)
}

// complement returns the λ ≥ 0 with q + Vλ ≥ 0 and λᵀ(q + Vλ) = 0 for a positive definite V;
// solved is false if rounding kept it from them. It is the active-set method of Lawson & Hanson
// (1974), chapter 23.
func complement(v *mat.Dense, q *mat.VecDense) (lambda *mat.VecDense, solved bool) {
	const rounding = 1e-12 // a smaller violation is left to enforce: weights are good to nine decimals
	n, least := q.Len(), -rounding*max(1, mat.Norm(q, 1))
	lambda = mat.NewVecDense(n, nil)
	var positive []int // the λ that are
	for range 10 * n { // a round or so for each λ that becomes positive
		slack := mat.NewVecDense(n, nil)
		slack.MulVec(v, lambda)
		slack.AddVec(slack, q)
		for _, k := range positive {
			slack.SetVec(k, 0)
		}
		worst := floats.MinIdx(slack.RawVector().Data)
		if !(slack.AtVec(worst) < least) {
			return lambda, true
		}
		var ok bool
		if positive, ok = descend(v, q, lambda, append(positive, worst)); !ok {
			break
		}
	}
	return lambda, false
}

// descend sets the λ of some indices to the solution of their equations, as far as they stay
// positive. It returns those that did.
func descend(v *mat.Dense, q, lambda *mat.VecDense, positive []int) (_ []int, ok bool) {
	for len(positive) > 0 {
		n := len(positive)
		square, right := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
		for i, k := range positive {
			right.SetVec(i, -q.AtVec(k))
			for j, l := range positive[:i+1] {
				square.SetSym(i, j, v.At(k, l))
			}
		}
		var chol mat.Cholesky
		var to mat.VecDense
		if !chol.Factorize(square) || chol.SolveVecTo(&to, right) != nil {
			return positive, false
		}
		share, first := 1.0, -1 // of the way, and which λ is zero there
		for i, k := range positive {
			if from := lambda.AtVec(k); to.AtVec(i) <= 0 && (first < 0 || from/(from-to.AtVec(i)) < share) {
				share, first = from/(from-to.AtVec(i)), i
			}
		}
		for i, k := range positive {
			lambda.SetVec(k, lambda.AtVec(k)+share*(to.AtVec(i)-lambda.AtVec(k)))
		}
		if first < 0 {
			return positive, true
		}
		lambda.SetVec(positive[first], 0)
		positive = slices.Delete(positive, first, first+1)
	}
	return positive, true
}
