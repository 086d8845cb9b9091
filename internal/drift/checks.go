package drift

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"churn/internal/metric"

	"gonum.org/v1/gonum/stat/distuv"
)

const (
	minStd          = 0.2  // standard deviations of a mean worth acting on: Cohen's small effect (1988)
	minRatio        = 1.25 // of the larger variance to the smaller: a standard deviation 12 % larger or 11 % smaller
	mostRatio       = 1e6  // of the variances, so that a constant has one
	minVariation    = 0.1  // share of the rows that would have to change their bin or level
	minShare        = 0.02 // change of a share, if it is doubled or halved too, or changes by minVariation: see share
	minR            = 0.2  // change of a correlation: 0.2 is 4 % of the variance, where there was none
	minExpected     = 5    // rows in a bin for the chi-squared to hold (Cochran 1954)
	minReference    = 10   // training rows in a bin whose cuts are quantiles of theirs, which vary more than counts
	minExpectedLast = 1    // rows in the last bin, the only one that may have fewer
)

// Names of checks, as in JSON.
const (
	Mean        = "mean"
	Spread      = "spread"
	Shape       = "shape"
	Levels      = "levels"
	Unseen      = "unseen"
	Missing     = "missing"
	Correlation = "correlation" // of a column with another: see Pairs
	referenceZ  = "lab_z"
)

// A kind defines a check. The table, the page, JSON and alerts take their texts from it.
type kind struct {
	name      string
	symbol    string                                 // of the statistic; "" for the share of live rows
	unit      string                                 // of the effect
	threshold float64                                // least effect worth acting on
	measure   func(*Column) (Check, bool)            // Rows, Statistic, DF, P and Effect; false if it does not apply
	sentence  func(c *Column, effect float64) string // what is different
}

// kinds are all checks, in the order in which a column's are reported. Which of them
// apply depends on the column and its bins, hardly on the live rows, so that Holm's
// correction holds: a share that is zero on both sides is a check that found nothing.
var kinds = []kind{
	{
		name: Mean, symbol: "z", unit: "std", threshold: minStd,
		measure: (*Column).mean,
		sentence: func(c *Column, effect float64) string {
			return fmt.Sprintf("the mean has changed by %+.2f standard deviations, from %s in training to %s",
				effect, c.shown(c.Reference.Numbers.Mean), c.shown(c.Live.Mean))
		},
	},
	{
		name: Spread, symbol: "z", unit: "times", threshold: minRatio,
		measure: (*Column).spread,
		sentence: func(c *Column, _ float64) string {
			variance, _ := c.Live.Variance()
			std := c.Reference.Numbers.Std
			if variance == 0 {
				return fmt.Sprintf("all rows have the same value or nearly, %.6g; in training the standard deviation was %s",
					c.Live.Mean, c.shown(std))
			}
			times := fmt.Sprintf("%.2f", variance)
			if variance < 0.01 {
				times = fmt.Sprintf("%.1g", variance)
			}
			return fmt.Sprintf("the standard deviation has changed from %s in training to %s, the variance %s times",
				c.shown(std), c.shown(std*math.Sqrt(variance)), times)
		},
	},
	{
		name: Shape, symbol: "chi2", unit: "TV", threshold: minVariation,
		measure: func(c *Column) (Check, bool) {
			if !c.varies() {
				return Check{}, false
			}
			return homogeneity(mergeBins(c.Live.Counts, c.Reference.Numbers.Counts))
		},
		sentence: func(_ *Column, tv float64) string {
			return fmt.Sprintf("the distribution is different, by %.0f %% of the rows", 100*tv)
		},
	},
	{
		name: Levels, symbol: "chi2", unit: "TV", threshold: minVariation,
		measure: func(c *Column) (Check, bool) {
			if c.Reference.Numbers != nil || !c.hasValues() {
				return Check{}, false
			}
			live, reference := c.levelCounts(slices.Sorted(maps.Keys(c.Reference.Levels)))
			return homogeneity(poolRare(live, reference, c.Live.Unseen))
		},
		sentence: func(_ *Column, tv float64) string {
			return fmt.Sprintf("the level shares are different, by %.0f %% of the rows", 100*tv)
		},
	},
	{
		name: Unseen, unit: "share", threshold: minShare,
		measure: func(c *Column) (Check, bool) {
			expected, of := c.expectedUnseen()
			check := share(c.Live.Unseen, c.Live.Rows, expected, of)
			if check.Effect < 0 {
				check.P = 1 // fewer than expected are no drift
			}
			return check, c.hasValues() && !c.varies()
		},
		sentence: func(c *Column, _ float64) string {
			share := metric.Ratio(c.Live.Unseen, c.Live.Rows)
			if c.Reference.Constant() {
				return fmt.Sprintf("was always %.6g in training, and is not in %.1f %% of the rows",
					c.Reference.Numbers.Min, 100*share)
			}
			than := ""
			if expected, of := c.expectedUnseen(); expected > 0 {
				than = fmt.Sprintf(", about %.1f %% are expected", 100*metric.Ratio(expected, of))
			}
			return fmt.Sprintf("%.1f %% of the rows have a value that no training row had%s", 100*share, than)
		},
	},
	{
		name: Missing, unit: "share", threshold: minShare,
		measure: func(c *Column) (Check, bool) {
			ref := c.Reference
			return share(c.Live.Missing, c.Rows(), ref.Missing, ref.Rows+ref.Missing), true
		},
		sentence: func(c *Column, _ float64) string {
			ref := c.Reference
			return fmt.Sprintf("%.1f %% of the rows have no value, in training %.1f %%",
				100*metric.Ratio(c.Live.Missing, c.Rows()), 100*metric.Ratio(ref.Missing, ref.Rows+ref.Missing))
		},
	},
}

// Kinds returns the names of the checks that Compare runs.
func Kinds() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return append(names, Correlation)
}

// Label returns the name of a kind of check for people.
func Label(kind string) string {
	if kind == referenceZ {
		return "z score of the mean (reference lab)"
	}
	return kind
}

// Symbol returns what the statistic is, such as z or chi2(9); "" for the share of the live rows.
func (c Check) Symbol() string {
	if c.DF > 0 {
		return fmt.Sprintf("%s(%d)", c.symbol, c.DF)
	}
	return c.symbol
}

// Constant reports whether the live rows, or nearly all training rows, have one number: the ratio
// of their variances says nothing then.
func (c Check) Constant() bool { return c.Kind == Spread && c.Effect >= mostRatio }

// shown formats a number of the column with the digits that a mean of the live rows deserves.
func (c *Column) shown(x float64) string {
	if size := math.Abs(x); size >= 1e9 || size < 1e-3 {
		return fmt.Sprintf("%.3g", x)
	}
	return strconv.FormatFloat(x, 'f', metric.MeanDecimals(c.Reference.Numbers.Std, c.Live.Rows), 64)
}

// hasValues reports whether both sides have rows with a value.
func (c *Column) hasValues() bool { return c.Live.Rows > 0 && c.Reference.Rows > 0 }

// varies reports whether the column has numbers to compare. One that was constant in
// training has none: its standard deviation of 0 is written as 1 and measures nothing.
func (c *Column) varies() bool {
	return c.Reference.Numbers != nil && !c.Reference.Constant() && c.hasValues()
}

// mean is the standard-error z: (mean_live − mean_ref) / √(variance (1/n + 1/m)). The variance is that
// of the training rows, or that within both samples if it is larger: training rows that have none of a
// heavy tail's largest values show too small a one. Its p is of the Student distribution with a kurtosis
// of 3 + (kurtosis − 3)(1/n + 1/m), at least that of such a difference: with few rows and rare large
// values, as of an event in one row of a hundred, it is far from normal.
func (c *Column) mean() (Check, bool) {
	if !c.varies() {
		return Check{}, false
	}
	ref := c.Reference.Numbers
	shift := finite((c.Live.Mean - ref.Mean) / ref.Std)
	n, m := float64(c.Live.Rows), float64(c.Reference.Rows)
	live, _ := c.Live.Variance() // over that of the training rows
	share, variance := 1/n+1/m, (max(live, 1)*n+m)/(n+m)
	z, df := shift/math.Sqrt(variance*share), math.Inf(1)
	if kurtosis := c.kurtosis(); kurtosis > 3 {
		df = 4 + 6/((kurtosis-3)*share)
	}
	return Check{Rows: c.Live.Rows, Statistic: finite(z), P: student(z, df), Effect: shift}, true
}

// spread compares the variances. That of n rows has a relative variance of (kurtosis − 1)/n, and
// its cube root is near normal even where n is small (Wilson & Hilferty 1931, for a chi-squared). The
// larger kurtosis counts, so that one outlier on either side has no say; nor has their absence from
// few live rows, since a decrease counts as such and not as that of the cube root, which is larger.
// The degrees of freedom are those of a variance (Box 1953), n of a normal distribution.
func (c *Column) spread() (Check, bool) {
	const leastKurtosis = 1.8 // a uniform distribution's: with a coin's, which is 1, nothing would vary
	if !c.varies() || c.Reference.Numbers.Kurtosis == 0 || c.Live.Rows < 2 {
		return Check{}, false
	}
	variance, _ := c.Live.Variance()
	squared := (max(c.kurtosis(), leastKurtosis) - 1) * (1/float64(c.Live.Rows) + 1/float64(c.Reference.Rows))
	z := variance - 1
	if variance > 1 {
		z = 3 * (math.Cbrt(variance) - 1)
	}
	z /= math.Sqrt(squared)
	effect := min(max(variance, 1/variance), mostRatio)
	return Check{Rows: c.Live.Rows, Statistic: z, P: student(z, 2/squared), Effect: effect}, true
}

// kurtosis is the larger one of both sides.
func (c *Column) kurtosis() float64 {
	_, live := c.Live.Variance()
	return max(live, c.Reference.Numbers.Kurtosis)
}

// finite returns x, or the largest number where a standard deviation near 0 made it overflow:
// JSON has no infinity.
func finite(x float64) float64 { return max(-math.MaxFloat64, min(x, math.MaxFloat64)) }

// homogeneity is the two-sample chi-squared over bins; false if fewer than two are left.
func homogeneity(live, reference []int) (Check, bool) {
	if len(live) < 2 {
		return Check{}, false
	}
	x2, df := chiSquared(live, reference), len(live)-1
	return Check{
		Rows: sum(live), Statistic: x2, DF: df,
		P: distuv.ChiSquared{K: float64(df)}.Survival(x2), Effect: variation(live, reference),
	}, true
}

// share compares how often something occurs, in a of n live rows and b of m reference
// rows, by Fisher's exact test where few are expected, else by chi-squared.
func share(a, n, b, m int) Check {
	check := Check{Rows: n, P: 1}
	if a+b == 0 || n == 0 || m == 0 {
		return check
	}
	live, reference := []int{a, n - a}, []int{b, m - b}
	before, now := metric.Ratio(b, m), metric.Ratio(a, n)
	check.Statistic, check.Effect = now, now-before
	check.minor = max(now, before) < 2*min(now, before) && math.Abs(check.Effect) < minVariation
	if float64(min(a+b, n+m-a-b)*min(n, m))/float64(n+m) < minExpected {
		check.P = fisher(a, n, b, m)
	} else {
		check.P = distuv.ChiSquared{K: 1}.Survival(chiSquared(live, reference))
	}
	return check
}

// expectedUnseen returns how many of so many rows are expected to have a level that no training row has: by Good
// (1953), "The population frequencies of species", a share of once/m, the training rows with a level that no other
// has. Its variance, (once + 2 twice)/m² with the levels of two rows, is that of fewer than the m rows.
func (c *Column) expectedUnseen() (unseen, rows int) {
	once, twice := 0.0, 0.0
	for _, rows := range c.Reference.Levels {
		once += float64(metric.Indicator(rows == 1))
		twice += float64(metric.Indicator(rows == 2))
	}
	if once == 0 {
		return 0, c.Reference.Rows
	}
	part := max(once/(once+2*twice), 1/once)
	return int(math.Round(part * once)), int(math.Round(part * float64(c.Reference.Rows)))
}

// levelCounts returns the counts of levels.
func (c *Column) levelCounts(names []string) (live, reference []int) {
	for _, name := range names {
		live, reference = append(live, c.Live.Levels[name]), append(reference, c.Reference.Levels[name])
	}
	return live, reference
}

// ReferenceZ is the check of one number that the reference lab makes, a Python
// project whose table drift prints beside its own verdict.
type ReferenceZ struct {
	Column    string  `json:"column"`
	MeanTrain float64 `json:"mean_train"`
	StdTrain  float64 `json:"std_train"`
	MeanLive  float64 `json:"mean_live"`
	Z         float64 `json:"z"`
	Alert     bool    `json:"alert"`
}

// CompareReferenceZ returns |mean_live − mean_train| / std_train for a column of
// numbers, an alert from the threshold on. The standard deviation is that of one
// row, not of a mean, so that a shift of less than threshold standard deviations
// never alerts, however many rows show it.
func CompareReferenceZ(c Column, threshold float64) ReferenceZ {
	ref := c.Reference.Numbers
	z := finite(math.Abs(c.Live.Mean-ref.Mean) / ref.Std)
	return ReferenceZ{
		Column: c.Name, MeanTrain: ref.Mean, StdTrain: ref.Std, MeanLive: c.Live.Mean, Z: z, Alert: z >= threshold,
	}
}

// Check returns it as a check, to be reported among the others. It has no p.
func (z ReferenceZ) Check(threshold float64) Check {
	check := Check{
		Column: z.Column, Kind: referenceZ, symbol: "z", Statistic: z.Z,
		Effect: z.Z, Threshold: threshold, Unit: "z", Severity: OK,
	}
	if z.Alert {
		check.Severity = Alert
		check.Sentence = fmt.Sprintf("the mean differs by %.2f standard deviations of a single row (reference lab)", z.Z)
	}
	return check
}
