package main

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// A customer is a drawn row.
type customer struct {
	tenure, complaints int
	minutes            float64 // before rounding to two decimals
	plan, region       int
	churned            bool
}

// A sampler draws customers from one stream of random numbers.
type sampler struct {
	p            *population
	rng          *rand.Rand
	complaints   distuv.Poisson
	plan, region distuv.Categorical
}

func newSampler(p *population, src *rand.PCG) *sampler {
	return &sampler{
		p:          p,
		rng:        rand.New(src),
		complaints: distuv.Poisson{Lambda: p.rate, Src: src},
		plan:       distuv.NewCategorical(p.planProbs, src),
		region:     distuv.NewCategorical(p.regionProbs, src),
	}
}

// draw draws the next customer into c, which saves copying it twice. The conversions
// of products to float64 prevent fused multiply-add, so that all machines give the
// same bytes.
func (s *sampler) draw(c *customer) {
	c.tenure = s.rng.IntN(tenureTo-tenureFrom+1) + tenureFrom
	c.complaints = min(int(s.complaints.Rand()), complaintsMax)
	if s.p.tenureShift != 0 {
		// Stochastic rounding: months stay whole and their mean moves by the amount.
		shifted := math.Floor(float64(c.tenure) + s.p.tenureShift + s.rng.Float64())
		c.tenure = int(min(max(shifted, 0), tenureMax))
	}
	minutes := float64(minutesStd*s.rng.NormFloat64()) + minutesMean + s.p.minutesShift
	c.minutes = min(max(minutes, minutesMin), minutesMax)
	c.plan = int(s.plan.Rand())
	c.region = int(s.region.Rand())
	c.churned = s.rng.Float64() < 1/(1+math.Exp(-c.logit()))
}

// logit returns the true log-odds of churn.
func (c *customer) logit() float64 {
	z := intercept + float64(perComplaint*float64(c.complaints)) + float64(perMonth*float64(c.tenure))
	z += float64(perMinute * c.minutes)
	return z + planEffect[c.plan] + regionEffect[c.region]
}
