package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// A Coefficient is an effect on the log-odds with its standard error. A number's is that
// of one standard deviation more. Without a dropped level only differences between the
// levels of a feature are identified, so a level's is the contrast with the feature's
// mean over the training rows. Neither these nor the average customer's log-odds are
// the weights and the intercept of the document, which depend on the encoder.
type Coefficient struct {
	Name      string     `json:"name"`
	Per       float64    `json:"per,omitzero"` // numbers: one standard deviation, in the column's unit
	Estimate  float64    `json:"estimate"`     // change of the log-odds
	StdError  float64    `json:"std_error"`
	Z         float64    `json:"z"`
	P         float64    `json:"p"` // two-sided
	OddsRatio float64    `json:"odds_ratio"`
	Interval  [2]float64 `json:"odds_ratio_95"`

	Unidentified bool `json:"unidentified,omitzero"` // beside the penalty: only in what Reported returns
}

// AverageCustomer is the name of the coefficient that is the log-odds of a
// customer with the mean of everything.
const AverageCustomer = "(average customer)"

// covariance returns the errors of the weights: from the inverse Hessian, or if the classes are
// weighted from the sandwich. It is that of the fit, also where the intercept was calibrated after it.
//
// With class weights s₀ and s₁ the odds p/(1−p) of the fit are s₁/s₀ times those of a customer's class
// y. The mean of s²(p−y)², which is the variance of a row's score, is then s₀s₁p(1−p): the curvature
// without weights, times s₀s₁. Squared scores would say of levels with one class that they are certain.
func (m *Model) covariance(ctx context.Context, rows Source, f *fit) (*weightErrors, error) {
	var scores *logreg.Sums
	if m.Training.ClassWeight == WeightBalanced {
		design := *f.design
		design.ClassWeight = [2]float64{1, 1}
		var err error
		if scores, err = sumsAt(ctx, rows, &design, f.fitted.Weights); err != nil {
			return nil, err
		}
		floats.Scale(f.design.ClassWeight[0]*f.design.ClassWeight[1], scores.Hessian)
	}
	cov, bias, err := f.fitted.Covariance(scores)
	return &weightErrors{cov: cov, bias: bias}, err
}

// infer fills m.Coefficients, given the means of the encoder's functions. Lines that are in pairs
// have none; levels that are have what their margins add. The largest bias of one, in standard
// errors, is m.Training.PenaltyBias.
func (m *Model) infer(errs *weightErrors, means []float64, pure []*purification) {
	add := func(name string, per float64, contrast []float64) {
		c := Coefficient{Name: name, Per: per, P: 1}
		if c.Estimate, c.StdError = m.estimate(contrast, errs); c.StdError > 0 {
			c.Z = c.Estimate / c.StdError
			c.P = math.Erfc(math.Abs(c.Z) / math.Sqrt2)
		}
		c.OddsRatio = odds(c.Estimate)
		c.Interval = [2]float64{odds(c.Estimate - metric.Z95*c.StdError), odds(c.Estimate + metric.Z95*c.StdError)}
		m.Coefficients = append(m.Coefficients, c)
	}
	for j, f := range m.Schema.Features {
		if b := &m.Encoder.bases[j]; b.Line && m.Encoder.Grids[f.Name] == nil {
			slope := make([]float64, len(m.weights))
			slope[m.Encoder.first(j)] = 1
			add(f.Name, b.Scale, slope)
		}
	}
	for j, f := range m.Schema.Features {
		errs.last = nil // as in addPoints
		for _, level := range m.Encoder.Levels[f.Name] {
			v := dataset.Value{Text: level, Level: true, Missing: level == dataset.MissingLevel}
			add(f.Name+"="+level, 0, m.contrast(j, v, means, pure))
		}
	}
	errs.last = nil
	add(AverageCustomer, 0, means)
}

// Reported returns the coefficients, those marked that the data hardly identify beside the penalty: levels
// of few rows, or that are always the rows of another feature's level, numbers that repeat others, and all
// of them if C is small. Without data the penalty leaves a number's coefficient a variance of C, a level's
// contrast one of C times its squared coefficients; with them more than a third of that is left.
func (m *Model) Reported() []Coefficient {
	list := slices.Clone(m.Coefficients)
	most := min(m.Training.C, logreg.MostVariance)
	place := map[string]int{}
	for k, c := range list {
		place[c.Name] = k
		list[k].Unidentified = c.Per != 0 && c.StdError*c.StdError > most/3
	}
	for _, f := range m.Schema.Features {
		s := m.Reference.Columns[f.Name]
		all, squares := float64(s.Rows+s.Missing), 0.0
		rows := maps.Clone(s.Levels)
		if rows != nil && s.Missing > 0 {
			rows[dataset.MissingLevel] = s.Missing
		}
		for _, n := range rows {
			squares += float64(n) * float64(n) // whole, so that the order of the map does not matter
		}
		for level, n := range rows {
			k, ok := place[f.Name+"="+level]
			if !ok {
				continue
			}
			alone := most / cmp.Or(m.Training.Shrink, 1) * (1 - 2*float64(n)/all + squares/(all*all))
			list[k].Unidentified = list[k].StdError*list[k].StdError > alone/3
		}
	}
	return list
}

// odds returns exp(x), or the largest number where that overflows: JSON has no infinity.
func odds(x float64) float64 { return min(math.Exp(x), math.MaxFloat64) }

// means returns the means of the encoder's functions over the rows described, of lines and
// levels alone, and 1 for the intercept.
func (e *Encoder) means(d *dataset.Description) []float64 {
	var means []float64
	for _, t := range e.terms {
		j := e.bases[t.A].feature
		means = append(means, e.shares(j, &d.Columns[j])...)
	}
	return append(means, 1)
}

// shares returns those of feature j: 0 for a line, which is standardised, and the shares of levels.
func (e *Encoder) shares(j int, s *dataset.Summary) []float64 {
	b, n := &e.bases[j], float64(s.Rows+s.Missing)
	shares := make([]float64, b.width)
	for level, k := range b.level {
		shares[k] = float64(s.Levels[level]) / n
	}
	if b.level != nil && b.Missing >= 0 {
		shares[b.Missing] = float64(s.Missing) / n
	}
	return shares
}

// A LineTest is a test of a number that enters as a line: whether it bends.
type LineTest struct {
	Name      string  `json:"name"`
	Statistic float64 `json:"statistic"` // score statistic of a curve, given all terms of the model
	DF        float64 `json:"df"`        // effective degrees of freedom of the curve beside the line
	P         float64 `json:"p"`         // by the chi-squared distribution with these
	Bends     bool    `json:"bends"`     // significant, corrected by Holm's method for all numbers

	feature int
	curve   *Basis
}

const (
	lineTestRows  = 20_000 // of more, a sample is tested: it finds any bend that matters
	lineTestLevel = 0.01   // as drift has it
	linesAtOnce   = 30     // curves of one Hessian: some 500 weights beside the model's
	mostResiduals = 1.5    // times p(1−p): beyond, the model is overfitted or out of date, and all lines seem to bend
)

// TestLines tests the numbers that are lines, in the schema's order. The rows may be those
// that the model was fitted to, or others. Where one bends, another that goes with it may
// seem to. None does where the model's probabilities are too extreme for the rows.
//
// It is the score test of a curve with the penalty of C = 1, less that of missing cells alone.
func (m *Model) TestLines(ctx context.Context, rows Source) ([]LineTest, error) {
	table, use, err := rows.Sample(ctx, lineTestRows, m.Training.Seed)
	if err != nil {
		return nil, err
	}
	sample := &memory{table: table, rows: use}
	var tests []LineTest
	for j, f := range m.Schema.Features {
		if !m.Encoder.bases[j].Line {
			continue
		}
		if values, missing := table.Ascending(j, use); len(values) > 0 {
			curve := newCurve(values, missing > 0, curveKnots)
			if len(curve.Knots) > 2 { // else it cannot bend
				curve.Smooth = defaultSmooth
				tests = append(tests, LineTest{Name: f.Name, P: 1, feature: j, curve: curve})
			}
		}
	}
	for some := range slices.Chunk(tests, linesAtOnce) {
		if err := m.testLines(ctx, sample, some); err != nil {
			return nil, err
		}
	}
	var p []float64
	for _, t := range tests {
		p = append(p, t.P)
	}
	for k, adjusted := range metric.Holm(p) {
		tests[k].Bends = adjusted <= lineTestLevel
	}
	return tests, nil
}

// testLines fills in some tests, which are independent: one pass is for all of them.
func (m *Model) testLines(ctx context.Context, sample *memory, tests []LineTest) error {
	e, d, table := m.Encoder, m.Encoder.Width(), sample.table
	design := e.Design(table)
	for _, t := range tests {
		b := e.basis(t.feature, t.curve)
		design.Terms = append(design.Terms, logreg.Term{A: len(design.Bases), B: -1, First: int32(design.Width)})
		design.Bases = append(design.Bases, b.design(&table.Columns[t.feature]))
		design.Width += b.width
	}
	weights := append(slices.Clone(m.weights[:d]), make([]float64, design.Width+1-d)...)
	weights[design.Width] = m.weights[d] + m.unweighted(sample)
	sums, err := sumsAt(ctx, sample, design, weights)
	if err != nil {
		return err
	}
	p, err := sample.use(design).Probabilities(ctx, weights)
	if err != nil {
		return err
	}
	squares, variance := 0.0, sums.Hessian[len(sums.Hessian)-1]
	for k, i := range sample.rows {
		residual := p[k] - float64(metric.Indicator(design.Positive[i]))
		squares += residual * residual
	}
	if squares > mostResiduals*variance {
		return nil
	}
	const ridge = 1e-8 // of the mean diagonal: levels and intercept have a direction without curvature
	hessian, diagonal := mat.NewSymDense(design.Width+1, sums.Hessian), 0.0
	own := append(dataset.UpTo[int](d), design.Width)
	for _, k := range own {
		diagonal += hessian.At(k, k)
	}
	for _, k := range own {
		hessian.SetSym(k, k, hessian.At(k, k)+ridge*diagonal/float64(d+1))
	}
	score, err := newScoreTest(hessian, sums.Gradient, own, 0)
	first := d
	for k := range tests {
		n := tests[k].curve.width()
		if err == nil {
			err = tests[k].test(score, first, n)
		}
		first += n
	}
	return err
}

// test fills in the test of a number whose curve's n functions begin at first.
func (t *LineTest) test(score *scoreTest, first, n int) (err error) {
	if t.Statistic, t.DF, err = score.test(first, n, t.curve.penalty(nil, 0, 1)); err != nil {
		return fmt.Errorf("testing whether %s bends: %w", t.Name, err)
	}
	if t.curve.Missing {
		statistic, df, err := score.test(first+n-1, 1, logreg.Ridge(1))
		if err != nil {
			return fmt.Errorf("testing the missing cells of %s: %w", t.Name, err)
		}
		t.Statistic, t.DF = t.Statistic-statistic, t.DF-df
	}
	const least = 0.01 // a curve with fewer degrees of freedom is the line
	if t.P = 1; t.DF > least {
		t.P = distuv.ChiSquared{K: t.DF}.Survival(max(0, t.Statistic))
	}
	return nil
}

// unweighted returns what to add to the intercept for the probabilities without class weights.
func (m *Model) unweighted(rows *memory) float64 {
	n, ones := len(rows.rows), metric.Positives(rows.labels())
	if m.Training.Calibrated() || ones == 0 || ones == n {
		return 0
	}
	return math.Log(float64(ones) / float64(n-ones))
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
