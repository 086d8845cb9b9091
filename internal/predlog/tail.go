package predlog

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math"
	"slices"
)

const blockBytes = 64 << 10 // read at once from the end: a few hundred records

// seek sets the start of the parts so that the newest n records of all logs remain; n = 0
// means all. Earlier parts become empty.
//
// It merges the logs backwards by time: each step takes the newest of the logs' last
// remaining records. As only those are compared, a clock that was ahead for a while in one
// log hides no records of another.
func seek(ctx context.Context, logs [][]*part, n int) error {
	if n == 0 {
		return nil
	}
	var p parser
	ends := make([]*reverseLog, len(logs))
	for i, parts := range logs {
		ends[i] = newReverseLog(parts, &p)
		if err := ends[i].previousRecord(ctx); err != nil {
			return err
		}
	}
	for ; n > 0; n-- {
		var r *reverseLog // the one whose record comes last
		for _, other := range ends {
			if !other.done && (r == nil || other.time >= r.time) {
				r = other
			}
		}
		if r == nil {
			return nil // fewer than n: read all
		}
		r.firstTaken, r.firstOffset = r.part, r.offset
		if n > 1 {
			if err := r.previousRecord(ctx); err != nil {
				return err
			}
		}
	}
	for _, r := range ends {
		for i, part := range r.parts {
			switch {
			case i < r.firstTaken:
				part.start = part.end
			case i == r.firstTaken:
				part.start = r.firstOffset
			}
		}
	}
	return nil
}

// A reverseLog reads the records of a log backwards.
type reverseLog struct {
	parts  []*part
	parser *parser

	part   int     // index of the current record's part
	offset int64   // of the current record in its part
	time   float64 // of the current record; if it has none, of the record that follows in the file
	done   bool    // there is no record left

	firstTaken  int   // index of the part of the earliest record that was taken
	firstOffset int64 // of that record

	left  int           // number of parts that are not read completely
	lines reverseReader // of parts[left-1]
	index []position    // if that is compressed: its last records that were not returned
}

// A position is where a record begins, and its time.
type position struct {
	offset int64
	time   float64
}

// newReverseLog returns a reader at the end of a log.
func newReverseLog(parts []*part, p *parser) *reverseLog {
	r := &reverseLog{parts: parts, parser: p, time: math.Inf(1), firstTaken: len(parts), left: len(parts) + 1}
	r.nextPart()
	return r
}

// nextPart continues at the end of the preceding part.
func (r *reverseLog) nextPart() {
	if r.left--; r.left > 0 {
		p := r.parts[r.left-1]
		r.lines, r.index = reverseReader{file: p, end: p.end}, nil
	}
}

// previousRecord moves to the preceding record.
func (r *reverseLog) previousRecord(ctx context.Context) error {
	for r.left > 0 {
		if r.parts[r.left-1].text != nil {
			if found, err := r.previousIndexed(ctx); found || err != nil {
				return err
			}
			r.nextPart()
			continue
		}
		line, start, err := r.lines.previousLine(ctx)
		if err != nil {
			return err
		}
		part := r.left - 1
		if start == 0 { // the first line
			r.nextPart()
		}
		if record, err := r.parser.parse(line); err == nil {
			r.moveTo(part, start, record.TS)
			return nil
		}
	}
	r.done = true
	return nil
}

func (r *reverseLog) moveTo(part int, offset int64, ts float64) {
	r.part, r.offset = part, offset
	if hasTime(ts) {
		r.time = ts
	}
}

// previousIndexed moves to the preceding record of a compressed part, if there is one.
func (r *reverseLog) previousIndexed(ctx context.Context) (bool, error) {
	if len(r.index) == 0 && r.lines.end > 0 {
		if err := r.indexTo(ctx, r.lines.end); err != nil {
			return false, err
		}
	}
	last := len(r.index) - 1
	if last < 0 {
		return false, nil
	}
	at := r.index[last]
	r.index, r.lines.end = r.index[:last], at.offset
	r.moveTo(r.left-1, at.offset, at.time)
	return true, nil
}

const maxIndex = 1 << 18 // records: 4 to 8 MiB; a part that has more is decompressed again for those before

// indexTo makes the index of the records before an offset. A compressed file is only read
// forwards, and a line takes far more memory than its position.
func (r *reverseLog) indexTo(ctx context.Context, end int64) error {
	in := stream{in: bufio.NewReaderSize(r.parts[r.left-1].reader(new(int64)), streamBytes)}
	for complete := true; complete && in.done < end && ctx.Err() == nil; {
		start := in.done
		var line []byte
		var err error
		if line, complete, err = in.read(ctx); err != nil {
			return err
		}
		record, err := r.parser.parse(line)
		if err != nil {
			continue
		}
		if len(r.index) == 2*maxIndex {
			r.index = append(r.index[:0], r.index[maxIndex:]...)
		}
		r.index = append(r.index, position{start, record.TS})
	}
	return ctx.Err()
}

// hasTime reports whether ts is a time. A record without one is parsed as 0.
func hasTime(ts float64) bool { return ts > 0 }

// A reverseReader reads the lines of a file backwards.
type reverseReader struct {
	file  io.ReaderAt
	end   int64  // offset up to which the file is not read
	block []byte // the bytes from end on that were read, but not returned
}

// previousLine returns the preceding line, without its line end, and its offset, which is 0
// for the first line of the file. After that it must not be called. Instead of a line that is
// too long for a record it returns tooLong.
func (r *reverseReader) previousLine(ctx context.Context) (line []byte, start int64, err error) {
	var pieces [][]byte // of the line, last one first
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

var tooLong = []byte("not a record") // which does not parse
