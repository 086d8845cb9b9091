package logreg

import (
	"context"
	"math/bits"
	"slices"
)

// Group returns the pass over the rows, for several calls; they must not change after it.
// It runs on all cores.
func (r *Rows) Group(ctx context.Context) (Pass, error) {
	g := &grouped{Rows: r, order: slices.Clone(r.Use), runs: make([][]int32, maxShards)}
	for k := range r.Terms {
		t := &r.Terms[k]
		c := column{&r.Bases[t.A], t.First}
		switch {
		case t.B >= 0, c.Shape != nil && (!c.Shape.Line || c.Shape.Missing >= 0 || len(g.levels) > 0):
			return r.sumTerms, nil
		case c.Shape != nil:
			g.lines = append(g.lines, c)
		default:
			g.levels = append(g.levels, c)
		}
	}
	n := len(g.order)
	g.keys = make([]uint64, n)
	size, keyed := uint64(2), 0 // possible keys, and columns in them
	for ; keyed < len(g.levels); keyed++ {
		high, low := bits.Mul64(size, uint64(len(g.levels[keyed].At)))
		if high > 0 {
			break
		}
		size = low
	}
	within := size <= mostKeys // else a shard has few rows of each: those of all shards are put together
	err := shards(ctx, n, shardRows, func() func(shard, from, to int) {
		var s sorter
		return func(_, from, to int) {
			g.number(g.keys[from:to], g.order[from:to], keyed)
			if within {
				s.sort(g.keys[from:to], g.order[from:to], size)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if !within {
		new(sorter).sort(g.keys, g.order, size)
	}
	g.x = make([][]float64, len(g.lines))
	for k := range g.lines {
		if g.lines[k].Codes == nil {
			g.x[k] = make([]float64, n)
		}
	}
	err = shards(ctx, n, shardRows, func() func(shard, from, to int) {
		return func(shard, from, to int) {
			g.runs[shard] = g.cut(from, to, keyed == len(g.levels))
			for k, x := range g.x {
				for i := from; i < to && x != nil; i++ {
					x[i] = g.lines[k].Shape.standardise(g.lines[k].X[g.order[i]])
				}
			}
		}
	})
	g.keys = nil
	return g.sum, err
}

// grouped are rows of lines, then levels, and no other terms, in the order that passes read
// them in: within each shard, or where levels are many within all rows, those of the same class
// and the same levels are adjacent. What depends on class and levels alone is then computed once
// per run of such rows and not once per row.
type grouped struct {
	*Rows
	lines, levels []column
	order         []int32     // row numbers: those of Use
	x             [][]float64 // by line without codes: standardised, in that order
	keys          []uint64    // in that order, while it is made
	runs          [][]int32   // by shard: where in order each run begins; each block begins one
}

// A column is a line, or the levels of a category.
type column struct {
	*Basis
	first int32 // weight
}

// level returns the index of the weight of row i's level, or −1.
func (c *column) level(i int32) int32 {
	if a := &c.At[position(c.Codes[i], len(c.At)-1)]; a.N > 0 {
		return c.first + a.First
	}
	return -1
}

// alike reports whether two rows have the same class and the same levels.
func (g *grouped) alike(a, b int32) bool {
	for _, c := range g.levels {
		if c.Codes[a] != c.Codes[b] {
			return false
		}
	}
	return g.Positive[a] == g.Positive[b]
}

// number sets the keys of rows by their class and the levels of so many columns.
func (g *grouped) number(keys []uint64, rows []int32, columns int) {
	for k, i := range rows {
		if g.Positive[i] {
			keys[k] = 1
		}
	}
	for _, c := range g.levels[:columns] {
		codes, last := c.Codes, len(c.At)-1
		for k, i := range rows {
			keys[k] = keys[k]*uint64(last+1) + uint64(position(codes[i], last))
		}
	}
}

// cut returns where in order each run of a shard begins; whole says that the keys have all columns. No
// run is in two blocks.
func (g *grouped) cut(from, to int, whole bool) (runs []int32) {
	for k := from; k < to; {
		runs = append(runs, int32(k))
		last := min(to, k-(k-from)%blockRows+blockRows)
		for k++; k < last && g.keys[k-1] == g.keys[k] && (whole || g.alike(g.order[k-1], g.order[k])); k++ {
		}
	}
	return runs
}

// A sorter sorts rows by their keys: stable counting sorts from the lowest digit. It keeps its memory.
type sorter struct {
	keys []uint64
	rows []int32
}

const (
	digit    = 12         // bits
	mostKeys = 1 << digit // counters that stay in the L1 cache
)

// sort sorts rows and their keys, which are below size.
func (s *sorter) sort(keys []uint64, rows []int32, size uint64) {
	for shift := 0; (size-1)>>shift > 0; shift += digit {
		s.keys, s.rows = append(s.keys[:0], keys...), append(s.rows[:0], rows...)
		var starts [mostKeys]int32
		for _, key := range keys {
			starts[key>>shift%mostKeys]++
		}
		start := int32(0)
		for k, n := range starts {
			starts[k], start = start, start+n
		}
		for k, key := range s.keys {
			at := &starts[key>>shift%mostKeys]
			keys[*at], rows[*at] = key, s.rows[k]
			*at++
		}
	}
}
