package predlog

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math"
)

// A cutter reads logs as one and cuts it into chunks.
type cutter struct {
	size  int    // bytes of a chunk, unless a line is longer
	spare []byte // buffer to reuse, or nil
	pos   int64  // bytes of files read, in all logs
	found Found  // what is not in the chunks
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

// merge cuts logs, of which there is at least one, into chunks, in order of time. Truncated lines and
// lines that are too long are found, but not in the chunks. yield gets a chunk, and how many bytes of
// the logs were read.
func (c *cutter) merge(ctx context.Context, logs [][]*part, yield func([]byte, int64) bool) error {
	heads := make([]*stream, len(logs))
	for i, parts := range logs {
		for _, p := range parts {
			c.pos += p.before()
		}
		heads[i] = &stream{parts: parts, alone: len(logs) == 1, time: math.Inf(-1), found: &c.found, pos: &c.pos}
		if err := heads[i].next(ctx); err != nil {
			return err
		}
	}
	merged := c.buffer()
	for {
		var s *stream // the one whose line comes first
		for _, other := range heads {
			if other.line != nil && (s == nil || other.time < s.time) {
				s = other
			}
		}
		if s == nil {
			return c.send(ctx, merged, yield)
		}
		if len(merged) > 0 && len(merged)+len(s.line) > c.size {
			if err := c.send(ctx, merged, yield); err != nil {
				return err
			}
			merged = c.buffer()
		}
		merged = append(merged, s.line...)
		if err := s.next(ctx); err != nil {
			return err
		}
	}
}

func (c *cutter) send(ctx context.Context, merged []byte, yield func([]byte, int64) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !yield(merged, c.pos) {
		return context.Canceled
	}
	return nil
}

// A stream is the lines of a log, one after another, with their times.
type stream struct {
	parts []*part
	alone bool          // there is no other log: the times do not matter
	at    int           // the current one
	in    *bufio.Reader // of it; nil: not opened

	line []byte  // with its end, valid until next; nil at the end of the log
	time float64 // its own, or that of the line before
	done int64   // bytes of lines read
	pos  *int64  // bytes of files read, in all logs

	reader parser
	found  *Found
}

const streamBytes = 64 << 10 // buffer of each log

// next reads the next line.
func (s *stream) next(ctx context.Context) error {
	for s.at < len(s.parts) {
		if s.in == nil {
			p := s.parts[s.at]
			if p.start == p.end {
				s.at++
				continue
			}
			s.in = bufio.NewReaderSize(p.reader(s.pos), streamBytes)
		}
		line, complete, err := s.read(ctx)
		if err != nil {
			return err
		}
		if !complete {
			s.in = nil
			s.at++
		}
		if s.take(line, complete) {
			return nil
		}
	}
	s.line = nil
	return nil
}

// read reads a line; it is not complete if the file ends before it. Of a line that is too long
// for a record it returns a beginning that is too long.
func (s *stream) read(ctx context.Context) (line []byte, complete bool, err error) {
	for {
		piece, err := s.in.ReadSlice('\n')
		s.done += int64(len(piece))
		if err != nil && err != bufio.ErrBufferFull && err != io.EOF {
			return nil, false, err
		}
		switch {
		case line == nil && err != bufio.ErrBufferFull:
			line = piece
		case ctx.Err() != nil: // the line may be endless
			return nil, false, ctx.Err()
		case len(line) <= maxLine:
			line = append(line, piece...)
		}
		if err != bufio.ErrBufferFull {
			return line, err == nil, nil
		}
	}
}

// take makes a line the current one. It returns false if the line is not for a chunk.
func (s *stream) take(line []byte, complete bool) bool {
	whole := complete && len(line) <= maxLine
	ts, record := 0.0, whole && s.alone // whatever it is, the chunk's reader finds out
	if whole && !record {
		ts, record = lineTime(line)
	}
	if !record && len(line) <= maxLine {
		if r, err := s.reader.parse(line); err == nil {
			ts, record = r.TS, true
		}
	}
	if !record && !whole {
		switch {
		case len(bytes.TrimSpace(line)) == 0:
		case !complete && s.at == len(s.parts): // of the last file
			s.found.Truncated = true
		default:
			s.found.Malformed++
		}
		return false
	}
	if hasTime(ts) {
		s.time = ts
	}
	if s.line = line; !complete {
		s.line = append(line[:len(line):len(line)], '\n')
	}
	return true
}

// lineTime returns the time in a line that Append wrote, at a fraction of the cost of
// parsing it. No text in a record can contain what it searches for.
func lineTime(line []byte) (ts float64, found bool) {
	at := bytes.LastIndex(line, []byte(timeHead))
	if at < 0 {
		return 0, false
	}
	c := cursor{left: line[at+len(timeHead):]}
	ts = c.number()
	c.skip(`,"threshold":`)
	return ts, !c.lost
}

const timeHead = `},"ts":`
