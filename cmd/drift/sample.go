package main

import (
	"slices"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/metric"
	"churn/internal/predlog"
)

// probability is the name of the predicted probability among the columns.
const probability = "(probability)"

// sample is some records, tallied: the features of all, the probability of those
// that the current model answered.
type sample struct {
	byModel   metric.Expectation // of the records that the current model answered
	lab       []drift.Column     // numbers over train_stats.json
	columns   []drift.Column     // features, then the probability, over the model's reference
	wrongType map[string]int

	model    string
	all      []*dataset.Tally
	scores   *dataset.Tally // one of all; nil without a model
	features map[string][]*dataset.Tally
	layout   []feature // of the last record, or of several in turn
}

// feature is a feature at its place in a record.
type feature struct {
	name    string
	tallies []*dataset.Tally
}

// newSample returns a sample of no records.
func newSample(refs *references) *sample {
	s := &sample{wrongType: map[string]int{}, model: refs.modelName, features: map[string][]*dataset.Tally{}}
	for _, name := range refs.names {
		stats, reference := refs.stats[name], refs.features[name]
		var live *dataset.Tally
		if reference != nil {
			live = s.tally(reference)
			s.columns = append(s.columns, drift.Column{Name: name, Reference: reference, Live: live})
			s.features[name] = append(s.features[name], live)
		}
		if stats == nil || stats.Numbers == nil {
			continue
		}
		if live == nil || reference.Numbers == nil { // else it is counted already: a mean is the same over any bins
			live = s.tally(stats)
			s.features[name] = slices.Insert(s.features[name], 0, live)
		}
		s.lab = append(s.lab, drift.Column{Name: name, Reference: stats, Live: live})
	}
	if refs.probability != nil {
		s.scores = s.tally(refs.probability)
		s.columns = append(s.columns, drift.Column{Name: probability, Reference: refs.probability, Live: s.scores})
	}
	return s
}

func (s *sample) tally(ref *dataset.Summary) *dataset.Tally {
	t := dataset.NewTally(ref)
	s.all = append(s.all, t)
	return t
}

// add tallies a record.
func (s *sample) add(r *predlog.Record) {
	for i, f := range r.Features {
		fits := true
		for _, t := range s.tallies(i, f.Name) {
			fits = t.Add(f.Value) && fits
		}
		if !fits {
			s.wrongType[f.Name]++
		}
	}
	if s.scores != nil && r.ModelVersion == s.model {
		s.scores.Add(dataset.Value{Number: r.Probability})
		s.byModel.Add(r.Probability, r.Prediction == 1)
	}
}

// tallies returns those of the feature at place i of a record. Records have their
// features in one order mostly, so that the name is seldom looked up.
func (s *sample) tallies(i int, name string) []*dataset.Tally {
	if i < len(s.layout) && s.layout[i].name == name {
		return s.layout[i].tallies
	}
	f := feature{name, s.features[name]}
	if i < len(s.layout) {
		s.layout[i] = f
	} else {
		s.layout = append(s.layout, f)
	}
	return f.tallies
}

// merge adds the tallies of other, a sample over the same references.
func (s *sample) merge(other *sample) {
	s.byModel.Merge(other.byModel)
	for i, t := range other.all {
		s.all[i].Merge(t)
	}
	for name, n := range other.wrongType {
		s.wrongType[name] += n
	}
}
