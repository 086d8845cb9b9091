package predlog

import (
	"bytes"
	"context"
	"io"
	"iter"
	"slices"
)

// A chunk is some lines of a file. A line longer than maxLine is shortened, but stays
// longer than maxLine.
type chunk struct {
	lines []byte
	last  bool  // of its file: the last line may have no line end
	end   int64 // bytes of the logs that were read
}

// A cutter reads logs and cuts them into chunks of complete lines.
type cutter struct {
	size  int    // bytes of a chunk, unless a line is longer
	spare []byte // buffer to reuse, or nil
	pos   int64  // bytes of files read, in all logs
	found Found  // what is not in the chunks, if there are several logs
	err   error  // why there are no more chunks, nil at the end of the logs
}

// buffer returns an empty buffer of a chunk's size.
func (c *cutter) buffer() []byte {
	b := c.spare
	c.spare = nil
	if cap(b) != c.size { // it had a longer line, or is nil
		b = make([]byte, 0, c.size)
	}
	return b[:0]
}

// chunks cuts logs, of which there is at least one.
func (c *cutter) chunks(ctx context.Context, logs [][]segment) iter.Seq[chunk] {
	return func(yield func(chunk) bool) {
		send := func(next chunk) error {
			if !yield(next) {
				return context.Canceled
			}
			return nil
		}
		if len(logs) > 1 {
			c.err = c.merge(ctx, logs, send)
			return
		}
		for _, s := range logs[0] {
			c.pos += s.before()
			if c.err = c.file(ctx, s.reader(&c.pos), send); c.err != nil {
				return
			}
		}
	}
}

// file cuts one file, into at least one chunk. If it was truncated meanwhile, it is read to its new end.
func (c *cutter) file(ctx context.Context, in io.Reader, send func(chunk) error) error {
	lines := c.buffer()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		kept := len(lines) // of an incomplete line
		room := c.size
		if kept < c.size {
			room -= kept
		}
		lines = slices.Grow(lines, room)
		n, err := io.ReadFull(in, lines[kept:kept+room])
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return err
		}
		lines = lines[:kept+n]
		if kept > maxLine { // too long for a record: keep its end only
			end := bytes.IndexByte(lines[kept:], '\n')
			if end < 0 {
				end = n
			}
			lines = slices.Delete(lines, kept, kept+end)
		}
		complete := len(lines)
		if !last {
			end := bytes.LastIndexByte(lines[kept:], '\n')
			if end < 0 {
				continue
			}
			complete = kept + end + 1
		}
		next := append(c.buffer(), lines[complete:]...)
		if err := send(chunk{lines: lines[:complete], last: last, end: c.pos}); err != nil || last {
			return err
		}
		lines = next
	}
}
