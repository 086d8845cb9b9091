package predlog

import (
	"bytes"
	"context"
	"io"
	"slices"
)

// A chunk is some lines of a file. A line longer than maxLine is shortened, but stays
// longer than maxLine.
type chunk struct {
	lines []byte
	last  bool  // of its file: the last line may have no line end
	end   int64 // bytes of the logs that were read
}

// A cutter reads files and cuts them into chunks of complete lines.
type cutter struct {
	size  int    // bytes of a chunk, unless a line is longer
	spare []byte // buffer to reuse, or nil
	pos   int64  // in all logs
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

// logs cuts logs, of which there is at least one. Found has what is not in the chunks, if
// there are several.
func (c *cutter) logs(ctx context.Context, logs [][]segment, send func(chunk) error) (Found, error) {
	if len(logs) == 1 {
		return Found{}, c.files(ctx, logs[0], send)
	}
	return c.merge(ctx, logs, send)
}

// files cuts the segments of a log, each into at least one chunk.
func (c *cutter) files(ctx context.Context, segments []segment, send func(chunk) error) error {
	for _, p := range segments {
		c.pos += p.start
		if err := c.file(ctx, io.NewSectionReader(p.File, p.start, p.end-p.start), send); err != nil {
			return err
		}
	}
	return nil
}

// file cuts one file. If it was truncated meanwhile, it is read to its new end.
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
		c.pos += int64(n)
		if kept > maxLine { // too long for a record: keep its end only
			end := bytes.IndexByte(lines[kept:], '\n')
			if end < 0 {
				end = n
			}
			lines = slices.Delete(lines, kept, kept+end)
		}
		whole := len(lines)
		if !last {
			end := bytes.LastIndexByte(lines[kept:], '\n')
			if end < 0 {
				continue
			}
			whole = kept + end + 1
		}
		next := append(c.buffer(), lines[whole:]...)
		if err := send(chunk{lines: lines[:whole], last: last, end: c.pos}); err != nil || last {
			return err
		}
		lines = next
	}
}
