package model

import "churn/internal/dataset"

// An Explanation splits the log-odds of one customer into what the average
// training customer has, Base, and what each feature adds to that, in the
// schema's order. Base and the contributions add up to the log-odds.
type Explanation struct {
	Base          float64
	Contributions []float64
}

// Explain explains the score of one customer. The average customer has the mean
// of each number, and of each category the mean weight over the training rows.
// For a linear model these are the exact Shapley values.
func (m *Model) Explain(values []dataset.Value) Explanation {
	x := Explanation{Base: m.weights[len(m.weights)-1], Contributions: make([]float64, len(values))}
	for j := range m.Encoder.columns {
		weight, mean := m.Encoder.term(j, values[j], m.weights), m.meanWeight(j)
		x.Base += mean
		x.Contributions[j] = weight - mean
	}
	return x
}

// Knows reports whether the model has a weight for a value of feature j: it has
// for every number, and for the levels of the training rows.
func (m *Model) Knows(j int, v dataset.Value) bool {
	c := &m.Encoder.columns[j]
	if c.level == nil {
		return true
	}
	_, known := c.levelWeight(v)
	return known
}

// term is what feature j adds to the log-odds.
func (e *Encoder) term(j int, v dataset.Value, w []float64) float64 {
	c := &e.columns[j]
	if c.level == nil {
		return w[c.weight] * c.standardise(v)
	}
	if k, known := c.levelWeight(v); known {
		return w[k]
	}
	return 0
}

// meanWeight is the mean of what feature j added for the training rows: 0 for a
// number, since those were standardised.
func (m *Model) meanWeight(j int) float64 {
	c := &m.Encoder.columns[j]
	if c.level == nil {
		return 0
	}
	name := m.Schema.Features[j].Name
	s := m.Reference.Columns[name]
	var sum float64
	for _, level := range m.Encoder.Levels[name] { // in order: the sum must not depend on the order of a map
		if level == dataset.MissingLevel {
			sum += float64(s.Missing) * m.weights[c.missing]
		} else {
			sum += float64(s.Levels[level]) * m.weights[c.level[level]]
		}
	}
	return sum / float64(s.Rows+s.Missing)
}
