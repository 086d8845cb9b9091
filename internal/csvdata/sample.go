package csvdata

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"churn/internal/dataset"
	"churn/internal/strictjson"
)

const (
	sampleRows  = 20_000    // of a sample at most: an AUC of 0.98 is known to 0.001
	sampleCells = 4_000_000 // likewise: some 30 MB
)

// A sampler keeps some of the rows for the checks, and hashes of others' texts to count
// copies. Which it keeps depends on the line or the text alone, so neither on the workers
// nor on how many rows follow.
type sampler struct {
	most    int // rows
	keep    func(*partial) error
	sample  *dataset.Sample
	hashes  []rowHash
	fileEnd int    // line: those behind it are of added rows
	bits    [2]int // a line, and a text, is kept if as many of the highest bits of its hash are 0
}

// A rowHash is the hash of a row's text.
type rowHash struct {
	hash uint64
	line int
}

func newSampler(s *dataset.Schema) *sampler {
	t := dataset.NewTable(s)
	most := max(1, min(sampleRows, sampleCells/len(s.Features)))
	return &sampler{most: most, keep: appendTo(t, 0), sample: &dataset.Sample{Table: t}}
}

// bitsAt returns how many bits must be 0 at a line, so that about the most rows up to it are kept.
func (s *sampler) bitsAt(line int) int { return bits.Len(uint(line / s.most)) }

// keeps reports whether the first bits of a hash are 0.
func keeps(hash uint64, bits int) bool { return hash>>(64-bits) == 0 }

func lineHash(line int) uint64 { return uint64(line) * dataset.Golden }

func (s *sampler) add(p *partial) error {
	if s.sample.Lines = append(s.sample.Lines, p.lines...); !p.chunk.added {
		s.fileEnd = max(s.fileEnd, p.lastLine)
	}
	s.hashes = append(s.hashes, p.hashes...)
	if n := s.bitsAt(p.lastLine); n > s.bits[0] {
		s.bits = [2]int{n, max(n, s.bits[1])}
		if err := s.keep(p); err != nil {
			return err
		}
		s.thin()
		s.thinHashes()
		return nil
	}
	for len(s.hashes) > 4*s.most { // a text of many rows
		s.bits[1]++
		s.thinHashes()
	}
	return s.keep(p)
}

func (s *sampler) thin() {
	var rows []int32
	for i, line := range s.sample.Lines {
		if keeps(lineHash(line), s.bits[0]) {
			s.sample.Lines[len(rows)] = line
			rows = append(rows, int32(i))
		}
	}
	s.sample.Lines = s.sample.Lines[:len(rows)]
	s.sample.Keep(rows)
}

func (s *sampler) thinHashes() {
	s.hashes = slices.DeleteFunc(s.hashes, func(h rowHash) bool { return !keeps(h.hash, s.bits[1]) })
}

// finish returns the sample, how many rows are copies of earlier ones, and the first lines of some.
func (s *sampler) finish(rows int) (sample *dataset.Sample, copies int, lines []int) {
	s.sample.Use, s.sample.All = dataset.AllRows(s.sample.Rows()), rows
	slices.SortFunc(s.hashes, func(a, b rowHash) int { return cmp.Or(cmp.Compare(a.hash, b.hash), a.line-b.line) })
	for i := range s.hashes {
		if i > 0 && s.hashes[i].hash == s.hashes[i-1].hash {
			lines = append(lines, s.hashes[i].line)
		}
	}
	copies = int(math.Ldexp(float64(len(lines)), s.bits[1]))
	lines = slices.DeleteFunc(lines, func(line int) bool { return line > s.fileEnd })
	slices.Sort(lines)
	for i, line := range s.sample.Lines {
		if line > s.fileEnd {
			s.sample.Lines[i] = 0
		}
	}
	return s.sample, min(copies, rows-1), lines[:min(len(lines), dataset.LinesShown)]
}

// blankWith names the level of another feature with which feature j is blank, and without which it
// is not, as what is not applicable is: ", blank exactly where internet is no"; "" if there is none.
func (s *sampler) blankWith(j int) string {
	const least = 5 // such rows
	t := s.sample.Table
	var blank, filled []int // rows
	for i := range t.Rows() {
		if t.Value(i, j).Missing {
			blank = append(blank, i)
		} else {
			filled = append(filled, i)
		}
	}
	for k, f := range t.Schema.Features {
		if f.Type != dataset.Category || k == j || len(blank) < least || len(filled) == 0 {
			continue
		}
		level := t.Value(blank[0], k)
		has := func(row int) bool { return t.Value(row, k) == level }
		other := func(row int) bool { return !has(row) }
		if !level.Missing && !slices.ContainsFunc(blank, other) && !slices.ContainsFunc(filled, has) {
			return fmt.Sprintf(", blank exactly where %s is %s", strictjson.Printable(f.Name), strictjson.Printable(level.Text))
		}
	}
	return ""
}
