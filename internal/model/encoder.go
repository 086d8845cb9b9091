package model

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// An Encoder turns customers into the numbers that the weights belong to:
// numbers with missing ones filled by the median, then standardised; categories
// one-hot in sorted order, no level dropped. It is fitted on the training part alone.
//
// Weights are ordered: the numbers in the schema's order, then the levels of each
// category in the schema's order, then the intercept.
type Encoder struct {
	Numbers map[string]dataset.Scaling `json:"numbers"`

	// Levels are sorted, dataset.MissingLevel last if training rows had missing cells.
	Levels map[string][]string `json:"levels"`

	schema  *dataset.Schema
	columns []encoded // in the schema's order
	names   []string  // of the weights, without the intercept
}

// encoded is one feature as it is scored.
type encoded struct {
	dataset.Scaling
	weight  int            // of a number
	level   map[string]int // of a category: level to weight
	missing int            // of a category's missing cells, or −1
}

// standardise returns a number as the trainer sees it.
func (c *encoded) standardise(v dataset.Value) float64 {
	x := v.Number
	if v.Missing {
		x = math.NaN()
	}
	return logreg.Standardise(x, c.Median, c.Mean, c.Std)
}

// levelWeight returns the index of a level's weight, and whether it has one.
func (c *encoded) levelWeight(v dataset.Value) (k int, known bool) {
	if v.Missing {
		return c.missing, c.missing >= 0
	}
	k, known = c.level[v.Text]
	return k, known
}

// newEncoder returns the encoder for rows that were described.
func newEncoder(schema *dataset.Schema, d *dataset.Description) (*Encoder, error) {
	e := &Encoder{Numbers: map[string]dataset.Scaling{}, Levels: map[string][]string{}}
	for j := range schema.Features {
		f, s := &schema.Features[j], &d.Columns[j]
		if f.Type == dataset.Category {
			levels := slices.Sorted(maps.Keys(s.Levels))
			if s.Missing > 0 {
				levels = append(levels, dataset.MissingLevel)
			}
			e.Levels[f.Name] = levels
			continue
		}
		if s.Rows == 0 {
			return nil, fmt.Errorf("%s: every cell of the training part is missing: leave the column out", f.Name)
		}
		e.Numbers[f.Name] = d.Scalings[j]
	}
	return e, e.bind(schema)
}

// bind checks the encoder against its schema and numbers the weights.
func (e *Encoder) bind(s *dataset.Schema) error {
	e.schema = s
	e.columns = make([]encoded, len(s.Features))
	e.names = nil
	for j, f := range s.Features {
		if f.Type != dataset.Number {
			continue
		}
		scaling, ok := e.Numbers[f.Name]
		usable := ok && scaling.Std >= dataset.LeastStd &&
			math.Abs(scaling.Mean) <= dataset.MaxNumber && math.Abs(scaling.Median) <= dataset.MaxNumber
		if !usable {
			return fmt.Errorf("encoder: number %q has no usable mean, std and median", f.Name)
		}
		e.columns[j] = encoded{Scaling: scaling, weight: len(e.names)}
		e.names = append(e.names, f.Name)
	}
	for j, f := range s.Features {
		if f.Type != dataset.Category {
			continue
		}
		c := encoded{level: map[string]int{}, missing: -1}
		for _, level := range e.Levels[f.Name] {
			if level == dataset.MissingLevel {
				c.missing = len(e.names)
			} else {
				c.level[level] = len(e.names)
			}
			e.names = append(e.names, f.Name+"="+level)
		}
		e.columns[j] = c
	}
	seen := map[string]bool{}
	for _, name := range e.names {
		if seen[name] {
			return fmt.Errorf("two weights have the name %q: rename the feature %q", name, strings.Split(name, "=")[0])
		}
		seen[name] = true
	}
	return nil
}

// Width returns the number of weights without the intercept.
func (e *Encoder) Width() int { return len(e.names) }

// Design returns how the trainer reads a table of the encoder's schema: all of it but
// which rows to use.
func (e *Encoder) Design(t *dataset.Table) *logreg.Rows {
	r := &logreg.Rows{Positive: t.Positive, ClassWeight: [2]float64{1, 1}, Width: e.Width()}
	for j := range t.Columns {
		c, enc := &t.Columns[j], &e.columns[j]
		if t.Schema.Features[j].Type == dataset.Number {
			numbers := logreg.Numbers{Codes: c.Codes, Values: c.Values, Fill: enc.Median, Mean: enc.Mean, Scale: enc.Std}
			if c.Codes == nil {
				numbers.Values = c.Numbers
			}
			r.Numbers = append(r.Numbers, numbers)
			continue
		}
		weight := make([]int32, len(c.Levels))
		for code, level := range c.Levels {
			weight[code] = -1
			if k, ok := enc.level[level]; ok {
				weight[code] = int32(k)
			}
		}
		r.Levels = append(r.Levels, logreg.Levels{Codes: c.Codes, Weight: weight, Missing: int32(enc.missing)})
	}
	return r
}

// logit returns w·x plus the intercept for one customer. It adds in the same order as
// logreg.Rows.Probabilities, so that both give the same bits. Levels without a weight
// are named in warnings.
func (e *Encoder) logit(values []dataset.Value, w []float64) (z float64, warnings []string) {
	z = w[len(w)-1]
	for j := range e.columns {
		if c := &e.columns[j]; c.level == nil {
			z += w[c.weight] * c.standardise(values[j])
		}
	}
	for j := range e.columns {
		c := &e.columns[j]
		if c.level == nil {
			continue
		}
		k, known := c.levelWeight(values[j])
		switch {
		case known:
			z += w[k]
		case values[j].Missing:
			warnings = append(warnings, e.schema.Features[j].Name+
				": missing, which no training row was: scored as none of the known levels")
		default:
			warnings = append(warnings, fmt.Sprintf("%s: %q was not in the training rows: scored as none of the known levels",
				e.schema.Features[j].Name, values[j].Text))
		}
	}
	return z, warnings
}
