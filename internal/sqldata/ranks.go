package sqldata

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
)

// ranked is a column of numbers that are to be ranked.
type ranked struct {
	j     int // the feature
	rows  int
	cuts  []float64 // see cutRanges; nil: all numbers are told apart
	count int       // of different numbers, about
	out   []dataset.OrderStatistic
}

// orderStatistics finds the numbers at dataset.Ranks of each column, and counts levels.
func (v *view) orderStatistics(ctx context.Context, moments []moments, sample *dataset.Table, levels levelCounts,
) ([][]dataset.OrderStatistic, error) {
	out := make([][]dataset.OrderStatistic, len(v.columns))
	var columns []ranked
	for j, m := range moments {
		if m.rows == 0 {
			continue
		}
		out[j] = make([]dataset.OrderStatistic, len(dataset.Ranks(m.rows)))
		c := ranked{j: j, rows: m.rows, count: manyValues, out: out[j]}
		if sample != nil {
			c.cuts, c.count = cutRanges(sample, j, m.rows)
		}
		columns = append(columns, c)
	}
	for len(columns)+len(levels.groups) > 0 {
		if err := v.rank(ctx, columns, levels); err != nil {
			return nil, err
		}
		columns = slices.DeleteFunc(columns, func(c ranked) bool { return !slices.ContainsFunc(c.out, c.between) })
		for i := range columns {
			columns[i].cuts = nil // the sample misled: now all numbers are told apart
		}
		levels = levelCounts{}
	}
	return out, nil
}

// cutRanges returns where the ranges begin and end in which the numbers at dataset.Ranks of n numbers of column j
// are, by a sample of the rows, as far as five standard errors tell. If numbers repeat there are none: then they
// are soon counted. different is about how many there are.
func cutRanges(sample *dataset.Table, j, n int) (cuts []float64, different int) {
	var numbers []float64
	for i := range sample.Rows() {
		if x := sample.Columns[j].Number(i); !math.IsNaN(x) {
			numbers = append(numbers, x)
		}
	}
	slices.Sort(numbers)
	if different = len(slices.Compact(slices.Clone(numbers))); different <= len(numbers)/2 {
		return nil, different
	}
	last := float64(len(numbers) - 1)
	for _, rank := range slices.Sorted(slices.Values(dataset.Ranks(n))) {
		share := float64(rank) / float64(n)
		at, margin := share*last, 5*math.Sqrt(share*(1-share)*last)+1
		from := numbers[int(max(0, at-margin))]
		to := math.Nextafter(numbers[int(math.Ceil(min(last, at+margin)))], math.Inf(1))
		if k := len(cuts) - 1; k > 0 && from <= cuts[k] {
			cuts[k] = max(cuts[k], to)
		} else {
			cuts = append(cuts, from, to)
		}
	}
	return cuts, manyValues
}

// between reports whether a number is in none of the ranges; of no ranges none is.
func (c *ranked) between(s dataset.OrderStatistic) bool {
	n, found := slices.BinarySearch(c.cuts, s.Value)
	return len(c.cuts) > 0 && (n%2 == 0) != found
}

// merge returns the expression of a number in which all numbers between two ranges are one.
func (v *view) merge(x string, cuts []float64) string {
	if len(cuts) == 0 {
		return x
	}
	null := v.d.AsDouble("NULL")
	of := []string{v.d.Number(math.Nextafter(cuts[0], math.Inf(-1)))}
	for k := 1; k < len(cuts); k += 2 {
		of = append(of, null, v.d.Number(cuts[k]))
	}
	place := fmt.Sprintf("width_bucket(%s, %s)", x, v.d.Array(v.d.Numbers(cuts)))
	return fmt.Sprintf("COALESCE(%s, %s)", v.d.Lookup(of, place), x)
}

// rank queries the numbers at dataset.Ranks of some columns at once: each distinct number is counted, and the
// counts are added up in ascending order. Levels are counted with them.
func (v *view) rank(ctx context.Context, columns []ranked, levels levelCounts) error {
	var tuples []tuple
	var cells, wanted, queries []string
	for k, c := range columns {
		name := fmt.Sprintf("x%d", k)
		cells = append(cells, v.value(c.j)+" AS "+name)
		tuples = append(tuples, tuple{v.merge(name, c.cuts), v.merge(v.value(c.j), c.cuts), c.count})
		for i, rank := range dataset.Ranks(c.rows) {
			wanted = append(wanted, fmt.Sprintf("(%d, %d, %d)", k, i, rank))
		}
	}
	for i := range levels.groups {
		g := &levels.groups[i]
		cells = append(cells, g.columns(i)...)
		tuples = append(tuples, tuple{v.d.AsDouble(groupName(i)), v.d.AsDouble(g.code()), g.size})
	}
	if len(wanted) > 0 {
		queries = append(queries, fmt.Sprintf("SELECT k.j, k.i, c.x, c.upto FROM c JOIN (VALUES %s) AS k(j, i, rank)\n"+
			"ON c.j = k.j AND k.rank <= c.upto AND k.rank > c.upto - c.n", strings.Join(wanted, ", ")))
	}
	if len(levels.groups) > 0 {
		queries = append(queries, fmt.Sprintf("SELECT j, -1, x, n FROM g WHERE j >= %d", len(columns)))
	}
	counts := v.d.counts(tuples, v.selection(v.d.Fenced(cells, "f0")), v.rows(false))
	query := fmt.Sprintf(`WITH g AS (%s),
c AS (SELECT j, x, n, CAST(sum(n) OVER (PARTITION BY j ORDER BY x ROWS UNBOUNDED PRECEDING) AS bigint) AS upto
FROM g WHERE x IS NOT NULL AND j < %d)
%s`, counts, len(columns), strings.Join(queries, "\nUNION ALL "))
	found := 0
	var k, i int
	var statistic dataset.OrderStatistic
	dest := []any{&k, &i, &statistic.Value, &statistic.UpTo}
	err := v.each(ctx, "ranking the numbers", query, dest, func() {
		if i < 0 {
			levels.add(k-len(columns), int(statistic.Value), statistic.UpTo)
			return
		}
		columns[k].out[i] = statistic
		found++
	})
	if err == nil && found != len(wanted) {
		err = v.changed()
	}
	return err
}
