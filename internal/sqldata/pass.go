package sqldata

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"churn/internal/logreg"
	"churn/internal/sqlterms"
	"churn/internal/status"
)

// A pass adds up loss, gradient and Hessian over the rows of a view: see logreg.Sums.
type pass struct {
	*view
	width  int            // weights, without the intercept
	folds  []*logreg.Sums // by fold, if the view has them
	groups []termGroup
	from   string       // the rows, with residual r, curvature h, loss l, the lines, and the groups' columns
	sums   *logreg.Sums // of the fold whose sums are being added
}

// sum adds up the sums of a logreg.Pass, or if the view has folds those of each.
// rows is the encoder's design for a table with the view's levels and no rows.
//
// With few combinations of levels one query groups by them, and the sums of the levels
// are put together here. Otherwise there are three kinds of queries: sums over the
// lines, by group, and by pair of groups.
func (v *view) sum(ctx context.Context, rows *logreg.Rows, w []float64, sums ...*logreg.Sums) error {
	e := v.encode(rows, [][]float64{w}, 0)
	p := &pass{view: v, width: rows.Width, groups: groupTerms(e.Terms), folds: sums, sums: sums[0]}
	var columns []string
	for i := range p.groups {
		p.groups[i].inline = e.Packed
		columns = append(columns, p.groups[i].columns(i)...)
	}
	responses := v.d.Fenced(append([]string{"a.*"}, p.responses(rows)...), "g4")
	p.from = fmt.Sprintf("FROM (SELECT %s FROM %s) c", strings.Join(responses, ", "),
		v.scored([]*sqlterms.Encoded{e}, columns))
	single, key := len(p.groups) == 1 && p.groups[0].values() == 1, "0"
	if single {
		key = groupName(0)
	}
	terms := p.terms(e.Lines)
	err := p.grouped(ctx, "a pass over the numbers", p.from, []string{key}, terms,
		func(key []int, t *term, sum float64) {
			t.add(sum)
			if single && t.addLevels != nil {
				p.addGroup(t, 0, 0, key[0], sum)
			}
		})
	if err == nil && !single {
		err = p.sumValues(ctx, terms)
	}
	if err == nil && !single {
		err = p.sumProducts(ctx)
	}
	return err
}

// responses returns the columns of a row's residual r, curvature h and loss l.
func (v *view) responses(rows *logreg.Rows) []string {
	weight := ""
	if rows.ClassWeight != [2]float64{1, 1} {
		weight = fmt.Sprintf(" * CASE WHEN y = 1 THEN %s ELSE %s END",
			v.d.Number(rows.ClassWeight[1]), v.d.Number(rows.ClassWeight[0]))
	}
	residual := fmt.Sprintf("(%s - y)%s", sqlterms.Probability(0), weight)
	curvature := "e0 / ((1 + e0) * (1 + e0))" + weight
	return []string{residual + " AS r", curvature + " AS h", fmt.Sprintf("(%s)%s AS l", v.loss(0), weight)}
}

// A term is a sum that a pass queries, and what it is added to.
type term struct {
	sql       string
	add       func(sum float64)                // to the sums without functions
	addLevels func(weights []int, sum float64) // to those of functions; nil if it is part of none
	curvature bool                             // where functions are 1 it is the sum of their products too
	column    int                              // among those of sumProducts
}

// terms returns all sums, over some lines.
func (p *pass) terms(lines []sqlterms.Line) []term {
	intercept := p.width
	terms := []term{
		{sql: "count(*)", add: func(sum float64) { p.sums.Rows += int(sum) }},
		{sql: "sum(l)", add: func(sum float64) { p.sums.Loss += sum }},
		{
			sql: "sum(r)",
			add: func(sum float64) { p.sums.Gradient[intercept] += sum },
			addLevels: func(weights []int, sum float64) {
				for _, a := range weights {
					p.sums.Gradient[a] += sum
				}
			},
		},
		{
			sql: "sum(h)",
			add: func(sum float64) { p.addHessian(intercept, intercept, sum) },
			addLevels: func(weights []int, sum float64) {
				for _, a := range weights {
					p.addHessian(a, intercept, sum)
				}
			},
			curvature: true,
		},
	}
	for i, l := range lines {
		terms = append(terms,
			term{sql: fmt.Sprintf("sum(r * %s)", l.X), add: func(sum float64) { p.sums.Gradient[l.Weight] += sum }},
			term{
				sql: fmt.Sprintf("sum(h * %s)", l.X),
				add: func(sum float64) { p.addHessian(l.Weight, intercept, sum) },
				addLevels: func(weights []int, sum float64) {
					for _, a := range weights {
						p.addHessian(a, l.Weight, sum)
					}
				},
			})
		for _, other := range lines[:i+1] {
			terms = append(terms, term{
				sql: fmt.Sprintf("sum(h * %s * %s)", l.X, other.X),
				add: func(sum float64) { p.addHessian(l.Weight, other.Weight, sum) },
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
	own := 0
	if p.view.folds > 0 {
		keys, own = append([]string{"fold"}, keys...), 1
	}
	for chunk := range slices.Chunk(terms, p.d.columnLimit-len(keys)) {
		columns := append(slices.Clone(keys), sqlterms.Texts(slices.Values(chunk), func(t term) string { return t.sql })...)
		var ordinals []string
		key := make([]int, len(keys))
		sums, dest := nullable(len(chunk))
		for i := range key {
			ordinals = append(ordinals, fmt.Sprint(i+1))
			dest = slices.Insert(dest, i, any(&key[i]))
		}
		query := fmt.Sprintf("SELECT %s %s GROUP BY %s", strings.Join(columns, ", "), from, strings.Join(ordinals, ", "))
		err := p.each(ctx, what, query, dest, func() {
			if own > 0 {
				p.sums = p.folds[key[0]]
			}
			for i, sum := range sums {
				each(key[own:], &chunk[i], sum.Float64)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// addGroup adds a sum over the rows where a group has a code, times one of its values.
func (p *pass) addGroup(t *term, group, value, code int, sum float64) {
	g := &p.groups[group]
	weights := g.weights(value, code)
	t.addLevels(weights, sum)
	if t.curvature && g.values() == 1 {
		p.addProducts(weights, weights, true, sum)
	}
}

// addProducts adds to the Hessian's cells of two lists of weights; of a list with itself each once.
func (p *pass) addProducts(a, b []int, itself bool, sum float64) {
	for n, i := range a {
		if itself {
			b = a[:n+1]
		}
		for _, k := range b {
			p.addHessian(i, k, sum)
		}
	}
}

// sumValues adds the sums of one function, and of its products with the intercept and the lines.
func (p *pass) sumValues(ctx context.Context, terms []term) error {
	terms = slices.DeleteFunc(terms, func(t term) bool { return t.addLevels == nil })
	for k := range terms {
		terms[k].sql = strings.TrimSuffix(terms[k].sql, ")") + " * u.v)"
	}
	var tuples [][]string
	var of [][2]int // group and value
	for i := range p.groups {
		for k := range p.groups[i].values() {
			value := cmp.Or(p.groups[i].value(i, k), p.d.Number(1))
			tuples = append(tuples, []string{fmt.Sprint(len(of)), groupName(i), value})
			of = append(of, [2]int{i, k})
		}
	}
	for chunk := range slices.Chunk(tuples, p.d.pairLimit) {
		from := p.from + " " + p.d.unpivot(chunk, "i", "b", "v")
		err := p.grouped(ctx, "a pass over the terms", from, []string{"u.i", "u.b"}, terms,
			func(key []int, t *term, sum float64) {
				p.addGroup(t, of[key[0]][0], of[key[0]][1], key[1], sum)
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
func (p *pass) pairs() []valuePair {
	const most = 4 // products in a row of the query: of two curves; with 16 others wait for two grids of numbers
	var pairs []valuePair
	for i := range p.groups {
		for k := range i + 1 {
			products := p.groups[i].values() * p.groups[k].values()
			if i == k && products == 1 {
				continue // sumValues has added them
			}
			for first := 0; first < products; first += most {
				pairs = append(pairs, valuePair{i, k, first, min(most, products-first)})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b valuePair) int { return a.n - b.n })
	return pairs
}

// values returns of which values product c is: number s of group i and number t of group k.
func (p *pass) values(at valuePair, c int) (s, t int) {
	n := p.groups[at.k].values()
	return (at.first + c) / n, (at.first + c) % n
}

// sumProducts adds the sums of products of two functions.
func (p *pass) sumProducts(ctx context.Context) error {
	for chunk := range slices.Chunk(p.pairs(), p.d.pairLimit) {
		columns, terms := []string{"n", "b"}, make([]term, chunk[len(chunk)-1].n)
		for c := range terms {
			columns = append(columns, fmt.Sprintf("v%d", c))
			terms[c] = term{sql: fmt.Sprintf("sum(u.v%d)", c), column: c}
		}
		var tuples [][]string
		for n, at := range chunk {
			code := fmt.Sprintf("%s * %d + %s", groupName(at.i), p.groups[at.k].size, groupName(at.k))
			tuple := []string{fmt.Sprint(n), code}
			for c := range terms {
				sum := p.d.AsDouble("NULL")
				if s, t := p.values(at, c); c < at.n && (at.i != at.k || s >= t) { // of a group with itself each once
					sum = sqlterms.Product("h", p.groups[at.i].value(at.i, s), p.groups[at.k].value(at.k, t))
				}
				tuple = append(tuple, sum)
			}
			tuples = append(tuples, tuple)
		}
		from := p.from + " " + p.d.unpivot(tuples, columns...)
		err := p.grouped(ctx, "a pass over pairs of terms", from, []string{"u.n", "u.b"}, terms,
			func(key []int, t *term, sum float64) {
				if at := chunk[key[0]]; t.column < at.n { // product t.column where the two groups have a code
					s, u := p.values(at, t.column)
					size := p.groups[at.k].size
					a, b := p.groups[at.i].weights(s, key[1]/size), p.groups[at.k].weights(u, key[1]%size)
					p.addProducts(a, b, at.i == at.k && s == u, sum)
				}
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// requireRows rejects sums of no rows.
func requireRows(sums ...*logreg.Sums) error {
	if slices.ContainsFunc(sums, func(s *logreg.Sums) bool { return s.Rows > 0 }) {
		return nil
	}
	return status.Reject("0 training rows: too few distinct values of the key for the rows held out and the folds")
}

// FoldPass is Pass with the fold as one more key of each group.
func (s *Source) FoldPass(_ context.Context, design *logreg.Rows, n int,
) (func(context.Context, []float64, []*logreg.Sums) error, error) {
	return func(ctx context.Context, w []float64, sums []*logreg.Sums) error {
		return cmp.Or(s.v.inFolds(n).sum(ctx, design, w, sums...), requireRows(sums...))
	}, nil
}

// cellLimit is the number of combinations that one query may group by.
const cellLimit = 4096

// groupLimit is the number of combinations in a group if those of all terms exceed
// cellLimit: pairs of groups then have at most cellLimit, unless one term has more.
const groupLimit = 64

// A termGroup is terms that are counted together: all their values are 1, or there is one
// term. Each row has one number for it, whose digits are the codes of the terms.
type termGroup struct {
	terms  []sqlterms.CodedTerm
	size   int  // combinations
	inline bool // values have no columns
}

// groupTerms divides terms into groups, one if all values are 1 and there are few combinations.
func groupTerms(terms []sqlterms.CodedTerm) []termGroup {
	all, most := 1, groupLimit
	for _, t := range terms {
		all = min(all*t.Size(), cellLimit+1)
	}
	if all <= cellLimit {
		most = cellLimit
	}
	var out []termGroup
	open := -1 // the group that terms whose values are 1 are added to
	for _, t := range terms {
		ones := len(t.Values) == 1
		if ones && open >= 0 && out[open].size*t.Size() <= most {
			out[open].terms, out[open].size = append(out[open].terms, t), out[open].size*t.Size()
			continue
		}
		if out = append(out, termGroup{terms: []sqlterms.CodedTerm{t}, size: t.Size()}); ones {
			open = len(out) - 1
		}
	}
	return out
}

// values returns the number of values.
func (g *termGroup) values() int { return len(g.terms[0].Values) }

// weights returns the indices of the weights of the functions that have a value where the
// group has a code.
func (g *termGroup) weights(value, code int) []int {
	var weights []int
	for _, t := range g.terms {
		if n := t.Functions[value][code%t.Size()]; n >= 0 {
			weights = append(weights, int(n))
		}
		code /= t.Size()
	}
	return weights
}

// columns returns the columns of group i: its code and, if they are not 1, the values.
func (g *termGroup) columns(i int) []string {
	columns := []string{g.code() + " AS " + groupName(i)}
	for k, value := range g.terms[0].Values {
		if value != "" && !g.inline {
			columns = append(columns, value+" AS "+g.value(i, k))
		}
	}
	return columns
}

// code returns the expression of a row's number.
func (g *termGroup) code() string {
	code, factor := []string{}, 1
	for _, t := range g.terms {
		code, factor = append(code, fmt.Sprintf("%s * %d", t.Code, factor)), factor*t.Size()
	}
	return strings.Join(code, " + ")
}

// value returns a value of group i, "" for 1.
func (g *termGroup) value(i, k int) string {
	if g.values() == 1 || g.inline {
		return g.terms[0].Values[k]
	}
	return fmt.Sprintf("v%d_%d", i, k)
}

// groupName returns the column of a group's number.
func groupName(i int) string { return fmt.Sprintf("b%d", i) }
