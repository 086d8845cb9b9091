package logreg

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

const (
	// blockRows is how many rows a pass works on at a time: its buffers stay in
	// the L1 cache.
	blockRows = 256

	// mostLogit bounds |z| so that products of two exp(±z) are neither infinite nor denormal.
	mostLogit = 340
)

// A block is the workspace for blockRows rows, by column.
type block struct {
	sums     *Sums
	segments []segment
	on       []int32     // of all segments
	x        [][]float64 // by line: the grouped rows' of a line without codes
	odds     []float64   // exp(z), or z on the way there
	residual []float64   // s(p−y)
	h        []float64   // weight of xxᵀ
	hx       []float64
}

// A segment is the rows of a run.
type segment struct {
	from, to    int     // in the block
	on          []int32 // positions of weights of its levels, ascending
	residual, h float64 // sums over the segment
}

func newBlock(lines int) *block {
	buffer := make([]float64, (lines+4)*blockRows)
	next := func() (b []float64) {
		b, buffer = buffer[:blockRows], buffer[blockRows:]
		return b
	}
	b := &block{odds: next(), residual: next(), h: next(), hx: next()}
	for range lines {
		b.x = append(b.x, next())
	}
	return b
}

// cut finds the segments of the rows from to end, and returns the runs that begin later.
func (b *block) cut(runs []int32, from, end int) []int32 {
	b.segments, b.on = b.segments[:0], b.on[:0]
	for len(runs) > 0 && int(runs[0]) < end {
		s := segment{from: int(runs[0]) - from, to: end - from}
		if runs = runs[1:]; len(runs) > 0 {
			s.to = min(s.to, int(runs[0])-from)
		}
		b.segments = append(b.segments, s)
	}
	return runs
}

// exponentiate turns the segment's z into exp(z). A z beyond ±mostLogit is clipped, and
// the difference is added to the loss: log(1+exp(m)) is m to rounding.
func (b *block) exponentiate(s *segment, positive bool, weight float64) {
	odds := b.odds[s.from:s.to]
	for k, z := range odds {
		clipped := min(max(z, -mostLogit), mostLogit)
		if positive {
			b.sums.Loss += weight * max(0, clipped-z)
		} else {
			b.sums.Loss += weight * max(0, z-clipped)
		}
		odds[k] = math.Exp(clipped)
	}
}

// respond computes residual and h of the segment's rows from their odds, and adds their
// loss: −log of the product of the probabilities of the true classes, one logarithm for
// many rows. The product's relative error is an ulp per row, and so is the absolute error
// of its logarithm: no more than that of a sum of logarithms.
func (b *block) respond(s *segment, positive bool, weight float64) {
	const least = 0x1p-500 // the next row's factor is at least exp(−mostLogit) ≥ 2⁻⁴⁹¹: no underflow
	odds := b.odds[s.from:s.to]
	residual, h := b.residual[s.from:s.to][:len(odds)], b.h[s.from:s.to][:len(odds)]
	var loss, sumResidual, sumH float64
	product := 1.0
	for k, e := range odds {
		q := 1 / (1 + e) // 1−p without cancellation
		p := e * q
		likelihood, res := q, weight*p
		if positive {
			likelihood, res = p, -weight*q
		}
		curvature := weight * p * q
		residual[k], h[k] = res, curvature
		sumResidual += res
		sumH += curvature
		if product *= likelihood; product < least {
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
