package metric

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// leastHits is the mean from which on the rejection below is valid, as its source says.
const leastHits = 10

// binomial draws how many of n trials, each of chance p, succeed. Most draws need
// no logarithm: a bootstrap needs so many that gonum's take a few percent of an
// evaluation of a million rows. Hörmann, "The generation of binomial random
// variates" (1993), algorithm BTRS; few hits are left to gonum.
func binomial(n int, p float64, rng *rand.Rand, src rand.Source) int {
	if p > 0.5 {
		return n - binomial(n, 1-p, rng, src)
	}
	trials := float64(n)
	if trials*p < leastHits {
		return int(distuv.Binomial{N: trials, P: p, Src: src}.Rand())
	}
	deviation := math.Sqrt(trials * p * (1 - p))
	b := 1.15 + 2.53*deviation
	a := -0.0873 + 0.0248*b + 0.01*p
	within := 0.92 - 4.2/b
	for {
		u, v := rng.Float64()-0.5, rng.Float64()
		edge := 0.5 - math.Abs(u)
		k := math.Floor((2*a/edge+b)*u + trials*p + 0.5)
		if edge >= 0.07 && v <= within {
			return int(k)
		}
		if k < 0 || k > trials {
			continue
		}
		mode := math.Floor((trials + 1) * p)
		v *= (2.83 + 5.1/b) * deviation / (a/(edge*edge) + b)
		if math.Log(v) <= logFactorials(mode, trials)-logFactorials(k, trials)+(k-mode)*math.Log(p/(1-p)) {
			return int(k)
		}
	}
}

// logFactorials returns log k! + log (n−k)!.
func logFactorials(k, n float64) float64 {
	a, _ := math.Lgamma(k + 1)
	b, _ := math.Lgamma(n - k + 1)
	return a + b
}
