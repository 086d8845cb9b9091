package drift

import (
	"fmt"
	"math"

	"churn/internal/dataset"
)

// Pairs are pairs of numbers in training and live. The zero value has none.
type Pairs struct {
	Reference []dataset.Correlation
	Live      *dataset.Pairs // nil if there is no Reference
}

// checks compares the correlations of pairs with MinRows rows on both sides.
func (p Pairs) checks() []Check {
	if p.Live == nil {
		return nil
	}
	reference := map[dataset.Pair]dataset.Correlation{}
	for _, c := range p.Reference {
		reference[dataset.Pair{c.A, c.B}] = c
	}
	var checks []Check
	for _, live := range p.Live.Correlations() {
		if ref := reference[dataset.Pair{live.A, live.B}]; ref.Rows >= MinRows && live.Rows >= MinRows {
			checks = append(checks, correlation(ref, live))
		}
	}
	return checks
}

// correlation compares the means of the standardised products. The larger variance of a product
// counts, so that a rare coincidence of two rare values has no say; where the numbers depend on each
// other the variance of their correlation is smaller still.
func correlation(ref, live dataset.Correlation) Check {
	const leastVariance = 0.01 // two equal coins' products are all 1, up to rounding
	change := live.R - ref.R
	variance := max(ref.Variance, live.Variance, leastVariance)
	z := change / math.Sqrt(variance*(1/float64(live.Rows)+1/float64(ref.Rows)))
	return Check{
		Column: live.A, Kind: Correlation, With: live.B, Rows: live.Rows,
		Statistic: z, P: math.Erfc(math.Abs(z) / math.Sqrt2), Effect: change, Threshold: minR, Unit: "r",
		Sentence: fmt.Sprintf("the correlation with %s has changed from %.2f in training to %.2f", live.B, ref.R, live.R),
		symbol:   "z",
	}
}
