package logreg

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// Rows are rows in memory, by column, and which of them to use. Weights are
// ordered: Numbers, then the levels of Levels, then the intercept.
type Rows struct {
	Numbers     []Numbers
	Levels      []Levels
	Positive    []bool
	ClassWeight [2]float64 // of the negative and the positive rows; {1, 1} for none
	Use         []int32    // row numbers
	Width       int        // d: the number of weights without the intercept
}

// Numbers is a column of numbers, standardised as it is read: (x−Mean)/Scale.
type Numbers struct {
	Values            []float64
	Fill, Mean, Scale float64 // Fill stands for NaN
}

// At returns row i, standardised.
func (c *Numbers) At(i int32) float64 { return Standardise(c.Values[i], c.Fill, c.Mean, c.Scale) }

// Standardise returns (x−mean)/scale, with fill for an x of NaN.
func Standardise(x, fill, mean, scale float64) float64 {
	if x != x {
		x = fill
	}
	return (x - mean) / scale
}

// Levels is a column of categories: the weight of each code, −1 for a level that has none.
type Levels struct {
	Codes   []uint16
	Weight  []int32 // by code
	Missing int32   // the weight of code 65535
}

// At returns the position of row i's weight, or −1.
func (c *Levels) At(i int32) int32 {
	if code := c.Codes[i]; code != math.MaxUint16 {
		return c.Weight[code]
	}
	return c.Missing
}

// Sigmoid returns 1/(1+exp(−z)).
func Sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// Probabilities returns the probability of the positive class for each row in Use.
func (r *Rows) Probabilities(ctx context.Context, w []float64) ([]float64, error) {
	p := make([]float64, len(r.Use))
	err := r.shards(ctx, func(_, from, to int) {
		a := r.newActive()
		for k := from; k < to; k++ {
			p[k] = Sigmoid(a.load(r, r.Use[k], w))
		}
	})
	return p, err
}

// Pass implements the type Pass over these rows, on all cores. Parts are summed
// in a fixed order, so that the result does not depend on the number of cores.
func (r *Rows) Pass(ctx context.Context, w []float64, sums *Sums) error {
	return r.sum(ctx, w, sums, func(p, s float64) float64 { return s * p * (1 - p) })
}

// Meat is like Pass, with Σ sᵢ²(pᵢ−[yᵢ=1])² xᵢxᵢᵀ in the Hessian's place: see Covariance.
func (r *Rows) Meat(ctx context.Context, w []float64, sums *Sums) error {
	return r.sum(ctx, w, sums, nil)
}

// sum adds up all rows. curvature weighs xᵢxᵢᵀ; nil means the squared residual.
func (r *Rows) sum(ctx context.Context, w []float64, sums *Sums, curvature func(p, s float64) float64) error {
	parts := make([]*Sums, maxShards)
	err := r.shards(ctx, func(shard, from, to int) {
		part, a := NewSums(r.Width), r.newActive()
		for _, i := range r.Use[from:to] {
			z := a.load(r, i, w)
			p, s, y, margin := Sigmoid(z), r.ClassWeight[0], 0.0, -z
			if r.Positive[i] {
				s, y, margin = r.ClassWeight[1], 1, z
			}
			residual := s * (p - y)
			h := residual * residual
			if curvature != nil {
				h = curvature(p, s)
			}
			part.Loss += s * logistic(margin)
			a.add(part, residual, h)
		}
		part.Rows = to - from
		parts[shard] = part
	})
	for _, part := range parts {
		if part != nil {
			sums.Add(part)
		}
	}
	return err
}

// logistic returns log(1+exp(−m)) without overflow.
func logistic(m float64) float64 {
	if m > 0 {
		return math.Log1p(math.Exp(-m))
	}
	return -m + math.Log1p(math.Exp(m))
}

// active is one row as the pass sees it: dense numbers and the levels that are on.
type active struct {
	x  []float64 // standardised
	on []int32   // positions of weights, ascending
}

func (r *Rows) newActive() *active {
	return &active{x: make([]float64, len(r.Numbers)), on: make([]int32, 0, len(r.Levels))}
}

// load reads row i and returns z = w·x + intercept.
func (a *active) load(r *Rows, i int32, w []float64) float64 {
	z := w[len(w)-1]
	for j := range r.Numbers {
		a.x[j] = r.Numbers[j].At(i)
		z += w[j] * a.x[j]
	}
	a.on = a.on[:0]
	for j := range r.Levels {
		if k := r.Levels[j].At(i); k >= 0 {
			a.on = append(a.on, k)
			z += w[k]
		}
	}
	return z
}

// add adds residual·x to the gradient and h·xxᵀ to the Hessian's upper triangle.
func (a *active) add(s *Sums, residual, h float64) {
	n := len(s.Gradient)
	last := n - 1
	for j, x := range a.x {
		s.Gradient[j] += residual * x
		hx, row := h*x, s.Hessian[j*n:(j+1)*n]
		for k := j; k < len(a.x); k++ {
			row[k] += hx * a.x[k]
		}
		for _, k := range a.on {
			row[k] += hx
		}
		row[last] += hx
	}
	for j, level := range a.on {
		s.Gradient[level] += residual
		row := s.Hessian[int(level)*n : (int(level)+1)*n]
		for _, k := range a.on[j:] {
			row[k] += h
		}
		row[last] += h
	}
	s.Gradient[last] += residual
	s.Hessian[n*n-1] += h
}

const (
	shardRows = 4096 // rows below which another core is not worth waking
	maxShards = 64   // bounds the memory of partial sums
)

// shards cuts the rows into parts that depend on their number alone, and runs do
// for each part, on all cores.
func (r *Rows) shards(ctx context.Context, do func(shard, from, to int)) error {
	n := len(r.Use)
	size := max(shardRows, (n+maxShards-1)/maxShards)
	count := (n + size - 1) / size
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(count, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				shard := int(next.Add(1)) - 1
				if shard >= count {
					return
				}
				do(shard, shard*size, min((shard+1)*size, n))
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}
