package dataset

import (
	"math/rand/v2"
	"testing"
)

func drawMillion() []bool {
	rng := rand.New(rand.NewPCG(1, 0))
	positive := make([]bool, 1_000_000)
	for i := range positive {
		positive[i] = rng.IntN(2) == 0
	}
	return positive
}

func BenchmarkSplit(b *testing.B) {
	positive := drawMillion()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Split(positive, 0.25, 42); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFolds(b *testing.B) {
	positive := drawMillion()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Folds(positive, 5, 42); err != nil {
			b.Fatal(err)
		}
	}
}
