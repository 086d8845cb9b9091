package logreg

import (
	"context"
	"math"

	"gonum.org/v1/gonum/floats"
)

const (
	// blockRows is how many rows a pass works on at a time: its buffers stay in
	// the first cache.
	blockRows = 256

	// mostLogit is where exp(±z) still leaves room: products of two of them are
	// neither infinite nor denormal.
	mostLogit = 340
)

// Pass implements the type Pass over these rows, on all cores. Parts are summed
// in a fixed order, so that the result does not depend on the number of cores.
// For more than one pass, Group the rows.
func (r *Rows) Pass(ctx context.Context, w []float64, sums *Sums) error {
	g, err := r.Group(ctx)
	if err != nil {
		return err
	}
	return g.Pass(ctx, w, sums)
}

// Meat is like Pass, with Σ sᵢ²(pᵢ−[yᵢ=1])² xᵢxᵢᵀ in the Hessian's place: see Covariance.
func (r *Rows) Meat(ctx context.Context, w []float64, sums *Sums) error {
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

// sum adds up all rows; with meat the squared residual weighs xᵢxᵢᵀ.
func (g *Grouped) sum(ctx context.Context, w []float64, sums *Sums, meat bool) error {
	p := g.newSweep(w)
	p.meat = meat
	parts := make([]*Sums, maxShards)
	err := shards(ctx, len(g.order), func() func(shard, from, to int) {
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
			parts[shard] = b.sums
		}
	})
	for _, part := range parts {
		if part != nil {
			sums.Add(part)
		}
	}
	return err
}

// A sweep is what a pass knows before it sees a row.
//
// Where every number has codes, exp(z) is the product of one factor a column, of
// which there are far fewer than rows, so that no row costs an exponential. It is
// good to an ulp a factor. Where factors could over- or underflow, or have no
// codes, terms of z are added and exp(z) is taken a row.
type sweep struct {
	rows     *Rows
	w        []float64
	meat     bool
	multiply bool
	terms    [][]term // by column of numbers and position of the code; nil without codes
}

// A term is a standardised number and what it adds to z, or the factor that
// exp(z) is multiplied by.
type term struct{ x, z float64 }

func (g *Grouped) newSweep(w []float64) *sweep {
	r := g.rows
	p := &sweep{rows: r, w: w, multiply: true, terms: make([][]term, len(r.Numbers))}
	most := math.Abs(w[r.Width]) // that |z| and all its partial sums can be
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

// A block is the workspace for blockRows rows, by column.
type block struct {
	sums     *Sums
	segments []segment
	x        [][]float64 // by column of numbers, standardised
	odds     []float64   // exp(z), or z on the way there
	residual []float64   // s(p−y)
	h        []float64   // that xxᵀ is weighed by
	hx       []float64
}

// A segment is the part of a run that is in the block.
type segment struct {
	from, to    int
	on          []int32 // positions of weights of its levels, ascending
	residual, h float64 // their sums
}

func newBlock(numbers int) *block {
	buffer := make([]float64, (numbers+4)*blockRows)
	next := func() (b []float64) {
		b, buffer = buffer[:blockRows], buffer[blockRows:]
		return b
	}
	b := &block{odds: next(), residual: next(), h: next(), hx: next()}
	for range numbers {
		b.x = append(b.x, next())
	}
	return b
}

// cut finds the segments of the rows from to end, given the runs that are not
// over before, and returns the runs that are not over after.
func (b *block) cut(runs []int32, from, end int) []int32 {
	n := 0
	for {
		if n == len(b.segments) {
			b.segments = append(b.segments, segment{})
		}
		s := &b.segments[n]
		n++
		s.from, s.to = max(int(runs[0]), from)-from, end-from
		if len(runs) == 1 || int(runs[1]) > end {
			break
		}
		s.to = int(runs[1]) - from
		runs = runs[1:]
		if s.to == end-from {
			break
		}
	}
	b.segments = b.segments[:n]
	return runs
}

// add adds the rows of a block to its sums.
func (p *sweep) add(b *block, rows []int32) {
	p.fill(b, rows)
	for k := range b.segments {
		s := &b.segments[k]
		positive := p.rows.Positive[rows[s.from]]
		if !p.multiply {
			b.exponentiate(s, positive, p.classWeight(positive))
		}
		b.respond(s, positive, p.classWeight(positive), p.meat)
	}
	b.accumulate(len(rows))
}

func (p *sweep) classWeight(positive bool) float64 {
	if positive {
		return p.rows.ClassWeight[1]
	}
	return p.rows.ClassWeight[0]
}

// fill reads the block's rows: which levels are on, the standardised numbers,
// and exp(z), or z if the pass cannot multiply.
func (p *sweep) fill(b *block, rows []int32) {
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

// exponentiate turns the segment's z into exp(z). A z beyond ±mostLogit is cut
// there, and the loss gets what it loses by that: −m for log(1+exp(−m)), which is
// exact to rounding.
func (b *block) exponentiate(s *segment, positive bool, weight float64) {
	odds := b.odds[s.from:s.to]
	for k, z := range odds {
		cut := min(max(z, -mostLogit), mostLogit)
		if positive {
			b.sums.Loss += weight * max(0, cut-z)
		} else {
			b.sums.Loss += weight * max(0, z-cut)
		}
		odds[k] = math.Exp(cut)
	}
}

// respond computes residual and h of the segment's rows from their odds, and
// adds their loss. The loss is −log of the product of the probabilities given to
// the truth, one logarithm for many rows. The product is as good as a sum of
// logarithms: it is off by an ulp a row, relative, and so is its logarithm,
// absolute.
func (b *block) respond(s *segment, positive bool, weight float64, meat bool) {
	const least = 0x1p-500 // with exp(−mostLogit) ≥ 2⁻⁴⁹¹ for the next row the product stays above 2⁻¹⁰⁰⁰
	odds := b.odds[s.from:s.to]
	residual, h := b.residual[s.from:s.to][:len(odds)], b.h[s.from:s.to][:len(odds)]
	var loss, sumResidual, sumH float64
	product := 1.0
	for k, e := range odds {
		no := 1 / (1 + e) // 1−p without cancellation
		yes := e * no
		truth, res := no, weight*yes
		if positive {
			truth, res = yes, -weight*no
		}
		curvature := weight * yes * no
		if meat {
			curvature = res * res
		}
		residual[k], h[k] = res, curvature
		sumResidual += res
		sumH += curvature
		if product *= truth; product < least {
			loss -= math.Log(product)
			product = 1
		}
	}
	b.sums.Loss += weight * (loss - math.Log(product))
	s.residual, s.h = sumResidual, sumH
}

// accumulate adds Σ residual·x to the gradient and Σ h·xxᵀ to the Hessian's
// upper triangle, for the block's n rows.
func (b *block) accumulate(n int) {
	gradient, hessian := b.sums.Gradient, b.sums.Hessian
	width := len(gradient)
	last := width - 1
	residual, h, hx := b.residual[:n], b.h[:n], b.hx[:n]
	for j, x := range b.x {
		x = x[:n]
		row := hessian[j*width : (j+1)*width]
		gradient[j] += floats.Dot(residual, x)
		for k := range hx {
			hx[k] = h[k] * x[k]
		}
		for k := j; k < len(b.x); k++ {
			row[k] += floats.Dot(hx, b.x[k][:n])
		}
		for k := range b.segments {
			s := &b.segments[k]
			sum := floats.Dot(h[s.from:s.to], x[s.from:s.to])
			for _, level := range s.on {
				row[level] += sum
			}
			row[last] += sum
		}
	}
	for k := range b.segments {
		s := &b.segments[k]
		for j, level := range s.on {
			gradient[level] += s.residual
			row := hessian[int(level)*width : (int(level)+1)*width]
			for _, other := range s.on[j:] {
				row[other] += s.h
			}
			row[last] += s.h
		}
		gradient[last] += s.residual
		hessian[width*width-1] += s.h
	}
}
