package predictor

import (
	"math"
	"net/http"
	"slices"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/registry"
)

// A modelInUse is the answer of GET /models/current: the registry's entry, and
// what a form for customers needs.
type modelInUse struct {
	registry.Entry `json:",embed"`

	Target   dataset.Target `json:"target"`
	Card     string         `json:"card,omitempty"` // where its card is; "" if there is none
	Features []formFeature  `json:"features"`       // in the schema's order
}

// A formFeature is a feature as a person fills it in.
type formFeature struct {
	Name     string        `json:"name"`
	Type     string        `json:"type"` // number or category
	Integer  bool          `json:"integer,omitzero"`
	Optional bool          `json:"optional,omitzero"`
	Default  dataset.Value `json:"default"`         // of a typical training customer; null if no row had one
	Min      *float64      `json:"min,omitzero"`    // numbers: the least of the training rows
	Max      *float64      `json:"max,omitzero"`    // and the largest
	Whole    bool          `json:"whole,omitzero"`  // numbers: those of the training rows look like whole ones
	Levels   []formLevel   `json:"levels,omitzero"` // categories: those of the training rows, the most frequent first
}

// A formLevel is a level, and how many training rows had it.
type formLevel struct {
	Level string `json:"level"`
	Rows  int    `json:"rows"`
}

// currentModel answers GET /models/current: the entry of the model that is served, or
// what the model says of itself if it is not registered.
func (p *Predictor) currentModel(w http.ResponseWriter, _ *http.Request) {
	s := p.follower.current()
	if s.model == nil {
		p.answerError(w, errNoModel)
		return
	}
	m := s.model
	c := modelInUse{Entry: registry.Entry{
		ModelFile: s.name, Version: m.Version, TrainedAtUTC: m.TrainedAtUTC, DataFile: m.Data.File,
		Seed: m.Training.Seed, DataSHA256: m.Data.SHA256, Rows: m.Training.Rows, Threshold: m.Threshold,
		TestSize: m.Training.TestSize, C: m.Training.C, ClassWeight: m.Training.ClassWeight, TrainedBy: m.TrainedBy,
	}, Target: m.Schema.Target, Features: form(m)}
	entries, err := p.follower.reg.Entries()
	if i := slices.IndexFunc(entries, func(e registry.Entry) bool { return e.ModelFile == s.name }); err == nil && i >= 0 {
		c.Entry = entries[i]
		if card := registry.CardName(s.name); p.follower.reg.HasCard(card) {
			c.Card = registry.Models + "/" + card
		}
	}
	answerJSON(w, http.StatusOK, c)
}

// form returns the features of a model as a person fills them in.
func form(m *model.Model) []formFeature {
	features := make([]formFeature, len(m.Schema.Features))
	for i := range features {
		f := &m.Schema.Features[i]
		reference := m.Reference.Columns[f.Name]
		features[i] = formFeature{Name: f.Name, Type: f.Type, Integer: f.Integer, Optional: f.Optional, Default: typical(m, f)}
		if f.Type == dataset.Number {
			if reference.Rows > 0 {
				features[i].Min, features[i].Max = &reference.Numbers.Min, &reference.Numbers.Max
				features[i].Whole = whole(reference.Numbers)
			}
			continue
		}
		for _, level := range commonest(m, f) {
			features[i].Levels = append(features[i].Levels, formLevel{level, reference.Levels[level]})
		}
	}
	return features
}

// whole tells whether numbers look like whole ones: the least, the largest and the deciles are.
func whole(n *dataset.NumberSummary) bool {
	return !slices.ContainsFunc(append([]float64{n.Min, n.Max}, n.Cuts...), func(x float64) bool { return x != math.Trunc(x) })
}

// typical returns what a typical training customer has, as a person would say
// it: the most frequent level, or the mean to a tenth of the deviation's size.
// What the schema does not allow gives way to what average returns.
func typical(m *model.Model, f *dataset.Feature) dataset.Value {
	if f.Type == dataset.Number {
		reference := m.Reference.Columns[f.Name].Numbers
		if v, problem := f.CheckNumber(roundMean(reference.Mean, reference.Std, whole(reference))); problem == nil &&
			reference.Min <= v.Number && v.Number <= reference.Max {
			return v
		}
	}
	return average(m, f)
}

// roundMean rounds a mean to a tenth of the power of ten below the deviation:
// 64.76 with a deviation of 30 to 65, 2283 with 2267 to 2300.
func roundMean(mean, std float64, whole bool) float64 {
	if !(std > 0) {
		return mean
	}
	exponent := int(math.Floor(math.Log10(std))) - 1
	if whole {
		exponent = max(exponent, 0)
	}
	if exponent >= 0 {
		step := math.Pow10(exponent)
		return math.Round(mean/step) * step
	}
	scale := math.Pow10(-exponent) // a division by it is exact where a product with 0.1 is not
	return math.Round(mean*scale) / scale
}
