package sqldata

import (
	"fmt"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// A scorer is a model as queries need it: how each number is standardised, and the
// weight of each number and level.
type scorer struct {
	w       []float64
	width   int
	numbers []*logreg.Numbers // by feature; nil for a category
	place   []int             // of a number's weight, by feature
	levels  []levelWeights    // by feature
}

// levelWeights are the places of the weights of a category's levels, −1 for none.
type levelWeights struct {
	*logreg.Levels
	w []float64
}

// index returns the place of a level's weight, or −1; the code after the last is a missing cell's.
func (l levelWeights) index(code int) int {
	if code < len(l.Weight) {
		return int(l.Weight[code])
	}
	return int(l.Missing)
}

// ofText returns the weight of the level that a text is, 0 for one that has none.
func (l levelWeights) ofText(t rawText) float64 {
	if t.drop {
		return 0
	}
	return l.of(t.code)
}

// of returns the weight of a level, 0 for one that has none.
func (l levelWeights) of(code int) float64 {
	if k := l.index(code); k >= 0 {
		return l.w[k]
	}
	return 0
}

func (v *view) scorer(rows *logreg.Rows, w []float64) scorer {
	s := scorer{
		w: w, width: rows.Width, numbers: make([]*logreg.Numbers, len(v.columns)),
		place: make([]int, len(v.columns)), levels: make([]levelWeights, len(v.columns)),
	}
	numbers, levels := 0, 0
	for j := range v.columns {
		if v.columns[j].feature.Type == dataset.Number {
			s.numbers[j], s.place[j] = &rows.Numbers[numbers], numbers
			numbers++
		} else {
			s.levels[j] = levelWeights{&rows.Levels[levels], w}
			levels++
		}
	}
	return s
}

// standardised returns the expression of feature j as the trainer sees it, out of
// one of the number after cleaning.
func (v *view) standardised(s scorer, j int, value string) string {
	n := s.numbers[j]
	return fmt.Sprintf("(COALESCE(%s, %s) - %s) / %s", value, v.d.number(n.Fill), v.d.number(n.Mean), v.d.number(n.Scale))
}

// levelSum returns the expression of what the levels of a row add to scorer k's z, with the intercept.
func (v *view) levelSum(s scorer, k int) string {
	sum := []string{v.d.number(s.w[s.width])}
	for j := range v.columns {
		c := &v.columns[j]
		if c.feature.Type != dataset.Category {
			continue
		}
		l := s.levels[j]
		sum = append(sum, c.lookup(weightName(k), func(t rawText) string { return v.d.number(l.ofText(t)) }, v.d.number(l.of(len(c.levels)))))
	}
	return strings.Join(sum, " + ")
}

// mostLogit is where exp(−|z|) stops falling: products with it stay above the
// smallest double, which PostgreSQL calls an error.
const mostLogit = 300

// scored returns a subquery of a part's rows with the class y, the z of each scorer,
// e = exp(−|z|), the block numbers b0, b1 …, and the first scorer's standardised
// numbers, x0, x1 … in the order of its weights.
func (v *view) scored(part dataset.HashRange, seed uint64, scorers []scorer, blocks []block) string {
	inner, outer := []string{v.class() + " AS y"}, []string{"y"}
	for i, b := range blocks {
		inner, outer = append(inner, v.blockCode(b)+" AS "+blockName(i)), append(outer, blockName(i))
	}
	for k, s := range scorers {
		inner = append(inner, fmt.Sprintf("%s AS lw%d", v.levelSum(s, k), k))
		z := []string{fmt.Sprintf("lw%d", k)}
		for j := range v.columns {
			if s.numbers[j] == nil {
				continue
			}
			x := fmt.Sprintf("s%dx%d", k, s.place[j])
			inner = append(inner, v.standardised(s, j, v.value(j))+" AS "+x)
			z = append(z, fmt.Sprintf("%s * %s", x, v.d.number(s.w[s.place[j]])))
			if k == 0 {
				outer = append(outer, fmt.Sprintf("%s AS x%d", x, s.place[j]))
			}
		}
		sum := strings.Join(z, " + ")
		outer = append(outer, fmt.Sprintf("%s AS z%d", sum, k), fmt.Sprintf("exp(-LEAST(abs(%s), %s)) AS e%d", sum, v.d.number(mostLogit), k))
	}
	return fmt.Sprintf("(SELECT %s FROM (SELECT %s %s) a) b", strings.Join(v.d.fenced(outer, "f1"), ", "),
		strings.Join(v.d.fenced(inner, "f0"), ", "), v.rows(part, scorers, seed, false))
}

// probability returns the expression of scorer k's probability.
func (v *view) probability(k int) string {
	return fmt.Sprintf("CASE WHEN z%d >= 0 THEN 1 ELSE e%d END / (1 + e%d)", k, k, k)
}

// loss returns the expression of log(1+exp(−yz)) with y = ±1, safe for any z.
func (v *view) loss(k int) string {
	return fmt.Sprintf("ln(1 + e%d) + CASE WHEN (z%d >= 0) = (y = 1) THEN %s ELSE abs(z%d) END", k, k, v.d.number(0), k)
}
