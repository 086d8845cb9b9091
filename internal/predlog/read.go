package predlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
)

// Found says what Read found beside the records.
type Found struct {
	Records int
	Bad     int  // whole lines that are not records
	Torn    bool // the last line is half a record, as a crash leaves it
}

const (
	blockBytes = 64 << 10 // read at once
	maxLine    = 8 << 20  // a longer line is not a record
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

// forward reads lines from here on, and stops after n records unless n is 0:
// those after them were written since the start was sought.
func forward(ctx context.Context, r io.Reader, n int, each func(*Record) error) (Found, error) {
	var found Found
	in := bufio.NewReaderSize(r, blockBytes)
	var long []byte // a line longer than the reader's buffer
	for n == 0 || found.Records < n {
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
			break
		}
	}
	return found, nil
}

// startOfLast returns where the last n records begin, or 0 if there are fewer.
func startOfLast(ctx context.Context, f *os.File, n int) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end := info.Size() // of what has not been looked at
	var tail []byte    // the beginning of a line whose end has been seen, read so far
	overlong := false  // tail was dropped
	for end > 0 && n > 0 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		size := min(end, blockBytes)
		block := make([]byte, size, int(size)+len(tail))
		if _, err := f.ReadAt(block, end-size); err != nil && err != io.EOF {
			return 0, err
		}
		block = append(block, tail...)
		end -= size
		for {
			cut := bytes.LastIndexByte(block, '\n')
			if cut < 0 {
				break
			}
			if !overlong && isRecord(block[cut+1:]) {
				if n--; n == 0 {
					return end + int64(cut) + 1, nil
				}
			}
			overlong = false
			block = block[:cut]
		}
		if tail = block; len(tail) > maxLine {
			tail, overlong = nil, true
		}
	}
	return 0, nil
}

func isRecord(line []byte) bool {
	_, err := Parse(line)
	return err == nil
}
