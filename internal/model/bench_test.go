package model

import (
	"testing"

	"churn/internal/dataset"
)

// benchmarkScore scores rows of a table, and explains them.
func benchmarkScore(b *testing.B, table *dataset.Table, o Options) {
	m, err := Train(b.Context(), InMemory(table), o)
	if err != nil {
		b.Fatal(err)
	}
	rows := make([][]dataset.Value, 1000)
	for i := range rows {
		rows[i] = rowOf(table, i)
	}
	for name, f := range map[string]func([]dataset.Value){
		"score": func(row []dataset.Value) { m.Score(row) }, "explain": func(row []dataset.Value) { m.Explain(row) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f(rows[i%len(rows)])
			}
		})
	}
}

func BenchmarkLine(b *testing.B) { benchmarkScore(b, labTable(b), options()) }

// BenchmarkCurvesAndPairs is a model of eight curves, four categories and eight pairs.
func BenchmarkCurvesAndPairs(b *testing.B) {
	o := options()
	o.Terms, o.Pairs.Named = TermsCurve, mixedPairs()
	benchmarkScore(b, mixedTable(1, 4000), o)
}

// BenchmarkLinesOfManyFeatures is the same features as lines.
func BenchmarkLinesOfManyFeatures(b *testing.B) { benchmarkScore(b, mixedTable(1, 4000), options()) }
