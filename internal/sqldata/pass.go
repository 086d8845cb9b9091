package sqldata

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// cellLimit is the number of level combinations that one query may group by.
const cellLimit = 4096

// groupLimit is the number of combinations in a group if those of all categories exceed
// cellLimit: pairs of groups then have at most cellLimit, unless one category has more.
const groupLimit = 64

// A levelGroup is a set of categories whose levels are counted together: each row has one
// number for it, whose digits are the codes of the levels.
type levelGroup struct {
	features []int
	size     int // combinations, with missing cells
}

// levelGroups divides the categories into groups, one if all have few combinations.
func (v *view) levelGroups() []levelGroup {
	all, most := 1, groupLimit
	for j := range v.columns {
		if v.columns[j].feature.Type == dataset.Category && all <= cellLimit {
			all *= len(v.columns[j].levels) + 1
		}
	}
	if all <= cellLimit {
		most = cellLimit
	}
	var out []levelGroup
	for j := range v.columns {
		if v.columns[j].feature.Type != dataset.Category {
			continue
		}
		n := len(v.columns[j].levels) + 1
		if last := len(out) - 1; last >= 0 && out[last].size*n <= most {
			out[last].features, out[last].size = append(out[last].features, j), out[last].size*n
		} else {
			out = append(out, levelGroup{[]int{j}, n})
		}
	}
	return out
}

// groupName returns the column of a group's number.
func groupName(i int) string { return fmt.Sprintf("b%d", i) }

// groupCode returns the expression of a group's number.
func (v *view) groupCode(g levelGroup) string {
	sum, factor := []string{}, 1
	for _, j := range g.features {
		sum = append(sum, fmt.Sprintf("%s * %d", v.code(j), factor))
		factor *= len(v.columns[j].levels) + 1
	}
	return strings.Join(sum, " + ")
}

// A pass adds up loss, gradient and Hessian over the rows of a view: see logreg.Sums.
type pass struct {
	*view
	scorer scorer
	groups []levelGroup
	from   string // the rows, with residual r, curvature h, loss l and the numbers
	sums   *logreg.Sums
}

// sum adds up the sums of logreg.Pass or, with covariance, those of the score covariance.
// rows is the encoder's design for a table with the view's levels and no rows.
//
// With few combinations of levels one query groups by them, and the sums of the levels
// are put together here. Otherwise there are three kinds of queries: sums over the
// numbers, by group, and by pair of groups.
func (v *view) sum(ctx context.Context, rows *logreg.Rows, w []float64, covariance bool, sums *logreg.Sums) error {
	p := &pass{view: v, scorer: v.scorer(rows, w), groups: v.levelGroups(), sums: sums}
	weight := ""
	if rows.ClassWeight != [2]float64{1, 1} {
		weight = fmt.Sprintf(" * CASE WHEN y = 1 THEN %s ELSE %s END",
			v.d.number(rows.ClassWeight[1]), v.d.number(rows.ClassWeight[0]))
	}
	residual := fmt.Sprintf("(%s - y)%s", v.probability(0), weight)
	curvature := "e0 / ((1 + e0) * (1 + e0))" + weight
	if covariance {
		curvature = residual + " * " + residual
	}
	var columns []string
	for i := range p.groups {
		columns = append(columns, groupName(i))
	}
	for i := range rows.Numbers {
		columns = append(columns, fmt.Sprintf("x%d", i))
	}
	columns = append(columns, residual+" AS r", curvature+" AS h", fmt.Sprintf("(%s)%s AS l", v.loss(0), weight))
	p.from = fmt.Sprintf("FROM (SELECT %s FROM %s) c",
		strings.Join(v.d.fenced(columns, "f2"), ", "), v.scored([]scorer{p.scorer}, p.groups))
	terms := p.terms(len(rows.Numbers))
	if len(p.groups) <= 1 {
		return p.sumCells(ctx, terms)
	}
	return p.sumGroups(ctx, terms)
}

// sumCells adds all sums, by the one group there is, or by none.
func (p *pass) sumCells(ctx context.Context, terms []term) error {
	key := "0"
	if len(p.groups) == 1 {
		key = groupName(0)
	}
	return p.grouped(ctx, "a pass", p.from, []string{key}, terms, func(key []int, t *term, sum float64) {
		t.add(sum)
		if t.addLevels != nil && len(p.groups) == 1 {
			t.addLevels(p.weightsOf(0, key[0]), sum)
		}
	})
}

// sumGroups adds the sums without levels, then those of the levels of one group, then
// those of the levels of two.
func (p *pass) sumGroups(ctx context.Context, terms []term) error {
	err := p.grouped(ctx, "a pass over the numbers", p.from, []string{"0"}, terms,
		func(_ []int, t *term, sum float64) { t.add(sum) })
	if err != nil {
		return err
	}
	var groups, pairs [][]string
	for i := range p.groups {
		groups = append(groups, []string{fmt.Sprint(i), groupName(i)})
		for k := range i {
			pairs = append(pairs, []string{fmt.Sprint(i), fmt.Sprint(k), groupName(i), groupName(k)})
		}
	}
	terms = slices.DeleteFunc(terms, func(t term) bool { return t.addLevels == nil })
	err = p.grouped(ctx, "a pass over the levels", p.from+" "+p.d.unpivot(groups, "u", "i", "b"), []string{"u.i", "u.b"},
		terms, func(key []int, t *term, sum float64) { t.addLevels(p.weightsOf(key[0], key[1]), sum) })
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(pairs, p.d.pairLimit) {
		err := p.grouped(ctx, "a pass over pairs of levels", p.from+" "+p.d.unpivot(chunk, "u", "i", "k", "b", "c"),
			[]string{"u.i", "u.k", "u.b", "u.c"}, []term{{sql: "sum(h)"}}, func(key []int, _ *term, sum float64) {
				for _, a := range p.weightsOf(key[0], key[2]) {
					for _, b := range p.weightsOf(key[1], key[3]) {
						p.addHessian(a, b, sum)
					}
				}
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// weightsOf returns the indices of the weights of the levels in a group's number.
func (p *pass) weightsOf(group, code int) []int {
	var weights []int
	for _, j := range p.groups[group].features {
		n := len(p.columns[j].levels) + 1
		if k := p.scorer.levels[j].index(code % n); k >= 0 {
			weights = append(weights, k)
		}
		code /= n
	}
	return weights
}

// A term is a sum that a pass queries, and what it is added to.
type term struct {
	sql       string
	add       func(sum float64)                // to the sums without levels
	addLevels func(weights []int, sum float64) // to those of levels; nil if it is part of none
}

// terms returns all sums, over so many numbers.
func (p *pass) terms(numbers int) []term {
	sums, intercept := p.sums, p.scorer.width
	terms := []term{
		{sql: "count(*)", add: func(sum float64) { sums.Rows += int(sum) }},
		{sql: "sum(l)", add: func(sum float64) { sums.Loss += sum }},
		{
			sql: "sum(r)",
			add: func(sum float64) { sums.Gradient[intercept] += sum },
			addLevels: func(weights []int, sum float64) {
				for _, a := range weights {
					sums.Gradient[a] += sum
				}
			},
		},
		{
			sql: "sum(h)",
			add: func(sum float64) { p.addHessian(intercept, intercept, sum) },
			addLevels: func(weights []int, sum float64) {
				for n, a := range weights {
					p.addHessian(a, intercept, sum)
					for _, b := range weights[:n+1] {
						p.addHessian(a, b, sum)
					}
				}
			},
		},
	}
	for i := range numbers {
		terms = append(terms,
			term{sql: fmt.Sprintf("sum(r * x%d)", i), add: func(sum float64) { sums.Gradient[i] += sum }},
			term{
				sql: fmt.Sprintf("sum(h * x%d)", i),
				add: func(sum float64) { p.addHessian(i, intercept, sum) },
				addLevels: func(weights []int, sum float64) {
					for _, a := range weights {
						p.addHessian(a, i, sum)
					}
				},
			})
		for k := range i + 1 {
			terms = append(terms, term{
				sql: fmt.Sprintf("sum(h * x%d * x%d)", i, k),
				add: func(sum float64) { p.addHessian(i, k, sum) },
			})
		}
	}
	return terms
}

// addHessian adds to the upper triangle.
func (p *pass) addHessian(a, b int, sum float64) {
	p.sums.Hessian[min(a, b)*(p.scorer.width+1)+max(a, b)] += sum
}

// grouped queries terms grouped by keys, in as many queries as the engine's limit of
// columns needs, and calls each with the values of the keys.
func (p *pass) grouped(ctx context.Context, what, from string, keys []string, terms []term,
	each func(key []int, t *term, sum float64)) error {
	for chunk := range slices.Chunk(terms, p.d.columnLimit-len(keys)) {
		columns, ordinals := slices.Clone(keys), []string{}
		key := make([]int, len(keys))
		sums, dest := nullable(len(chunk))
		for i := range key {
			ordinals = append(ordinals, fmt.Sprint(i+1))
			dest = slices.Insert(dest, i, any(&key[i]))
		}
		for _, t := range chunk {
			columns = append(columns, t.sql)
		}
		query := fmt.Sprintf("SELECT %s %s GROUP BY %s", strings.Join(columns, ", "), from, strings.Join(ordinals, ", "))
		err := p.each(ctx, what, query, dest, func() {
			for i, sum := range sums {
				each(key, &chunk[i], sum.Float64)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
