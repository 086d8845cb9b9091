package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"

	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/metric"
	"churn/internal/predlog"
	"churn/internal/progress"
)

// mostIDs is how many request ids are held in memory. In longer windows repeated ones are not looked for.
const mostIDs = 100_000

// window is the records that the verdict is about, tallied.
type window struct {
	name  string // of their log or table
	logs  predlog.Logs
	found predlog.Found
	*sample
}

// readWindow tallies the last records of the log.
func readWindow(ctx context.Context, o options, refs *references, stderr io.Writer) (*window, error) {
	fresh := func() *sample {
		s := newSample(refs)
		if o.last > 0 && o.last <= mostIDs {
			s.ids = map[string]struct{}{}
		}
		return s
	}
	w := &window{sample: fresh()}
	var err error
	if w.logs, err = predlog.Find(o.dir, o.logs); err != nil {
		return nil, err
	}
	if w.name = w.logs.String(); o.from.Given() {
		w.name = o.from.Name()
	}
	size, err := w.logs.Size()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: nothing has been predicted yet, run serve first", err)
	}
	if err != nil {
		return nil, err
	}
	bar := progress.Bytes(stderr, "reading the log", size)
	defer bar.Finish()
	w.found, err = predlog.Fold[*sample]{
		New:      fresh,
		IDs:      w.ids != nil,
		Add:      func(s *sample, r *predlog.Record) { s.add(r, o.earliest) },
		Merge:    func(s *sample) error { w.merge(s); return nil },
		Progress: bar.Set,
	}.Read(ctx, w.logs, o.last)
	w.found.Records = w.records // those since the time asked for
	return w, err
}

// warnings reports anomalies of the records.
func (w *window) warnings() []string {
	out := w.found.Warnings(predlog.Logs{w.name})
	if w.leftOut > 0 {
		out = append(out, fmt.Sprintf("%d records were left out: their models predict another column than %s", w.leftOut,
			w.refs.modelName))
	}
	if n := w.identified - len(w.ids); n > 0 && n*10 >= w.records {
		out = append(out, fmt.Sprintf("%d of %d records repeat a request_id: chance looks like drift where customers count "+
			"several times: compare --last %d, or keep a log for each list", n, w.records, max(w.records-n, drift.MinRows)))
	}
	for _, name := range w.refs.names {
		if n := w.wrongType[name]; n > 0 {
			out = append(out, fmt.Sprintf("%s: %d values have another type and were skipped", cli.Printable(name), n))
		}
	}
	return out
}

// sample is tallied records: the features of all records, and the probability of those
// that the current model scored.
type sample struct {
	byModel    metric.Expectation // of the records that the current model scored
	means      []drift.Column     // numbers over train_stats.json, for the reference z scores
	columns    []drift.Column     // features, then the probability, over the model's reference
	wrongType  map[string]int
	leftOut    int // records of those
	records    int
	ids        map[string]struct{} // request ids; nil: not looked at
	identified int                 // records with one
	positive   int                 // predicted positive
	from, to   float64             // times of the first and the last record

	gradient *gradient // of byModel; nil if the model does not have the covariance
	refs     *references
	pairs    drift.Pairs // numbers of columns
	all      []*dataset.Tally
	scores   *dataset.Tally // one of all; nil without a model
	features map[string]*feature
}

// feature is what the values of a feature are added to.
type feature struct {
	tallies []*dataset.Tally
	pair    int // position among the numbers of pairs, or -1
}

// newSample returns a sample of no records.
func newSample(refs *references) *sample {
	s := &sample{
		wrongType: map[string]int{}, from: math.Inf(1), to: math.Inf(-1),
		refs: refs, features: map[string]*feature{}, gradient: newGradient(refs),
	}
	if s.gradient != nil {
		s.byModel.Gradient = s.gradient.Gradient
	}
	for _, name := range refs.names {
		stats, reference := refs.stats[name], refs.features[name]
		var live *dataset.Tally
		f := &feature{pair: -1}
		s.features[name] = f
		if reference != nil {
			live = s.tally(reference)
			s.columns = append(s.columns, drift.Column{Name: name, Reference: reference, Live: live})
			f.tallies = append(f.tallies, live)
		}
		if stats == nil || stats.Numbers == nil {
			continue
		}
		if live == nil || reference.Numbers == nil { // else live serves both: a mean does not depend on the bins
			live = s.tally(stats)
			f.tallies = slices.Insert(f.tallies, 0, live)
		}
		s.means = append(s.means, drift.Column{Name: name, Reference: stats, Live: live})
	}
	numbers := refs.names
	if len(refs.correlations) == 0 {
		numbers = nil // there is nothing to compare them with
	}
	s.pairs = drift.Pairs{Reference: refs.correlations, Live: dataset.NewPairs(numbers, refs.features)}
	for i, name := range s.pairs.Live.Names {
		s.features[name].pair = i
	}
	if refs.probability != nil {
		s.scores = s.tally(refs.probability)
		s.columns = append(s.columns, drift.Column{Name: drift.Probability, Reference: refs.probability, Live: s.scores})
	}
	return s
}

func (s *sample) tally(ref *dataset.Summary) *dataset.Tally {
	t := dataset.NewTally(ref)
	s.all = append(s.all, t)
	return t
}

// add tallies a record, unless it is earlier than a time or its model predicts another column.
func (s *sample) add(r *predlog.Record, earliest float64) {
	if r.TS < earliest {
		return
	}
	if s.refs.others[r.ModelVersion] != "" {
		s.leftOut++
		return
	}
	s.records++
	if s.ids != nil && r.RequestID != "" {
		s.identified++
		s.ids[r.RequestID] = struct{}{}
	}
	s.positive += r.Prediction
	s.from, s.to = min(s.from, r.TS), max(s.to, r.TS)
	days := s.refs.days[r.ModelVersion]
	for _, f := range r.Features {
		f.Value.Number += days[f.Name]
		known, fits := s.features[f.Name], true
		if known == nil {
			continue
		}
		for _, t := range known.tallies {
			fits = t.Add(f.Value) && fits
		}
		if known.pair >= 0 {
			s.pairs.Live.Put(known.pair, f.Value)
		}
		if !fits {
			s.wrongType[f.Name]++
		}
	}
	s.pairs.Live.Next()
	if s.scores != nil && r.ModelVersion == s.refs.modelName {
		s.scores.Add(dataset.Value{Number: r.Probability})
		s.byModel.Add(r.Probability, r.Prediction == 1)
		if s.gradient != nil {
			s.gradient.add(r)
		}
	}
}

// merge adds other, a sample over the same references.
func (s *sample) merge(other *sample) {
	s.records += other.records
	s.identified += other.identified
	maps.Copy(s.ids, other.ids)
	s.leftOut += other.leftOut
	s.positive += other.positive
	s.from, s.to = min(s.from, other.from), max(s.to, other.to)
	s.byModel.Merge(other.byModel)
	for i, t := range other.all {
		s.all[i].Merge(t)
	}
	s.pairs.Live.Merge(other.pairs.Live)
	for name, n := range other.wrongType {
		s.wrongType[name] += n
	}
}
