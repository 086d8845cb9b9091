package metric

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"
)

// Probabilities of all shapes: spread, near 0, near 1, few different ones, and the ends.
func shapes(n int) map[string][]float64 {
	rng := rand.New(rand.NewPCG(3, 0))
	draw := func(f func() float64) []float64 {
		p := make([]float64, n)
		for i := range p {
			p[i] = f()
		}
		return p
	}
	return map[string][]float64{
		"spread":    draw(rng.Float64),
		"rare":      draw(func() float64 { return math.Pow(rng.Float64(), 40) }),
		"sure":      draw(func() float64 { return 1 - 1e-9*rng.Float64() }),
		"few":       draw(func() float64 { return float64(rng.IntN(5)) / 4 }),
		"denormal":  draw(func() float64 { return math.Float64frombits(rng.Uint64N(1 << 40)) }),
		"all alike": draw(func() float64 { return 0.25 }),
		"zeros":     draw(func() float64 { return math.Copysign(0, float64(rng.IntN(2))-0.5) }),
	}
}

func TestSortSorts(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100, 100_000} {
		for name, p := range shapes(n) {
			want := slices.Sorted(slices.Values(p))
			Sort(p)
			if !slices.Equal(p, want) {
				t.Errorf("%d of %s are not in order", n, name)
			}
		}
	}
}

func TestCoresDoNotChangeARanking(t *testing.T) {
	p, y := drawMany()
	many := Rank(p, y)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if one := Rank(p, y); !slices.Equal(one.keys, many.keys) {
		t.Error("the ranking on one core differs from that on all")
	}
}

// Against gonum, which sorts and adds up another way.
func TestAUCAgreesWithGonum(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 0))
	for name, p := range shapes(50_000) {
		y := make([]bool, len(p))
		for i := range y {
			y[i] = rng.Float64() < 0.2+p[i]/2
		}
		got := Rank(p, y).AUC()
		stat.SortWeightedLabeled(p, y, nil)
		tpr, fpr, _ := stat.ROC(nil, p, y, nil)
		if want := integrate.Trapezoidal(fpr, tpr); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: AUC %.17g, want %.17g", name, got, want)
		}
	}
}

func TestLogLossOfManyRows(t *testing.T) {
	p, y := drawMany()
	var want float64
	for i := range p {
		truth := p[i]
		if !y[i] {
			truth = 1 - p[i]
		}
		want -= math.Log(truth) / float64(len(p))
	}
	if got := LogLoss(p, y); math.Abs(got-want) > 1e-12 {
		t.Errorf("log loss %.17g, want %.17g", got, want)
	}
}
