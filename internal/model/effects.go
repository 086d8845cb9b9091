package model

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"churn/internal/dataset"
	"churn/internal/logreg"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// An Effect is what a feature or a pair contributes to the log-odds, over the training
// rows. A pair's contribution is purified (Lengerich et al. 2020): at each value of one
// feature its mean over the other is zero. What is taken from it, its margins, is part
// of the features' own contributions, and Mean of the base.
type Effect struct {
	Name    string       `json:"name"`
	Term    string       `json:"term,omitzero"`    // of a feature: line, curve or levels
	Mean    float64      `json:"mean"`             // of a feature's own term, or taken from a pair
	Std     float64      `json:"std"`              // of its contribution: its importance
	Margins [2][]float64 `json:"margins,omitzero"` // of a pair: by function of each feature's grid
	Grid    *Grid        `json:"grid,omitzero"`    // of a pair
	Points  []Point      `json:"points,omitzero"`  // of a feature

	AtPoints bool `json:"at_points,omitzero"` // every training row has the value of a point
}

// ByImportance returns effects in the order of their importance.
func ByImportance(effects []Effect) []Effect {
	return slices.SortedStableFunc(slices.Values(effects), func(a, b Effect) int { return cmp.Compare(b.Std, a.Std) })
}

// A Point is what Explain says that a feature contributes at one of its values: a knot of its
// own curve or of its pairs, between which it is straight, or a level. Missing cells are
// a level of numbers too.
//
// Contribution ± 1.96 StdError is a 95 % band: pointwise, of the penalised fit with these
// terms. It includes neither the bias that the penalty causes nor the uncertainty of the
// choice of the terms, and not what a curve may not do that the schema wants monotone. The
// error is from the inverse Hessian of the penalised fit, or the sandwich if the classes are weighted.
type Point struct {
	At           *float64 `json:"at,omitzero"` // of a number
	Level        string   `json:"level,omitzero"`
	Contribution float64  `json:"contribution"` // less its mean over the training rows
	StdError     float64  `json:"std_error"`
	Share        float64  `json:"share"` // of the training rows; those between two knots count for both in part
}

// A Grid is what a pair contributes where two functions of its features' grids are 1, by
// row and column.
type Grid struct {
	Features     [2]string   `json:"features"`
	Names        [2][]string `json:"names"` // of the functions: knots or levels; the first feature's are the rows
	Contribution [][]float64 `json:"contribution"`
	Share        [][]float64 `json:"share"` // of the training rows
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
		case !effect.Grid.fits(a, b) || !inOrder(effect.Points):
			return fmt.Errorf("the effect of %s has a grid or points that are not in order", name)
		}
	}
	return nil
}

// fits reports whether there is no grid or one of so many rows and columns.
func (g *Grid) fits(rows, columns int) bool {
	wide := func(row []float64) bool { return len(row) != columns }
	return g == nil || len(g.Names[0]) == rows && len(g.Names[1]) == columns && len(g.Contribution) == rows &&
		len(g.Share) == rows && !slices.ContainsFunc(slices.Concat(g.Contribution, g.Share), wide)
}

// inOrder reports whether points are levels, or numbers that increase with missing cells last.
func inOrder(points []Point) bool {
	for i := range points[:max(0, len(points)-1)] {
		switch at, next := points[i].At, points[i+1].At; {
		case at == nil && next != nil, at != nil && next == nil && i+2 < len(points):
			return false
		case at != nil && next != nil && *at >= *next:
			return false
		}
	}
	return true
}

// moments are means over the training rows of the encoder's functions and their products.
type moments struct {
	means   []float64 // by weight, and 1
	squares *mat.SymDense
}

// moments computes them by a pass at weights of zero, at which each row's p(1−p) is 1/4.
func (f *fit) moments(ctx context.Context, rows Source) (*moments, error) {
	design, n := *f.design, f.design.Width+1
	design.ClassWeight = [2]float64{1, 1}
	sums, err := sumsAt(ctx, rows, &design, make([]float64, n))
	if err != nil {
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

// summarizeEffects fills in m.Effects but for the points, and returns what the pairs'
// margins are made of.
func (m *Model) summarizeEffects(over *moments) []*purification {
	e := m.Encoder
	features := len(e.schema.Features)
	own := make([][]float64, features) // the functions that a feature's contribution is made of
	for j, name := range m.Contributors()[:features] {
		own[j] = make([]float64, len(m.weights))
		first, b := e.first(j), &e.bases[j]
		effect := Effect{Name: name, Term: b.term()}
		for k := first; k < first+b.width; k++ {
			own[j][k] = m.weights[k]
			effect.Mean += m.weights[k] * over.means[k]
		}
		m.Effects = append(m.Effects, effect)
	}
	var purifications []*purification
	for k, pair := range e.Pairs {
		t := &e.terms[features+k]
		a, b := &e.bases[t.A], &e.bases[t.B]
		first, cells := int(t.First), a.width*b.width
		weights, mass := m.weights[first:first+cells], over.means[first:first+cells]
		p := purify(mass, b.width)
		effect := Effect{Name: pair.String(), Grid: &Grid{Features: pair}}
		effect.Mean, effect.Margins = p.split(weights)
		for side := range pair {
			for _, name := range e.Grids[pair[side]].names("") {
				effect.Grid.Names[side] = append(effect.Grid.Names[side], name[1:]) // after @ or =
			}
		}
		pure, rest := make([]float64, len(m.weights)), make([]float64, cells)
		for c := range cells {
			u, v := effect.Margins[0][c/b.width], effect.Margins[1][c%b.width]
			pure[first+c] = weights[c] - u - v
			rest[c] = pure[first+c] - effect.Mean
			own[a.feature][first+c], own[b.feature][first+c] = u, v
		}
		for row := range slices.Chunk(rest, b.width) {
			effect.Grid.Contribution = append(effect.Grid.Contribution, row)
		}
		for row := range slices.Chunk(slices.Clone(mass), b.width) {
			effect.Grid.Share = append(effect.Grid.Share, row)
		}
		effect.Std = over.std(pure)
		m.Effects, purifications = append(m.Effects, effect), append(purifications, p)
	}
	for j := range features {
		m.Effects[j].Std = over.std(own[j])
	}
	return purifications
}

// addPoints fills in the points of the features, given the error of the weights and a
// sample of the training rows.
func (m *Model) addPoints(over *moments, pure []*purification, errs *weightErrors, f *fit, sample *part) {
	explain, customer := m.Explainer(), make([]dataset.Value, len(m.Schema.Features))
	for j := range m.Schema.Features {
		errs.last = nil // so that standard errors do not depend on other features
		basis, values := m.Encoder.places(j, f.described.Columns[j].Missing > 0, sample.grids[j])
		shares, exact := sample.shares(&basis, values)
		m.Effects[j].AtPoints = exact
		for i, v := range values {
			customer[j] = v
			p := Point{Contribution: explain(customer).Contributions[j], Share: shares[i]} // to the bit: it may be monotone
			_, p.StdError = m.estimate(m.contrast(j, v, over.means, pure), errs)
			switch {
			case v.Missing:
				p.Level = dataset.MissingLevel
			case v.Level:
				p.Level = v.Text
			default:
				p.At = &v.Number
			}
			m.Effects[j].Points = append(m.Effects[j].Points, p)
		}
	}
}

// weightErrors are the covariance of the weights and the bias that the penalty causes.
type weightErrors struct {
	cov  *mat.SymDense
	bias *mat.VecDense

	last, times []float64 // a combination of the weights, and cov times it
}

// variance returns that of a combination. It is fast if only few weights of it differ from the last one, as those of
// two levels do.
func (e *weightErrors) variance(combination []float64) float64 {
	if e.last == nil {
		e.last, e.times = make([]float64, len(combination)), make([]float64, len(combination))
	}
	for k, c := range combination {
		if change := c - e.last[k]; change != 0 {
			floats.AddScaled(e.times, change, mat.Col(nil, k, e.cov))
			e.last[k] = c
		}
	}
	return floats.Dot(combination, e.times)
}

// estimate returns a combination of the weights and its standard error, and takes note of its bias.
func (m *Model) estimate(combination []float64, errs *weightErrors) (estimate, stdError float64) {
	if stdError = math.Sqrt(max(0, errs.variance(combination))); stdError > 0 {
		bias := floats.Dot(combination, errs.bias.RawVector().Data)
		m.Training.PenaltyBias = max(m.Training.PenaltyBias, math.Abs(bias)/stdError)
	}
	return floats.Dot(combination, m.weights), stdError
}

// places returns the values at which a feature's contribution is described, and a basis with
// a function for each. coarse has knots of a number, for a line.
func (e *Encoder) places(j int, missing bool, coarse *Basis) (boundBasis, []dataset.Value) {
	f, own := &e.schema.Features[j], &e.bases[j]
	var values []dataset.Value
	if f.Type == dataset.Category {
		for _, level := range e.Levels[f.Name] {
			values = append(values, dataset.Value{Text: level, Level: true, Missing: level == dataset.MissingLevel})
		}
		return *own, values
	}
	b := &Basis{Knots: slices.Clone(own.Knots), Values: own.Values, Missing: missing}
	if grid := e.Grids[f.Name]; grid != nil && own.Values == nil {
		b.Knots = append(b.Knots, grid.Knots...)
	} else if own.Line {
		b.Knots = coarse.Knots
	}
	slices.Sort(b.Knots)
	b.Knots = slices.Compact(b.Knots)
	for _, x := range slices.Concat(b.Knots, b.Values) {
		values = append(values, dataset.Value{Number: x})
	}
	if missing {
		values = append(values, dataset.Value{Missing: true})
	}
	return e.basis(j, b), values
}

// shares returns the means of a basis's functions over the part's rows, and whether there is one
// in each row.
func (p *part) shares(b *boundBasis, values []dataset.Value) (shares []float64, exact bool) {
	shares, exact = make([]float64, len(values)), true
	design := b.design(&p.rest.table.Columns[b.feature])
	var room logreg.Active
	for _, i := range p.rest.rows {
		s := design.Active(i, &room)
		exact = exact && s.N < 2
		for k := range s.N {
			shares[s.First+k] += s.Value[k] / float64(len(p.rest.rows))
		}
	}
	return shares, exact
}

// contrast returns, by weight, what makes up feature j's contribution at a value.
func (m *Model) contrast(j int, v dataset.Value, means []float64, pure []*purification) []float64 {
	e, c := m.Encoder, make([]float64, len(m.weights))
	own, first := &e.bases[j], e.first(j)
	for k := first; k < first+own.width; k++ {
		c[k] = -means[k]
	}
	s := own.active(&v)
	for i := range s.N {
		c[first+int(s.First+i)] += s.Value[i]
	}
	for k, p := range pure {
		t := &e.terms[len(e.schema.Features)+k]
		for side, basis := range []int{t.A, t.B} {
			if b := &e.bases[basis]; b.feature == j {
				s := b.active(&v)
				for i := range s.N {
					p.addMargin(side, int(s.First+i), s.Value[i], c[t.First:])
				}
			}
		}
	}
	return c
}

// A purification splits the weights of a grid into their mean, what each row and each column
// has beside it, the margins, and a rest whose mean is zero in each row and column. Rows and
// columns are its lines, in this order. The margins are the additive fit to the weights,
// each counting by the share of customers in its cell, and so linear in them.
type purification struct {
	mass    []float64 // of the cells, by row
	rows    int
	columns int
	of      mat.Dense // margins from the sums of weight times mass in each line
}

// purify returns the purification of a grid with the given shares of customers. It solves
// the normal equations of the additive fit, scaled to a diagonal of 1, by their eigenvalues:
// each group of lines that shares no customer with another leaves one that is 0.
func purify(mass []float64, columns int) *purification {
	const zero = 1e-10
	p := &purification{mass: mass, rows: len(mass) / columns, columns: columns}
	n := p.rows + columns
	line := make([]float64, n) // mass
	for c, share := range mass {
		line[c/columns] += share
		line[p.rows+c%columns] += share
	}
	equations := mat.NewSymDense(n, nil)
	for i := range n {
		equations.SetSym(i, i, 1)
	}
	for c, share := range mass {
		if i, j := c/columns, p.rows+c%columns; share > 0 {
			equations.SetSym(i, j, share/math.Sqrt(line[i]*line[j]))
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(equations, true) {
		panic("model: the eigenvalues of a pair were not found") // of finite numbers they always are
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	root := mat.NewDense(n, n, nil) // of the inverse
	for k, value := range eigen.Values(nil) {
		for i := range n {
			if value > zero && line[i] > 0 {
				root.Set(i, k, vectors.At(i, k)/math.Sqrt(value*line[i]))
			}
		}
	}
	p.of.Mul(root, root.T())
	for _, side := range [][2]int{{0, p.rows}, {p.rows, n}} { // a margin's own mean is the mean's
		total, means := floats.Sum(line[side[0]:side[1]]), make([]float64, n)
		for i := side[0]; i < side[1]; i++ {
			floats.AddScaled(means, line[i]/total, p.of.RawRowView(i))
		}
		for i := side[0]; i < side[1]; i++ {
			floats.Sub(p.of.RawRowView(i), means)
		}
	}
	return p
}

// addMargin adds to c, by cell, times what makes up the margin of a row (side 0) or a column.
func (p *purification) addMargin(side, line int, times float64, c []float64) {
	of := p.of.RawRowView(side*p.rows + line)
	for cell, share := range p.mass {
		c[cell] += times * share * (of[cell/p.columns] + of[p.rows+cell%p.columns])
	}
}

// split returns the mean of weights and their margins.
func (p *purification) split(weights []float64) (mean float64, margins [2][]float64) {
	for side, n := range []int{p.rows, p.columns} {
		for line := range n {
			c := make([]float64, len(weights))
			p.addMargin(side, line, 1, c)
			margins[side] = append(margins[side], floats.Dot(c, weights))
		}
	}
	return floats.Dot(p.mass, weights) / max(floats.Sum(p.mass), math.SmallestNonzeroFloat64), margins
}
