package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// cellLimit is how many combinations of levels one query may group by.
const cellLimit = 4096

// blockLimit is how many combinations of levels a block has at most where all
// levels together have too many for one query: pairs of blocks then have at most
// cellLimit, but for a category that has more levels by itself.
const blockLimit = 64

// A block is categories whose levels are counted together: a row has one number in
// it, with the digits of its levels' codes.
type block struct {
	features []int
	size     int // combinations, with missing cells
}

// blocks divides the categories into blocks, one if all together have few combinations.
func (v *view) blocks() []block {
	all, most := 1, blockLimit
	for j := range v.columns {
		if v.columns[j].feature.Type == dataset.Category && all <= cellLimit {
			all *= len(v.columns[j].levels) + 1
		}
	}
	if all <= cellLimit {
		most = cellLimit
	}
	var out []block
	for j := range v.columns {
		if v.columns[j].feature.Type != dataset.Category {
			continue
		}
		n := len(v.columns[j].levels) + 1
		if last := len(out) - 1; last >= 0 && out[last].size*n <= most {
			out[last].features, out[last].size = append(out[last].features, j), out[last].size*n
		} else {
			out = append(out, block{[]int{j}, n})
		}
	}
	return out
}

func blockName(i int) string { return fmt.Sprintf("b%d", i) }

// blockCode returns the expression of a block's number.
func (v *view) blockCode(b block) string {
	sum, factor := []string{}, 1
	for _, j := range b.features {
		sum = append(sum, fmt.Sprintf("%s * %d", v.code(j), factor))
		factor *= len(v.columns[j].levels) + 1
	}
	return strings.Join(sum, " + ")
}

// blockWeights returns the places of the weights that are 1 in a row with the number of the block.
func (v *view) blockWeights(s scorer, b block, code int) []int {
	var on []int
	for _, j := range b.features {
		n := len(v.columns[j].levels) + 1
		if k := s.levels[j].index(code % n); k >= 0 {
			on = append(on, k)
		}
		code /= n
	}
	return on
}

// A pass adds up loss, gradient and Hessian over the rows of a part: see logreg.Sums.
type pass struct {
	*view
	scorer scorer
	blocks []block
	names  []string // of the blocks' columns
	from   string   // the rows, with r, h and l
	d      int      // numbers
	sums   *logreg.Sums
}

// sum implements logreg.Pass for the rows of a part, and with meat logreg's Meat.
// rows are the encoder's plan for a table with the view's levels and no rows.
//
// With few combinations of levels one query groups by them, and all that a level
// decides is put together here. Else there are three: sums over the numbers, by
// block, and by pair of blocks.
func (v *view) sum(ctx context.Context, part dataset.HashRange, seed uint64, rows *logreg.Rows, w []float64, meat bool, sums *logreg.Sums) error {
	p := &pass{view: v, scorer: v.scorer(rows, w), blocks: v.blocks(), d: len(rows.Numbers), sums: sums}
	for i := range p.blocks {
		p.names = append(p.names, blockName(i))
	}
	weight, square := "", ""
	if rows.ClassWeight != [2]float64{1, 1} {
		weight = fmt.Sprintf(" * CASE WHEN y = 1 THEN %s ELSE %s END", v.d.number(rows.ClassWeight[1]), v.d.number(rows.ClassWeight[0]))
	}
	residual := fmt.Sprintf("(%s - y)%s", v.probability(0), weight)
	curvature := "e0 / ((1 + e0) * (1 + e0))" + weight
	if meat {
		square = residual
		curvature = square + " * " + square
	}
	inner := slices.Clone(p.names)
	for i := range p.d {
		inner = append(inner, fmt.Sprintf("x%d", i))
	}
	inner = append(inner, residual+" AS r", curvature+" AS h", fmt.Sprintf("(%s)%s AS l", v.loss(0), weight))
	p.from = fmt.Sprintf("FROM (SELECT %s FROM %s) c", strings.Join(v.d.fenced(inner, "f2"), ", "), v.scored(part, seed, []scorer{p.scorer}, p.blocks))
	if len(p.blocks) <= 1 {
		return p.sumCells(ctx)
	}
	if err := p.sumNumbers(ctx); err != nil {
		return err
	}
	if err := p.sumBlocks(ctx); err != nil {
		return err
	}
	return p.sumPairs(ctx)
}

// sumCells adds all sums by the one block there is, or by none.
func (p *pass) sumCells(ctx context.Context) error {
	group := "0"
	if len(p.blocks) == 1 {
		group = "b0"
	}
	terms := p.terms(true)
	return p.grouped(ctx, "a pass", group+" AS g", "GROUP BY 1", terms, func(key []int, at int, sum float64) {
		on := p.on(0, key[0])
		terms[at].add(p, on, sum)
	})
}

// sumNumbers adds the sums that no level has a part in.
func (p *pass) sumNumbers(ctx context.Context) error {
	terms := p.terms(true)
	return p.grouped(ctx, "a pass over the numbers", "0 AS g", "GROUP BY 1", terms, func(_ []int, at int, sum float64) {
		terms[at].add(p, nil, sum)
	})
}

// sumBlocks adds the sums that the levels of one block have a part in.
func (p *pass) sumBlocks(ctx context.Context) error {
	terms := p.terms(false)
	var tuples [][]string
	for i, name := range p.names {
		tuples = append(tuples, []string{fmt.Sprint(i), name})
	}
	from := p.from
	defer func() { p.from = from }()
	p.from += " " + p.view.d.unpivot(tuples, "u", "i", "b")
	return p.grouped(ctx, "a pass over the levels", "u.i, u.b", "GROUP BY u.i, u.b", terms, func(key []int, at int, sum float64) {
		terms[at].levels(p, p.on(key[0], key[1]), sum)
	})
}

// sumPairs adds the sums that levels of two blocks have a part in.
func (p *pass) sumPairs(ctx context.Context) error {
	var tuples [][]string
	for i := range p.blocks {
		for k := range i {
			tuples = append(tuples, []string{fmt.Sprint(i), fmt.Sprint(k), p.names[i], p.names[k]})
		}
	}
	from := p.from
	defer func() { p.from = from }()
	hessian := []passTerm{{"sum(h)", termH, -1, -1}}
	for some := range slices.Chunk(tuples, p.view.d.pairLimit) {
		p.from = from + " " + p.view.d.unpivot(some, "u", "i", "k", "b", "c")
		err := p.grouped(ctx, "a pass over pairs of levels", "u.i, u.k, u.b, u.c", "GROUP BY u.i, u.k, u.b, u.c", hessian, func(key []int, _ int, sum float64) {
			for _, a := range p.on(key[0], key[2]) {
				for _, b := range p.on(key[1], key[3]) {
					p.hessian(a, b, sum)
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// on returns the places of the weights that are 1 where block i has a number.
func (p *pass) on(i, code int) []int {
	if len(p.blocks) == 0 {
		return nil
	}
	return p.blockWeights(p.scorer, p.blocks[i], code)
}

// A passTerm is one sum that is asked for, and what it is a sum of.
type passTerm struct {
	sql  string
	kind int
	i, k int // numbers that it is multiplied with, −1 for none
}

const (
	termRows = iota
	termLoss
	termR
	termH
)

// terms returns the sums over numbers: all, or those that levels have a part in.
func (p *pass) terms(all bool) []passTerm {
	terms := []passTerm{{"sum(r)", termR, -1, -1}, {"sum(h)", termH, -1, -1}}
	if all {
		terms = append(terms, passTerm{"count(*)", termRows, -1, -1}, passTerm{"sum(l)", termLoss, -1, -1})
	}
	for i := range p.d {
		terms = append(terms, passTerm{fmt.Sprintf("sum(h * x%d)", i), termH, i, -1})
		if !all {
			continue
		}
		terms = append(terms, passTerm{fmt.Sprintf("sum(r * x%d)", i), termR, i, -1})
		for k := range i + 1 {
			terms = append(terms, passTerm{fmt.Sprintf("sum(h * x%d * x%d)", i, k), termH, i, k})
		}
	}
	return terms
}

// add adds a sum over rows that have the weights of on at 1.
func (t *passTerm) add(p *pass, on []int, sum float64) {
	intercept := p.scorer.width
	switch t.kind {
	case termRows:
		p.sums.Rows += int(sum)
	case termLoss:
		p.sums.Loss += sum
	case termR:
		if t.i >= 0 {
			p.sums.Gradient[t.i] += sum
		} else {
			p.sums.Gradient[intercept] += sum
		}
	case termH:
		switch {
		case t.k >= 0:
			p.hessian(t.i, t.k, sum)
		case t.i >= 0:
			p.hessian(t.i, intercept, sum)
		default:
			p.hessian(intercept, intercept, sum)
		}
	}
	if len(on) > 0 {
		t.levels(p, on, sum)
	}
}

// levels adds what levels that are on have of a sum.
func (t *passTerm) levels(p *pass, on []int, sum float64) {
	for n, a := range on {
		switch {
		case t.kind == termR && t.i < 0:
			p.sums.Gradient[a] += sum
		case t.kind == termH && t.i >= 0 && t.k < 0:
			p.hessian(a, t.i, sum)
		case t.kind == termH && t.i < 0:
			p.hessian(a, p.scorer.width, sum)
			for _, b := range on[:n+1] {
				p.hessian(a, b, sum)
			}
		}
	}
}

// hessian adds to the upper triangle.
func (p *pass) hessian(a, b int, sum float64) {
	p.sums.Hessian[min(a, b)*(p.scorer.width+1)+max(a, b)] += sum
}

// grouped asks for terms by group, in as many queries as the engine's columns ask
// for. each is called with the group's columns and the place of the term.
func (p *pass) grouped(ctx context.Context, what, key, group string, terms []passTerm, each func(key []int, at int, sum float64)) error {
	keys := strings.Count(key, ",") + 1
	done := 0
	for chunk := range slices.Chunk(terms, p.view.d.columnLimit-keys) {
		exprs := make([]string, len(chunk))
		for i, t := range chunk {
			exprs[i] = t.sql
		}
		query := fmt.Sprintf("SELECT %s, %s %s %s", key, strings.Join(exprs, ", "), p.from, group)
		err := p.query(ctx, what, query, func(scan func(...any) error) error {
			group, row := make([]int, keys), make([]sql.NullFloat64, len(chunk))
			at := make([]any, 0, keys+len(chunk))
			for i := range group {
				at = append(at, &group[i])
			}
			for i := range row {
				at = append(at, &row[i])
			}
			if err := scan(at...); err != nil {
				return err
			}
			for i, sum := range row {
				each(group, done+i, sum.Float64)
			}
			return nil
		})
		if err != nil {
			return err
		}
		done += len(chunk)
	}
	return nil
}
