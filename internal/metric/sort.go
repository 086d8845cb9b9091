package metric

import (
	"fmt"
	"math"
	"slices"
)

// A Sorter sorts numbers by their bits, from the lowest (radix sort; Knuth, TAOCP 3, 5.2.5). It keeps
// its memory.
type Sorter struct{ keys, room []uint64 }

// Sort sorts numbers, none of them NaN.
func (s *Sorter) Sort(values []float64) {
	s.keys = s.keys[:0]
	for _, x := range values {
		bits := math.Float64bits(x)
		s.keys = append(s.keys, bits^(uint64(int64(bits)>>63)|1<<63)) // in the order of numbers
	}
	s.sort()
	for i, key := range s.keys {
		values[i] = math.Float64frombits(key ^ (uint64(int64(^key)>>63) | 1<<63))
	}
}

func (s *Sorter) sort() {
	const digits, width, few = 6, 11, 2000 // keys, for which counting costs more
	if len(s.keys) < few {
		slices.Sort(s.keys)
		return
	}
	digit := func(key uint64, d int) int { return int(key >> (d * width) & (1<<width - 1)) }
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
}

// checkRange panics if a probability is not in 0 to 1.
func checkRange(probabilities []float64) {
	for _, p := range probabilities {
		if !(p >= 0 && p <= 1) {
			panic(fmt.Sprintf("metric: probability %v is not in 0 to 1", p))
		}
	}
}
