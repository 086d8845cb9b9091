package model

import (
	"context"
	"fmt"
	"math"
	"slices"

	"churn/internal/logreg"

	"gonum.org/v1/gonum/mat"
)

// An Effect is what a feature or a pair contributes to the log-odds, over the training
// rows. A pair's contribution is purified (Lengerich et al. 2020): at each value of one
// feature its mean over the other is zero. What is taken from it, its margins, is part
// of the features' own contributions, and Mean of the base.
type Effect struct {
	Name    string       `json:"name"`
	Mean    float64      `json:"mean"`             // of a feature's own term, or taken from a pair
	Std     float64      `json:"std"`              // of its contribution: its importance
	Margins [2][]float64 `json:"margins,omitzero"` // of a pair: by function of each feature's grid
}

// checkEffects reports effects of a document that Explain could not use.
func (m *Model) checkEffects() error {
	if m.Effects == nil && m.Encoder.Linear() {
		return nil
	}
	names := m.Contributors()
	if len(m.Effects) != len(names) {
		return fmt.Errorf("%d effects, the encoder has %d features and pairs", len(m.Effects), len(names))
	}
	for k, name := range names {
		effect, a, b := &m.Effects[k], 0, 0
		if k >= len(m.Schema.Features) {
			t := &m.Encoder.terms[k]
			a, b = m.Encoder.bases[t.A].width, m.Encoder.bases[t.B].width
		}
		u, v := effect.Margins[0], effect.Margins[1]
		tooLarge := func(x float64) bool { return math.Abs(x) > maxWeight }
		switch {
		case effect.Name != name:
			return fmt.Errorf("effect %d is of %q, the encoder's is %q", k+1, effect.Name, name)
		case len(u) != a || len(v) != b:
			return fmt.Errorf("the effect of %s has margins of %d and %d, its grids %d and %d", name, len(u), len(v), a, b)
		case slices.ContainsFunc(slices.Concat(u, v, []float64{effect.Mean, effect.Std}), tooLarge):
			return fmt.Errorf("the effect of %s is more than %v", name, maxWeight)
		}
	}
	return nil
}

// moments are means over the training rows of the encoder's functions and their products.
type moments struct {
	means   []float64 // by weight, and 1
	squares *mat.SymDense
}

// moments computes them by a pass at weights of zero, at which each row's p(1−p) is 1/4.
func (f *fit) moments(ctx context.Context, rows Source) (*moments, error) {
	design := *f.design
	design.ClassWeight = [2]float64{1, 1}
	pass, err := rows.Pass(ctx, &design)
	if err != nil {
		return nil, err
	}
	sums, n := logreg.NewSums(design.Width), design.Width+1
	if err := pass(ctx, make([]float64, n), sums); err != nil {
		return nil, err
	}
	out := &moments{means: make([]float64, n), squares: mat.NewSymDense(n, sums.Hessian)}
	out.squares.ScaleSym(4/float64(sums.Rows), out.squares)
	for k := range n {
		out.means[k] = out.squares.At(k, n-1)
	}
	return out, nil
}

// std is the standard deviation of a combination of functions.
func (m *moments) std(c []float64) float64 {
	v, mean := mat.NewVecDense(len(c), c), mat.NewVecDense(len(c), m.means)
	center := mat.Dot(v, mean)
	return math.Sqrt(max(0, mat.Inner(v, m.squares, v)-center*center))
}

// summarizeEffects fills in m.Effects.
func (m *Model) summarizeEffects(over *moments) {
	e := m.Encoder
	features := len(e.schema.Features)
	own := make([][]float64, features) // the functions that a feature's contribution is made of
	for j, name := range m.Contributors()[:features] {
		own[j] = make([]float64, len(m.weights))
		first, width := e.first(j), e.bases[j].width
		effect := Effect{Name: name}
		for k := first; k < first+width; k++ {
			own[j][k] = m.weights[k]
			effect.Mean += m.weights[k] * over.means[k]
		}
		m.Effects = append(m.Effects, effect)
	}
	for k, p := range e.Pairs {
		t := &e.terms[features+k]
		a, b := &e.bases[t.A], &e.bases[t.B]
		cells := a.width * b.width
		first := int(t.First)
		effect := Effect{Name: p.String()}
		effect.Mean, effect.Margins = purify(m.weights[first:first+cells], over.means[first:first+cells], b.width)
		pure := make([]float64, len(m.weights))
		for c := range cells {
			u, v := effect.Margins[0][c/b.width], effect.Margins[1][c%b.width]
			pure[first+c] = m.weights[first+c] - u - v
			own[a.feature][first+c], own[b.feature][first+c] = u, v
		}
		effect.Std = over.std(pure)
		m.Effects = append(m.Effects, effect)
	}
	for j := range features {
		m.Effects[j].Std = over.std(own[j])
	}
}

// purify splits the weights of a grid, by row, into their mean, what each row and each
// column has beside it, and a rest whose mean is zero in each row and column. The mass of
// a cell is the share of customers in it. It alternates between rows and columns.
func purify(weights, mass []float64, columns int) (mean float64, margins [2][]float64) {
	rows := len(weights) / columns
	margins = [2][]float64{make([]float64, rows), make([]float64, columns)}
	rest := slices.Clone(weights)
	total := 0.0
	for _, n := range mass {
		total += n
	}
	const rounds = 1000
	for range rounds {
		moved := 0.0
		for side := range margins {
			for line := range margins[side] {
				from, step, n := line*columns, 1, columns
				if side == 1 {
					from, step, n = line, columns, rows
				}
				sum, weight := 0.0, 0.0
				for i := range n {
					sum += mass[from+i*step] * rest[from+i*step]
					weight += mass[from+i*step]
				}
				if weight == 0 {
					continue // nobody there
				}
				sum /= weight
				for i := range n {
					rest[from+i*step] -= sum
				}
				margins[side][line] += sum
				moved = max(moved, math.Abs(sum))
			}
		}
		if moved < 1e-12 {
			break
		}
	}
	for side := range margins { // a margin's own mean is the mean's
		sum := 0.0
		for line, x := range margins[side] {
			weight := 0.0
			for c, n := range mass {
				if (side == 0 && c/columns == line) || (side == 1 && c%columns == line) {
					weight += n
				}
			}
			sum += weight * x
		}
		if total > 0 {
			sum /= total
		}
		for line := range margins[side] {
			margins[side][line] -= sum
		}
		mean += sum
	}
	return mean, margins
}
