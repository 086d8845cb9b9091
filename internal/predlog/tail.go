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

// seek moves the start of the segments to the last n records of all logs; n = 0 means all.
// Earlier segments become empty. It returns the first file that has lines and no record, if
// there are several logs.
//
// It takes the latest of the last remaining records of all logs, one by one, so a clock
// that was ahead for a while hides no other log's records.
func seek(ctx context.Context, logs [][]segment, n int) (notALog string, err error) {
	if n == 0 {
		return "", nil
	}
	var p parser
	ends := make([]*reverseLog, len(logs))
	for i, segments := range logs {
		ends[i] = newReverseLog(segments, &p)
		if err := ends[i].previous(ctx); err != nil {
			return "", err
		}
		if len(logs) > 1 && notALog == "" && ends[i].done && ends[i].bad {
			notALog = segments[len(segments)-1].Name()
		}
	}
	later := func(i, j int) bool { return cmp.Or(cmp.Compare(ends[i].time, ends[j].time), i-j) > 0 }
	for n > 0 {
		at, next := firstTwo(ends, func(r *reverseLog) bool { return !r.done }, later)
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

// A reverseLog reads the records of a log backwards.
type reverseLog struct {
	segments []segment
	parser   *parser

	// Of the current record.
	at   int     // its segment
	line int64   // its offset there
	time float64 // its time, or that of the one behind it
	done bool    // there is no record left

	// Of the earliest record that was taken.
	from  int
	start int64

	bad  bool          // there was a line that is not a record
	left int           // segments that are not read completely
	last reverseReader // of them
}

// newReverseLog returns a reader at the end of a log.
func newReverseLog(segments []segment, p *parser) *reverseLog {
	r := &reverseLog{segments: segments, parser: p, time: math.Inf(1), from: len(segments), left: len(segments) + 1}
	r.nextSegment()
	return r
}

// nextSegment continues at the end of the segment before.
func (r *reverseLog) nextSegment() {
	if r.left--; r.left > 0 {
		s := r.segments[r.left-1]
		r.last = reverseReader{file: s, end: s.end}
	}
}

// previous moves to the record before.
func (r *reverseLog) previous(ctx context.Context) error {
	for r.left > 0 {
		line, start, err := r.last.previous(ctx)
		if err != nil {
			return err
		}
		at := r.left - 1
		if start == 0 { // the first line
			r.nextSegment()
		}
		if record, err := r.parser.parse(line); err == nil {
			r.at, r.line = at, start
			if timed(record.TS) {
				r.time = record.TS
			}
			return nil
		}
		r.bad = r.bad || len(bytes.TrimSpace(line)) > 0
	}
	r.done = true
	return nil
}

// timed reports whether a record has a time: without it is 0.
func timed(ts float64) bool { return ts > 0 }

// A reverseReader reads the lines of a file backwards.
type reverseReader struct {
	file  io.ReaderAt
	end   int64  // of the unread rest
	block []byte // read from there, and not returned
}

// previous returns the line before, without its line end, and its offset, which is 0 for the
// first line of the file. After that it must not be called. In place of a line that is too
// long for a record it returns tooLong.
func (r *reverseReader) previous(ctx context.Context) (line []byte, start int64, err error) {
	var pieces [][]byte // of the line, the last one first
	size := 0
	for {
		cut := bytes.LastIndexByte(r.block, '\n')
		pieces = append(pieces, r.block[cut+1:])
		if size += len(r.block) - cut - 1; size > maxLine {
			pieces = [][]byte{tooLong}
		}
		r.block = r.block[:max(cut, 0)]
		if cut >= 0 || r.end == 0 {
			if len(pieces) == 1 {
				return pieces[0], r.end + int64(cut) + 1, nil
			}
			slices.Reverse(pieces)
			return bytes.Join(pieces, nil), r.end + int64(cut) + 1, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		r.block = make([]byte, min(r.end, blockBytes))
		r.end -= int64(len(r.block))
		if _, err := r.file.ReadAt(r.block, r.end); err != nil && err != io.EOF {
			return nil, 0, err
		}
	}
}

var tooLong = []byte("not a record")
