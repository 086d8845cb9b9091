package model

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"

	"gonum.org/v1/gonum/stat"
)

// An Encoder turns customers into the numbers that the weights belong to:
// numbers with missing ones filled by the median, then standardised; categories
// one-hot in sorted order, no level dropped. It is fitted on the training part alone.
//
// Weights are ordered: the numbers in the schema's order, then the levels of each
// category in the schema's order, then the intercept.
type Encoder struct {
	Numbers map[string]Scaling  `json:"numbers"`
	Levels  map[string][]string `json:"levels"` // sorted, dataset.MissingLevel last where training rows had missing cells

	schema  *dataset.Schema
	columns []encoded // in the schema's order
	names   []string  // of the weights, without the intercept
}

// Scaling is how a number is filled and standardised.
type Scaling struct {
	Mean   float64 `json:"mean"`
	Std    float64 `json:"std"` // with n, as scikit-learn's StandardScaler has it; 1 for a constant column
	Median float64 `json:"median"`
}

// leastStd is the smallest deviation that is one: with dataset.MaxNumber it keeps
// every standardised number finite.
const leastStd = 1e-100

// encoded is one feature, ready to be scored.
type encoded struct {
	Scaling
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

// levelWeight returns the position of a level's weight, and whether it has one.
func (c *encoded) levelWeight(v dataset.Value) (k int, known bool) {
	if v.Missing {
		return c.missing, c.missing >= 0
	}
	k, known = c.level[v.Text]
	return k, known
}

// FitEncoder learns an encoder from the given rows of a table.
func FitEncoder(t *dataset.Table, rows []int32) (*Encoder, error) {
	e := &Encoder{Numbers: map[string]Scaling{}, Levels: map[string][]string{}}
	for j := range t.Columns {
		c, f := &t.Columns[j], &t.Schema.Features[j]
		if f.Type == dataset.Category {
			e.Levels[f.Name] = levels(c, rows)
			continue
		}
		values, weights, missing := t.Sorted(j, rows)
		if len(values) == 0 {
			return nil, errAllMissing(f.Name)
		}
		constant := values[0] == values[len(values)-1]
		s := Scaling{Median: dataset.Median(values, weights)}
		if missing > 0 {
			if weights == nil {
				weights = slices.Repeat([]float64{1}, len(values))
			}
			values, weights = append(values, s.Median), append(weights, float64(missing))
		}
		s.Mean, s.Std = stat.PopMeanStdDev(values, weights)
		if constant || s.Std < leastStd { // whatever rounding made of the deviation
			s.Std = 1
		}
		e.Numbers[f.Name] = s
	}
	return e, e.bind(t.Schema)
}

func errAllMissing(column string) error {
	return fmt.Errorf("%s: every cell of the training part is missing: leave the column out", column)
}

// levels returns the levels that occur in the rows, sorted, the missing one last.
func levels(c *dataset.Column, rows []int32) []string {
	seen := make([]bool, len(c.Levels))
	missing := false
	for _, i := range rows {
		if code := c.Codes[i]; code == dataset.MissingCode {
			missing = true
		} else {
			seen[code] = true
		}
	}
	var found []string
	for code, ok := range seen {
		if ok {
			found = append(found, c.Levels[code])
		}
	}
	slices.Sort(found)
	if missing {
		found = append(found, dataset.MissingLevel)
	}
	return found
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
		if !ok || !(scaling.Std >= leastStd) || !(math.Abs(scaling.Mean) <= dataset.MaxNumber) || !(math.Abs(scaling.Median) <= dataset.MaxNumber) {
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
			return fmt.Errorf("two weights would be called %q: rename the feature %q", name, strings.Split(name, "=")[0])
		}
		seen[name] = true
	}
	return nil
}

// Width returns the number of weights without the intercept.
func (e *Encoder) Width() int { return len(e.names) }

// Rows returns rows of a table as the trainer reads them. The table's schema
// must be the encoder's.
func (e *Encoder) Rows(t *dataset.Table, use []int32) *logreg.Rows {
	r := &logreg.Rows{Positive: t.Positive, ClassWeight: [2]float64{1, 1}, Use: use, Width: e.Width()}
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

// Unseen yields the categories that have rows with a level the model has no
// weight for, and how many, in the schema's order.
func (m *Model) Unseen(t *dataset.Table, rows []int32) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for j, f := range m.Schema.Features {
			if f.Type != dataset.Category {
				continue
			}
			c, enc := &t.Columns[j], &m.Encoder.columns[j]
			unknown := make([]uint8, len(c.Levels)) // 1: without a weight
			for code, level := range c.Levels {
				if _, known := enc.level[level]; !known {
					unknown[code] = 1
				}
			}
			n, missing := 0, 0
			for _, i := range rows {
				if code := c.Codes[i]; code != dataset.MissingCode {
					n += int(unknown[code])
				} else {
					missing++
				}
			}
			if enc.missing < 0 {
				n += missing
			}
			if n > 0 && !yield(f.Name, n) {
				return
			}
		}
	}
}

// logit returns w·x plus the intercept for one customer, adding in the order
// that the trainer adds, so that both give the same bits. Levels that have no
// weight are named in warnings.
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
			warnings = append(warnings, e.schema.Features[j].Name+": missing, which no training row was: scored as none of the known levels")
		default:
			warnings = append(warnings, fmt.Sprintf("%s: %q was not in the training rows: scored as none of the known levels", e.schema.Features[j].Name, values[j].Text))
		}
	}
	return z, warnings
}
