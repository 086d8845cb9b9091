package csvdata

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"churn/internal/dataset"
)

// labText is rows of customers like generate's.
func labText(rows int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.WriteString("tenure_months,num_complaints,avg_session_minutes,plan_type,region,churn\n")
	for range rows {
		fmt.Fprintf(&b, "%d,%d,%.2f,%s,%s,%d\n", 1+rng.IntN(59), rng.IntN(5), min(120, max(1, 35+12*rng.NormFloat64())),
			[]string{"basic", "premium"}[rng.IntN(2)], []string{"NA", "EU", "AF", "AS"}[rng.IntN(4)], rng.IntN(2))
	}
	return b.Bytes()
}

const benchRows = 100_000

func BenchmarkClean(b *testing.B) {
	plain := labText(benchRows)
	quoted := []byte(strings.ReplaceAll(string(plain), "basic", `"basic"`))
	dirty := []byte(strings.ReplaceAll(string(plain), "basic", `Basic `))
	for name, text := range map[string][]byte{"plain": plain, "quoted": quoted, "dirty": dirty} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Clean(b.Context(), Source{Reader: bytes.NewReader(text), File: "x.csv"}, nil, dataset.Lab(),
					dataset.Limits{},
					io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadTable(b *testing.B) {
	text := labText(benchRows)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadTable(b.Context(), Source{Reader: bytes.NewReader(text), File: "x.csv"}, dataset.Lab(),
			dataset.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
