package model

import (
	"math"
	"math/rand/v2"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// million makes a million customers like the lab's.
func million() *dataset.Table {
	rng := rand.New(rand.NewPCG(1, 0))
	t := dataset.NewTable(dataset.Lab())
	plans, regions := []string{"basic", "premium"}, []string{"AF", "AS", "EU", "NA"}
	for range 1_000_000 {
		tenure, complaints := float64(1+rng.IntN(59)), math.Floor(1.2*rng.ExpFloat64())
		minutes := math.Round(100*min(max(35+12*rng.NormFloat64(), 1), 120)) / 100
		t.Append(&dataset.Row{
			Values: []dataset.Value{
				{Number: tenure}, {Number: complaints}, {Number: minutes},
				{Text: plans[rng.IntN(2)], Level: true}, {Text: regions[rng.IntN(4)], Level: true},
			},
			Positive: rng.Float64() < logreg.Sigmoid(1.2+0.55*complaints-0.03*tenure-0.02*minutes),
		})
	}
	return t
}

// Train and evaluate without reading and writing: what a million customers cost, by row.
func BenchmarkTrain(b *testing.B) {
	table := million()
	run := func(name string, o Options) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Train(b.Context(), InMemory(table, nil), o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	o := options()
	o.TestSize = 0.25
	run("train", o)
	o.Tune = TuneF1
	run("evaluate", o)
	o.TestSize = 0
	run("evaluate without a test part", o)
}

func BenchmarkFolds(b *testing.B) {
	table := million()
	rows := InMemory(table, nil)
	f, err := fitTo(b.Context(), rows, options(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := crossFit(b.Context(), rows, options(), f); err != nil {
			b.Fatal(err)
		}
	}
}
