package dataset

import (
	"bytes"
	"io"
)

const (
	blockBytes = 1 << 20  // read at once: enough rows that handing them over costs nothing
	maxRecord  = 16 << 20 // bytes; a longer record is a quote that nobody closed
	padding    = 8        // bytes behind a block's text that may be read, so that any cell can be loaded as a word
)

// A block is a part of a CSV file that begins and ends with whole records.
type block struct {
	text []byte // with its line ends; padding follows
	line int    // its first one, counted from 1
	long bool   // text is the beginning of a record that is too long
	more bool   // it is not the file's, but what follows it
}

// blocks cuts a CSV file into blocks.
type blocks struct {
	r    io.Reader
	size int    // bytes to be read at once: blockBytes
	rest []byte // what was read behind the last block
	line int    // the first one of rest
	err  error  // of r: why there is no more than rest

	then  io.Reader // CSV without a header that follows the file; nil if nothing does
	later bool      // r is what was in then
}

// newBlocks starts at the beginning of a file, behind its byte order mark.
func newBlocks(r io.Reader) *blocks {
	b := &blocks{r: r, size: blockBytes, line: 1}
	start := make([]byte, 3)
	n, err := io.ReadFull(r, start)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	b.rest, b.err = start[:n], err
	if string(b.rest) == "\xef\xbb\xbf" {
		b.rest = nil
	}
	return b
}

// next reads a block into memory that the caller does not need any more. At the
// end the error is io.EOF; any other is the reader's.
func (b *blocks) next(memory []byte) (block, error) {
	text := append(memory[:0], b.rest...)
	for want := max(b.size, 2*len(text)); ; want *= 2 {
		text = b.fill(text, want)
		end, long := lastRecordEnd(text), false
		switch {
		case b.err == io.EOF && len(text) == 0 && b.then != nil:
			b.r, b.err, b.then, b.later = b.then, nil, nil, true
			return b.next(text)
		case b.err == io.EOF && len(text) == 0:
			return block{}, io.EOF
		case b.err == io.EOF:
			end = len(text)
		case b.err != nil:
			return block{}, b.err // what was read is half of something
		case end == 0 && want < maxRecord:
			continue
		case end == 0:
			end, long = len(text), true
		}
		found := block{text: text[:end], line: b.line, long: long, more: b.later}
		b.rest = append(b.rest[:0], text[end:]...)
		b.line += bytes.Count(found.text, []byte{'\n'})
		return found, nil
	}
}

// fill reads until text has want bytes or there are no more.
func (b *blocks) fill(text []byte, want int) []byte {
	if cap(text) < want+padding {
		text = append(make([]byte, 0, want+padding), text...)
	}
	for len(text) < want && b.err == nil {
		var n int
		n, b.err = b.r.Read(text[len(text):want])
		text = text[:len(text)+n]
	}
	return text
}

// lastRecordEnd returns the length of the whole records at the beginning of text,
// which begins with one: up to its last line end that is not within quotes, which
// come in pairs up to there.
func lastRecordEnd(text []byte) int {
	end := bytes.LastIndexByte(text, '\n') + 1
	for quotes := bytes.Count(text[:end], []byte{'"'}); quotes%2 != 0; {
		before := bytes.LastIndexByte(text[:end-1], '\n') + 1
		quotes -= bytes.Count(text[before:end], []byte{'"'})
		end = before
	}
	return end
}
