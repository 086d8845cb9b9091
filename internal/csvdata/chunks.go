package csvdata

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
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
