package datacheck

import (
	"cmp"
	"math"
	"slices"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// Profile adds to each column of prepared customers how its values are distributed in the sample,
// and how the rate of positives differs between them.
func Profile(q *dataset.Quality) {
	q.Profiled = len(q.Sample.Use)
	for j, c := range newCheck(q.Sample).columns {
		if c.number && len(c.values) > 0 {
			q.Columns[j].Histogram = c.histogram()
		}
		q.Columns[j].Groups = c.profile()
	}
}

const mostGroups = 12 // that a person takes in at a glance

// profile returns the largest levels, each of a few numbers, or the tenths of many, and missing cells.
func (c *column) profile() []dataset.Group {
	var out []dataset.Group
	if !c.number {
		levels := slices.Clone(c.values)
		slices.SortStableFunc(levels, func(a, b tally) int { return cmp.Compare(b.all(), a.all()) })
		shown := min(len(levels), mostGroups)
		for i := range levels[:shown] {
			out = append(out, group(dataset.Group{Level: c.levels[int(levels[i].value)]}, levels[i:i+1]))
		}
		if rest := levels[shown:]; len(rest) > 0 {
			out = append(out, group(dataset.Group{Others: len(rest)}, rest))
		}
	} else {
		parts := 10
		if len(c.values) <= mostGroups {
			parts = c.present // each number
		}
		for k, rows, from, end := 0, 0, 0, 1; k < len(c.values); k++ {
			if rows += c.values[k].all(); rows*parts >= end*c.present {
				g := dataset.Group{From: &c.values[from].value, To: &c.values[k].value}
				out = append(out, group(g, c.values[from:k+1]))
				from, end = k+1, rows*parts/c.present+1
			}
		}
	}
	if c.missing.all() > 0 {
		out = append(out, group(dataset.Group{Missing: true}, []tally{c.missing}))
	}
	return out
}

func group(g dataset.Group, of []tally) dataset.Group {
	for i := range of {
		g.Rows, g.Positives = g.Rows+of[i].all(), g.Positives+of[i].class(1)
	}
	g.Rate = metric.Proportion(g.Positives, g.Rows)
	return g
}

// histogram returns bins of one width, from the first to the last number; without the outer hundredths
// if these are so far away that the others would be in few bins. Bins of whole numbers have as many each.
func (c *column) histogram() []dataset.Bin {
	const (
		far     = 5       // ranges of the others
		mostInt = 1 << 52 // up to which there are halves between whole numbers
	)
	bins := 24
	v := c.values
	from, to := v[0].value, v[len(v)-1].value
	if low, high := c.quantile(0.01), c.quantile(0.99); high > low && to-from > far*(high-low) {
		from, to = low, high
	}
	width := (to - from) / float64(bins)
	broken := func(t tally) bool { return t.value != math.Trunc(t.value) || math.Abs(t.value) > mostInt }
	if !slices.ContainsFunc(v, broken) {
		width, bins = wholeBins(to-from+1, bins)
		from -= 0.5
	} else if width == 0 {
		bins, width = 1, max(math.Abs(from), 1)
		from -= width / 2
	}
	out := make([]dataset.Bin, bins)
	for k := range out {
		out[k].From, out[k].To = from+float64(k)*width, from+float64(k+1)*width
	}
	for i := range v {
		at := math.Floor((v[i].value - from) / width)
		if v[i].value == to {
			at = float64(bins - 1) // which ends there
		}
		if at >= 0 && at < float64(bins) {
			out[int(at)].Rows += v[i].all()
		}
	}
	return out
}

// wholeBins divides so many whole numbers into about as many bins, the last one as full as can be.
func wholeBins(numbers float64, about int) (width float64, bins int) {
	least := math.Ceil(numbers / float64(about))
	best := math.Inf(1)
	for w := least; w <= 2*least && w < least+8; w++ {
		if empty := math.Ceil(numbers/w) - numbers/w; empty < best {
			width, bins, best = w, int(math.Ceil(numbers/w)), empty
		}
	}
	return width, bins
}

// quantile returns the smallest number that at least a share p of the rows does not exceed.
func (c *column) quantile(p float64) float64 {
	rows := 0
	for i := range c.values {
		if rows += c.values[i].all(); float64(rows) >= p*float64(c.present) {
			return c.values[i].value
		}
	}
	return c.values[len(c.values)-1].value
}
