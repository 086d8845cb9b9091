package model

import (
	"cmp"

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

// A screen has what each row adds to the statistics.
type screen struct {
	width       []int        // by feature: of its grid
	intervals   [][]interval // by feature and row; nil if the feature is in no candidate
	residual, h []float64    // by row
}

// An interval is where a row is in a feature's grid: function first is 1−share there, and the next one share.
type interval struct {
	share float64
	first int32
}

func (g *selection) newScreen(p []float64) *screen {
	s := &screen{
		width: make([]int, len(g.grids)), intervals: make([][]interval, len(g.grids)),
		residual: make([]float64, len(p)), h: make([]float64, len(p)),
	}
	weight := g.fit.design.ClassWeight
	for k, i := range g.rest.rows {
		label, w := 0.0, weight[0]
		if g.rest.table.Positive[i] {
			label, w = 1, weight[1]
		}
		s.residual[k], s.h[k] = w*(label-p[k]), w*p[k]*(1-p[k])
	}
	for _, c := range g.candidates {
		s.add(g, c.a)
		s.add(g, c.b)
	}
	return s
}

// add finds the intervals of a feature.
func (s *screen) add(g *selection, j int) {
	if s.intervals[j] != nil {
		return
	}
	bound := g.fit.encoder.basis(j, g.grids[j])
	basis := bound.design(&g.rest.table.Columns[j])
	s.width[j], s.intervals[j] = basis.Width, make([]interval, len(g.rest.rows))
	var room logreg.Active
	for k, i := range g.rest.rows {
		a := basis.Active(i, &room)
		s.intervals[j][k] = interval{a.Value[1], a.First}
	}
}

// test fills in a pair's gain and, if it is not known yet, its degrees of freedom. The
// functions of a grid basis add up to 1 in each row, so the sums of the coarse bases are
// those of their grid, added up.
func (s *screen) test(c *screened) error {
	wa, wb := s.width[c.a], s.width[c.b]
	own, cells := wa+wb, wa*wb
	n := own + cells
	gridGradient, gridHessian := s.grid(c.a, c.b)
	gradient := append(make([]float64, own), gridGradient...)
	hessian := make([]float64, n*n) // upper triangle
	for cell := range cells {
		i, j := cell/wb, cell%wb
		gradient[i] += gradient[own+cell]
		gradient[wa+j] += gradient[own+cell]
		copy(hessian[(own+cell)*n+own+cell:][:cells-cell], gridHessian[cell*cells+cell:])
		for other := range cells {
			h := gridHessian[min(cell, other)*cells+max(cell, other)]
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
	gain, df, err := mains.test(own, cells, logreg.Ridge(cells))
	c.gain, c.df = gain, cmp.Or(c.df, df)
	return err
}

// grid returns the gradient of a pair's grid and the upper triangle of its Hessian. Rows are first added up by
// their intervals: a row has four cells, those of two functions of a, whose values are u, times two of b, v.
func (s *screen) grid(a, b int) (gradient, hessian []float64) {
	type sums struct {
		residual [2][2]float64 // times u0, u1 by v0, v1
		h        [3][3]float64 // times u0², u0·u1, u1² by v0², v0·v1, v1²
	}
	wb, cells := s.width[b], s.width[a]*s.width[b]
	at, of, with := make([]sums, cells), s.intervals[a], s.intervals[b]
	for k, h := range s.h {
		p, q, r := &of[k], &with[k], s.residual[k]
		u0, u1, v0, v1 := 1-p.share, p.share, 1-q.share, q.share
		x := &at[int(p.first)*wb+int(q.first)]
		x.residual[0][0] += r * u0 * v0
		x.residual[0][1] += r * u0 * v1
		x.residual[1][0] += r * u1 * v0
		x.residual[1][1] += r * u1 * v1
		first, both, second := v0*v0, v0*v1, v1*v1
		for i, f := range [3]float64{h * u0 * u0, h * u0 * u1, h * u1 * u1} {
			row := &x.h[i]
			row[0] += f * first
			row[1] += f * both
			row[2] += f * second
		}
	}
	gradient, hessian = make([]float64, cells), make([]float64, cells*cells)
	for first := range at {
		x := &at[first]
		for i := range 4 {
			cell := first + i/2*wb + i%2
			if cell >= cells {
				break // beyond the last function of a, or of both, where all sums are zero
			}
			gradient[cell] += x.residual[i/2][i%2]
			for j := i; j < 4; j++ {
				if other := first + j/2*wb + j%2; other < cells {
					hessian[cell*cells+other] += x.h[i/2+j/2][i%2+j%2]
				}
			}
		}
	}
	return gradient, hessian
}
