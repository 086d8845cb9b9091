package sqldata

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"churn/internal/logreg"
)

// A pass adds up loss, gradient and Hessian over the rows of a view: see logreg.Sums.
type pass struct {
	*view
	width  int // weights, without the intercept
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
	p := &pass{view: v, width: rows.Width, sums: sums}
	if rows.Terms != nil {
		return p.sumTerms(ctx, rows, w, covariance)
	}
	p.scorer, p.groups = v.scorer(rows, w), v.levelGroups()
	var columns []string
	for i := range p.groups {
		columns = append(columns, groupName(i))
	}
	var lines []lineOf
	for i := range rows.Numbers {
		lines = append(lines, lineOf{fmt.Sprintf("x%d", i), i})
		columns = append(columns, lines[i].x)
	}
	columns = append(columns, p.responses(rows, covariance)...)
	p.from = fmt.Sprintf("FROM (SELECT %s FROM %s) c",
		strings.Join(v.d.fenced(columns, "f2"), ", "), v.scored([]scorer{p.scorer}, p.groups))
	terms := p.terms(lines)
	if len(p.groups) <= 1 {
		return p.sumCells(ctx, terms)
	}
	return p.sumGroups(ctx, terms)
}

// responses returns the columns of a row's residual r, curvature h and loss l; with
// covariance h is the squared residual.
func (v *view) responses(rows *logreg.Rows, covariance bool) []string {
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
	return []string{residual + " AS r", curvature + " AS h", fmt.Sprintf("(%s)%s AS l", v.loss(0), weight)}
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
	column    int                              // among those of sumProducts
}

// terms returns all sums, over some lines.
func (p *pass) terms(lines []lineOf) []term {
	sums, intercept := p.sums, p.width
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
	for i, l := range lines {
		terms = append(terms,
			term{sql: fmt.Sprintf("sum(r * %s)", l.x), add: func(sum float64) { sums.Gradient[l.weight] += sum }},
			term{
				sql: fmt.Sprintf("sum(h * %s)", l.x),
				add: func(sum float64) { p.addHessian(l.weight, intercept, sum) },
				addLevels: func(weights []int, sum float64) {
					for _, a := range weights {
						p.addHessian(a, l.weight, sum)
					}
				},
			})
		for _, other := range lines[:i+1] {
			terms = append(terms, term{
				sql: fmt.Sprintf("sum(h * %s * %s)", l.x, other.x),
				add: func(sum float64) { p.addHessian(l.weight, other.weight, sum) },
			})
		}
	}
	return terms
}

// addHessian adds to the upper triangle.
func (p *pass) addHessian(a, b int, sum float64) {
	p.sums.Hessian[min(a, b)*(p.width+1)+max(a, b)] += sum
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

// A termPass is a pass over a design with Terms.
type termPass struct {
	*pass
	coded []termGroup
}

// sumTerms is sum for designs with Terms. There are three kinds of queries: sums over the
// lines, by group, and by pair of groups.
func (p *pass) sumTerms(ctx context.Context, rows *logreg.Rows, w []float64, covariance bool) error {
	e := p.encode(rows, w, 0)
	t := &termPass{p, e.termGroups()}
	var columns []string
	for i := range t.coded {
		columns = append(columns, t.coded[i].columns(i)...)
	}
	responses := p.d.fenced(append([]string{"a.*"}, p.responses(rows, covariance)...), "g4")
	p.from = fmt.Sprintf("FROM (SELECT %s FROM %s) c", strings.Join(responses, ", "),
		p.scoredTerms([]*encoded{e}, columns))
	err := p.grouped(ctx, "a pass over the numbers", p.from, []string{"0"}, p.terms(e.lines),
		func(_ []int, t *term, sum float64) { t.add(sum) })
	if err == nil {
		err = t.sumValues(ctx, e.lines)
	}
	if err == nil {
		err = t.sumProducts(ctx)
	}
	return err
}

// sumValues adds the sums of one function, and of its products with the intercept and the lines.
func (p *termPass) sumValues(ctx context.Context, lines []lineOf) error {
	terms := []term{{sql: "sum(r * u.v)", addLevels: func(weights []int, sum float64) {
		for _, a := range weights {
			p.sums.Gradient[a] += sum
		}
	}}}
	for _, l := range append([]lineOf{{"1", p.width}}, lines...) {
		terms = append(terms, term{sql: fmt.Sprintf("sum(h * u.v * %s)", l.x), addLevels: func(weights []int, sum float64) {
			for _, a := range weights {
				p.addHessian(a, l.weight, sum)
			}
		}})
	}
	var tuples [][]string
	var of [][2]int // group and value
	for i := range p.coded {
		for k := range p.coded[i].values() {
			value := cmp.Or(p.coded[i].value(i, k), p.d.number(1))
			tuples = append(tuples, []string{fmt.Sprint(len(of)), groupName(i), value})
			of = append(of, [2]int{i, k})
		}
	}
	for chunk := range slices.Chunk(tuples, p.d.pairLimit) {
		from := p.from + " " + p.d.unnest(chunk, "u", "i", "b", "v")
		err := p.grouped(ctx, "a pass over the terms", from, []string{"u.i", "u.b"}, terms,
			func(key []int, t *term, sum float64) {
				i, k := of[key[0]][0], of[key[0]][1]
				t.addLevels(p.coded[i].weights(k, key[1]), sum)
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// A valuePair is products of the values of two groups: n of them, from number first on.
type valuePair struct{ i, k, first, n int }

// pairs returns all pairs of groups, those with few products first.
func (p *termPass) pairs() []valuePair {
	const most = 4 // products in a row of the query: of two curves; with 16 others wait for two grids of numbers
	var pairs []valuePair
	for i := range p.coded {
		for k := range i + 1 {
			products := p.coded[i].values() * p.coded[k].values()
			for first := 0; first < products; first += most {
				pairs = append(pairs, valuePair{i, k, first, min(most, products-first)})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b valuePair) int { return a.n - b.n })
	return pairs
}

// values returns of which values product c is: number s of group i and number t of group k.
func (p *termPass) values(at valuePair, c int) (s, t int) {
	n := p.coded[at.k].values()
	return (at.first + c) / n, (at.first + c) % n
}

// sumProducts adds the sums of products of two functions.
func (p *termPass) sumProducts(ctx context.Context) error {
	for chunk := range slices.Chunk(p.pairs(), p.d.pairLimit) {
		columns, terms := []string{"n", "b"}, make([]term, chunk[len(chunk)-1].n)
		for c := range terms {
			columns = append(columns, fmt.Sprintf("v%d", c))
			terms[c] = term{sql: fmt.Sprintf("sum(u.v%d)", c), column: c}
		}
		var tuples [][]string
		for n, at := range chunk {
			code := fmt.Sprintf("%s * %d + %s", groupName(at.i), p.coded[at.k].size, groupName(at.k))
			tuple := []string{fmt.Sprint(n), code}
			for c := range terms {
				sum := p.d.asDouble("NULL")
				if s, t := p.values(at, c); c < at.n && (at.i != at.k || s >= t) { // of a group with itself each once
					sum = product("h", p.coded[at.i].value(at.i, s), p.coded[at.k].value(at.k, t))
				}
				tuple = append(tuple, sum)
			}
			tuples = append(tuples, tuple)
		}
		from := p.from + " " + p.d.unnest(tuples, "u", columns...)
		err := p.grouped(ctx, "a pass over pairs of terms", from, []string{"u.n", "u.b"}, terms,
			func(key []int, t *term, sum float64) {
				if at := chunk[key[0]]; t.column < at.n {
					p.addProduct(at, t.column, key[1], sum)
				}
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// addProduct adds the sum of product c where the two groups have a code.
func (p *termPass) addProduct(at valuePair, c, code int, sum float64) {
	s, t := p.values(at, c)
	size := p.coded[at.k].size
	a, b := p.coded[at.i].weights(s, code/size), p.coded[at.k].weights(t, code%size)
	for n, i := range a {
		if at.i == at.k && s == t {
			b = a[:n+1]
		}
		for _, k := range b {
			p.addHessian(i, k, sum)
		}
	}
}
