package predlog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"

	"churn/internal/pipeline"
)

// A Fold adds up the records of logs on all processors. It finds what Read finds.
//
// The logs, read as one, are cut into chunks of about a megabyte. The records of each are
// added to a value of its own, and the values are merged in the log's order. The chunks
// depend only on the logs and n, so the result is the same to the last bit on any number of
// processors.
type Fold[T any] struct {
	New      func() T          // the value of no records
	Add      func(T, *Record)  // on many goroutines; the record and its features are valid until Add returns
	Merge    func(T) error     // on the caller's goroutine; its error ends Read
	Progress func(bytes int64) // on the caller's goroutine: how much of the logs' Size was read; may be nil
	IDs      bool              // parse request ids, which costs an allocation each

	chunkSize int // bytes; 0: chunkBytes
}

const (
	chunkBytes = 1 << 20 // of a chunk: a millisecond's work
	maxWorkers = 8       // reading the file is no faster, and each has chunks in memory
)

// A job is a chunk and what was found in it.
type job[T any] struct {
	lines []byte // complete ones
	end   int64  // bytes of the logs that were read
	value T
	found Found // without what cutter has found
}

// Read adds up the last n records of logs; n = 0 means all.
func (f Fold[T]) Read(ctx context.Context, logs Logs, n int) (found Found, err error) {
	open, err := logs.open()
	if err != nil {
		return found, err
	}
	defer open.close()
	if err := seek(ctx, open.logs, n); err != nil {
		return found, err
	}
	workers := min(runtime.GOMAXPROCS(0), maxWorkers)
	cut := cutter{size: cmp.Or(f.chunkSize, chunkBytes)}
	next, stop := iter.Pull2(func(yield func([]byte, int64) bool) { cut.err = cut.merge(ctx, open.logs, yield) })
	defer stop()
	parsers := make([]parser, workers)
	for k := range parsers {
		parsers[k].ids = f.IDs
	}
	err = pipeline.Run(ctx, workers,
		func(j *job[T]) error {
			var more bool
			cut.spare = j.lines
			if j.lines, j.end, more = next(); !more {
				return cmp.Or(cut.err, io.EOF)
			}
			return nil
		},
		func(worker int, j *job[T]) {
			j.value = f.New()
			j.found = parsers[worker].lines(j.lines, func(r *Record) { f.Add(j.value, r) })
		},
		func(j *job[T]) error {
			found.Records += j.found.Records
			found.Malformed += j.found.Malformed
			if err := f.Merge(j.value); err != nil {
				return err
			}
			if f.Progress != nil {
				f.Progress(j.end)
			}
			return nil
		})
	if err != nil {
		return found, err
	}
	found.Malformed += cut.found.Malformed
	found.Truncated = cut.found.Truncated
	found.Skipped = open.skipped
	return found, nil
}

// lines calls each with the records of a chunk.
func (p *parser) lines(b []byte, each func(*Record)) (found Found) {
	for line := range bytes.Lines(b) {
		if r, err := p.parse(line); err == nil {
			found.Records++
			each(r)
		} else if len(bytes.TrimSpace(line)) > 0 {
			found.Malformed++
		}
	}
	return found
}

// Found counts what was read.
type Found struct {
	Records   int
	Malformed int      // complete lines that are not records
	Truncated bool     // the last line is half a record, as a crash leaves it
	Skipped   []string // which files are no logs, or were not read, or not to their end
}

// Warnings returns anomalies of the logs in words.
func (f Found) Warnings(logs Logs) (out []string) {
	if f.Malformed > 0 {
		out = append(out, fmt.Sprintf("%s: %d of the lines read are not records and were skipped", logs, f.Malformed))
	}
	out = append(out, f.Skipped...)
	if f.Truncated {
		out = append(out,
			fmt.Sprintf("%s: the last line is truncated and was skipped: serve repairs it when it starts", logs))
	}
	return out
}

const maxLine = 8 << 20 // bytes, with its end; a longer line is not a record

// Read calls each with the last n records of logs, the oldest first; n = 0 means all. It
// seeks from the end, so that the cost depends on n and not on the logs' length. Lines that
// are not records are counted and skipped. Records written after the call are not read.
func Read(ctx context.Context, logs Logs, n int, each func(*Record) error) (Found, error) {
	return Fold[*[]Record]{
		New: func() *[]Record { return new([]Record) },
		Add: func(records *[]Record, r *Record) {
			kept := *r
			kept.Features = slices.Clone(r.Features)
			*records = append(*records, kept)
		},
		Merge: func(records *[]Record) error {
			for i := range *records {
				if err := errors.Join(ctx.Err(), each(&(*records)[i])); err != nil {
					return err
				}
			}
			return nil
		},
		IDs: true,
	}.Read(ctx, logs, n)
}
