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

	// If there are Terms they are the model, and not Numbers and Levels.
	Bases []Basis
	Terms []Term // in the order of the weights
}

// Numbers is a column of numbers, standardised as it is read: (x−Mean)/Scale.
// A column of few different values has Codes, two bytes a row, and what is
// computed from a value is then computed once per value.
type Numbers struct {
	Feature           int       // column of the table
	Codes             []uint16  // by row: position in Values, 65535 for a missing cell; nil if Values are by row
	Values            []float64 // by code, or by row; NaN is a missing cell
	Fill, Mean, Scale float64   // Fill stands for a missing cell
}

// At returns row i, standardised.
func (c *Numbers) At(i int32) float64 {
	x := math.NaN()
	if c.Codes == nil {
		x = c.Values[i]
	} else if code := c.Codes[i]; code != math.MaxUint16 {
		x = c.Values[code]
	}
	return Standardise(x, c.Fill, c.Mean, c.Scale)
}

// byCode returns f of each standardised value by code, that of a missing cell
// last: see position.
func (c *Numbers) byCode(f func(x float64) term) []term {
	terms := make([]term, len(c.Values)+1)
	for code, x := range c.Values {
		terms[code] = f(Standardise(x, c.Fill, c.Mean, c.Scale))
	}
	terms[len(c.Values)] = f(Standardise(c.Fill, c.Fill, c.Mean, c.Scale))
	return terms
}

// position returns the index of a code in a slice by code whose last element, n, is for missing cells.
func position(code uint16, n int) int { return min(int(code), n) }

// Standardise returns (x−mean)/scale, with fill for an x of NaN.
func Standardise(x, fill, mean, scale float64) float64 {
	if x != x {
		x = fill
	}
	return (x - mean) / scale
}

// Levels is a column of categories: the weight of each code, −1 for a level that has none.
type Levels struct {
	Feature int // column of the table
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

// Probabilities returns the probability of the positive class for each row in
// Use. It adds a row's terms in the order of the weights, the intercept first.
func (r *Rows) Probabilities(ctx context.Context, w []float64) ([]float64, error) {
	if r.Terms != nil {
		return r.termProbabilities(ctx, w)
	}
	terms := make([][]term, len(r.Numbers))
	for j := range r.Numbers {
		if c := &r.Numbers[j]; c.Codes != nil {
			terms[j] = c.byCode(func(x float64) term { return term{z: w[j] * x} })
		}
	}
	levels := make([][]float64, len(r.Levels))
	for j := range r.Levels {
		levels[j] = r.Levels[j].weights(w)
	}
	p := make([]float64, len(r.Use))
	err := shards(ctx, len(r.Use), shardRows, func() func(shard, from, to int) {
		return func(_, from, to int) {
			for ; from < to; from += blockRows {
				end := min(from+blockRows, to)
				r.probabilities(p[from:end], r.Use[from:end], w, terms, levels)
			}
		}
	})
	return p, err
}

// weights returns the weights of w by code, that of a missing cell last, 0 for a level that has none.
func (c *Levels) weights(w []float64) []float64 {
	out := make([]float64, len(c.Weight)+1)
	for code := range out {
		k := c.Missing
		if code < len(c.Weight) {
			k = c.Weight[code]
		}
		if k >= 0 {
			out[code] = w[k]
		}
	}
	return out
}

// probabilities is Probabilities for one block of rows.
func (r *Rows) probabilities(z []float64, rows []int32, w []float64, terms [][]term, levels [][]float64) {
	for k := range z {
		z[k] = w[r.Width]
	}
	for j := range r.Numbers {
		if c, terms := &r.Numbers[j], terms[j]; terms != nil {
			codes, last := c.Codes, len(terms)-1
			for k, i := range rows {
				z[k] += terms[position(codes[i], last)].z
			}
		} else {
			for k, i := range rows {
				z[k] += w[j] * c.At(i)
			}
		}
	}
	for j, weights := range levels {
		codes := r.Levels[j].Codes
		for k, i := range rows {
			z[k] += weights[position(codes[i], len(weights)-1)]
		}
	}
	for k := range z {
		z[k] = Sigmoid(z[k])
	}
}

const (
	shardRows = 4096 // fewer rows are not worth another goroutine
	maxShards = 64   // bounds the memory of partial sums
)

// shards divides n rows into shards of at least so many, which depend on n and that alone,
// and runs for each what worker returned, on all cores: worker is called once per core.
func shards(ctx context.Context, n, least int, worker func() func(shard, from, to int)) error {
	size := max(least, (n+maxShards-1)/maxShards)
	count := (n + size - 1) / size
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(count, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			do := worker()
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
