package model

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
)

// Terms say how features enter the log-odds where it is not numbers as lines and categories
// as levels alone.
type Terms struct {
	Curves  map[string]*Basis `json:"curves,omitempty"`  // numbers that are a curve, or levels
	Missing []string          `json:"missing,omitempty"` // lines with a weight of its own for missing cells, sorted
	Pairs   []Pair            `json:"pairs,omitempty"`
	Grids   map[string]*Basis `json:"grids,omitempty"` // the coarse basis of each feature in a pair

	shrink, shrinkPairs float64 // those of Training, which scoring does not need
}

// A Pair enters as the products of its features' coarse bases.
type Pair = dataset.Pair

// Linear reports whether there are lines and levels alone, as in documents of format 1.
func (t *Terms) Linear() bool { return len(t.Curves) == 0 && len(t.Missing) == 0 && len(t.Pairs) == 0 }

// A Basis is the functions of a feature that have weights: hat functions at Knots, whose
// weights are the curve's heights there, flat beyond the outer ones; or an indicator for
// each of a number's Values or a category's Levels, the Rest of which share one. Missing
// cells have a function of their own, the last, if Missing; a number's are its median otherwise.
type Basis struct {
	Knots   []float64 `json:"knots,omitzero"`
	Values  []float64 `json:"values,omitzero"`
	Levels  []string  `json:"levels,omitzero"` // with dataset.MissingLevel, if it is not of the Rest
	Rest    bool      `json:"rest,omitzero"`
	Missing bool      `json:"missing,omitzero"`
	Smooth  float64   `json:"smooth,omitzero"` // weight of the squared second differences along knots
}

// Sizes of bases, and their penalties.
const (
	curveKnots  = 16
	gridKnots   = 8
	gridLevels  = 8    // with the rest
	curveRidge  = 0.05 // on a curve's heights
	restLevel   = "(rest)"
	maxWidth    = 4000 // weights: the Hessian then takes 128 MB
	maxPairSize = 4096 // cells of a pair
	maxChosen   = 1000 // weights of curves that are chosen: 20 fits of more take half a minute
)

// newCurve returns the basis of a number with at most n knots: its distinct values, or if
// there are more its quantiles, each value once. values ascend.
func newCurve(values []float64, missing bool, n int) *Basis {
	knots := slices.Compact(slices.Clone(values))
	if len(knots) > n {
		knots = knots[:0]
		for i := range n {
			knots = append(knots, quantile(values, float64(i)/float64(n-1)))
		}
		knots = slices.Compact(knots)
	}
	if len(knots) == 1 {
		only := knots[0]
		knots = []float64{only, max(only+1, math.Nextafter(only, math.Inf(1)))}
		if knots[1] > dataset.MaxNumber {
			knots = []float64{math.Nextafter(only, 0), only}
		}
	}
	return &Basis{Knots: knots, Missing: missing}
}

// quantile interpolates between order statistics, at least two, as numpy does by default.
func quantile(ascending []float64, q float64) float64 {
	at := q * float64(len(ascending)-1)
	i := min(int(at), len(ascending)-2)
	share, a, b := at-float64(i), ascending[i], ascending[i+1]
	return min(max(a*(1-share)+b*share, a), b) // a where b equals it: rounding makes another number of it
}

// newGridLevels returns the coarse basis of a category: its levels, or of more than
// gridLevels the most frequent and the rest.
func newGridLevels(s *dataset.Summary) *Basis {
	rows := map[string]int{}
	maps.Copy(rows, s.Levels)
	if s.Missing > 0 {
		rows[dataset.MissingLevel] = s.Missing
	}
	levels := dataset.ByCount(rows)
	b := &Basis{Rest: len(levels) > gridLevels}
	if b.Rest {
		levels = levels[:gridLevels-1]
	}
	slices.Sort(levels)
	b.Levels = levels
	return b
}

// check reports what a document's basis cannot be.
func (b *Basis) check(number bool) error {
	if b == nil {
		return errors.New("it is null")
	}
	switch kinds := len(b.Knots) + len(b.Values); {
	case !number && (kinds > 0 || b.Missing || b.Smooth != 0):
		return errors.New("a category has levels, and no knots, values, missing or smooth")
	case !number && len(b.Levels) == 0:
		return errors.New("no levels")
	case !number:
		seen := map[string]bool{restLevel: b.Rest}
		for _, level := range b.Levels {
			if seen[level] {
				return fmt.Errorf("level %q occurs twice", level)
			}
			seen[level] = true
		}
		return nil
	case len(b.Levels) > 0 || b.Rest:
		return errors.New("a number has knots or values, and no levels")
	case (len(b.Knots) > 0) == (len(b.Values) > 0) || len(b.Knots) == 1:
		return errors.New("a number has at least two knots, or values")
	case kinds > dataset.DefaultMaxLevels*10:
		return fmt.Errorf("%d knots or values, at most %d: in the schema give it another term than levels, or round it",
			kinds, dataset.DefaultMaxLevels*10)
	case !(b.Smooth >= 0 && b.Smooth <= math.MaxFloat64):
		return fmt.Errorf("smooth is %v", b.Smooth)
	}
	before := math.Inf(-1)
	for _, x := range slices.Concat(b.Knots, b.Values) { // one of the two
		if !(math.Abs(x) <= dataset.MaxNumber) {
			return errors.New("a knot is not a finite number")
		}
		if x <= before {
			return errors.New("knots must increase")
		}
		before = x
	}
	return nil
}

// numberNames names ascending numbers: with six digits if that tells them apart, else with all.
func numberNames(xs []float64) (names []string) {
	for _, digits := range []int{6, -1} {
		names = nil
		for _, x := range xs {
			names = append(names, strconv.FormatFloat(x, 'g', digits, 64))
		}
		if len(slices.Compact(slices.Clone(names))) == len(xs) {
			break
		}
	}
	return names
}

// names returns the names of the weights of a feature's basis.
func (b *Basis) names(feature string) []string {
	var names []string
	if b.line() {
		names = []string{feature}
	}
	for _, x := range numberNames(b.Knots) {
		names = append(names, feature+"@"+x)
	}
	for _, x := range numberNames(b.Values) {
		names = append(names, feature+"="+x)
	}
	for _, level := range b.Levels {
		names = append(names, feature+"="+level)
	}
	if b.Rest {
		names = append(names, feature+"="+restLevel)
	}
	if b.Missing {
		names = append(names, feature+"="+dataset.MissingLevel)
	}
	return names
}

// line reports whether there is one function beside that of missing cells, the number itself.
func (b *Basis) line() bool { return b.Knots == nil && b.Values == nil && b.Levels == nil }

// width returns the number of functions.
func (b *Basis) width() int {
	return len(b.Knots) + len(b.Values) + len(b.Levels) +
		metric.Indicator(b.line()) + metric.Indicator(b.Rest) + metric.Indicator(b.Missing)
}

// penalty adds the basis's part of the penalty matrix, of its weights from first on; levels is that of a level.
func (b *Basis) penalty(p logreg.Penalty, first int, levels float64) logreg.Penalty {
	for i := range b.width() {
		ridge := 1.0
		switch {
		case i < len(b.Knots):
			ridge = curveRidge
		case i < len(b.Levels)+len(b.Values):
			ridge = levels
		}
		p = append(p, logreg.PenaltyEntry{I: first + i, J: first + i, Value: ridge})
	}
	return b.smoothness(p, first, 1)
}

// smoothness adds the penalty on a curve's second differences. Its heights are every step-th
// weight from first on.
func (b *Basis) smoothness(p logreg.Penalty, first, step int) logreg.Penalty {
	if b.Smooth == 0 {
		return p
	}
	difference := [3]float64{1, -2, 1}
	for k := range max(0, len(b.Knots)-2) {
		for i, x := range difference {
			for j := i; j < len(difference); j++ {
				value := b.Smooth * x * difference[j]
				p = append(p, logreg.PenaltyEntry{I: first + (k+i)*step, J: first + (k+j)*step, Value: value})
			}
		}
	}
	return p
}

// A boundBasis is a basis as customers are scored by it, or a line. Places are those of
// its functions among its own.
type boundBasis struct {
	logreg.Shape     // of a number; a category has its Missing: the place of missing cells, or −1
	feature      int // in the schema
	width        int

	rest  int32            // place of other levels, or −1
	level map[string]int32 // of a category; nil for a number
}

// basis returns a basis of feature j, to score by.
func (e *Encoder) basis(j int, b *Basis) boundBasis {
	out := boundBasis{feature: j, width: b.width(), rest: -1}
	out.Missing = -1
	if b.Missing {
		out.Missing = int32(out.width - 1)
	}
	if f := &e.schema.Features[j]; f.Type == dataset.Number {
		s := e.Numbers[f.Name]
		out.Line, out.Knots, out.Values, out.Fill, out.Mean, out.Scale = b.line(), b.Knots, b.Values, s.Median, s.Mean, s.Std
		return out
	}
	out.level = map[string]int32{}
	for k, level := range b.Levels {
		if level == dataset.MissingLevel {
			out.Missing = int32(k)
		} else {
			out.level[level] = int32(k)
		}
	}
	for level, k := range maps.Clone(out.level) { // models of earlier versions have texts that are not composed
		if _, known := out.level[dataset.Trim(level)]; !known {
			out.level[dataset.Trim(level)] = k
		}
	}
	if b.Rest {
		if out.rest = int32(out.width - 1); out.Missing < 0 {
			out.Missing = out.rest
		}
	}
	return out
}

// active returns the functions that are not zero at a value: none of a level that is not known.
func (b *boundBasis) active(v *dataset.Value) logreg.Active {
	if b.level != nil {
		return logreg.One(b.place(v.Text, v.Missing))
	}
	return b.At(v.Float())
}

// place returns the place of a category's level, or −1.
func (b *boundBasis) place(level string, missing bool) int32 {
	if missing {
		return b.Missing
	}
	if k, ok := b.level[level]; ok {
		return k
	}
	return b.rest
}

// term says what a feature is in words.
func (b *boundBasis) term() string {
	switch {
	case b.Line:
		return TermsLine
	case b.Knots != nil:
		return TermsCurve
	}
	return termLevels
}
