// Package drift tells whether live rows look like the rows that a model was
// trained on. It compares counts and means, never the rows themselves.
//
// Each column is put to a few checks. A check alarms only if the difference is
// significant, after a correction for the number of checks, and large enough to
// act on. The first keeps small windows from crying wolf, the second large ones.
package drift

import (
	"math"
	"slices"

	"churn/internal/dataset"

	"gonum.org/v1/gonum/stat/distuv"
)

const (
	Alpha      = 0.01 // chance that any check at all is significant without drift
	leastStd   = 0.2  // standard deviations of a mean worth acting on: Cohen's small effect
	leastPSI   = 0.1  // PSI worth acting on: the rule of thumb of credit scoring (Lewis 1994)
	leastRows  = 5    // expected in a bin for the chi-squared to hold (Cochran 1954)
	sparseRows = 1    // expected in the last bin, the only one that may have fewer
)

// Level is the outcome of a check, or of all.
type Level string

// Outcomes, from the least to the most.
const (
	OK    Level = "ok"    // nothing significant
	Watch Level = "watch" // significant, too small to act on
	Alert Level = "alert" // significant and worth acting on
)

// worst returns the graver of two levels.
func worst(a, b Level) Level {
	order := []Level{OK, Watch, Alert}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// A Column is what is compared: live rows, tallied over their reference.
type Column struct {
	Name      string
	Reference *dataset.Summary
	Live      *dataset.Tally
}

// A Check is one question put to a column.
type Check struct {
	Column    string  `json:"column"`
	Kind      string  `json:"kind"`             // mean, shape, levels, missing or unseen
	Rows      int     `json:"rows"`             // live rows it rests on
	Statistic float64 `json:"statistic"`        // mean: z; shape and levels: chi-squared; else the live share
	DF        int     `json:"df,omitzero"`      // of the chi-squared
	P         float64 `json:"p"`                // two-sided
	PAdjusted float64 `json:"p_adjusted"`       // after Holm, over all checks
	Effect    float64 `json:"effect"`           // mean: standard deviations; else PSI
	Least     float64 `json:"effect_threshold"` // effect worth acting on
	Level     Level   `json:"level"`
}

// Compare puts every column to its checks and judges them together. It returns
// the checks in the order of the columns, and the gravest level.
func Compare(columns []Column) ([]Check, Level) {
	checks := []Check{}
	for _, c := range columns {
		checks = append(checks, c.checks()...)
	}
	holm(checks)
	verdict := OK
	for i := range checks {
		c := &checks[i]
		c.Level = OK
		if c.PAdjusted <= Alpha {
			c.Level = Watch
			if math.Abs(c.Effect) >= c.Least {
				c.Level = Alert
			}
		}
		verdict = worst(verdict, c.Level)
	}
	return checks, verdict
}

// checks asks a column's questions. How many they are hangs on the columns and
// the bins, hardly on the live rows, so that Holm's correction holds: a share that
// is zero on both sides counts as a check that found nothing.
func (c *Column) checks() []Check {
	var out []Check
	n, m := c.Live.Rows, c.Reference.Rows
	if n > 0 && m > 0 {
		switch numbers := c.Reference.Numbers; {
		case c.Reference.Constant(): // its deviation, written as 1, is no measure
			out = append(out, c.share("unseen", c.Live.Unseen, n, 0, m))
		case numbers != nil:
			out = append(out, c.mean())
			live, reference := mergeBins(c.Live.Counts, numbers.Counts)
			out = c.homogeneity(out, "shape", live, reference)
		default:
			live, reference := poolRare(c.levelCounts())
			out = c.homogeneity(out, "levels", live, reference)
			out = append(out, c.share("unseen", c.Live.Unseen, n, 0, m))
		}
	}
	return append(out, c.share("missing", c.Live.Missing, n+c.Live.Missing, c.Reference.Missing, m+c.Reference.Missing))
}

// mean is the standard-error z: (mean_live − mean_ref) / (std_ref √(1/n + 1/m)).
func (c *Column) mean() Check {
	ref := c.Reference.Numbers
	shift := finite((c.Live.Mean - ref.Mean) / ref.Std)
	z := shift / math.Sqrt(1/float64(c.Live.Rows)+1/float64(c.Reference.Rows))
	return Check{Column: c.Name, Kind: "mean", Rows: c.Live.Rows, Statistic: finite(z),
		P: math.Erfc(math.Abs(z) / math.Sqrt2), Effect: shift, Least: leastStd}
}

// finite returns x, or the largest number where a deviation near 0 made it overflow:
// JSON has no infinity.
func finite(x float64) float64 { return max(-math.MaxFloat64, min(x, math.MaxFloat64)) }

// homogeneity adds the two-sample chi-squared over bins, unless fewer than two are left.
func (c *Column) homogeneity(out []Check, kind string, live, reference []int) []Check {
	if len(live) < 2 {
		return out
	}
	x2 := chiSquared(live, reference)
	return append(out, Check{Column: c.Name, Kind: kind, Rows: c.Live.Rows, Statistic: x2, DF: len(live) - 1,
		P: distuv.ChiSquared{K: float64(len(live) - 1)}.Survival(x2), Effect: PSI(live, reference), Least: leastPSI})
}

// share compares how often something occurs: a of n live rows, b of m in the
// reference, by Fisher's exact test where few are expected, else by chi-squared.
func (c *Column) share(kind string, a, n, b, m int) Check {
	check := Check{Column: c.Name, Kind: kind, Rows: n, P: 1, Least: leastPSI}
	if a+b == 0 || n == 0 || m == 0 {
		return check
	}
	live, reference := []int{a, n - a}, []int{b, m - b}
	check.Statistic, check.Effect = float64(a)/float64(n), PSI(live, reference)
	if leastExpected(live, reference) < leastRows {
		check.P = fisher(a, n, b, m)
	} else {
		check.P = distuv.ChiSquared{K: 1}.Survival(chiSquared(live, reference))
	}
	return check
}

// levelCounts returns the counts of the reference's levels, sorted by name, and a bin for unseen ones.
func (c *Column) levelCounts() (live, reference []int) {
	names := make([]string, 0, len(c.Reference.Levels))
	for name := range c.Reference.Levels {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		live, reference = append(live, c.Live.Levels[name]), append(reference, c.Reference.Levels[name])
	}
	return append(live, c.Live.Unseen), append(reference, 0)
}

// Lab is the lab's own check of one number.
type Lab struct {
	Column    string  `json:"column"`
	MeanTrain float64 `json:"mean_train"`
	StdTrain  float64 `json:"std_train"`
	MeanLive  float64 `json:"mean_live"`
	Z         float64 `json:"z"`
	Alert     bool    `json:"alert"`
}

// CompareLab returns |mean_live − mean_train| / std_train for a column of
// numbers, an alert from the threshold on. The standard deviation is that of one
// row, not of a mean, so that a shift of less than threshold standard
// deviations never alarms, however many rows show it.
func CompareLab(c Column, threshold float64) Lab {
	ref := c.Reference.Numbers
	z := finite(math.Abs(c.Live.Mean-ref.Mean) / ref.Std)
	return Lab{c.Name, ref.Mean, ref.Std, c.Live.Mean, z, z >= threshold}
}
