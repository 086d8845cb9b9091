package logreg

import (
	"context"
	"slices"
)

// Grouped are rows in the order that passes read them in: within each shard, rows of the
// same class and the same levels are adjacent. What depends on class and levels alone is
// then computed once per run of such rows and not once per row.
type Grouped struct {
	rows  *Rows
	order []int32   // row numbers: those of Use, another order within each shard
	runs  [][]int32 // by shard: where in order each run begins
}

// Group returns the rows grouped, for several passes; rows with terms stay in their order.
// They must not change after it.
func (r *Rows) Group(ctx context.Context) (*Grouped, error) {
	if r.Terms != nil {
		return &Grouped{rows: r}, nil
	}
	g := &Grouped{rows: r, order: make([]int32, len(r.Use)), runs: make([][]int32, maxShards)}
	err := shards(ctx, len(r.Use), shardRows, func() func(shard, from, to int) {
		var s sorter
		return func(shard, from, to int) {
			copy(g.order[from:to], r.Use[from:to])
			g.runs[shard] = s.group(r, g.order[from:to], int32(from))
		}
	})
	return g, err
}

// alike reports whether two rows have the same class and the same levels.
func (r *Rows) alike(a, b int32) bool {
	for j := range r.Levels {
		if codes := r.Levels[j].Codes; codes[a] != codes[b] {
			return false
		}
	}
	return r.Positive[a] == r.Positive[b]
}

// A sorter sorts the rows of a shard by class and levels: a stable counting sort for
// each set of columns that fits one key.
type sorter struct {
	keys  []uint16
	ends  []int32 // by key
	spare []int32
}

const mostKeys = 1 << 12 // counters that stay in the L1 cache; a column of more levels has a key of its own

// group sorts the rows and returns where each run begins, the first of all rows at from.
func (s *sorter) group(r *Rows, rows []int32, from int32) []int32 {
	s.keys = slices.Grow(s.keys[:0], len(rows))[:len(rows)]
	for k, i := range rows {
		key := uint16(0)
		if r.Positive[i] {
			key = 1
		}
		s.keys[k] = key
	}
	size, sorts := 2, 1 // size: number of possible keys
	for j := range r.Levels {
		c := &r.Levels[j]
		codes, n := c.Codes, len(c.Weight)
		if size*(n+1) > mostKeys {
			s.sort(rows, size)
			clear(s.keys)
			size = 1
			sorts++
		}
		for k, i := range rows {
			s.keys[k] = s.keys[k]*uint16(n+1) + uint16(position(codes[i], n))
		}
		size *= n + 1
	}
	s.sort(rows, size)
	var runs []int32
	if sorts == 1 { // one run per key
		start := int32(0)
		for _, end := range s.ends {
			if start < end {
				runs = append(runs, from+start)
			}
			start = end
		}
		return runs
	}
	for k := range rows {
		if k == 0 || !r.alike(rows[k-1], rows[k]) {
			runs = append(runs, from+int32(k))
		}
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
