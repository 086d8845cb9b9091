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
	p    *population
	src  *rand.PCG
	rng  *rand.Rand     // over src
	many distuv.Poisson // over src
}

func newSampler(p *population, src *rand.PCG) *sampler {
	return &sampler{p, src, rand.New(src), distuv.Poisson{Lambda: p.rate, Src: src}}
}

// draw draws the next customer into c; to return it would copy it twice. The
// products are rounded one by one, so that machines that can fuse a product with
// a sum give the same bytes.
func (s *sampler) draw(c *customer) {
	c.tenure = s.rng.IntN(tenureTo-tenureFrom+1) + tenureFrom
	c.complaints = min(s.poisson(), complaintsMost)
	if s.p.tenureShift != 0 {
		// Whole months whose mean moves by the amount: rounded up as often as it takes.
		moved := math.Floor(float64(c.tenure) + s.p.tenureShift + s.rng.Float64())
		c.tenure = int(min(max(moved, 0), tenureMost))
	}
	minutes := float64(minutesStd*s.rng.NormFloat64()) + minutesMean + s.p.minutesShift
	c.minutes = min(max(minutes, minutesLeast), minutesMost)
	c.plan = s.p.plan.at(s.src.Uint64())
	c.region = s.p.region.at(s.src.Uint64())
	c.churned = belowSigmoid(s.rng.Float64(), c.logit())
}

// poisson draws what distuv.Poisson would. At small rates both add up waiting
// times; here without a generator and a closure made for every draw.
func (s *sampler) poisson() int {
	if s.p.rate >= 10 { // where distuv turns to another method
		return int(s.many.Rand())
	}
	n := 0
	for t := s.rng.ExpFloat64(); t < s.p.rate; t += s.rng.ExpFloat64() {
		n++
	}
	return n
}

// logit returns the true log-odds of churn.
func (c *customer) logit() float64 {
	z := intercept + float64(perComplaint*float64(c.complaints)) + float64(perMonth*float64(c.tenure)) + float64(perMinute*c.minutes)
	return z + planEffect[c.plan] + regionEffect[c.region]
}
