package metric

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// A chi-squared test of a million draws against gonum's probabilities, values of
// fewer than 50 expected draws taken together. The seed is fixed, so that no run
// fails by chance.
func TestBinomialHasItsDistribution(t *testing.T) {
	const draws = 1_000_000
	src := rand.NewPCG(13, 0)
	rng := rand.New(src)
	for _, c := range []struct {
		n int
		p float64
	}{{5, 0.3}, {30, 0.2}, {40, 0.5}, {100, 0.1}, {100, 0.93}, {1000, 0.012}, {1000, 0.4}, {250_000, 0.001}, {250_000, 0.9999}} {
		t.Run(fmt.Sprintf("%d of %v", c.n, c.p), func(t *testing.T) {
			seen := map[int]int{}
			for range draws {
				k := binomial(c.n, c.p, rng, src)
				if k < 0 || k > c.n {
					t.Fatalf("drew %d", k)
				}
				seen[k]++
			}
			want := distuv.Binomial{N: float64(c.n), P: c.p}
			var chi, expected, got float64
			bins := 0
			for k := range c.n + 1 {
				expected += draws * want.Prob(float64(k))
				got += float64(seen[k])
				if expected >= 50 {
					chi += (got - expected) * (got - expected) / expected
					bins++
					expected, got = 0, 0
				}
			}
			if p := (distuv.ChiSquared{K: float64(bins - 1)}).Survival(chi); p < 0.001 {
				t.Errorf("χ² = %v over %d bins: p = %v", chi, bins, p)
			}
		})
	}
}
