package dataset

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// A row of as many numbers as are paired: beside it a record of them takes some microseconds to parse.
func BenchmarkPairs(b *testing.B) {
	for _, k := range []int{5, 20, maxPaired} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			values := make([]float64, 1000)
			for i := range values {
				values[i] = rng.NormFloat64()
			}
			ref := SummarizeNumbers(values)
			var names []string
			references := map[string]*Summary{}
			for i := range k {
				names = append(names, fmt.Sprint(i))
				references[names[i]] = &ref
			}
			p := NewPairs(names, references)
			for i := 0; b.Loop(); i++ {
				for j := range k {
					p.Put(j, Value{Number: values[(i+j)%len(values)]})
				}
				p.Next()
			}
		})
	}
}
