package datacheck

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"

	"churn/internal/dataset"
	"churn/internal/fingerprint"
	"churn/internal/metric"
)

// sampleRows are enough to know an AUC of 0.98 to 0.001.
const sampleRows = 20_000

// Clean reports whether what Check found in customers tells that Table finds nothing in them, by a schema that may have
// been edited since.
func Clean(q *dataset.Quality, s *dataset.Schema) bool {
	same := func(c dataset.ColumnQuality, f dataset.Feature) bool { return c.Name == f.Name && c.Type == f.Type }
	return q.Target.Name == s.Target.Name && q.Target.Positive == s.Target.Positive &&
		slices.EqualFunc(q.Columns, s.Features, same) &&
		!slices.ContainsFunc(q.Findings, func(f dataset.Finding) bool {
			return slices.Contains([]string{"target", "leak", "copies"}, f.Kind)
		})
}

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
	zeros := bits.Len(uint(rows / sampleRows)) // with which the hashes of a sample of the rows begin
	hashes, times, copies := fingerprint.Hashes(t, t.Schema, dataset.AllRows(rows)), map[uint64]int{}, 0
	for _, h := range hashes {
		if h>>(64-zeros) == 0 {
			if times[h]++; times[h] > 1 {
				copies++
			}
		}
	}
	if copies <<= zeros; !c.tooMany(copies) {
		return c.findings, nil
	}
	tested, err := test()
	if err != nil {
		return nil, err
	}
	inTest, across := map[uint64]int{}, 0
	for _, i := range tested {
		if h := hashes[i]; times[h] > 1 {
			inTest[h]++
		}
	}
	for h, n := range inTest {
		if n < times[h] {
			across += n << zeros
		}
	}
	if across == 0 && len(tested) > 0 {
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

// tooMany reports whether copies of rows are worth a finding: they are 1 % of the rows, and three times as many rows
// are repeated as by chance, of the different rows and of the pairs of rows, since in few levels nearly all are. Where
// rows are equal by chance, others differ in one column alone, whatever the columns have to do with each other, but
// for those that follow from another, which are left out: each column's odds of being equal in two rows take a count
// of those to one of repeated rows.
func (c *check) tooMany(copies int) bool {
	varies := func(column *column) bool { return len(column.groups) > 1 }
	if c.All < 50 || float64(copies) < 0.01*float64(c.All) || !slices.ContainsFunc(c.columns, varies) {
		return false
	}
	columns := c.independent()
	hashes, times, repeated, equalPairs := make([]uint64, len(c.Use)), map[uint64]int{}, 0, 0
	random := func(j int) uint64 { return rand.NewPCG(3, uint64(j)).Uint64() } // times a cell's code: its hash
	for _, j := range columns {
		r := random(j)
		for k, code := range c.columns[j].codes {
			hashes[k] += r * uint64(code)
		}
	}
	for k, i := range c.Use {
		hashes[k] += uint64(metric.Indicator(c.Positive[i]))
		equalPairs += times[hashes[k]]
		if times[hashes[k]]++; times[hashes[k]] == 2 {
			repeated++
		}
	}
	pairs, chance, chancePairs := float64(len(c.Use))*float64(len(c.Use)-1), 0.0, 0.0
	for _, j := range columns {
		const several = -1
		type rest struct { // rows with all other cells in common
			rows int
			code int32
		}
		r, others, nearly, nearPairs := random(j), map[uint64]rest{}, 0, -equalPairs
		for k, code := range c.columns[j].codes {
			hash := hashes[k] - r*uint64(code)
			o, seen := others[hash]
			if !seen {
				o.code = code
			} else if o.code != code && o.code != several {
				o.code = several
				nearly++
			}
			nearPairs += o.rows
			o.rows++
			others[hash] = o
		}
		if nearly > 0 {
			equal := 0.0
			for _, g := range c.columns[j].groups {
				equal += float64(g.all()) * float64(g.all()-1)
			}
			odds := equal / (pairs - equal)
			chance, chancePairs = chance+float64(nearly)*odds, chancePairs+float64(nearPairs)*odds
		}
	}
	return float64(repeated) >= 3*chance && float64(equalPairs) >= 3*chancePairs
}

// independent returns the columns but for those of few values that follow from another one, so that no
// rows differ in them alone.
func (c *check) independent() (columns []int) {
	few, follow := c.columns[:min(len(c.columns), mostDetermined)], map[int]bool{}
	for j, column := range c.columns {
		for by := 0; j < len(few) && column.few() && by < len(few) && !follow[j]; by++ {
			follow[j] = by != j && !follow[by] && c.tells(by) && c.follows(by, j)
		}
		if !follow[j] {
			columns = append(columns, j)
		}
	}
	return columns
}
