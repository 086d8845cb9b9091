package predlog

import (
	"bytes"
	"context"
	"io"
	"slices"
)

const blockBytes = 64 << 10 // read at once from the end: a few hundred records

// seek lets the parts start where the last n records begin; n = 0 means all. Of a
// part before that nothing is left.
func seek(ctx context.Context, parts []part, n int) error {
	if n == 0 {
		return nil
	}
	var reader parser
	for i := range slices.Backward(parts) {
		p := &parts[i]
		if n == 0 {
			p.start = p.end
			continue
		}
		var err error
		if p.start, n, err = startOfLast(ctx, *p, n, &reader); err != nil {
			return err
		}
	}
	return nil
}

// startOfLast returns where the last n records of a file begin, or 0 and how
// many there are less than that.
func startOfLast(ctx context.Context, f part, n int, reader *parser) (start int64, left int, err error) {
	end := f.end       // of what has not been looked at
	var tail backwards // a line whose end has been seen, but not its beginning
	for end > 0 {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		size := min(end, blockBytes)
		block := make([]byte, size)
		if _, err := f.ReadAt(block, end-size); err != nil && err != io.EOF {
			return 0, 0, err
		}
		end -= size
		for {
			cut := bytes.LastIndexByte(block, '\n')
			if cut < 0 {
				break
			}
			tail.prepend(block[cut+1:])
			if reader.isRecord(tail.line()) {
				if n--; n == 0 {
					return end + int64(cut) + 1, 0, nil
				}
			}
			tail = backwards{}
			block = block[:cut]
		}
		tail.prepend(block)
	}
	if reader.isRecord(tail.line()) { // the first line
		n--
	}
	return 0, n, nil
}

// backwards is a line that is read from its end. A line that is too long for a
// record is not kept.
type backwards struct {
	parts [][]byte // the last one first
	size  int
}

func (b *backwards) prepend(part []byte) {
	b.size += len(part)
	if b.size > maxLine {
		b.parts = nil
		return
	}
	b.parts = append(b.parts, part)
}

// line returns the line, or nothing of one that was not kept.
func (b *backwards) line() []byte {
	if b.parts == nil {
		return nil // memory for it would be as much as its length
	}
	if len(b.parts) == 1 {
		return b.parts[0]
	}
	line := make([]byte, 0, b.size)
	for _, part := range slices.Backward(b.parts) {
		line = append(line, part...)
	}
	return line
}

// isRecord tells whether a line, without its line end, is a record.
func isRecord(line []byte) bool { return new(parser).isRecord(line) }

func (p *parser) isRecord(line []byte) bool {
	_, err := p.parse(line)
	return err == nil
}
