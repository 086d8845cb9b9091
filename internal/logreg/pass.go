package logreg

import (
	"context"
	"math"
)

// Pass implements the type Pass over these rows, on all cores. Partial sums are added
// in a fixed order, so that the result does not depend on the number of cores. For
// more than one pass, Group the rows.
func (r *Rows) Pass(ctx context.Context, w []float64, sums *Sums) error {
	g, err := r.Group(ctx)
	if err != nil {
		return err
	}
	return g.Pass(ctx, w, sums)
}

// ScoreCovariance is like Pass, with Σ sᵢ²(pᵢ−[yᵢ=1])² xᵢxᵢᵀ in the Hessian's place: see Covariance.
func (r *Rows) ScoreCovariance(ctx context.Context, w []float64, sums *Sums) error {
	g, err := r.Group(ctx)
	if err != nil {
		return err
	}
	return g.sum(ctx, w, sums, true)
}

// Pass is Rows.Pass.
func (g *Grouped) Pass(ctx context.Context, w []float64, sums *Sums) error {
	return g.sum(ctx, w, sums, false)
}

// sum adds up all rows; with scoreCov xᵢxᵢᵀ is weighted by the squared residual.
func (g *Grouped) sum(ctx context.Context, w []float64, sums *Sums, scoreCov bool) error {
	if g.rows.Terms != nil {
		return g.rows.sumTerms(ctx, w, sums, scoreCov)
	}
	p := g.newSweep(w)
	p.scoreCov = scoreCov
	partial := make([]*Sums, maxShards)
	err := shards(ctx, len(g.order), shardRows, func() func(shard, from, to int) {
		b := newBlock(len(g.rows.Numbers))
		return func(shard, from, to int) {
			b.sums = NewSums(g.rows.Width)
			b.sums.Rows = to - from
			runs := g.runs[shard]
			for ; from < to; from += blockRows {
				end := min(from+blockRows, to)
				runs = b.cut(runs, from, end)
				p.add(b, g.order[from:end])
			}
			partial[shard] = b.sums
		}
	})
	for _, p := range partial {
		if p != nil {
			sums.Add(p)
		}
	}
	return err
}

// A passState is what a pass computes before it reads rows.
//
// If every number has codes, exp(z) is the product of one factor per column. There are
// far fewer factors than rows, so no row costs an exponential. The error is one ulp per
// factor. If factors could overflow or underflow, or a column has no codes, the terms of
// z are added and exp(z) is computed for each row.
type passState struct {
	rows     *Rows
	w        []float64
	scoreCov bool
	multiply bool
	terms    [][]term // by column of numbers and position of the code; nil without codes
}

// A term is a standardised number and what it adds to z, or the factor that
// exp(z) is multiplied by.
type term struct{ x, z float64 }

func (g *Grouped) newSweep(w []float64) *passState {
	r := g.rows
	p := &passState{rows: r, w: w, multiply: true, terms: make([][]term, len(r.Numbers))}
	most := math.Abs(w[r.Width]) // bound of |z| and of all its partial sums
	for j := range r.Numbers {
		if r.Numbers[j].Codes == nil {
			p.multiply = false
			continue
		}
		largest := 0.0
		p.terms[j] = r.Numbers[j].byCode(func(x float64) term {
			largest = max(largest, math.Abs(w[j]*x))
			return term{x, w[j] * x}
		})
		most += largest
	}
	for j := range r.Levels {
		largest := 0.0
		for _, x := range r.Levels[j].weights(w) {
			largest = max(largest, math.Abs(x))
		}
		most += largest
	}
	if p.multiply = p.multiply && most <= mostLogit; p.multiply {
		for _, terms := range p.terms {
			for k := range terms {
				terms[k].z = math.Exp(terms[k].z)
			}
		}
	}
	return p
}

// add adds the rows of a block to its sums.
func (p *passState) add(b *block, rows []int32) {
	p.fill(b, rows)
	for k := range b.segments {
		s := &b.segments[k]
		positive := p.rows.Positive[rows[s.from]]
		if !p.multiply {
			b.exponentiate(s, positive, p.classWeight(positive))
		}
		b.respond(s, positive, p.classWeight(positive), p.scoreCov)
	}
	b.accumulate(len(rows))
}

func (p *passState) classWeight(positive bool) float64 {
	if positive {
		return p.rows.ClassWeight[1]
	}
	return p.rows.ClassWeight[0]
}

// fill reads the block's rows: the weights of their levels, the standardised numbers,
// and exp(z), or z if the pass does not multiply.
func (p *passState) fill(b *block, rows []int32) {
	r := p.rows
	for k := range b.segments {
		s := &b.segments[k]
		s.on = s.on[:0]
		start := p.w[r.Width]
		for j := range r.Levels {
			if level := r.Levels[j].At(rows[s.from]); level >= 0 {
				s.on = append(s.on, level)
				start += p.w[level]
			}
		}
		if p.multiply {
			start = math.Exp(start)
		}
		for i := s.from; i < s.to; i++ {
			b.odds[i] = start
		}
	}
	odds := b.odds[:len(rows)]
	for j := range r.Numbers {
		c, terms, x := &r.Numbers[j], p.terms[j], b.x[j][:len(odds)]
		codes, last := c.Codes, len(terms)-1
		switch {
		case p.multiply:
			for k, i := range rows[:len(odds)] {
				t := &terms[position(codes[i], last)]
				x[k] = t.x
				odds[k] *= t.z
			}
		case terms != nil:
			for k, i := range rows[:len(odds)] {
				t := &terms[position(codes[i], last)]
				x[k] = t.x
				odds[k] += t.z
			}
		default:
			for k, i := range rows[:len(odds)] {
				x[k] = Standardise(c.Values[i], c.Fill, c.Mean, c.Scale)
				odds[k] += p.w[j] * x[k]
			}
		}
	}
}
