package predlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Found says what was found beside the records.
type Found struct {
	Records int
	Bad     int  // whole lines that are not records
	Torn    bool // the last line is half a record, as a crash leaves it
	// Strange is the first of several logs that has lines but no record among those
	// that were looked at: it is none of ours, probably. "" if there is none.
	Strange string
}

// then counts what was found behind f.
func (f *Found) then(next Found) {
	if f.Torn { // in the middle of the log it is just a bad line
		f.Bad++
	}
	f.Records += next.Records
	f.Bad += next.Bad
	f.Torn = next.Torn
}

// Warnings puts what is odd about logs in words.
func (f Found) Warnings(logs Logs) (out []string) {
	if f.Bad > 0 {
		out = append(out, fmt.Sprintf("%s: %d of the lines looked at are not records and were passed over", logs, f.Bad))
	}
	if f.Strange != "" {
		out = append(out, f.Strange+": no line of it is a record: if it is no log of predictions, call it something else")
	}
	if f.Torn {
		out = append(out, fmt.Sprintf("%s: the last line is half a record and was passed over: serve repairs it when it starts", logs))
	}
	return out
}

const maxLine = 8 << 20 // bytes, with its end; a longer line is not a record

// Read hands the last n records of logs to each, the oldest first; n = 0 means
// all. The ends are sought, so that the cost follows n and not the logs' length.
// Lines that are not records are counted and passed over. What is written after
// the call is left out.
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
