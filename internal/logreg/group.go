package logreg

import "context"

// Grouped are rows in the order that passes read them in: within each shard,
// rows of the same class and the same levels stand side by side. What a class or
// a level decides is then decided, and added up, once a run and not once a row.
type Grouped struct {
	rows  *Rows
	order []int32   // row numbers: those of Use, another order within each shard
	runs  [][]int32 // by shard: where in order each run begins
}

// Group returns the rows grouped, for several passes. They must not change after it.
func (r *Rows) Group(ctx context.Context) (*Grouped, error) {
	g := &Grouped{rows: r, order: make([]int32, len(r.Use)), runs: make([][]int32, maxShards)}
	err := shards(ctx, len(r.Use), func() func(shard, from, to int) {
		var s sorter
		return func(shard, from, to int) {
			copy(g.order[from:to], r.Use[from:to])
			s.group(r, g.order[from:to])
			for k := from; k < to; k++ {
				if k == from || !r.alike(g.order[k-1], g.order[k]) {
					g.runs[shard] = append(g.runs[shard], int32(k))
				}
			}
		}
	})
	return g, err
}

// alike tells whether two rows have the same class and the same levels.
func (r *Rows) alike(a, b int32) bool {
	for j := range r.Levels {
		if codes := r.Levels[j].Codes; codes[a] != codes[b] {
			return false
		}
	}
	return r.Positive[a] == r.Positive[b]
}

// A sorter sorts the rows of one shard after another by class and levels: a
// counting sort for as many columns as one key can hold, which keeps the order
// of the one before.
type sorter struct {
	keys   []int
	counts []int32
	spare  []int32
}

const mostKeys = 1 << 12 // counters that stay in the first cache

func (s *sorter) group(r *Rows, rows []int32) {
	s.keys = append(s.keys[:0], make([]int, len(rows))...)
	for k, i := range rows {
		key := 0
		if r.Positive[i] {
			key = 1
		}
		s.keys[k] = key
	}
	size := 2 // how many different keys there may be
	for j := range r.Levels {
		c := &r.Levels[j]
		n := len(c.Weight)
		if size*(n+1) > mostKeys {
			s.sort(rows, size)
			clear(s.keys)
			size = 1
		}
		for k, i := range rows {
			s.keys[k] = s.keys[k]*(n+1) + position(c.Codes[i], n)
		}
		size *= n + 1
	}
	s.sort(rows, size)
}

// sort sorts the rows by their keys, which are below size; the keys stay where they are.
func (s *sorter) sort(rows []int32, size int) {
	s.spare = append(s.spare[:0], rows...)
	s.counts = append(s.counts[:0], make([]int32, size)...)
	for _, key := range s.keys {
		s.counts[key]++
	}
	at := int32(0)
	for key, n := range s.counts {
		s.counts[key] = at
		at += n
	}
	for k, row := range s.spare {
		key := s.keys[k]
		rows[s.counts[key]] = row
		s.counts[key]++
	}
}
