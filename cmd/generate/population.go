package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The true coefficients, which a fitted model estimates. They are in package main so
// that no other package can import them.
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
	planProbs    = []float64{0.72, 0.28}
	planEffect   = [...]float64{0, -0.35}
	regions      = []string{"NA", "EU", "AF", "AS"}
	regionProbs  = []float64{0.25, 0.30, 0.25, 0.20}
	regionEffect = [...]float64{0, -0.05, 0.08, 0}
)

const (
	tenureFrom, tenureTo     = 1, 59 // months, uniform
	complaintRate            = 1.2   // Poisson
	minutesMean, minutesStd  = 35, 12
	minutesMin, minutesMax   = 1, 120
	rateMax                  = 1000    // complaints per customer: all have complaintsMax by then
	tenureMax, complaintsMax = 200, 50 // as the built-in schema allows
)

// A population is a distribution of customers, that of the reference lab or shifted.
type population struct {
	tenureShift  float64
	rate         float64
	minutesShift float64
	planProbs    []float64
	regionProbs  []float64
}

// newPopulation returns the population with shifts: FEATURE=AMOUNT adds to the mean of
// a number, FEATURE=LEVEL:FREQUENCY sets the frequency of a level.
func newPopulation(shifts []string) (*population, error) {
	p := &population{rate: complaintRate, planProbs: planProbs, regionProbs: regionProbs}
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
		return fmt.Errorf("expected FEATURE=AMOUNT, such as tenure_months=6")
	}
	switch feature {
	case "plan_type":
		return setFrequency(&p.planProbs, plans, value)
	case "region":
		return setFrequency(&p.regionProbs, regions, value)
	}
	amount, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(amount) || math.IsInf(amount, 0) {
		return fmt.Errorf("%q is not a number", value)
	}
	switch feature {
	case "tenure_months":
		p.tenureShift += amount
	case "num_complaints":
		if p.rate+amount < 0 {
			return fmt.Errorf("the rate of complaints would be %.6g: it is %.6g, subtract at most that", p.rate+amount, p.rate)
		}
		p.rate = min(p.rate+amount, rateMax)
	case "avg_session_minutes":
		p.minutesShift += amount
	default:
		return fmt.Errorf("no feature %q: expected one of tenure_months, num_complaints, avg_session_minutes, "+
			"plan_type, region", feature)
	}
	return nil
}

// setFrequency sets the frequency of a level; the others keep their proportions.
func setFrequency(probs *[]float64, levels []string, value string) error {
	level, text, ok := strings.Cut(value, ":")
	at := slices.Index(levels, level)
	frequency, err := strconv.ParseFloat(text, 64)
	if !ok || at < 0 || err != nil || !(frequency >= 0 && frequency <= 1) {
		return fmt.Errorf("expected LEVEL:FREQUENCY, with a level of %s and a frequency from 0 to 1",
			strings.Join(levels, ", "))
	}
	old := *probs
	if old[at] == 1 && frequency < 1 {
		return fmt.Errorf("all customers have %s: the other levels cannot be scaled up from 0", level)
	}
	scaled := make([]float64, len(old))
	for i := range old {
		if i != at && frequency < 1 {
			scaled[i] = old[i] * (1 - frequency) / (1 - old[at])
		}
	}
	scaled[at] = frequency
	*probs = scaled
	return nil
}
