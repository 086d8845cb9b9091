package predlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
)

// Found says what Read found beside the records.
type Found struct {
	Records int
	Bad     int  // whole lines that are not records
	Torn    bool // the last line is half a record, as a crash leaves it
}

const (
	blockBytes = 64 << 10 // read at once
	maxLine    = 8 << 20  // bytes, with its end; a longer line is not a record
)

// Read hands the last n records of a log to each, the oldest first; n = 0 means
// all. A log that was moved aside is part of it. The end is sought, so that the
// cost follows n and not the log's length. Lines that are not records are counted
// and passed over.
func Read(ctx context.Context, path string, n int, each func(*Record) error) (Found, error) {
	files, err := openAll(path)
	if err != nil {
		return Found{}, err
	}
	defer closeAll(files)
	first, start, err := seek(ctx, files, n)
	if err != nil {
		return Found{}, err
	}
	r := &forward{ctx: ctx, most: n, each: each}
	for i, f := range files[first:] {
		if i > 0 {
			start = 0
		}
		if _, err := f.Seek(start, io.SeekStart); err != nil {
			return r.found, err
		}
		if r.found.Torn { // in the middle of the log it is just a bad line
			r.found.Torn = false
			r.found.Bad++
		}
		if err := r.read(f); err != nil {
			return r.found, err
		}
	}
	return r.found, nil
}

// seek returns the file in which the last n records begin, and where in it.
func seek(ctx context.Context, files []*os.File, n int) (first int, start int64, err error) {
	if n == 0 {
		return 0, 0, nil
	}
	for i, f := range slices.Backward(files) {
		var left int
		if start, left, err = startOfLast(ctx, f, n); err != nil || left == 0 {
			return i, start, err
		}
		n = left
	}
	return 0, 0, nil
}

// forward reads records from files one after another.
type forward struct {
	ctx   context.Context
	most  int // stop before the record after these, written since the start was sought; 0: all
	each  func(*Record) error
	found Found
}

// read reads the records of a file from here on.
func (r *forward) read(f io.Reader) error {
	in := bufio.NewReaderSize(f, blockBytes)
	var long []byte // a line longer than the reader's buffer
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if len(long) <= maxLine {
				long = append(long, line...)
			}
			continue
		}
		if err != nil && err != io.EOF {
			return err
		}
		if len(long) > 0 {
			line, long = append(long, line...), nil
		}
		if len(bytes.TrimSpace(line)) > 0 {
			record, parseErr := Parse(line)
			switch {
			case parseErr == nil && len(line) <= maxLine:
				if r.most > 0 && r.found.Records == r.most {
					return nil
				}
				r.found.Records++
				if err := errors.Join(r.ctx.Err(), r.each(record)); err != nil {
					return err
				}
			case err == io.EOF:
				r.found.Torn = true
			default:
				r.found.Bad++
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// startOfLast returns where the last n records of a file begin, or 0 and how
// many there are less than that.
func startOfLast(ctx context.Context, f *os.File, n int) (start int64, left int, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	end := info.Size() // of what has not been looked at
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
			if isRecord(tail.line()) {
				if n--; n == 0 {
					return end + int64(cut) + 1, 0, nil
				}
			}
			tail = backwards{}
			block = block[:cut]
		}
		tail.prepend(block)
	}
	if isRecord(tail.line()) { // the first line
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

func (b *backwards) line() []byte {
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
func isRecord(line []byte) bool {
	if len(line) >= maxLine { // with its end it is longer
		return false
	}
	_, err := Parse(line)
	return err == nil
}
