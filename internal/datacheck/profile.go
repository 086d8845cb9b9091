package datacheck

import (
	"cmp"
	"slices"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// Profile adds to each column of prepared customers how often the rows of its values are positive.
func Profile(q *dataset.Quality) {
	q.Profiled = len(q.Sample.Use)
	for j, c := range newCheck(q.Sample).columns {
		q.Columns[j].Groups = c.profile()
	}
}

// profile returns the largest levels, or bins of numbers, and missing cells.
func (c *column) profile() (out []dataset.Group) {
	const most = 12 // that a person takes in at a glance
	groups := slices.Clone(c.bins(most))
	n := len(groups) - metric.Indicator(c.missing.all() > 0) // which are last
	if !c.number {
		slices.SortStableFunc(groups[:n], func(a, b tally) int { return cmp.Compare(b.all(), a.all()) })
	}
	for i, t := range groups {
		g := dataset.Group{Rows: t.all(), Positives: t.class(1)}
		switch {
		case i == n:
			g.Missing = true
		case c.number:
			end := len(c.values)
			if i+1 < n {
				byValue := func(a tally, x float64) int { return cmp.Compare(a.value, x) }
				end, _ = slices.BinarySearchFunc(c.values, groups[i+1].value, byValue)
			}
			g.From, g.To = &t.value, &c.values[end-1].value
		case i > most:
			rest := &out[most]
			rest.Others, rest.Rows, rest.Positives = rest.Others+1, rest.Rows+g.Rows, rest.Positives+g.Positives
			continue
		case i == most:
			g.Others = 1
		default:
			g.Level = c.levels[int(t.value)]
		}
		out = append(out, g)
	}
	for i := range out {
		out[i].Rate = metric.Proportion(out[i].Positives, out[i].Rows)
	}
	return out
}
