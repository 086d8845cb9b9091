package drift

import (
	"math"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// A Distribution is a column in training and now, in shares of the same bins or levels.
type Distribution struct {
	Column    string    `json:"column"`
	Cuts      []float64 `json:"cuts,omitempty"`   // numbers: between the bins, as dataset.NumberSummary has them
	Levels    []string  `json:"levels,omitempty"` // categories: the reference's, the most frequent first
	Reference Side      `json:"reference"`
	Live      Side      `json:"live"`
}

// A Side is one side of a distribution.
type Side struct {
	Rows    int       `json:"rows"`             // with a value or without
	Missing float64   `json:"missing"`          // share of Rows
	Unseen  float64   `json:"unseen"`           // share of the rows with a value: levels that the reference does not have
	Mean    *float64  `json:"mean,omitzero"`    // of numbers
	Std     *float64  `json:"std,omitzero"`     // of numbers
	Always  *float64  `json:"always,omitzero"`  // the number of all training rows, if they have the same
	Shares  []float64 `json:"shares,omitempty"` // by bin or level, of the rows with a value
}

func (c *Column) distribution() Distribution {
	ref, live := c.Reference, c.Live
	d := Distribution{
		Column:    c.Name,
		Reference: Side{Rows: ref.Rows + ref.Missing, Missing: metric.Ratio(ref.Missing, ref.Rows+ref.Missing)},
		Live: Side{
			Rows: c.Rows(), Missing: metric.Ratio(live.Missing, c.Rows()), Unseen: metric.Ratio(live.Unseen, live.Rows),
		},
	}
	var counts, liveCounts []int
	if n := ref.Numbers; n != nil {
		d.Cuts, d.Reference.Mean, d.Reference.Std = n.Cuts, &n.Mean, &n.Std
		if ref.Constant() {
			d.Reference.Always = &n.Min
		}
		if live.Rows > 0 {
			variance, _ := live.Variance()
			d.Live.Mean, d.Live.Std = &live.Mean, new(n.Std*math.Sqrt(variance))
		}
		counts, liveCounts = n.Counts, live.Counts
	} else {
		d.Levels = dataset.ByCount(ref.Levels)
		liveCounts, counts = c.levelCounts(d.Levels)
	}
	for i := range counts {
		d.Reference.Shares = append(d.Reference.Shares, metric.Ratio(counts[i], ref.Rows))
		d.Live.Shares = append(d.Live.Shares, metric.Ratio(liveCounts[i], live.Rows))
	}
	return d
}
