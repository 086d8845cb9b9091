package logreg

import (
	"context"
	"math"
	"runtime"

	"churn/internal/pipeline"
)

// Rows are rows in memory, by column, and which of them to use.
type Rows struct {
	Bases       []Basis
	Terms       []Term // in the order of the weights, after which comes the intercept
	Positive    []bool
	ClassWeight [2]float64 // of the negative and the positive rows; {1, 1} for none
	Use         []int32    // row numbers
	Width       int        // d: the number of weights without the intercept
}

// Sigmoid returns 1/(1+exp(−z)).
func Sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// Probabilities returns the probability of the positive class for each row in
// Use. It adds a row's terms in the order of the weights to the intercept.
func (r *Rows) Probabilities(ctx context.Context, w []float64) ([]float64, error) {
	byCode := make([][]float64, len(r.Terms)) // what a term adds, if it is of one basis with few codes
	var room [2]Entry
	for k := range r.Terms {
		t := &r.Terms[k]
		b := &r.Bases[t.A]
		if t.B >= 0 || b.Codes == nil || len(b.At) > len(r.Use) {
			continue
		}
		byCode[k] = make([]float64, len(b.At))
		for code := range b.At {
			byCode[k][code] = Sum(0, t.Append(room[:0], &b.At[code], nil, 0), w)
		}
	}
	p := make([]float64, len(r.Use))
	err := shards(ctx, len(r.Use), shardRows, func() func(shard, from, to int) {
		return func(_, from, to int) {
			z, rows := p[from:to], r.Use[from:to]
			for k := range z {
				z[k] = w[r.Width]
			}
			for k := range r.Terms {
				r.addTerm(z, rows, k, byCode[k], w)
			}
			for k := range z {
				z[k] = Sigmoid(z[k])
			}
		}
	})
	return p, err
}

// addTerm adds term n to the z of some rows.
func (r *Rows) addTerm(z []float64, rows []int32, n int, byCode, w []float64) {
	if last := len(byCode) - 1; last >= 0 {
		codes := r.Bases[r.Terms[n].A].Codes
		for k, i := range rows {
			z[k] += byCode[position(codes[i], last)]
		}
		return
	}
	if b := &r.Bases[r.Terms[n].A]; r.Terms[n].B < 0 && b.Codes == nil && b.Shape.Line && b.Shape.Missing < 0 {
		entry := []Entry{{At: r.Terms[n].First}}
		for k, i := range rows {
			entry[0].Value = b.Shape.standardise(b.X[i])
			z[k] += Sum(0, entry, w)
		}
		return
	}
	read := reader{Rows: &Rows{Bases: r.Bases, Terms: r.Terms[n : n+1]}}
	for k, i := range rows {
		z[k] += Sum(0, read.row(i), w)
	}
}

const (
	shardRows = 4096 // fewer rows are not worth another goroutine
	maxShards = 64   // bounds the memory of partial sums
)

// addUp adds up what the functions that worker returns add for each shard. It does so in a fixed
// order, so that the result does not depend on the number of cores.
func (r *Rows) addUp(ctx context.Context, least int, sums *Sums,
	worker func() func(s *Sums, shard, from, to int)) error {
	partial := make([]*Sums, maxShards)
	err := shards(ctx, len(r.Use), least, func() func(shard, from, to int) {
		do := worker()
		return func(shard, from, to int) {
			s := sums // which are zero
			if shard > 0 {
				s = NewSums(r.Width)
				partial[shard] = s
			}
			do(s, shard, from, to)
		}
	})
	for _, p := range partial {
		if p != nil {
			sums.Add(p)
		}
	}
	return err
}

// shards divides n rows into shards of at least so many, which depend on n and that alone,
// and runs for each what worker returned, on all cores: worker is called once per core.
func shards(ctx context.Context, n, least int, worker func() func(shard, from, to int)) error {
	size := max(least, (n+maxShards-1)/maxShards)
	count := (n + size - 1) / size
	do := make([]func(shard, from, to int), runtime.GOMAXPROCS(0))
	return pipeline.Each(count, len(do), func(k, shard int) error {
		if do[k] == nil {
			do[k] = worker()
		}
		if ctx.Err() == nil {
			do[k](shard, shard*size, min((shard+1)*size, n))
		}
		return ctx.Err()
	})
}
