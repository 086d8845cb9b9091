package model

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/status"
	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// An Encoder turns customers into the numbers that the weights belong to. Without Terms
// these are numbers with missing ones filled by the median, then standardised, and
// categories one-hot in sorted order, no level dropped. It is fitted on the training part
// alone.
//
// Weights are ordered: the numbers in the schema's order, then the levels of each
// category in the schema's order, then the pairs, then the intercept.
type Encoder struct {
	Numbers map[string]dataset.Scaling `json:"numbers"`

	// Levels are sorted, dataset.MissingLevel last if training rows had missing cells.
	Levels map[string][]string `json:"levels"`
	Terms

	schema   *dataset.Schema
	bases    []boundBasis  // those of the schema's features, in its order, then those of Grids
	terms    []logreg.Term // in the order of the weights
	main     []int         // by feature: the term of its own
	names    []string      // of the weights, without the intercept
	penalty  logreg.Penalty
	monotone []logreg.Monotone // of the features that the schema says must be
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. Scoring needs all of an encoder, so
// unknown keys are errors.
func (e *Encoder) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	type plain Encoder // without this method
	return json.UnmarshalDecode(d, (*plain)(e), json.RejectUnknownMembers(true))
}

// newEncoder returns the encoder for rows that were described.
func newEncoder(schema *dataset.Schema, d *dataset.Description, terms Terms) (*Encoder, error) {
	e := &Encoder{Numbers: map[string]dataset.Scaling{}, Levels: map[string][]string{}, Terms: terms}
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
			return nil, allMissing(f.Name)
		}
		e.Numbers[f.Name] = d.Scalings[j]
	}
	if err := e.bind(schema); err != nil {
		return nil, err
	}
	const most = 10_000 // weights: a fit holds several matrices of their square, 800 MB each
	if n := len(e.names); n > most {
		levels := func(a, b string) int { return len(e.Levels[a]) - len(e.Levels[b]) }
		widest := slices.MaxFunc(append(slices.Sorted(maps.Keys(e.Levels)), ""), levels)
		return nil, fmt.Errorf("%d weights, at most %d can be fitted: leave columns out with prepare --ignore, such as %s, "+
			"which has %d levels", n, most, strictjson.Word(widest), len(e.Levels[widest]))
	}
	return e, nil
}

var errTooWide = errors.New("choose fewer pairs, or lines")

// bind checks the encoder against its schema and numbers the weights.
func (e *Encoder) bind(s *dataset.Schema) error {
	e.schema, e.bases, e.terms, e.names, e.penalty = s, make([]boundBasis, len(s.Features)), nil, nil, nil
	e.main, e.monotone = make([]int, len(s.Features)), nil
	for _, kind := range []string{dataset.Number, dataset.Category} { // the order of the weights
		for j, f := range s.Features {
			if f.Type != kind {
				continue
			}
			if err := e.bindFeature(j, f); err != nil {
				return err
			}
		}
	}
	if err := e.bindPairs(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, name := range e.names {
		if seen[name] {
			return fmt.Errorf("two weights have the name %q: rename the feature %q", name, strings.Split(name, "=")[0])
		}
		seen[name] = true
	}
	if len(e.names) > maxWidth && !e.Linear() {
		return fmt.Errorf("%d weights, more than %d: %w", len(e.names), maxWidth, errTooWide)
	}
	return nil
}

// bindFeature adds the term of a feature of its own.
func (e *Encoder) bindFeature(j int, f dataset.Feature) error {
	scaling, ok := e.Numbers[f.Name]
	usable := ok && scaling.Std >= dataset.LeastStd &&
		math.Abs(scaling.Mean) <= dataset.MaxNumber && math.Abs(scaling.Median) <= dataset.MaxNumber
	switch number := f.Type == dataset.Number; {
	case number && !usable:
		return fmt.Errorf("encoder: number %q has no usable mean, std and median", f.Name)
	case !number && len(e.Levels[f.Name]) == 0:
		return fmt.Errorf("encoder: category %q has no levels", f.Name)
	}
	b := e.Own(f.Name)
	if _, curve := e.Curves[f.Name]; curve {
		if err := b.check(f.Type == dataset.Number); err != nil {
			return fmt.Errorf("encoder: curve %q: %w", f.Name, err)
		}
	}
	e.bases[j] = e.basis(j, b)
	e.addTerm(j, -1, b, nil)
	if sign := map[string]float64{"up": 1, "down": -1}[f.Monotone]; sign != 0 {
		e.monotone = append(e.monotone, logreg.Monotone{First: e.first(j), N: max(1, len(b.Knots)), Sign: sign})
	}
	return nil
}

// Own returns the basis of the feature's own term. That of a line has neither knots nor values.
func (e *Encoder) Own(feature string) *Basis {
	if b, curve := e.Curves[feature]; curve {
		return b
	}
	return &Basis{Levels: e.Levels[feature], Missing: slices.Contains(e.Missing, feature)}
}

// bindPairs checks what Terms name, and adds the terms of pairs.
func (e *Encoder) bindPairs() error {
	number := func(name string) bool { j := e.schema.Index(name); return j >= 0 && e.bases[j].level == nil }
	for _, name := range append(slices.Sorted(maps.Keys(e.Curves)), e.Missing...) {
		if !number(name) {
			return fmt.Errorf("encoder: %q is not a number of the schema", name)
		}
	}
	grids := map[string]int{} // base by feature
	for _, name := range slices.Sorted(maps.Keys(e.Grids)) {
		j, b := e.schema.Index(name), e.Grids[name]
		if j < 0 {
			return fmt.Errorf("encoder: grid of %q, which is not in the schema", name)
		}
		if err := b.check(number(name)); err != nil {
			return fmt.Errorf("encoder: grid of %q: %w", name, err)
		}
		grids[name] = len(e.bases)
		e.bases = append(e.bases, e.basis(j, b))
	}
	for _, p := range e.Pairs {
		if len(e.names) > maxWidth {
			break // bind rejects it
		}
		a, okA := grids[p[0]]
		b, okB := grids[p[1]]
		switch {
		case !okA || !okB:
			return fmt.Errorf("encoder: the pair %s has no grids", p)
		case p[0] == p[1]:
			return fmt.Errorf("encoder: the pair %s is one feature", p)
		case e.bases[a].width*e.bases[b].width > maxPairSize:
			return fmt.Errorf("encoder: the pair %s has %d cells, more than %d",
				p, e.bases[a].width*e.bases[b].width, maxPairSize)
		}
		e.addTerm(a, b, e.Grids[p[0]], e.Grids[p[1]])
	}
	if len(e.Grids) > 0 && len(e.Pairs) == 0 {
		return errors.New("encoder: grids without pairs")
	}
	return nil
}

// addTerm adds a term of one basis, or with b of two, with its weights and their penalty.
func (e *Encoder) addTerm(a, b int, ofA, ofB *Basis) {
	first, names := len(e.names), ofA.names(e.schema.Features[e.bases[a].feature].Name)
	if b < 0 {
		e.main[e.bases[a].feature] = len(e.terms)
		e.penalty = ofA.penalty(e.penalty, first, cmp.Or(e.shrink, 1))
		e.names = append(e.names, names...)
	} else {
		rows, columns := e.bases[a].width, e.bases[b].width
		for _, u := range names {
			for _, v := range ofB.names(e.schema.Features[e.bases[b].feature].Name) {
				k := len(e.names)
				e.penalty = append(e.penalty, logreg.PenaltyEntry{I: k, J: k, Value: cmp.Or(e.shrinkPairs, 1)})
				e.names = append(e.names, u+"*"+v)
			}
		}
		for j := range columns {
			e.penalty = ofA.smoothness(e.penalty, first+j, columns)
		}
		for i := range rows {
			e.penalty = ofB.smoothness(e.penalty, first+i*columns, 1)
		}
	}
	e.terms = append(e.terms, logreg.Term{A: a, B: b, First: int32(first)})
}

// first returns the index of the first weight of feature j's own term.
func (e *Encoder) first(j int) int { return int(e.terms[e.main[j]].First) }

// start returns weights to begin a fit at: those of another fit, or of nil, that have the same names, and zeros.
// A curve begins at the line that it was.
func (e *Encoder) start(from *fit) []float64 {
	start := make([]float64, e.Width()+1)
	if from == nil {
		return start
	}
	known := map[string]float64{}
	for k, name := range from.encoder.names {
		known[name] = from.fitted.Weights[k]
	}
	for k, name := range e.names {
		start[k] = known[name]
	}
	for name, curve := range e.Curves {
		if slope, line := known[name]; line {
			scaling, first := e.Numbers[name], e.first(e.schema.Index(name))
			for k, x := range curve.Knots {
				start[first+k] = slope * (x - scaling.Mean) / scaling.Std
			}
		}
	}
	start[e.Width()] = from.fitted.Weights[from.encoder.Width()]
	return start
}

// Width returns the number of weights without the intercept.
func (e *Encoder) Width() int { return len(e.names) }

// Design returns how the trainer reads a table that has the encoder's features, and perhaps
// others: all of it but which rows to use.
func (e *Encoder) Design(t *dataset.Table) *logreg.Rows {
	r := &logreg.Rows{
		Positive: t.Positive, ClassWeight: [2]float64{1, 1}, Width: e.Width(), Terms: slices.Clone(e.terms),
	}
	for k := range e.bases {
		j := e.column(t, e.bases[k].feature)
		r.Bases = append(r.Bases, e.bases[k].design(&t.Columns[j]))
		r.Bases[k].Feature = j
	}
	return r
}

// logitChange returns a bound on the change of the log-odds of described rows by a step of the weights.
func (e *Encoder) logitChange(d *dataset.Description, step []float64) float64 {
	last := len(step) - 1
	low, high := step[last], step[last]
	for k, t := range e.terms {
		end := last
		if k+1 < len(e.terms) {
			end = int(e.terms[k+1].First)
		}
		own, b := step[t.First:end], &e.bases[t.A]
		if t.B < 0 && b.Line {
			numbers := d.Columns[b.feature].Numbers
			x, y := own[0]*(numbers.Min-b.Mean)/b.Scale, own[0]*(numbers.Max-b.Mean)/b.Scale
			low, high, own = low+min(x, y), high+max(x, y), own[1:]
		}
		if t.B >= 0 || b.level == nil { // of which no function need have a value
			own = append([]float64{0}, own...)
		}
		low, high = low+slices.Min(own), high+slices.Max(own)
	}
	return max(-low, high)
}

// column returns the index of a table's column that has the encoder's feature j.
func (e *Encoder) column(t *dataset.Table, j int) int {
	name, features := e.schema.Features[j].Name, t.Schema.Features
	if j >= len(features) || features[j].Name != name {
		return t.Schema.Index(name)
	}
	return j
}

// design returns the basis for a column of a table.
func (b *boundBasis) design(c *dataset.Column) logreg.Basis {
	out := logreg.Basis{Codes: c.Codes, X: c.Numbers, Width: b.width}
	if b.level == nil {
		if out.Shape = &b.Shape; c.Codes == nil {
			return out
		}
	}
	out.At = make([]logreg.Active, 0, len(c.Values)+len(c.Levels)+1)
	for _, x := range c.Values {
		out.At = append(out.At, b.At(x))
	}
	for _, level := range c.Levels {
		out.At = append(out.At, logreg.One(b.place(level, false)))
	}
	out.At = append(out.At, b.active(&dataset.Value{Missing: true}))
	return out
}

// logit returns w·x plus the intercept for one customer. It adds in the same order as
// logreg.Rows.Probabilities, so that both give the same bits. Levels without a weight
// are named in warnings.
func (e *Encoder) logit(values []dataset.Value, w []float64) (z float64, warnings []string) {
	z = w[len(w)-1]
	var room [4]logreg.Entry
	for k := range e.terms {
		t := &e.terms[k]
		entries := e.append(room[:0], t, values)
		z += logreg.Sum(0, entries, w)
		if len(entries) == 0 && t.B < 0 {
			j := e.bases[t.A].feature
			warnings = append(warnings, e.schema.Features[j].Name+": "+unknown(values[j]))
		}
	}
	return z, warnings
}

// append appends the functions of a term that are not zero for one customer.
func (e *Encoder) append(to []logreg.Entry, t *logreg.Term, values []dataset.Value) []logreg.Entry {
	a := &e.bases[t.A]
	u := a.active(&values[a.feature])
	if t.B < 0 {
		return t.Append(to, &u, nil, 0)
	}
	b := &e.bases[t.B]
	v := b.active(&values[b.feature])
	return t.Append(to, &u, &v, b.width)
}

// unknown says that a feature has no weight for a value.
func unknown(v dataset.Value) string {
	const scored = "not in the training rows: scored as none of the known "
	switch {
	case v.Missing:
		return "missing, which no training row was: scored as none of the known levels"
	case v.Level:
		return fmt.Sprintf("%q was %slevels", v.Text, scored)
	}
	return fmt.Sprintf("%v was %svalues", v.Number, scored)
}

func allMissing(name string) error {
	return status.Reject("%s: every cell of the training part is missing: leave the column out", name)
}

// Weights is a JSON object in the order of the weights.
type Weights []Weight

// A Weight belongs to a column of the encoder: a number, or FEATURE=LEVEL.
type Weight struct {
	Name  string
	Value float64
}

// MarshalJSONTo implements json.MarshalerTo.
func (ws Weights) MarshalJSONTo(e *jsontext.Encoder) error {
	err := e.WriteToken(jsontext.BeginObject)
	for _, w := range ws {
		err = errors.Join(err, e.WriteToken(jsontext.String(w.Name)), e.WriteToken(jsontext.Float(w.Value)))
	}
	return errors.Join(err, e.WriteToken(jsontext.EndObject))
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (ws *Weights) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return errors.Join(err, errors.New("weights are not an object"))
	}
	*ws = nil
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		w := Weight{Name: name.String()}
		if err := json.UnmarshalDecode(d, &w.Value); err != nil {
			return err
		}
		*ws = append(*ws, w)
	}
	_, err := d.ReadToken()
	return err
}
