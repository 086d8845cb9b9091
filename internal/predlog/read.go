package predlog

import (
	"context"
	"errors"
	"slices"
)

// Found says what was found beside the records.
type Found struct {
	Records int
	Bad     int  // whole lines that are not records
	Torn    bool // the last line is half a record, as a crash leaves it
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

const maxLine = 8 << 20 // bytes, with its end; a longer line is not a record

// Read hands the last n records of a log to each, the oldest first; n = 0 means
// all. A log that was moved aside is part of it. The end is sought, so that the
// cost follows n and not the log's length. Lines that are not records are counted
// and passed over. What is written after the call is left out.
func Read(ctx context.Context, path string, n int, each func(*Record) error) (Found, error) {
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
	}.Read(ctx, path, n)
}

// Size returns the bytes of a log, those that were moved aside included.
func Size(path string) (int64, error) {
	parts, err := openAll(path)
	if err != nil {
		return 0, err
	}
	defer closeAll(parts)
	var size int64
	for _, p := range parts {
		size += p.end
	}
	return size, nil
}
