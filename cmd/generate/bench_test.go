package main

import (
	"math/rand/v2"
	"testing"
)

// Bytes and allocations are per row (Draw, Format), chunk of 8,192 rows, or file of
// 1,000,000.

func lab(t testing.TB) *population {
	p, err := newPopulation(nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func BenchmarkDraw(b *testing.B) {
	s := newSampler(lab(b), rand.NewPCG(42, 0))
	var c customer
	b.ReportAllocs()
	for b.Loop() {
		s.draw(&c)
	}
}

func BenchmarkFormat(b *testing.B) {
	s := newSampler(lab(b), rand.NewPCG(42, 0))
	customers := make([]customer, chunkRows)
	for i := range customers {
		s.draw(&customers[i])
	}
	var text []byte
	var clean corrupter
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		text = appendRow(text[:0], &customers[i%chunkRows], &clean)
		i++
	}
	b.SetBytes(int64(len(text)))
}

func BenchmarkChunk(b *testing.B) {
	p := lab(b)
	run := func(name string, dirty float64) {
		b.Run(name, func(b *testing.B) {
			var text []byte
			b.ReportAllocs()
			for b.Loop() {
				text, _ = appendChunk(text[:0], p, 42, 0, chunkRows, dirty)
			}
			b.SetBytes(int64(len(text)))
		})
	}
	run("clean", 0)
	run("dirty", 0.05)
}

// BenchmarkWrite is the whole pipeline without hash and disk.
func BenchmarkWrite(b *testing.B) {
	p := lab(b)
	var w counter
	b.ReportAllocs()
	for b.Loop() {
		w = 0
		if _, err := writeCustomers(b.Context(), &w, p, options{rows: 1_000_000, seed: 42}, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(w))
}

// A counter counts the bytes written to it.
type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
