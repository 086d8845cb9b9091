package logreg

import (
	"context"
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
	err := shards(ctx, len(r.Use), shardRows, func() func(shard, from, to int) {
		var s sorter
		return func(shard, from, to int) { g.runs[shard] = s.group(g, g.order[from:to], int32(from)) }
	})
	return g.sum, err
}

// grouped are rows of lines, then levels, and no other terms, in the order that passes read
// them in: within each shard, rows of the same class and the same levels are adjacent. What
// depends on class and levels alone is then computed once per run of such rows and not once per row.
type grouped struct {
	*Rows
	lines, levels []column
	order         []int32   // row numbers: those of Use, another order within each shard
	runs          [][]int32 // by shard: where in order each run begins, at the latest each block
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

// A sorter sorts the rows of a shard by class and levels: a stable counting sort for
// each set of columns that fits one key.
type sorter struct {
	keys  []uint16
	ends  []int32 // by key
	spare []int32
}

const mostKeys = 1 << 12 // counters that stay in the L1 cache; a column of more levels has a key of its own

// group sorts the rows and returns where each run begins, the first of all rows at from. No run
// is in two blocks.
func (s *sorter) group(g *grouped, rows []int32, from int32) (runs []int32) {
	s.keys = s.keys[:0]
	for _, i := range rows {
		key := uint16(0)
		if g.Positive[i] {
			key = 1
		}
		s.keys = append(s.keys, key)
	}
	size, whole := 2, true // number of possible keys, and whether they are of all columns
	for _, c := range g.levels {
		codes, n := c.Codes, len(c.At)-1
		if size*(n+1) > mostKeys {
			s.sort(rows, size)
			clear(s.keys)
			size, whole = 1, false
		}
		for k, i := range rows {
			s.keys[k] = s.keys[k]*uint16(n+1) + uint16(position(codes[i], n))
		}
		size *= n + 1
	}
	s.sort(rows, size)
	start := int32(0)
	for _, end := range s.ends {
		for k := start; k < end; {
			runs = append(runs, from+k)
			last := min(end, k-k%blockRows+blockRows)
			if k++; whole {
				k = last
			}
			for k < last && g.alike(rows[k-1], rows[k]) {
				k++
			}
		}
		start = end
	}
	return runs
}

// sort sorts the rows by their keys, which are below size; it does not move the keys.
func (s *sorter) sort(rows []int32, size int) {
	s.spare = append(s.spare[:0], rows...)
	s.ends = slices.Grow(s.ends[:0], size)[:size]
	clear(s.ends)
	for _, key := range s.keys {
		s.ends[key]++
	}
	at := int32(0)
	for key, n := range s.ends {
		s.ends[key] = at // where the next row of this key goes
		at += n
	}
	for k, row := range s.spare {
		end := &s.ends[s.keys[k]]
		rows[*end] = row
		*end++
	}
}
