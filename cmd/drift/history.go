package main

import (
	"context"
	"math"
	"slices"

	"churn/internal/drift"
	"churn/internal/predlog"
)

const (
	pageWindows = 20   // on a page: enough to see a trend
	maxWindows  = 1000 // more would be too narrow to see
)

// readHistory compares each of the last windows of the log with the
// references, the oldest first. A window has as many records as that of the verdict.
// If that is the whole log, the log is cut into so many windows, of which the first
// may be smaller. Windows of fewer than o.minRows are left out. The log is read again:
// what was appended since the verdict is in the last window.
func readHistory(
	ctx context.Context, o options, refs *references, w *window, windows int,
) ([]drift.WindowSummary, error) {
	size, total := o.last, w.found.Records+w.leftOut
	if o.last == 0 {
		size = max((total+windows-1)/windows, o.minRows)
	} else {
		total = o.last * windows
		if total/windows != o.last {
			total = math.MaxInt
		}
		// The number of records says where the first window begins, so that the last one is whole.
		found, err := predlog.Fold[struct{}]{ // counts on all cores, and copies no records
			New:   func() struct{} { return struct{}{} },
			Add:   func(struct{}, *predlog.Record) {},
			Merge: func(struct{}) error { return nil },
		}.Read(ctx, w.logs, total)
		if err != nil {
			return nil, err
		}
		total = found.Records
	}
	summaries, current := []drift.WindowSummary{}, newSample(refs)
	left := total
	_, err := predlog.Read(ctx, w.logs, total, func(r *predlog.Record) error {
		current.add(r, o.earliest)
		if left--; left%size == 0 {
			if current.records >= o.minRows {
				summaries = append(summaries, current.summary(o.minRows))
			}
			current = newSample(refs)
		}
		return nil
	})
	return summaries, err
}

func (s *sample) summary(minRows int) drift.WindowSummary {
	columns := slices.DeleteFunc(s.columns, func(c drift.Column) bool { return c.Rows() < minRows })
	checks, _ := drift.Compare(columns, s.pairs)
	out := drift.WindowSummary{
		From: s.from, To: s.to, Records: s.records, PositiveShare: float64(s.positive) / float64(s.records),
	}
	out.Count(checks)
	if s.byModel.Rows > 0 {
		out.MeanProbability = new(s.byModel.Estimates(nil).PositiveRate.Value)
	}
	return out
}
