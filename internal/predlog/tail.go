package predlog

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"math"
	"slices"
)

const chunkBytes = 64 << 10 // read at once from the end: a few hundred records

// seek moves the start of the segments to the last n records of all logs; n = 0 means all.
// Earlier segments become empty. It returns the first file that has lines and no record, if
// there are several logs.
//
// It takes the latest of the last remaining records of all logs, again and again, so a clock
// that was ahead for a while hides no other log's records.
func seek(ctx context.Context, logs [][]segment, n int) (notALog string, err error) {
	if n == 0 {
		return "", nil
	}
	var reader parser
	ends := make([]*reverseReader, len(logs))
	for i, segments := range logs {
		ends[i] = newReverseReader(segments, &reader)
		if err := ends[i].previous(ctx); err != nil {
			return "", err
		}
		if len(logs) > 1 && notALog == "" && ends[i].done && ends[i].lines {
			notALog = segments[len(segments)-1].Name()
		}
	}
	later := func(i, j int) bool { return cmp.Or(cmp.Compare(ends[i].time, ends[j].time), i-j) > 0 }
	for n > 0 {
		at, next := firstTwo(ends, func(r *reverseReader) bool { return !r.done }, later)
		if at < 0 {
			return notALog, nil // fewer than n: read all
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
		for i := range r.segments {
			switch p := &r.segments[i]; {
			case i < r.from:
				p.start = p.end
			case i == r.from:
				p.start = r.start
			}
		}
	}
	return notALog, nil
}

// firstTwo returns the indices of the two heads that come before all others, among those
// that count; -1 without one.
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

// A reverseReader reads the records of a log backwards.
type reverseReader struct {
	segments []segment
	reader   *parser

	// Of the current record.
	at   int     // its segment
	line int64   // its offset there
	time float64 // its time, or that of the one behind it
	done bool    // there is no record left

	// Of the earliest record that was taken.
	from  int
	start int64

	lines bool   // there was a line that is not a record
	left  int    // segments that are not read completely
	end   int64  // of the unread rest of the last of them
	block []byte // read from there, and not parsed
	tail  suffix // of the line that it ends in
}

// newReverseReader returns a reader at the end of a log.
func newReverseReader(segments []segment, reader *parser) *reverseReader {
	last := len(segments)
	return &reverseReader{segments: segments, reader: reader, time: math.Inf(1), from: last, left: last, end: segments[last-1].end}
}

// previous moves to the record before.
func (r *reverseReader) previous(ctx context.Context) error {
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
			r.end = r.segments[r.left-1].end
		}
		if is {
			return nil
		}
	}
	r.done = true
	return nil
}

// read reads the bytes before.
func (r *reverseReader) read(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	size := min(r.end, chunkBytes)
	r.end -= size
	r.block = make([]byte, size)
	if _, err := r.segments[r.left-1].ReadAt(r.block, r.end); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// take makes the tail, which begins at start, the current record. It returns false if it is
// not one.
func (r *reverseReader) take(start int64) bool {
	line := r.tail.line()
	long := r.tail.size > 0 && line == nil
	r.tail = suffix{}
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

// timed reports whether a record has a time: without it is 0.
func timed(ts float64) bool { return ts > 0 }

// A suffix is the end of a line that is read backwards. One that is too long for a record is
// not kept.
type suffix struct {
	pieces [][]byte // the last one first
	size   int
}

func (b *suffix) prepend(piece []byte) {
	b.size += len(piece)
	if b.size > maxLine {
		b.pieces = nil
		return
	}
	b.pieces = append(b.pieces, piece)
}

// line returns the line, or nil if it was not kept.
func (b *suffix) line() []byte {
	if b.pieces == nil {
		return nil
	}
	if len(b.pieces) == 1 {
		return b.pieces[0]
	}
	line := make([]byte, 0, b.size)
	for _, piece := range slices.Backward(b.pieces) {
		line = append(line, piece...)
	}
	return line
}

// isRecord reports whether a line, without its line end, is a record.
func isRecord(line []byte) bool { return new(parser).isRecord(line) }

func (p *parser) isRecord(line []byte) bool {
	_, err := p.parse(line)
	return err == nil
}
