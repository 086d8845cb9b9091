package csvdata

import "churn/internal/dataset"

// A partial is what a worker made of one chunk. Partials are reused.
type partial struct {
	chunk    chunk
	worker   int               // its number
	codes    [][]uint16        // by feature and row: the worker's codes; if CSV is wanted, of the sampled rows
	values   [][]dataset.Value // by feature and code: those that the worker knew then
	numbers  [][]float64       // by feature and row, instead of codes, for high cardinality
	positive []bool            // by row
	times    []float64         // likewise, with Limits.Time
	moments  [2]int            // numbers and dates among the times of all rows
	csv      []byte            // the rows as prepare writes them
	copied   []byte            // memory for csv
	lines    []int             // of the sampled rows
	hashes   []rowHash         // of rows
	lastLine int               // that is kept

	issues   dataset.Issues
	missing  [][]int // first lines with a missing cell, by feature
	broken   bool    // the text stopped being CSV in this chunk
	overflow bool    // a category has more levels than it may
}

// reset empties the partial for its chunk. It reuses the memory.
func (p *partial) reset(file string, features int) {
	if p.codes == nil {
		p.codes, p.numbers = make([][]uint16, features), make([][]float64, features)
		p.values, p.missing = make([][]dataset.Value, features), make([][]int, features)
	}
	p.lines, p.hashes, p.lastLine = p.lines[:0], p.hashes[:0], 0
	p.times, p.moments = p.times[:0], [2]int{}
	p.positive, p.csv, p.copied, p.issues = p.positive[:0], nil, p.copied[:0], dataset.Issues{File: file}
	for j := range p.codes {
		p.codes[j], p.numbers[j], p.missing[j] = p.codes[j][:0], p.numbers[j][:0], p.missing[j][:0]
	}
}

// A span is rows of a chunk's text that need no change and are not copied yet.
type span struct{ from, to int }

func (s *span) extend(p *partial, at, length int) {
	if at != s.to {
		s.flush(p)
		s.from = at
	}
	s.to = at + length
}

func (s *span) flush(p *partial) {
	p.copied = append(p.copied, p.chunk.text[s.from:s.to]...)
	s.from = s.to
}
