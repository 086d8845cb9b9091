package predlog

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"math"
	"slices"
)

const blockBytes = 64 << 10 // read at once from the end: a few hundred records

// seek lets the parts of logs start where the last n records of all begin; n = 0
// means all. Of a part before that nothing is left. It returns the first log that
// has lines and no record, if it met one: of one log alone it tells nothing.
//
// Of the last record of each log that is left the latest is taken, again and
// again. So a clock that was ahead for a while hides nobody else's records.
func seek(ctx context.Context, logs [][]part, n int) (strange string, err error) {
	if n == 0 {
		return "", nil
	}
	var reader parser
	ends := make([]*rewinder, len(logs))
	for i, parts := range logs {
		ends[i] = newRewinder(parts, &reader)
		if err := ends[i].previous(ctx); err != nil {
			return "", err
		}
		if len(logs) > 1 && strange == "" && ends[i].done && ends[i].lines {
			strange = parts[len(parts)-1].Name()
		}
	}
	later := func(i, j int) bool { return cmp.Or(cmp.Compare(ends[i].time, ends[j].time), i-j) > 0 }
	for n > 0 {
		at, next := firstTwo(ends, func(r *rewinder) bool { return !r.done }, later)
		if at < 0 {
			return strange, nil // fewer than n: all of all
		}
		r := ends[at]
		for more := true; more; more = n > 0 && !r.done && (next < 0 || later(at, next)) {
			r.from, r.start = r.at, r.line
			if n--; n == 0 {
				break
			}
			if err := r.previous(ctx); err != nil {
				return "", err
			}
		}
	}
	for _, r := range ends {
		for i := range r.parts {
			switch p := &r.parts[i]; {
			case i < r.from:
				p.start = p.end
			case i == r.from:
				p.start = r.start
			}
		}
	}
	return strange, nil
}

// firstTwo returns the places of the two heads that come before all others, among
// those that count; -1 for one that there is not.
func firstTwo[T any](heads []T, counts func(T) bool, before func(i, j int) bool) (first, second int) {
	first, second = -1, -1
	for i, h := range heads {
		switch {
		case !counts(h):
		case first < 0 || before(i, first):
			first, second = i, first
		case second < 0 || before(i, second):
			second = i
		}
	}
	return first, second
}

// A rewinder reads the records of a log from its end.
type rewinder struct {
	parts  []part
	reader *parser

	// Of the record that it is at.
	at   int     // its part
	line int64   // where it begins there
	time float64 // its time, or that of the one behind it if it has none
	done bool    // there is none any more

	// Of the earliest record that is wanted.
	from  int
	start int64

	lines bool      // it met something that is not a record
	left  int       // parts that have not been gone through
	end   int64     // of what has not been looked at in the one under way
	block []byte    // what was read behind that, and not gone through
	tail  backwards // a line whose end has been seen, but not its beginning
}

// newRewinder returns a rewinder at the end of a log.
func newRewinder(parts []part, reader *parser) *rewinder {
	last := len(parts)
	return &rewinder{parts: parts, reader: reader, time: math.Inf(1), from: last, left: last, end: parts[last-1].end}
}

// previous goes to the record before.
func (r *rewinder) previous(ctx context.Context) error {
	for r.left > 0 {
		if cut := bytes.LastIndexByte(r.block, '\n'); cut >= 0 {
			r.tail.prepend(r.block[cut+1:])
			r.block = r.block[:cut]
			if r.take(r.end + int64(cut) + 1) {
				return nil
			}
			continue
		}
		r.tail.prepend(r.block)
		r.block = nil
		if r.end > 0 {
			if err := r.read(ctx); err != nil {
				return err
			}
			continue
		}
		is := r.take(0) // the first line
		if r.left--; r.left > 0 {
			r.end = r.parts[r.left-1].end
		}
		if is {
			return nil
		}
	}
	r.done = true
	return nil
}

// read reads the block before.
func (r *rewinder) read(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	size := min(r.end, blockBytes)
	r.end -= size
	r.block = make([]byte, size)
	if _, err := r.parts[r.left-1].ReadAt(r.block, r.end); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// take goes to the record that the tail is, which begins at start. False means
// that it is none.
func (r *rewinder) take(start int64) bool {
	line := r.tail.line()
	long := r.tail.size > 0 && line == nil
	r.tail = backwards{}
	record, err := r.reader.parse(line)
	if err != nil {
		r.lines = r.lines || long || len(bytes.TrimSpace(line)) > 0
		return false
	}
	r.at, r.line = r.left-1, start
	if timed(record.TS) {
		r.time = record.TS
	}
	return true
}

// timed tells whether a time is one: a record without has 0.
func timed(ts float64) bool { return ts > 0 }

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
