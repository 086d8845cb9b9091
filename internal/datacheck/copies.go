package datacheck

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"churn/internal/dataset"
	"churn/internal/fingerprint"
	"churn/internal/metric"
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
			in += metric.Indicator(found)
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
	for i, h := range fingerprint.Hashes(t, t.Schema, dataset.AllRows(t.Rows())) {
		if h>>(64-zeros) == 0 {
			out = append(out, rowHash{h, int32(i)})
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
