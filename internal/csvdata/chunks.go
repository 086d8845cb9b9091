package csvdata

import (
	"bytes"
	"cmp"
	"fmt"
	"io"

	"churn/internal/dataset"
)

const (
	chunkBytes = 1 << 20  // read at once: enough rows that handing them over costs nothing
	maxRecord  = 16 << 20 // bytes; a longer record has a quote that is never closed
	maxColumns = 150_000  // each takes some 6 KB on each core
	padding    = 8        // readable bytes behind a chunk's text, so that any cell can be loaded as a word
)

// A chunk is a piece of a CSV file that begins and ends with whole records.
type chunk struct {
	text    []byte // with its line ends; padding follows
	line    int    // its first one, counted from 1
	tooLong bool   // text is the beginning of a record that is too long
	added   bool   // text is not of the file, but of the rows added to it
	comma   byte   // between cells
}

// chunkReader cuts a CSV file into chunks.
type chunkReader struct {
	r     io.Reader
	file  string // names it in errors
	size  int    // bytes to be read at once: chunkBytes
	first *chunk // what is behind the header; nil once it was read
	rest  []byte // what was read behind the last chunk
	line  int    // the first one of rest
	err   error  // of r: why there is no more than rest

	comma byte // between cells

	more  io.Reader // CSV without a header to be read after the file; may be nil
	added bool      // r was more
}

// newChunkReader starts at the beginning of a file, behind its byte order mark.
func newChunkReader(s Source) *chunkReader {
	c := &chunkReader{r: s, file: s.File, size: chunkBytes, line: 1, comma: cmp.Or(s.Comma, ',')}
	start := make([]byte, 3)
	n, err := io.ReadFull(s, start)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	c.rest, c.err = start[:n], err
	if string(c.rest) == "\xef\xbb\xbf" {
		c.rest = nil
	}
	return c
}

// next reads a chunk into memory that the caller no longer needs. At the end the
// error is io.EOF; any other is the reader's.
func (c *chunkReader) next(memory []byte) (chunk, error) {
	if first := c.first; first != nil {
		c.first = nil
		return *first, nil
	}
	text := append(memory[:0], c.rest...)
	for want := max(c.size, 2*len(text)); ; want *= 2 {
		text = c.fill(text, want)
		end, tooLong := lastRecordEnd(text), false
		switch {
		case c.err == io.EOF && len(text) == 0 && c.more != nil:
			c.r, c.err, c.more, c.added, c.comma = c.more, nil, nil, true, ','
			c.line++ // if the last line has no end
			return c.next(text)
		case c.err == io.EOF && len(text) == 0:
			return chunk{}, io.EOF
		case c.err == io.EOF:
			end = len(text)
		case c.err != nil:
			return chunk{}, fmt.Errorf("%s: %w", c.file, c.err) // text may end within a record
		case end == 0 && want < maxRecord:
			continue
		case end == 0:
			end, tooLong = len(text), true
		}
		found := chunk{text: text[:end], line: c.line, tooLong: tooLong, added: c.added, comma: c.comma}
		c.rest = append(c.rest[:0], text[end:]...)
		c.line += bytes.Count(found.text, []byte{'\n'})
		return found, nil
	}
}

// fill reads until text has want bytes or there are no more.
func (c *chunkReader) fill(text []byte, want int) []byte {
	if cap(text) < want+padding {
		text = append(make([]byte, 0, want+padding), text...)
	}
	for len(text) < want && c.err == nil {
		var n int
		n, c.err = c.r.Read(text[len(text):want])
		text = text[:len(text)+n]
	}
	return text
}

// lastRecordEnd returns the length of the whole records at the beginning of text,
// which begins with one: up to its last line end outside quotes, where the number of
// quotes before it is even.
func lastRecordEnd(text []byte) int {
	end := bytes.LastIndexByte(text, '\n') + 1
	for quotes := bytes.Count(text[:end], []byte{'"'}); quotes%2 != 0; {
		before := bytes.LastIndexByte(text[:end-1], '\n') + 1
		quotes -= bytes.Count(text[before:end], []byte{'"'})
		end = before
	}
	return end
}

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
