package model

import (
	"cmp"
	"context"
	"errors"
	"slices"

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

// pairable returns the pairs of the features that contribute most, of at most screenFeatures.
func (g *selection) pairable(ctx context.Context) ([]screened, error) {
	schema := g.rest.table.Schema
	features := make([]int, len(schema.Features))
	for j := range features {
		features[j] = j
	}
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
	for k, b := range features {
		for _, a := range features[:k] {
			pair := Pair{schema.Features[a].Name, schema.Features[b].Name}
			if schema.CheckPairs([]Pair{pair}) == nil {
				pairs = append(pairs, screened{pair: pair, a: a, b: b})
			}
		}
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
		b := bindLevels(j, grid.Levels, grid.Rest)
		if grid.Knots != nil {
			b = bindNumber(j, g.described.Scalings[j], grid, false)
		}
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
	penalty := func(i int) float64 {
		if i < own {
			return screenRidge
		}
		return 1
	}
	all := mat.NewSymDense(n, hessian)
	for i := range n {
		all.SetSym(i, i, all.At(i, i)+penalty(i))
	}
	full, fullDF, err := quadratic(all, gradient, penalty, df)
	if err != nil {
		return err
	}
	mains, mainsDF, err := quadratic(all.SliceSym(0, own).(*mat.SymDense), gradient[:own], penalty, df)
	c.gain = full - mains
	if df {
		c.df = fullDF - mainsDF
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

// quadratic returns gᵀA⁻¹g and, if wanted, the effective degrees of freedom: the trace of
// A⁻¹(A−P), P the diagonal penalty that A contains.
func quadratic(a *mat.SymDense, g []float64, penalty func(i int) float64, df bool) (q, trace float64, err error) {
	var chol mat.Cholesky
	if !chol.Factorize(a) {
		return 0, 0, errors.New("screening pairs: a Hessian is not positive definite")
	}
	v := mat.NewVecDense(len(g), g)
	var x mat.VecDense
	if err := chol.SolveVecTo(&x, v); err != nil {
		return 0, 0, err
	}
	q = mat.Dot(v, &x)
	if !df {
		return q, 0, nil
	}
	var inverse mat.SymDense
	if err := chol.InverseTo(&inverse); err != nil {
		return 0, 0, err
	}
	trace = float64(len(g))
	for i := range g {
		trace -= penalty(i) * inverse.At(i, i)
	}
	return q, trace, nil
}
