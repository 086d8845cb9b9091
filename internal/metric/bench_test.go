package metric

import (
	"math/rand/v2"
	"testing"
)

// drawMany draws a million probabilities, distributed like those of churn, and labels from them.
func drawMany() ([]float64, []bool) {
	rng := rand.New(rand.NewPCG(1, 0))
	p, y := make([]float64, 1_000_000), make([]bool, 1_000_000)
	for i := range p {
		p[i] = (rng.Float64() + rng.Float64()) / 2
		y[i] = rng.Float64() < p[i]
	}
	return p, y
}

var sink float64

func benchmark(b *testing.B, do func(p []float64, y []bool) float64) {
	p, y := drawMany()
	b.ReportAllocs()
	for b.Loop() {
		sink = do(p, y)
	}
}

func BenchmarkAUC(b *testing.B) {
	benchmark(b, func(p []float64, y []bool) float64 { return Rank(p, y).AUC() })
}

func BenchmarkAveragePrecision(b *testing.B) {
	benchmark(b, func(p []float64, y []bool) float64 { return Rank(p, y).AveragePrecision() })
}

func BenchmarkLogLoss(b *testing.B) { benchmark(b, LogLoss) }
func BenchmarkBrier(b *testing.B)   { benchmark(b, Brier) }

func BenchmarkConfusion(b *testing.B) {
	benchmark(b, func(p []float64, y []bool) float64 { return ConfusionAt(p, y, 0.5).F1() })
}

func BenchmarkBestThreshold(b *testing.B) {
	benchmark(b, func(p []float64, y []bool) float64 {
		threshold, _ := Rank(p, y).BestThreshold(Confusion.F1)
		return threshold
	})
}
