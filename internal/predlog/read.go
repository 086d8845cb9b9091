package predlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Found counts what was read.
type Found struct {
	Records   int
	Malformed int      // complete lines that are not records
	Truncated bool     // the last line is half a record, as a crash leaves it
	Skipped   []string // which files are no logs, or were not read, or not to their end
}

// then adds what was read after f.
func (f *Found) then(next Found) {
	if f.Truncated { // in the middle of the log it is a malformed line
		f.Malformed++
	}
	f.Records += next.Records
	f.Malformed += next.Malformed
	f.Truncated = next.Truncated
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
