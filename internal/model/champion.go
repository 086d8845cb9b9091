package model

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// A Champion is the current model beside the one that was judged, a candidate: on
// the same rows, each at its own threshold.
type Champion struct {
	ModelFile  string             `json:"model_file"`
	Comparable bool               `json:"comparable"`
	Reason     string             `json:"reason"`     // why not; or whom the comparison favours; or empty
	Figures    *Figures           `json:"figures"`    // null if not comparable; cost_per_customer is with the candidate's costs
	Difference *metric.Difference `json:"difference"` // the candidate less the champion; null if not comparable
}

// Compare judges the champion on the rows that the candidate m was judged on: on
// is OnTest for those that m held out, OnFolds or OnAll.
func (m *Model) Compare(ctx context.Context, t *dataset.Table, j *Judgement, on string, champion *Model) (Champion, error) {
	if reason := m.otherTask(champion); reason != "" {
		return Champion{Reason: reason}, nil
	}
	if j.source != nil {
		return m.compareSource(ctx, j, on, champion)
	}
	p, y, err := champion.predict(ctx, t, j.rows)
	if err != nil {
		return Champion{}, err
	}
	drawn := make(chan metric.Difference, 1) // beside the figures
	go func() { drawn <- metric.Pair(y, reach(p, champion.Threshold), j.answers).Compare() }()
	figures := Judge(p, y, champion.Threshold)
	figures.addCost(m.cost()) // in one currency
	difference := <-drawn
	return Champion{Comparable: true, Reason: m.caveats(champion, on, champion.Unseen(t, j.rows)), Figures: &figures, Difference: &difference}, nil
}

// caveats tells in words what to hold against a comparison.
func (m *Model) caveats(champion *Model, on string, unseen iter.Seq2[string, int]) string {
	var caveats []string
	if favoured := m.favours(champion, on); favoured != "" {
		caveats = append(caveats, favoured)
	}
	for column, n := range unseen {
		caveats = append(caveats, fmt.Sprintf("%q has in %d rows a level that it does not know", column, n))
	}
	return strings.Join(caveats, "; ")
}

// otherTask tells in words why the champion cannot answer for the rows of m; "" is that it can.
func (m *Model) otherTask(champion *Model) string {
	a, b := m.Schema, champion.Schema
	if a.Target != b.Target {
		return fmt.Sprintf("it predicts %q = %q, this model %q = %q", b.Target.Name, b.Target.Positive, a.Target.Name, a.Target.Positive)
	}
	if len(a.Features) != len(b.Features) {
		return fmt.Sprintf("it has %d features, this model %d", len(b.Features), len(a.Features))
	}
	for i, f := range a.Features {
		switch g := b.Features[i]; {
		case f.Name != g.Name:
			return fmt.Sprintf("its feature %d is %q, this model's %q", i+1, g.Name, f.Name)
		case f.Type != g.Type:
			return fmt.Sprintf("its feature %q is a %s, this model's a %s", f.Name, g.Type, f.Type)
		case f.Case != g.Case:
			return fmt.Sprintf("its feature %q is kept in %s case, this model's in %s case", f.Name, caseName(g), caseName(f))
		}
	}
	return ""
}

func caseName(f dataset.Feature) string {
	if f.Case == "" {
		return "its own"
	}
	return f.Case
}

// favours tells whom a comparison on rows of m's favours, in words; "" is nobody.
func (m *Model) favours(champion *Model, on string) string {
	const doubt = "it may have been fitted to some of these rows"
	same := champion.Data.SHA256 == m.Data.SHA256 && champion.Training.TestSize == m.Training.TestSize && champion.Training.Seed == m.Training.Seed
	switch {
	case on == OnAll:
		return doubt + ", and so may this model"
	case on == OnTest && same: // held out by both
		return ""
	}
	return doubt + ", which favours it"
}
