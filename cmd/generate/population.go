package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The population. Its coefficients are the truth that a fitted model is an
// estimate of; they are here, in package main, so that nothing can import them.
//
//	logit P(churn) = 1.2 + 0.55 complaints − 0.03 tenure − 0.02 minutes
//	                 − 0.35 [premium] − 0.05 [EU] + 0.08 [AF]
const (
	intercept    = 1.2
	perComplaint = 0.55
	perMonth     = -0.03
	perMinute    = -0.02
)

var (
	plans        = []string{"basic", "premium"}
	planShares   = []float64{0.72, 0.28}
	planEffect   = [...]float64{0, -0.35}
	regions      = []string{"NA", "EU", "AF", "AS"}
	regionShares = []float64{0.25, 0.30, 0.25, 0.20}
	regionEffect = [...]float64{0, -0.05, 0.08, 0}
)

const (
	tenureFrom, tenureTo       = 1, 59 // months, uniform
	complaintRate              = 1.2   // Poisson
	minutesMean, minutesStd    = 35, 12
	minutesLeast, minutesMost  = 1, 120
	rateMost                   = 1000    // complaints: every customer has the most by then
	tenureMost, complaintsMost = 200, 50 // what the lab's schema allows
)

// A population is a distribution of customers, perhaps shifted from the lab's.
type population struct {
	tenureShift  float64
	rate         float64
	minutesShift float64
	planShares   []float64
	regionShares []float64
}

// newPopulation returns the lab's population, shifted as asked: FEATURE=AMOUNT
// moves a number's mean, FEATURE=LEVEL:SHARE sets a level's share.
func newPopulation(shifts []string) (*population, error) {
	p := &population{rate: complaintRate, planShares: planShares, regionShares: regionShares}
	for _, shift := range shifts {
		if err := p.shift(shift); err != nil {
			return nil, fmt.Errorf("--shift %s: %w", shift, err)
		}
	}
	return p, nil
}

func (p *population) shift(text string) error {
	feature, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("write FEATURE=AMOUNT, such as tenure_months=6")
	}
	switch feature {
	case "plan_type":
		return setShare(&p.planShares, plans, value)
	case "region":
		return setShare(&p.regionShares, regions, value)
	}
	amount, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(amount) || math.IsInf(amount, 0) {
		return fmt.Errorf("%q is not a number", value)
	}
	switch feature {
	case "tenure_months":
		p.tenureShift += amount
	case "num_complaints":
		if p.rate += amount; p.rate < 0 {
			return fmt.Errorf("the rate of complaints would be %g: it is %g, take away at most that", p.rate, complaintRate)
		}
		p.rate = min(p.rate, rateMost)
	case "avg_session_minutes":
		p.minutesShift += amount
	default:
		return fmt.Errorf("there is no feature %q: tenure_months, num_complaints, avg_session_minutes, plan_type, region", feature)
	}
	return nil
}

// setShare sets a level's share; the other levels keep their proportions.
func setShare(shares *[]float64, levels []string, value string) error {
	level, text, ok := strings.Cut(value, ":")
	at := slices.Index(levels, level)
	share, err := strconv.ParseFloat(text, 64)
	if !ok || at < 0 || err != nil || !(share >= 0 && share <= 1) {
		return fmt.Errorf("write LEVEL:SHARE, with a level of %s and a share from 0 to 1", strings.Join(levels, ", "))
	}
	old := *shares
	if old[at] == 1 && share < 1 {
		return fmt.Errorf("every customer has %s: the other levels have no shares left to scale", level)
	}
	scaled := make([]float64, len(old))
	for i := range old {
		if i != at && share < 1 {
			scaled[i] = old[i] * (1 - share) / (1 - old[at])
		}
	}
	scaled[at] = share
	*shares = scaled
	return nil
}
