package model

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// An Explanation splits the log-odds of one customer into what the average
// training customer has, Base, and what each feature adds to that, in the
// schema's order, then each pair. Base and the contributions add up to the log-odds.
type Explanation struct {
	Base          float64
	Contributions []float64
}

// Contributors returns the names of what contributes: the features, in the schema's
// order, then the pairs.
func (m *Model) Contributors() []string {
	var names []string
	for _, f := range m.Schema.Features {
		names = append(names, f.Name)
	}
	for _, p := range m.Encoder.Pairs {
		names = append(names, p.String())
	}
	return names
}

// Explain explains the score of one customer. The average customer has the mean
// of each number, and of each category the mean weight over the training rows.
// For a linear model these are the exact Shapley values.
func (m *Model) Explain(values []dataset.Value) Explanation { return m.Explainer()(values) }

// Explainer returns Explain for many customers, one at a time: each explanation is valid until the
// next.
func (m *Model) Explainer() func(values []dataset.Value) Explanation {
	e, features := m.Encoder, len(m.Schema.Features)
	means, contributions := make([]float64, features), make([]float64, features+len(e.Pairs))
	for j := range means {
		means[j] = m.mean(j)
	}
	return func(values []dataset.Value) Explanation {
		x := Explanation{Base: m.weights[len(m.weights)-1], Contributions: contributions}
		var room [4]logreg.Entry
		for j, mean := range means {
			x.Base += mean
			x.Contributions[j] = logreg.Sum(0, e.append(room[:0], &e.terms[e.main[j]], values), m.weights) - mean
		}
		for term := features; term < len(contributions); term++ {
			t, effect := &e.terms[term], &m.Effects[term]
			sum := logreg.Sum(-effect.Mean, e.append(room[:0], t, values), m.weights)
			x.Base += effect.Mean
			for side, basis := range []int{t.A, t.B} {
				b := &e.bases[basis]
				s := b.active(&values[b.feature])
				for i := range s.N {
					share := s.Value[i] * effect.Margins[side][s.First+i]
					sum -= share
					x.Contributions[b.feature] += share
				}
			}
			x.Contributions[term] = sum
		}
		return x
	}
}

// ScoreWeights returns the weights, the intercept last, and by contributor what it adds to the
// log-odds for the average training row.
func (m *Model) ScoreWeights() (w, means []float64) {
	for k := range m.Contributors() {
		means = append(means, m.mean(k))
	}
	return m.weights, means
}

// Knows reports whether the model has a weight for a value of feature j: it has
// for every number on a line or a curve, and for the levels of the training rows.
func (m *Model) Knows(j int, v dataset.Value) bool {
	return m.Encoder.bases[j].active(&v).N > 0
}

// limits returns the training rows' range, and a tenth of it more on either side: infinities for a
// column without numbers.
func limits(n *dataset.NumberSummary) [2]float64 {
	if n == nil || n.Min > n.Max {
		return [2]float64{math.Inf(-1), math.Inf(1)}
	}
	margin := (n.Max - n.Min) / 10
	return [2]float64{n.Min - margin, n.Max + margin}
}

// OutOfRange returns -1 for a value of feature j that is a number far below those of the training
// rows, by more than a tenth of their range, 1 for one far above, and 0 for any other.
func (m *Model) OutOfRange(j int, v dataset.Value) int {
	if v.Missing || v.Level || m.limits == nil { // a model that is being trained has none yet
		return 0
	}
	switch l := &m.limits[j]; {
	case v.Number < l[0]:
		return -1
	case v.Number > l[1]:
		return 1
	}
	return 0
}

// rangeText is the warning for a number that is OutOfRange.
func (m *Model) rangeText(j int, x float64) string {
	f := &m.Schema.Features[j]
	n := m.Reference.Columns[f.Name].Numbers
	low, high := f.Notation.Format(n.Min), f.Notation.Format(n.Max)
	if f.Notation.Date != "" { // the number of days falls with the date
		low, high = high, low
	}
	return fmt.Sprintf("%s: %s is far outside the training rows' %s to %s", f.Name, f.Notation.Format(x), low, high)
}

// NumberLevels returns the values of a number that is used as levels, ascending, or nil.
func (m *Model) NumberLevels(feature string) []float64 {
	if b := m.Encoder.Curves[feature]; b != nil {
		return b.Values
	}
	return nil
}

// WeighsMissing reports whether the model has a weight for missing cells of feature j.
func (m *Model) WeighsMissing(j int) bool {
	return slices.ContainsFunc(m.Encoder.bases, func(b boundBasis) bool {
		return b.feature == j && b.Missing >= 0 && b.Missing != b.rest
	})
}

// mean is the mean of what contributor j, a feature or a pair, added for the training rows: 0 for
// a line, since those were standardised.
func (m *Model) mean(j int) float64 {
	if m.Effects != nil {
		return m.Effects[j].Mean
	}
	if m.Encoder.bases[j].Line {
		return 0
	}
	s := m.Reference.Columns[m.Schema.Features[j].Name]
	shares := m.Encoder.shares(j, &s)
	return floats.Dot(shares, m.weights[m.Encoder.first(j):][:len(shares)])
}

// TypicalValue returns a value that is typical of the training rows, valid and known to the
// model: the most frequent level, or about the median. A level is missing if all were.
func (m *Model) TypicalValue(f *dataset.Feature) dataset.Value {
	if f.Type == dataset.Category {
		levels := m.CommonLevels(f)
		if len(levels) == 0 {
			return dataset.Value{Missing: true, Level: true}
		}
		return dataset.Value{Text: levels[0], Level: true}
	}
	median := m.Encoder.Numbers[f.Name].Median
	if known := m.NumberLevels(f.Name); len(known) > 0 {
		distance := func(x, y float64) int { return cmp.Compare(math.Abs(x-median), math.Abs(y-median)) }
		return dataset.Value{Number: slices.MinFunc(known, distance)}
	}
	about := math.Round(median)
	if !f.Integer {
		const digits = 4
		about, _ = strconv.ParseFloat(strconv.FormatFloat(median, 'g', digits, 64), 64)
	}
	for _, x := range []float64{about, median} {
		if v, problem := f.CheckNumber(x); problem == nil {
			return v
		}
	}
	return dataset.Value{Number: m.Reference.Columns[f.Name].Numbers.Min} // valid, since a row had it
}

// CommonLevels returns the levels of the training rows, the most frequent first.
func (m *Model) CommonLevels(f *dataset.Feature) []string {
	return dataset.ByCount(m.Reference.Columns[f.Name].Levels)
}

// References returns the summaries of the training rows: of each feature, in the schema's order, then of
// the probability.
func (m *Model) References() (all []*dataset.Summary) {
	for _, f := range m.Schema.Features {
		all = append(all, new(m.Reference.Columns[f.Name]))
	}
	return append(all, &m.Reference.Probability)
}

// maxCovariance is the most weights whose covariance a document has: some 60 kB of text.
const maxCovariance = 150

// covarianceFactor returns the lower triangle L of the covariance LLᵀ by row, as
// little-endian float32: a factor stays precise where single weights are hardly determined. Where the
// covariance is singular a column of L is zero. It is nil for too many weights.
func covarianceFactor(cov *mat.SymDense) []byte {
	n := cov.SymmetricDim()
	if n-1 > maxCovariance {
		return nil
	}
	const least = 1e-12 // of a variance, by rounding
	l := mat.NewDense(n, n, nil)
	for j := range n {
		own := l.RawRowView(j)[:j]
		d := cov.At(j, j) - floats.Dot(own, own)
		if !(d > least*cov.At(j, j)) {
			continue
		}
		l.Set(j, j, math.Sqrt(d))
		for i := j + 1; i < n; i++ {
			l.Set(i, j, (cov.At(i, j)-floats.Dot(l.RawRowView(i)[:j], own))/math.Sqrt(d))
		}
	}
	var b []byte
	for i := range n {
		for _, x := range l.RawRowView(i)[:i+1] {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
		}
	}
	return b
}

// factor reads what covarianceFactor returned.
func (m *Model) factor() (*mat.Dense, error) {
	n, b := m.Encoder.Width()+1, m.Covariance
	if len(b) != 2*n*(n+1) { // 4 bytes each
		return nil, fmt.Errorf("the covariance has %d bytes, that of %d weights has %d", len(b), n, 2*n*(n+1))
	}
	l := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range i + 1 {
			x := float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, errors.New("the covariance has something that is not a number")
			}
			l.Set(i, j, x)
			b = b[4:]
		}
	}
	return l, nil
}

// WeightError returns the error of the weights and the intercept, which is the last; nil if the
// document does not have their covariance V. With the penalty P/C of the summed loss their
// effective degrees of freedom are tr(VH) = tr(I−VP/C), with 1 of the intercept, and the penalty has shrunk
// by wᵀPw/C.
func (m *Model) WeightError() *metric.WeightError {
	if m.Covariance == nil || m.Training.Rows < 1 || !(m.Training.C > 0) {
		return nil
	}
	l, err := m.factor()
	if err != nil {
		return nil // never in a model that was read
	}
	n := len(m.weights)
	var squares mat.SymDense // V + wwᵀ
	squares.SymOuterK(1, l)
	squares.SymRankOne(&squares, 1, mat.NewVecDense(n, m.weights))
	variance := func(g []float64) float64 {
		var product mat.VecDense
		product.MulVec(l.T(), mat.NewVecDense(n, g))
		return mat.Dot(&product, &product)
	}
	freedom := float64(n-1) - m.Encoder.penalty.Trace(&squares)/m.Training.C
	if df := m.Training.EffectiveDF; df > 0 && m.Training.C > logreg.MostVariance {
		freedom = df - 1 // V has less than C where the data say nothing, and nothing is shrunk
	}
	return &metric.WeightError{Variance: variance, Freedom: freedom, Rows: m.Training.Rows}
}

// Numbers calls each with the numbers of one customer that are not 0, by the index of
// their weight, and 1 for the intercept.
func (m *Model) Numbers(values []dataset.Value, each func(weight int, x float64)) {
	var entries []logreg.Entry
	for k := range m.Encoder.terms {
		entries = m.Encoder.append(entries, &m.Encoder.terms[k], values)
	}
	for _, e := range entries {
		each(int(e.At), e.Value)
	}
	each(m.Encoder.Width(), 1)
}
