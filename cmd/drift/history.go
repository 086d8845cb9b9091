package main

import (
	"context"
	"math"

	"churn/internal/drift"
	"churn/internal/predlog"
)

const (
	pageWindows = 20   // on a page: enough to see a trend
	maxWindows  = 1000 // more would be too narrow to see
)

// readHistory compares each of the last windows of the log with the references,
// the oldest first. A window has as many records as the one that the verdict is
// about; with all of the log in that, the log is cut into so many windows, of which
// the first may be smaller. Windows of fewer than o.minRows are left out. The log
// is read again: what was appended since the verdict is in the last window.
func readHistory(ctx context.Context, o options, refs *references, w *window) ([]drift.Outcome, error) {
	size, total := o.last, w.found.Records
	if o.last == 0 {
		size = max((total+o.windows-1)/o.windows, o.minRows)
	} else {
		total = o.last * o.windows
		if total/o.windows != o.last {
			total = math.MaxInt
		}
		// How many there are says where the first window begins, so that the last one is whole.
		found, err := predlog.Fold[struct{}]{
			New:   func() struct{} { return struct{}{} },
			Add:   func(struct{}, *predlog.Record) {},
			Merge: func(struct{}) error { return nil },
		}.Read(ctx, w.logs, total)
		if err != nil {
			return nil, err
		}
		total = found.Records
	}
	outcomes, stretch := []drift.Outcome{}, newStretch(refs)
	left := total
	_, err := predlog.Read(ctx, w.logs, total, func(r *predlog.Record) error {
		stretch.add(r)
		if left--; left%size == 0 {
			if stretch.records >= o.minRows {
				outcomes = append(outcomes, stretch.outcome(o))
			}
			stretch = newStretch(refs)
		}
		return nil
	})
	return outcomes, err
}

// stretch is a window of the log on the way to its outcome.
type stretch struct {
	*sample
	records, called int
	from, to        float64
}

func newStretch(refs *references) *stretch {
	return &stretch{sample: newSample(refs), from: math.Inf(1), to: math.Inf(-1)}
}

func (s *stretch) add(r *predlog.Record) {
	s.sample.add(r)
	s.records++
	s.called += r.Prediction
	s.from, s.to = min(s.from, r.TS), max(s.to, r.TS)
}

func (s *stretch) outcome(o options) drift.Outcome {
	columns, _ := enough(s.columns, o.minRows)
	checks, _ := drift.Compare(columns)
	out := drift.Outcome{From: s.from, To: s.to, Records: s.records, Checks: len(checks), CalledShare: float64(s.called) / float64(s.records)}
	for _, c := range checks {
		switch c.Level {
		case drift.Watch:
			out.Watches++
		case drift.Alert:
			out.Alerts++
		}
	}
	if len(checks) > 0 {
		out.AlertShare = float64(out.Alerts) / float64(len(checks))
	}
	if s.byModel.Rows > 0 {
		mean := s.byModel.Estimates().PositiveRate.Value
		out.MeanProbability = &mean
	}
	return out
}
