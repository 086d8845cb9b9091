package predlog

import (
	"bytes"
	"context"
	"io"
	"slices"
)

// A block is some lines of a file. Of a line that is longer than maxLine it has a
// part that is too, and the line's end.
type block struct {
	lines []byte
	last  bool  // of its file: the last line may have no end
	end   int64 // bytes of the logs behind the reader
}

// A cutter reads files and cuts them into blocks of whole lines.
type cutter struct {
	size  int    // bytes of a block, unless a line is longer
	spare []byte // the buffer of a block that is done with; nil: none
	pos   int64  // in all logs
}

// buffer returns an empty buffer of a block's size.
func (c *cutter) buffer() []byte {
	b := c.spare
	c.spare = nil
	if cap(b) != c.size { // it held a longer line, or there is none
		b = make([]byte, 0, c.size)
	}
	return b[:0]
}

// logs cuts logs, of which there is one at least. With several, what it finds is
// only what the blocks do not show.
func (c *cutter) logs(ctx context.Context, logs [][]part, send func(block) error) (Found, error) {
	if len(logs) == 1 {
		return Found{}, c.files(ctx, logs[0], send)
	}
	return c.merge(ctx, logs, send)
}

// files cuts the parts of a log, each into one block at least.
func (c *cutter) files(ctx context.Context, parts []part, send func(block) error) error {
	for _, p := range parts {
		c.pos += p.start
		if err := c.file(ctx, io.NewSectionReader(p.File, p.start, p.end-p.start), send); err != nil {
			return err
		}
	}
	return nil
}

// file cuts one file. If it was cut short meanwhile it ends where it ends.
func (c *cutter) file(ctx context.Context, in io.Reader, send func(block) error) error {
	lines := c.buffer()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		kept := len(lines) // of a line whose end has not been seen
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
		if kept > maxLine { // of what is no record anyway only the end is added
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
		if err := send(block{lines: lines[:whole], last: last, end: c.pos}); err != nil || last {
			return err
		}
		lines = next
	}
}
