package metric

import (
	"math"
	"slices"
)

// A Sorter sorts numbers by their bits (radix sort; Knuth, TAOCP 3, 5.2.5). It keeps its memory.
type Sorter struct{ keys, room []uint64 }

const few = 2000 // numbers, for which counting costs more

// Sort sorts numbers, none of them NaN.
func (s *Sorter) Sort(values []float64) {
	s.load(values)
	s.sort()
	s.store(values)
}

// SortAt is Sort as far as the numbers at some ranks need it, counted from 1: each is where Sort
// leaves it, before it are none above it, and behind it none below. It may sort the ranks too.
func (s *Sorter) SortAt(values []float64, ranks []int) {
	const low = 48 // bits; by those above it the numbers are put into bins, and bins with a rank are sorted
	if len(values) < few {
		slices.Sort(values)
		return
	}
	s.load(values)
	ends, start := new([1<<(64-low) + 1]int32), int32(0) // by bin plus one; until the keys are moved, where it begins
	for _, key := range s.keys {
		ends[key>>low+1]++
	}
	for i, n := range ends {
		ends[i], start = start, start+n
	}
	s.room = slices.Grow(s.room[:0], len(s.keys))[:len(s.keys)]
	for _, key := range s.keys {
		at := &ends[key>>low+1]
		s.room[*at] = key
		*at++
	}
	s.keys, s.room = s.room, s.keys
	slices.Sort(ranks)
	sorted := 0
	for _, rank := range ranks {
		if bin := s.keys[rank-1] >> low; rank > sorted {
			from, to := int(ends[bin]), int(ends[bin+1])
			part := Sorter{s.keys[from:to], s.room[from:to]}
			part.sort()
			sorted = from + copy(s.keys[from:to], part.keys)
		}
	}
	s.store(values)
}

// load makes keys in the order of numbers.
func (s *Sorter) load(values []float64) {
	s.keys = s.keys[:0]
	for _, x := range values {
		bits := math.Float64bits(x)
		s.keys = append(s.keys, bits^(uint64(int64(bits)>>63)|1<<63))
	}
}

func (s *Sorter) store(values []float64) {
	for i, key := range s.keys {
		values[i] = math.Float64frombits(key ^ (uint64(int64(^key)>>63) | 1<<63))
	}
}

// sort sorts the keys by their highest bits from the lowest digit, and then those that have them in common.
func (s *Sorter) sort() {
	const digits, width, low = 3, 11, 64 - 3*11
	if len(s.keys) < few {
		slices.Sort(s.keys)
		return
	}
	digit := func(key uint64, d int) int { return int(key >> (low + d*width) & (1<<width - 1)) }
	var counts [digits][1 << width]int32
	for _, key := range s.keys {
		for d := range counts {
			counts[d][digit(key, d)]++
		}
	}
	s.room = slices.Grow(s.room[:0], len(s.keys))[:len(s.keys)]
	for d := range counts {
		starts, start := &counts[d], int32(0)
		if int(starts[digit(s.keys[0], d)]) == len(s.keys) {
			continue // all keys have it
		}
		for i, n := range starts {
			starts[i], start = start, start+n
		}
		for _, key := range s.keys {
			at := &starts[digit(key, d)]
			s.room[*at] = key
			*at++
		}
		s.keys, s.room = s.room, s.keys
	}
	for from, to := 0, 1; to <= len(s.keys); to++ {
		if to == len(s.keys) || s.keys[to]>>low != s.keys[from]>>low {
			if to > from+1 {
				slices.Sort(s.keys[from:to])
			}
			from = to
		}
	}
}
