// Package fingerprint keeps of the rows that a model was fitted to a small sample of
// hashes, by which a later program can tell how many of other rows are among them. It
// has no cell of a row; who has the cells of one can tell whether the sample has it.
package fingerprint

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/pipeline"
)

const (
	size   = 512                // estimates a share of 10 % to about 1.3 points
	block  = 4096               // rows whose hashes a processor's nearest cache holds
	absent = 0x5851f42d4c957f2d // stands for a missing cell
)

// Hashes returns a hash of each of a table's rows: of the target and of the schema's features
// by name, which the table has. They are the same on every machine.
func Hashes(t *dataset.Table, s *dataset.Schema, rows []int32) []uint64 {
	byName := func(a, b dataset.Feature) int { return strings.Compare(a.Name, b.Name) }
	var columns []column
	for _, f := range slices.SortedFunc(slices.Values(s.Features), byName) {
		columns = append(columns, newColumn(&t.Columns[t.Schema.Index(f.Name)]))
	}
	hashes := make([]uint64, len(rows))
	blocks := slices.Collect(slices.Chunk(rows, block))
	pipeline.Each(len(blocks), runtime.GOMAXPROCS(0), func(_, k int) error {
		hashRows(hashes[k*block:][:len(blocks[k])], t, columns, blocks[k])
		return nil
	})
	return hashes
}

func hashRows(out []uint64, t *dataset.Table, columns []column, rows []int32) {
	for k, i := range rows {
		if t.Positive[i] {
			out[k] = 1
		}
	}
	for _, c := range columns {
		for k, i := range rows {
			out[k] = bits.RotateLeft64(out[k]*dataset.Golden, 29) ^ c.cell(i)
		}
	}
	for k, h := range out {
		out[k] = mix(h)
	}
}

// A column has the hash of each of its codes.
type column struct {
	*dataset.Column
	hashes []uint64
}

func newColumn(c *dataset.Column) column {
	out := column{Column: c}
	for _, x := range c.Values {
		out.hashes = append(out.hashes, hashNumber(x))
	}
	for _, level := range c.Levels {
		h := fnv.New64a()
		h.Write([]byte(level))
		out.hashes = append(out.hashes, mix(h.Sum64()))
	}
	return out
}

func (c *column) cell(i int32) uint64 {
	if c.Numbers != nil {
		return hashNumber(c.Numbers[i])
	}
	if code := int(c.Codes[i]); code < len(c.hashes) {
		return c.hashes[code]
	}
	return absent
}

func hashNumber(x float64) uint64 {
	if math.IsNaN(x) {
		return absent
	}
	return mix(math.Float64bits(x + 0)) // −0 is 0
}

// mix is SplitMix64: see dataset.Mix.
func mix(x uint64) uint64 { return dataset.Mix(x + dataset.Golden) } // or 0 would stay 0

// Of returns the fingerprint of rows with these hashes: the 512 smallest different ones, or all
// if there are fewer, in order, each with its high byte first; nil without hashes. It is a
// bottom-k sketch (Broder 1997, On the resemblance and containment of documents; Cohen & Kaplan
// 2007, Summarizing data using bottom-k sketches).
func Of(hashes []uint64) (out []byte) {
	var least []uint64
	reduce := func() {
		slices.Sort(least)
		least = slices.Compact(least)
		least = least[:min(len(least), size)]
	}
	limit := uint64(math.MaxUint64)
	for _, h := range hashes {
		if h > limit {
			continue
		}
		if least = append(least, h); len(least) == 8*size {
			if reduce(); len(least) == size {
				limit = least[size-1]
			}
		}
	}
	reduce()
	for _, h := range least {
		out = binary.BigEndian.AppendUint64(out, h)
	}
	return out
}

// Overlap compares rows by their hashes with a fingerprint: of compared, which are within its
// range, equal are in it. Their ratio estimates the share of all the rows that equal one of
// those that the fingerprint is of.
func Overlap(fingerprint []byte, hashes []uint64) (equal, compared int) {
	least := make([]uint64, len(fingerprint)/8)
	for k := range least {
		least[k] = binary.BigEndian.Uint64(fingerprint[8*k:])
	}
	for _, h := range hashes {
		if n := len(least); n > 0 && (n < size || h <= least[n-1]) {
			compared++
			if _, found := slices.BinarySearch(least, h); found {
				equal++
			}
		}
	}
	return equal, compared
}
