package datacheck

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"churn/internal/dataset"
)

// sampleRows are enough to know an AUC of 0.98 to 0.001.
const sampleRows = 20_000

// Table returns what it finds in a table that a model is to be fitted to: leaks, and copies
// of rows on both sides of the split. test returns the rows of the test; it is called if
// there are too many copies, and returns none where each row is tested in turn.
func Table(t *dataset.Table, test func() ([]int32, error)) ([]dataset.Finding, error) {
	rows := t.Rows()
	s := &dataset.Sample{Table: t, All: rows, Use: make([]int32, min(rows, sampleRows))}
	for k := range s.Use {
		s.Use[k] = int32(k * rows / len(s.Use))
	}
	c := newCheck(s)
	c.leaks()
	zeros := bits.Len(uint(rows / sampleRows))
	hashes := hashRows(t, zeros)
	copies := int(math.Ldexp(float64(len(hashes)-runs(hashes, func([]rowHash) {})), zeros))
	if !tooMany(c.chance(), copies, rows) {
		return c.findings, nil
	}
	tested, err := test()
	if err != nil {
		return nil, err
	}
	across := 0
	runs(hashes, func(run []rowHash) {
		in := 0
		for _, r := range run {
			_, found := slices.BinarySearch(tested, r.row)
			in += btoi(found)
		}
		if in < len(run) {
			across += in
		}
	})
	if across = int(math.Ldexp(float64(across), zeros)); across == 0 && len(tested) > 0 {
		return c.findings, nil
	}
	count := across
	text := fmt.Sprintf("%d of %d test rows are equal to a training row in every column", across, len(tested))
	if len(tested) == 0 {
		count, text = copies, fmt.Sprintf("%d of %d rows are equal to an earlier one in every column", copies, rows)
	}
	if zeros > 0 {
		text = "about " + text
	}
	c.add("copies", text, "remove copies, or the metrics are those of rows that the model knows", count, nil)
	return c.findings, nil
}

// A rowHash is the hash of a row's cells.
type rowHash struct {
	hash uint64
	row  int32
}

// hashRows returns the hashes of rows that begin with some zeros, in order.
func hashRows(t *dataset.Table, zeros int) (out []rowHash) {
	const golden = 0x9e3779b97f4a7c15 // 2⁶⁴ over the golden ratio
	var block [4096]uint64            // which a processor's nearest cache holds
	for from := 0; from < t.Rows(); from += len(block) {
		h := block[:min(len(block), t.Rows()-from)]
		for k := range h {
			h[k] = uint64(btoi(t.Positive[from+k]))
		}
		for j := range t.Columns {
			if c := &t.Columns[j]; c.Numbers != nil {
				for k, x := range c.Numbers[from : from+len(h)] {
					h[k] = bits.RotateLeft64(h[k]*golden, 29) ^ math.Float64bits(x)
				}
			} else {
				for k, code := range c.Codes[from : from+len(h)] {
					h[k] = bits.RotateLeft64(h[k]*golden, 29) ^ uint64(code)
				}
			}
		}
		for k, x := range h {
			if x = (x ^ x>>32) * golden; x>>(64-zeros) == 0 {
				out = append(out, rowHash{x, int32(from + k)})
			}
		}
	}
	slices.SortFunc(out, func(a, b rowHash) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.row, b.row)) })
	return out
}

// runs calls each with rows of the same hash, and returns how many such runs there are.
func runs(hashes []rowHash, each func([]rowHash)) (n int) {
	for from := 0; from < len(hashes); n++ {
		to := from + 1
		for to < len(hashes) && hashes[to].hash == hashes[from].hash {
			to++
		}
		each(hashes[from:to])
		from = to
	}
	return n
}
