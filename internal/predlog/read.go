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
// all. The end of the file is sought, so that the cost follows n and not the
// file's length. Lines that are not records are counted and passed over.
func Read(ctx context.Context, path string, n int, each func(*Record) error) (Found, error) {
	f, err := os.Open(path)
	if err != nil {
		return Found{}, err
	}
	defer f.Close()
	var start int64
	if n > 0 {
		if start, err = startOfLast(ctx, f, n); err != nil {
			return Found{}, err
		}
	}
	if _, err := f.Seek(start, io.SeekStart); err != nil {
		return Found{}, err
	}
	return forward(ctx, f, n, each)
}

// forward reads lines from here on, and stops before the record after the n-th,
// unless n is 0: it was written since the start was sought.
func forward(ctx context.Context, r io.Reader, n int, each func(*Record) error) (Found, error) {
	var found Found
	in := bufio.NewReaderSize(r, blockBytes)
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
			return found, err
		}
		if len(long) > 0 {
			line, long = append(long, line...), nil
		}
		if len(bytes.TrimSpace(line)) > 0 {
			record, parseErr := Parse(line)
			switch {
			case parseErr == nil && len(line) <= maxLine:
				if n > 0 && found.Records == n {
					return found, nil
				}
				found.Records++
				if err := errors.Join(ctx.Err(), each(record)); err != nil {
					return found, err
				}
			case err == io.EOF:
				found.Torn = true
			default:
				found.Bad++
			}
		}
		if err == io.EOF {
			return found, nil
		}
	}
}

// startOfLast returns where the last n records begin, or 0 if there are fewer.
func startOfLast(ctx context.Context, f *os.File, n int) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end := info.Size() // of what has not been looked at
	var tail backwards // a line whose end has been seen, but not its beginning
	for end > 0 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		size := min(end, blockBytes)
		block := make([]byte, size)
		if _, err := f.ReadAt(block, end-size); err != nil && err != io.EOF {
			return 0, err
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
					return end + int64(cut) + 1, nil
				}
			}
			tail = backwards{}
			block = block[:cut]
		}
		tail.prepend(block)
	}
	return 0, nil
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
