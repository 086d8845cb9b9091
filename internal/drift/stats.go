package drift

import (
	"math"

	"gonum.org/v1/gonum/stat/combin"
	"gonum.org/v1/gonum/stat/distuv"
)

// variation is the total variation distance Σ |q−p|/2 of two counts over the same bins, of which
// both samples have rows: the share of rows that would have to change their bin. What it is expected
// to be without drift, Σ √(2 p(1−p)(1/n+1/m)/π)/2 with the shares of both together, is taken off its
// square, since many bins of few rows differ by chance.
func variation(live, reference []int) float64 {
	n, m := float64(sum(live)), float64(sum(reference))
	var distance, chance float64
	for i := range live {
		p := float64(live[i]+reference[i]) / (n + m)
		distance += math.Abs(float64(live[i])/n-float64(reference[i])/m) / 2
		chance += math.Sqrt(2*p*(1-p)*(1/n+1/m)/math.Pi) / 2
	}
	return math.Sqrt(max(0, distance*distance-chance*chance))
}

// chiSquared is the statistic of the two-sample test of homogeneity. Both
// samples have rows and no bin is empty on both sides.
func chiSquared(live, reference []int) float64 {
	n, m := float64(sum(live)), float64(sum(reference))
	var x2 float64
	for i := range live {
		both := float64(live[i] + reference[i])
		x2 += square(float64(live[i])-both*n/(n+m))/(both*n/(n+m)) + square(float64(reference[i])-both*m/(n+m))/(both*m/(n+m))
	}
	return x2
}

// fisher is Fisher's exact test, two-sided: the probability, with the margins given,
// of a table at most as probable as a of n against b of m.
func fisher(a, n, b, m int) float64 {
	total := a + b
	logP := func(k int) float64 {
		choose := func(n, k int) float64 { return combin.LogGeneralizedBinomial(float64(n), float64(k)) }
		return choose(n, k) + choose(m, total-k) - choose(n+m, total)
	}
	const same = 1e-7 // relative: rounding must not separate tables of equal probability
	observed := logP(a) + same
	var p float64
	for k := max(0, total-m); k <= min(n, total); k++ {
		if l := logP(k); l <= observed {
			p += math.Exp(l)
		}
	}
	return min(p, 1)
}

// student is the two-sided p of z by Student's distribution.
func student(z, df float64) float64 {
	const normal = 1e5 // degrees of freedom: p differs by less than any use of it
	if !(df < normal) {
		return math.Erfc(math.Abs(z) / math.Sqrt2)
	}
	return 2 * distuv.StudentsT{Sigma: 1, Nu: df}.CDF(-math.Abs(z))
}

// mergeBins drops bins that are empty on both sides, and merges neighbours until each expects minExpected
// live rows and has minReference others. It looks at the reference alone for that.
func mergeBins(live, reference []int) (a, b []int) {
	n, m := float64(sum(live)), float64(sum(reference))
	open := false // the last bin expects too few rows so far
	for i := range live {
		if live[i]+reference[i] == 0 {
			continue
		}
		if open {
			a[len(a)-1] += live[i]
			b[len(b)-1] += reference[i]
		} else {
			a, b = append(a, live[i]), append(b, reference[i])
		}
		open = n*float64(b[len(b)-1])/m < minExpected || b[len(b)-1] < minReference
	}
	if last := len(a) - 1; open && last > 0 {
		a[last-1] += a[last]
		b[last-1] += b[last]
		a, b = a[:last], b[:last]
	}
	return a, b
}

// poolRare drops bins that are empty on both sides, and pools those that expect fewer than minExpected rows of the
// smaller sample, and unseen live rows of other levels: most are rare, as those are that the live rows lack.
func poolRare(live, reference []int, unseen int) (a, b []int) {
	n, m := float64(sum(live)+unseen), float64(sum(reference))
	expected := func(x, y int) float64 { return float64(x+y) * min(n, m) / (n + m) }
	rareLive, rareReference := unseen, 0
	for i := range live {
		if expected(live[i], reference[i]) < minExpected {
			rareLive += live[i]
			rareReference += reference[i]
		} else {
			a, b = append(a, live[i]), append(b, reference[i])
		}
	}
	if rareLive+rareReference == 0 {
		return a, b
	}
	if len(a) > 0 && expected(rareLive, rareReference) < minExpectedLast {
		a[0] += rareLive
		b[0] += rareReference
		return a, b
	}
	return append(a, rareLive), append(b, rareReference)
}

func sum(xs []int) (total int) {
	for _, x := range xs {
		total += x
	}
	return total
}

func square(x float64) float64 { return x * x }
