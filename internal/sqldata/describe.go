package sqldata

import (
	"context"
	"fmt"
	"math"
	"strings"

	"churn/internal/dataset"
)

// describe summarises the cleaned rows of a part, as dataset's Summarize does those
// of a table in memory: deciles and medians are exact.
func (v *view) describe(ctx context.Context, part dataset.HashRange, seed uint64) (*dataset.Description, error) {
	names, columns := v.cleaned()
	from := v.selection(part, seed, columns)
	d := &dataset.Description{Columns: make([]dataset.Summary, len(v.columns)), Scalings: make([]dataset.Scaling, len(v.columns))}
	exprs := []string{"count(*)", "sum(y)"}
	for j, name := range names {
		if v.columns[j].feature.Type == dataset.Number {
			for _, f := range []string{"count", "avg", "stddev_samp", "min", "max"} {
				exprs = append(exprs, fmt.Sprintf("%s(%s)", f, name))
			}
		}
	}
	sums, err := v.aggregate(ctx, "adding up the numbers", exprs, from)
	if err != nil {
		return nil, err
	}
	d.Rows, d.Positives = int(sums[0].Float64), int(sums[1].Float64)
	sums = sums[2:]
	moments := make([][5]float64, len(v.columns))
	for j := range v.columns {
		if v.columns[j].feature.Type == dataset.Number {
			for i := range moments[j] {
				moments[j][i] = sums[i].Float64
			}
			sums = sums[5:]
		}
	}
	if err := v.refine(ctx, names, from, moments); err != nil {
		return nil, err
	}
	if err := v.countLevels(ctx, d.Columns, part, seed); err != nil {
		return nil, err
	}
	ranked, err := v.rank(ctx, names, from, moments)
	if err != nil {
		return nil, err
	}
	for j, m := range moments {
		if v.columns[j].feature.Type != dataset.Number {
			continue
		}
		rows := int(m[0])
		if rows == 0 {
			d.Columns[j] = dataset.SummarizeNumbers(nil)
		} else {
			d.Columns[j], d.Scalings[j].Median = dataset.SummarizeRanked(m[1], m[2], m[3], m[4], rows, ranked[j])
		}
		d.Columns[j].Missing = d.Rows - rows
		if rows > 0 {
			d.Scalings[j] = filledScaling(&d.Columns[j], d.Scalings[j].Median)
		}
	}
	return d, nil
}

// filledScaling returns the mean and the deviation of a summary's rows with the
// missing ones at the median: the sums of both groups, about their common mean.
func filledScaling(s *dataset.Summary, median float64) dataset.Scaling {
	n, missing := float64(s.Rows), float64(s.Missing)
	all := n + missing
	squares := 0.0
	if !s.Constant() {
		squares = (n - 1) * s.Numbers.Std * s.Numbers.Std
	}
	out := dataset.Scaling{Median: median, Mean: s.Numbers.Mean + (median-s.Numbers.Mean)*(missing/all)}
	off, fill := s.Numbers.Mean-out.Mean, median-out.Mean
	out.Std = math.Sqrt((squares + n*off*off + missing*fill*fill) / all)
	if s.Constant() || out.Std < dataset.LeastStd {
		out.Std = 1
	}
	return out
}

// farFromZero is how many deviations a mean may be away from zero for an engine to be
// trusted with the deviation: PostgreSQL's loses a digit for each further ten.
const farFromZero = 1e5

// refine asks again for the mean and the deviation of numbers that are far from zero,
// this time from the mean.
func (v *view) refine(ctx context.Context, names []string, from string, moments [][5]float64) error {
	var exprs []string
	var far []int
	for j, m := range moments {
		if m[0] > 1 && m[3] < m[4] && math.Abs(m[1]) > farFromZero*m[2] {
			off := fmt.Sprintf("%s - %s", names[j], v.d.number(m[1]))
			exprs, far = append(exprs, fmt.Sprintf("avg(%s)", off), fmt.Sprintf("stddev_samp(%s)", off)), append(far, j)
		}
	}
	if len(far) == 0 {
		return nil
	}
	sums, err := v.aggregate(ctx, "adding up the numbers that are far from zero", exprs, from)
	if err != nil {
		return err
	}
	for i, j := range far {
		moments[j][1] += sums[2*i].Float64
		moments[j][2] = sums[2*i+1].Float64
	}
	return nil
}

func (v *view) selection(part dataset.HashRange, seed uint64, columns []string) string {
	return fmt.Sprintf("FROM (SELECT %s %s) q", strings.Join(columns, ", "), v.rows(part, nil, seed, false))
}

// cleaned returns the columns of a subquery of cleaned cells, and their names by
// feature: numbers, or level codes. y is the class.
func (v *view) cleaned() (names, columns []string) {
	columns = append(columns, v.class()+" AS y")
	for j := range v.columns {
		name, value := fmt.Sprintf("c%d", j), v.code(j)
		if v.columns[j].feature.Type == dataset.Number {
			name, value = fmt.Sprintf("x%d", j), v.value(j)
		}
		names, columns = append(names, name), append(columns, value+" AS "+name)
	}
	return names, v.d.fenced(columns, "f0")
}

// countLevels counts the rows of each level, by blocks: see pass.
func (v *view) countLevels(ctx context.Context, out []dataset.Summary, part dataset.HashRange, seed uint64) error {
	blocks := v.blocks()
	if len(blocks) == 0 {
		return nil
	}
	for j := range v.columns {
		if v.columns[j].feature.Type == dataset.Category {
			out[j].Levels = map[string]int{}
		}
	}
	var columns []string
	var tuples [][]string
	for i, b := range blocks {
		columns = append(columns, v.blockCode(b)+" AS "+blockName(i))
		tuples = append(tuples, []string{fmt.Sprint(i), blockName(i)})
	}
	query := fmt.Sprintf("SELECT u.i, u.b, count(*) %s %s GROUP BY u.i, u.b", v.selection(part, seed, v.d.fenced(columns, "f0")), v.d.unpivot(tuples, "u", "i", "b"))
	if len(blocks) == 1 {
		query = fmt.Sprintf("SELECT 0, b0, count(*) %s GROUP BY b0", v.selection(part, seed, columns))
	}
	return v.query(ctx, "counting the levels", query, func(scan func(...any) error) error {
		var i, code, rows int
		if err := scan(&i, &code, &rows); err != nil {
			return err
		}
		for _, j := range blocks[i].features {
			levels := v.columns[j].levels
			n := len(levels) + 1
			if level := code % n; level == len(levels) {
				out[j].Missing += rows
			} else {
				out[j].Levels[levels[level]] += rows
				out[j].Rows += rows
			}
			code /= n
		}
		return nil
	})
}

// rank asks for the numbers at dataset.Ranks, of all columns at once: each different
// number is counted, and the counts added up in their order.
func (v *view) rank(ctx context.Context, names []string, from string, moments [][5]float64) ([][]dataset.OrderStatistic, error) {
	out := make([][]dataset.OrderStatistic, len(v.columns))
	var tuples [][]string
	var wanted []string
	for j := range v.columns {
		rows := int(moments[j][0])
		if rows == 0 {
			continue
		}
		tuples = append(tuples, []string{fmt.Sprint(j), names[j]})
		ranks := dataset.Ranks(rows)
		out[j] = make([]dataset.OrderStatistic, len(ranks))
		for i, rank := range ranks {
			wanted = append(wanted, fmt.Sprintf("(%d, %d, %d)", j, i, rank))
		}
	}
	if len(tuples) == 0 {
		return out, nil
	}
	query := fmt.Sprintf(`WITH g AS (SELECT u.j, u.x, count(*) AS n %s %s WHERE u.x IS NOT NULL GROUP BY u.j, u.x),
c AS (SELECT j, x, n, CAST(sum(n) OVER (PARTITION BY j ORDER BY x ROWS UNBOUNDED PRECEDING) AS bigint) AS upto FROM g)
SELECT k.j, k.i, c.x, c.upto FROM c JOIN (VALUES %s) AS k(j, i, rank) ON c.j = k.j AND k.rank <= c.upto AND k.rank > c.upto - c.n`,
		from, v.d.unpivot(tuples, "u", "j", "x"), strings.Join(wanted, ", "))
	found := 0
	err := v.query(ctx, "ranking the numbers", query, func(scan func(...any) error) error {
		var j, i int
		var r dataset.OrderStatistic
		if err := scan(&j, &i, &r.Value, &r.UpTo); err != nil {
			return err
		}
		out[j][i] = r
		found++
		return nil
	})
	if err == nil && found != len(wanted) {
		err = v.changed()
	}
	return out, err
}
