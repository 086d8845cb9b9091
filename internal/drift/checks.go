package drift

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

const (
	minStd          = 0.2 // standard deviations of a mean worth acting on: Cohen's small effect
	minPSI          = 0.1 // PSI worth acting on: the rule of thumb of credit scoring (Lewis 1994)
	minExpected     = 5   // rows in a bin for the chi-squared to hold (Cochran 1954)
	minExpectedLast = 1   // rows in the last bin, the only one that may have fewer
)

// Names of checks, as in JSON.
const (
	Mean       = "mean"
	Shape      = "shape"
	Levels     = "levels"
	Unseen     = "unseen"
	Missing    = "missing"
	referenceZ = "lab_z"
)

// A kind defines a check. The table, the page, JSON and alerts take their texts from it.
type kind struct {
	name      string
	symbol    string                                 // of the statistic; "" for the share of live rows
	unit      string                                 // of the effect
	threshold float64                                // least effect worth acting on
	measure   func(*Column) (Check, bool)            // rows, statistic, p and effect; false if it does not apply
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
			return fmt.Sprintf("the mean has changed by %+.2f standard deviations, from %.4g in training to %.4g",
				effect, c.Reference.Numbers.Mean, c.Live.Mean)
		},
	},
	{
		name: Shape, symbol: "chi2", unit: "PSI", threshold: minPSI,
		measure: func(c *Column) (Check, bool) {
			if !c.varies() {
				return Check{}, false
			}
			return homogeneity(mergeBins(c.Live.Counts, c.Reference.Numbers.Counts))
		},
		sentence: func(_ *Column, psi float64) string {
			return fmt.Sprintf("the distribution is different, PSI %.2f", psi)
		},
	},
	{
		name: Levels, symbol: "chi2", unit: "PSI", threshold: minPSI,
		measure: func(c *Column) (Check, bool) {
			if c.Reference.Numbers != nil || !c.hasValues() {
				return Check{}, false
			}
			return homogeneity(poolRare(c.levelCounts()))
		},
		sentence: func(_ *Column, psi float64) string {
			return fmt.Sprintf("the level shares are different, PSI %.2f", psi)
		},
	},
	{
		name: Unseen, unit: "PSI", threshold: minPSI,
		measure: func(c *Column) (Check, bool) {
			return share(c.Live.Unseen, c.Live.Rows, 0, c.Reference.Rows), c.hasValues() && !c.varies()
		},
		sentence: func(c *Column, _ float64) string {
			share := ratio(c.Live.Unseen, c.Live.Rows)
			return fmt.Sprintf("%.1f %% of the rows have a value that no training row had", 100*share)
		},
	},
	{
		name: Missing, unit: "PSI", threshold: minPSI,
		measure: func(c *Column) (Check, bool) {
			ref := c.Reference
			return share(c.Live.Missing, c.Rows(), ref.Missing, ref.Rows+ref.Missing), true
		},
		sentence: func(c *Column, _ float64) string {
			ref := c.Reference
			return fmt.Sprintf("%.1f %% of the rows have no value, in training %.1f %%",
				100*ratio(c.Live.Missing, c.Rows()), 100*ratio(ref.Missing, ref.Rows+ref.Missing))
		},
	},
}

// Kinds returns the names of the checks that Compare runs.
func Kinds() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
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

// hasValues reports whether both sides have rows with a value.
func (c *Column) hasValues() bool { return c.Live.Rows > 0 && c.Reference.Rows > 0 }

// varies reports whether the column has numbers to compare. One that was constant in
// training has none: its standard deviation of 0 is written as 1 and measures nothing.
func (c *Column) varies() bool {
	return c.Reference.Numbers != nil && !c.Reference.Constant() && c.hasValues()
}

// mean is the standard-error z: (mean_live − mean_ref) / (std_ref √(1/n + 1/m)).
func (c *Column) mean() (Check, bool) {
	if !c.varies() {
		return Check{}, false
	}
	ref := c.Reference.Numbers
	shift := finite((c.Live.Mean - ref.Mean) / ref.Std)
	z := shift / math.Sqrt(1/float64(c.Live.Rows)+1/float64(c.Reference.Rows))
	return Check{Rows: c.Live.Rows, Statistic: finite(z), P: math.Erfc(math.Abs(z) / math.Sqrt2), Effect: shift}, true
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
		P: distuv.ChiSquared{K: float64(df)}.Survival(x2), Effect: PSI(live, reference),
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
	check.Statistic, check.Effect = ratio(a, n), PSI(live, reference)
	if float64(min(a+b, n+m-a-b)*min(n, m))/float64(n+m) < minExpected {
		check.P = fisher(a, n, b, m)
	} else {
		check.P = distuv.ChiSquared{K: 1}.Survival(chiSquared(live, reference))
	}
	return check
}

// levelCounts returns the counts of the reference's levels, sorted by name, and a bin
// for unseen ones.
func (c *Column) levelCounts() (live, reference []int) {
	for _, name := range slices.Sorted(maps.Keys(c.Reference.Levels)) {
		live, reference = append(live, c.Live.Levels[name]), append(reference, c.Reference.Levels[name])
	}
	return append(live, c.Live.Unseen), append(reference, 0)
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
