package logreg

import (
	"context"
	"math"

	"gonum.org/v1/gonum/floats"
)

// sum is the pass over grouped rows.
func (g *grouped) sum(ctx context.Context, w []float64, sums *Sums) error {
	p := g.newPass(w)
	return g.addUp(ctx, shardRows, sums, func() func(s *Sums, shard, from, to int) {
		b := newBlock(len(g.lines))
		return func(s *Sums, shard, from, to int) {
			b.sums, s.Rows = s, to-from
			runs := g.runs[shard]
			for ; from < to; from += blockRows {
				end := min(from+blockRows, to)
				runs = b.cut(runs, from, end)
				p.add(b, from, end)
			}
		}
	})
}

// A passState is what a pass computes before it reads rows.
//
// If every line has codes, exp(z) is the product of one factor per column. There are
// far fewer factors than rows, so no row costs an exponential. The error is one ulp per
// factor. If factors could overflow or underflow, or a line has no codes, the terms of
// z are added and exp(z) is computed for each row.
type passState struct {
	*grouped
	w        []float64
	multiply bool
	factors  [][]factor // by line and position of the code, if it multiplies
}

// A factor is the x of a line, and what it multiplies exp(z) by.
type factor struct{ x, odds float64 }

func (g *grouped) newPass(w []float64) *passState {
	p := &passState{grouped: g, w: w, multiply: true}
	most := math.Abs(w[g.Width]) // bound of |z| and of all its partial sums
	for _, columns := range [][]column{g.lines, g.levels} {
		for _, c := range columns {
			largest := 0.0
			for _, a := range c.At {
				largest = max(largest, math.Abs(w[c.first+a.First]*a.Value[0]))
			}
			most += largest
			p.multiply = p.multiply && c.Codes != nil && most <= mostLogit
		}
	}
	if p.multiply {
		for _, c := range g.lines {
			factors := make([]factor, len(c.At))
			for k, a := range c.At {
				factors[k] = factor{a.Value[0], math.Exp(w[c.first] * a.Value[0])}
			}
			p.factors = append(p.factors, factors)
		}
	}
	return p
}

// add adds the rows of a block to its sums.
func (p *passState) add(b *block, from, to int) {
	rows := p.order[from:to]
	for j, x := range p.x {
		if x != nil {
			b.x[j] = x[from:to]
		}
	}
	p.fill(b, rows)
	for k := range b.segments {
		s := &b.segments[k]
		positive, weight := p.Positive[rows[s.from]], p.ClassWeight[0]
		if positive {
			weight = p.ClassWeight[1]
		}
		if !p.multiply {
			b.exponentiate(s, positive, weight)
		}
		b.respond(s, positive, weight)
	}
	b.accumulate(len(rows))
}

// fill reads the block's rows: the weights of their levels, the x of their lines,
// and exp(z), or z if the pass does not multiply.
func (p *passState) fill(b *block, rows []int32) {
	for k := range b.segments {
		s := &b.segments[k]
		first, start := len(b.on), p.w[p.Width]
		for j := range p.levels {
			if level := p.levels[j].level(rows[s.from]); level >= 0 {
				b.on = append(b.on, level)
				start += p.w[level]
			}
		}
		s.on = b.on[first:]
		if p.multiply {
			start = math.Exp(start)
		}
		for i := s.from; i < s.to; i++ {
			b.odds[i] = start
		}
	}
	odds := b.odds[:len(rows)]
	for j := range p.lines {
		c, x := &p.lines[j], b.x[j][:len(odds)]
		switch w := p.w[c.first]; {
		case p.multiply:
			codes, factors := c.Codes, p.factors[j]
			for k, i := range rows[:len(odds)] {
				f := &factors[position(codes[i], len(factors)-1)]
				x[k] = f.x
				odds[k] *= f.odds
			}
		case c.Codes != nil:
			for k, i := range rows[:len(odds)] {
				x[k] = c.At[position(c.Codes[i], len(c.At)-1)].Value[0]
				odds[k] += w * x[k]
			}
		default:
			floats.AddScaled(odds, w, x)
		}
	}
}
