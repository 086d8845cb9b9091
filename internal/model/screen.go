package model

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"churn/internal/dataset"
	"churn/internal/logreg"

	"gonum.org/v1/gonum/mat"
)

// A screened pair has a score statistic: what its grid would gain in the log-likelihood,
// given the coarse bases of both features, times two.
type screened struct {
	pair Pair
	a, b int     // features
	gain float64 // less the degrees of freedom
	df   float64
}

const (
	screenRidge    = 0.1 // penalty of the coarse bases; that of the grid is 1
	screenLeast    = 2   // least gain per degree of freedom
	screenFeatures = 40  // of more features, that many are paired: 780 pairs
)

// screen returns the pairs that the fit does not have and that would gain more than by
// chance, the strongest first. After the first time only those of then are looked at.
func (g *selection) screen(ctx context.Context) ([]Pair, error) {
	p, err := g.rest.use(g.fit.design).Probabilities(ctx, g.fit.fitted.Weights)
	if err != nil {
		return nil, err
	}
	first := g.candidates == nil
	if first {
		if g.candidates, err = g.pairable(ctx); err != nil {
			return nil, err
		}
	}
	s := g.newScreen(p)
	kept := g.candidates[:0:0]
	for _, c := range g.candidates {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if slices.ContainsFunc(g.st.pairs, c.pair.Same) {
			continue
		}
		if err := s.test(&c, first); err != nil {
			return nil, err
		}
		if c.gain > screenLeast*c.df {
			c.gain -= c.df
			kept = append(kept, c)
		}
	}
	slices.SortStableFunc(kept, func(a, b screened) int { return cmp.Compare(b.gain, a.gain) })
	g.candidates = kept
	var pairs []Pair
	for _, c := range kept {
		pairs = append(pairs, c.pair)
	}
	return pairs, nil
}

// pairable returns the pairs of the features that contribute most, of at most screenFeatures, and those of also.
func (g *selection) pairable(ctx context.Context) ([]screened, error) {
	schema := g.rest.table.Schema
	features := dataset.UpTo[int](len(schema.Features))
	if len(features) > screenFeatures {
		over, err := g.fit.moments(ctx, g.rest)
		if err != nil {
			return nil, err
		}
		std := make([]float64, len(features))
		for j := range features {
			own := make([]float64, len(g.fit.fitted.Weights))
			first := g.fit.encoder.first(j)
			last := first + g.fit.encoder.bases[j].width
			copy(own[first:last], g.fit.fitted.Weights[first:last])
			std[j] = over.std(own)
		}
		slices.SortStableFunc(features, func(i, j int) int { return cmp.Compare(std[j], std[i]) })
		features = features[:screenFeatures]
		slices.Sort(features)
	}
	pairs := []screened{}
	add := func(pair Pair) {
		known := func(s screened) bool { return pair.Same(s.pair) }
		if schema.CheckPairs([]Pair{pair}) == nil && !slices.ContainsFunc(pairs, known) {
			pairs = append(pairs, screened{pair: pair, a: schema.Index(pair[0]), b: schema.Index(pair[1])})
		}
	}
	for k, b := range features {
		for _, a := range features[:k] {
			add(Pair{schema.Features[a].Name, schema.Features[b].Name})
		}
	}
	for _, pair := range g.also {
		add(pair)
	}
	return pairs, nil
}

// A screen has what each row adds to the statistics.
type screen struct {
	rows        []int32
	grids       []logreg.Basis // by feature
	residual, h []float64      // by row
}

func (g *selection) newScreen(p []float64) *screen {
	s := &screen{rows: g.rest.rows, residual: make([]float64, len(p)), h: make([]float64, len(p))}
	weight := g.fit.design.ClassWeight
	for k, i := range g.rest.rows {
		label, w := 0.0, weight[0]
		if g.rest.table.Positive[i] {
			label, w = 1, weight[1]
		}
		s.residual[k], s.h[k] = w*(label-p[k]), w*p[k]*(1-p[k])
	}
	for j, grid := range g.grids {
		b := g.fit.encoder.basis(j, grid)
		s.grids = append(s.grids, b.design(&g.rest.table.Columns[j]))
	}
	return s
}

// test fills in a pair's gain and, if it is not known yet, its degrees of freedom. The
// functions of a grid basis add up to 1 in each row, so the sums of the coarse bases are
// those of their grid, added up.
func (s *screen) test(c *screened, df bool) error {
	wa, wb := s.grids[c.a].Width, s.grids[c.b].Width
	own, cells := wa+wb, wa*wb
	n := own + cells
	sums, stride := s.grid(c.a, c.b), cells+1
	gradient := append(make([]float64, own), sums.Gradient[:cells]...)
	hessian := make([]float64, n*n) // upper triangle
	for cell := range cells {
		i, j := cell/wb, cell%wb
		gradient[i] += gradient[own+cell]
		gradient[wa+j] += gradient[own+cell]
		copy(hessian[(own+cell)*n+own+cell:][:cells-cell], sums.Hessian[cell*stride+cell:])
		for other := range cells {
			h := sums.Hessian[min(cell, other)*stride+max(cell, other)]
			if h == 0 {
				continue
			}
			hessian[i*n+own+other] += h
			hessian[(wa+j)*n+own+other] += h
			i2, j2 := other/wb, other%wb
			hessian[i*n+i2] += h
			hessian[i*n+wa+j2] += h
			hessian[(wa+j)*n+wa+j2] += h
		}
	}
	mains, err := newScoreTest(mat.NewSymDense(n, hessian), gradient, dataset.UpTo[int](own), screenRidge)
	if err != nil {
		return err
	}
	var freedom float64
	if c.gain, freedom, err = mains.test(own, cells, logreg.Ridge(cells)); df {
		c.df = freedom
	}
	return err
}

// grid returns the sums of a pair's grid.
func (s *screen) grid(a, b int) *logreg.Sums {
	sums := logreg.NewSums(s.grids[a].Width * s.grids[b].Width)
	var term logreg.Term
	var room [4]logreg.Entry
	var u, v logreg.Active
	for k, row := range s.rows {
		entries := term.Append(room[:0], s.grids[a].Active(row, &u), s.grids[b].Active(row, &v), s.grids[b].Width)
		sums.AddProducts(entries, s.residual[k], s.h[k])
	}
	return sums
}

// A scoreTest tests functions that a fit does not have. They have the score u = Bᵀr with the
// residuals r, and those that the fit has, X, have g = Xᵀr. With W = diag(p(1−p)) what is left of
// them beside X is
//
//	U = u − BᵀWX (XᵀWX)⁻¹ g    V = BᵀWB − BᵀWX (XᵀWX)⁻¹ XᵀWB
//
// (Neyman's C(α), which holds whatever the weights of X are, if they are near). The statistic
// is Uᵀ(V+P)⁻¹U with a penalty P, and its degrees of freedom the trace of (V+P)⁻¹V, less what the
// ridge on XᵀWX then takes from it.
type scoreTest struct {
	hessian *mat.SymDense // of all functions
	score   []float64     // but for its sign
	own     []int         // the functions that the fit has
	chol    mat.Cholesky  // of their Hessian
	ridge   float64       // in that
	step    mat.VecDense  // of their weights, by Newton
}

// newScoreTest returns the test beside some functions, with a ridge on their Hessian.
func newScoreTest(hessian *mat.SymDense, score []float64, own []int, ridge float64) (*scoreTest, error) {
	s := &scoreTest{hessian: hessian, score: score, own: own, ridge: ridge}
	a, g := mat.NewSymDense(len(own), nil), mat.NewVecDense(len(own), nil)
	for i, k := range own {
		g.SetVec(i, score[k])
		for j := range i + 1 {
			a.SetSym(j, i, hessian.At(own[j], k))
		}
		a.SetSym(i, i, a.At(i, i)+ridge)
	}
	if !s.chol.Factorize(a) {
		return nil, errors.New("a score test: the Hessian is not positive definite")
	}
	return s, s.chol.SolveVecTo(&s.step, g)
}

// test tests n functions from number first on.
func (s *scoreTest) test(first, n int, p logreg.Penalty) (statistic, df float64, err error) {
	cross := mat.NewDense(len(s.own), n, nil)
	v, penalised := mat.NewSymDense(n, nil), mat.NewSymDense(n, nil)
	for j := range n {
		for i, own := range s.own {
			cross.Set(i, j, s.hessian.At(own, first+j))
		}
	}
	var solved, explained, squares, freedom mat.Dense
	var x, u mat.VecDense
	err = s.chol.SolveTo(&solved, cross)
	explained.Mul(cross.T(), &solved)
	squares.Mul(solved.T(), &solved)
	squares.Scale(-s.ridge, &squares)
	u.MulVec(cross.T(), &s.step)
	u.SubVec(mat.NewVecDense(n, s.score[first:first+n]), &u)
	for i := range n {
		for j := range i + 1 {
			v.SetSym(j, i, s.hessian.At(first+j, first+i)-explained.At(j, i))
		}
	}
	penalised.CopySym(v)
	for _, e := range p {
		penalised.SetSym(e.I, e.J, penalised.At(e.I, e.J)+e.Value)
	}
	var chol mat.Cholesky
	if !chol.Factorize(penalised) {
		return 0, 0, errors.New("a score test: what is left of the Hessian is not positive definite")
	}
	squares.Add(v, &squares)
	err = errors.Join(err, chol.SolveVecTo(&x, &u), chol.SolveTo(&freedom, &squares))
	return mat.Dot(&u, &x), mat.Trace(&freedom), err
}
