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
	j    int // the feature
	rows int
	cuts []float64 // see cutRanges; nil: all numbers are told apart
	out  []dataset.OrderStatistic
}

// orderStatistics finds the numbers at dataset.Ranks of each column.
func (v *view) orderStatistics(ctx context.Context, names []string, from string, moments []moments,
	sample *dataset.Table) ([][]dataset.OrderStatistic, error) {
	out := make([][]dataset.OrderStatistic, len(v.columns))
	var columns []ranked
	for j, m := range moments {
		if m.rows == 0 {
			continue
		}
		out[j] = make([]dataset.OrderStatistic, len(dataset.Ranks(m.rows)))
		columns = append(columns, ranked{j, m.rows, cutRanges(sample, j, m.rows), out[j]})
	}
	for len(columns) > 0 {
		if err := v.rank(ctx, names, from, columns); err != nil {
			return nil, err
		}
		columns = slices.DeleteFunc(columns, func(c ranked) bool { return !slices.ContainsFunc(c.out, c.between) })
		for i := range columns {
			columns[i].cuts = nil // the sample misled: now all numbers are told apart
		}
	}
	return out, nil
}

// cutRanges returns where the ranges begin and end in which the numbers at dataset.Ranks of n numbers of column j
// are, by a sample of the rows, as far as five standard errors tell. It returns nil if numbers repeat: then they
// are soon counted. Without a sample it returns nil too.
func cutRanges(sample *dataset.Table, j, n int) (cuts []float64) {
	if sample == nil {
		return nil
	}
	var numbers []float64
	for i := range sample.Rows() {
		if x := sample.Columns[j].Number(i); !math.IsNaN(x) {
			numbers = append(numbers, x)
		}
	}
	slices.Sort(numbers)
	if len(slices.Compact(slices.Clone(numbers))) <= len(numbers)/2 {
		return nil
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
	return cuts
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
// counts are added up in ascending order.
func (v *view) rank(ctx context.Context, names []string, from string, columns []ranked) error {
	var tuples, cells [][]string
	var wanted []string
	for k, c := range columns {
		tuples = append(tuples, []string{fmt.Sprint(k), v.merge(names[c.j], c.cuts)})
		cells = append(cells, []string{fmt.Sprint(k), v.merge(v.value(c.j), c.cuts)})
		for i, rank := range dataset.Ranks(c.rows) {
			wanted = append(wanted, fmt.Sprintf("(%d, %d, %d)", k, i, rank))
		}
	}
	counts := v.d.counts(cells, v.rows(false),
		fmt.Sprintf("SELECT u.j, u.x, count(*) AS n %s %s GROUP BY u.j, u.x", from, v.d.unpivot(tuples, "j", "x")))
	query := fmt.Sprintf(`WITH g AS (%s),
c AS (SELECT j, x, n, CAST(sum(n) OVER (PARTITION BY j ORDER BY x ROWS UNBOUNDED PRECEDING) AS bigint) AS upto
FROM g WHERE x IS NOT NULL)
SELECT k.j, k.i, c.x, c.upto FROM c JOIN (VALUES %s) AS k(j, i, rank)
ON c.j = k.j AND k.rank <= c.upto AND k.rank > c.upto - c.n`,
		counts, strings.Join(wanted, ", "))
	found := 0
	var k, i int
	var statistic dataset.OrderStatistic
	dest := []any{&k, &i, &statistic.Value, &statistic.UpTo}
	err := v.each(ctx, "ranking the numbers", query, dest, func() {
		columns[k].out[i] = statistic
		found++
	})
	if err == nil && found != len(wanted) {
		err = v.changed()
	}
	return err
}
