package logreg

import (
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
func (b *block) respond(s *segment, positive bool, weight float64, scoreCov bool) {
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
		if scoreCov {
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
