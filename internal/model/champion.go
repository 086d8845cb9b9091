package model

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/fingerprint"
	"churn/internal/metric"

	"gonum.org/v1/gonum/floats"
)

// A Champion is the current model compared with the one that was evaluated, the
// candidate: on the same rows, each at its own threshold.
type Champion struct {
	ModelFile    string `json:"model_file"`
	TrainedAtUTC string `json:"trained_at_utc,omitzero"` // "" if it cannot be read
	ComparedAt   string `json:"compared_at_utc"`         // when it was the current model

	Comparable bool                 `json:"comparable"`
	Reason     string               `json:"reason"`     // why it is not comparable, or what limits the comparison
	Metrics    *Metrics             `json:"figures"`    // null if not comparable; costs are the candidate's
	Difference *metric.F1Difference `json:"difference"` // candidate minus champion; null if not comparable

	LossDifference *metric.LossDifference `json:"log_loss_difference"` // the same of the log loss
	Fitted         bool                   `json:"fitted"`              // it may have been, to some of the rows
	FittedShare    float64                `json:"fitted_share"`        // estimate, by its fingerprint; 0: not known

	// Optimism is what its log loss may owe to that: effective degrees of freedom per training row,
	// as in Akaike's criterion (1974), times FittedShare if that is known; out of fold also what the candidate's loses
	// to folds of fewer rows than it was fitted to. 0 if it was not fitted.
	Optimism float64 `json:"optimism"`

	// OptimismError is its standard error, since the fit to n rows gains half a chi-squared over n by chance.
	OptimismError float64 `json:"optimism_std_error"`
}

// A Verdict says whether a model may become the current one.
type Verdict struct {
	Passed bool   `json:"passed"`
	Why    string `json:"why"` // in a sentence

	BaseRate float64                `json:"base_rate"` // positive share of the training rows
	Skill    metric.LossDifference  `json:"skill"`     // the model's log loss less that of the base rate
	Current  *metric.LossDifference `json:"current"`   // less that of the current model; null if that does not count
	F1       float64                `json:"f1"`
	GateF1   *float64               `json:"gate_f1"` // null: none
}

// rounding is the most that the log losses of equal predictions differ by; no difference that matters is as small.
const rounding = 1e-6

const oneSided = 1.645 // standard errors: 95 % of a normal distribution

// Gate decides by the rows of an evaluation. A model passes if its log loss is below that of
// the training rows' base rate with 95 % confidence, if it is not above that of the current
// model with 95 % confidence, and if its F1 is at least gateF1; nil is no such gate. champion
// is the current model on the same rows, nil if there is no other.
func (m *Model) Gate(e *Evaluation, gateF1 *float64, champion *Champion) Verdict {
	v := Verdict{BaseRate: m.baseRate(), F1: e.Metrics.F1, GateF1: gateF1}
	v.Skill = pool(e.sets).LossesAbove(v.BaseRate).Compare()
	own := e.Metrics.LogLoss
	var good, bad, notes []string
	say := func(ok bool, yes, no string) {
		if ok {
			good = append(good, yes)
		} else {
			bad = append(bad, no)
		}
	}
	losses := fmt.Sprintf("%.4f", own)
	base := fmt.Sprintf("%.4f, that of always predicting the base rate", own-v.Skill.LogLoss)
	say(v.Skill.Bounds[1] < -rounding, "its log loss of "+losses+" is below "+base+", with 95 % confidence",
		"its log loss of "+losses+" is not below "+base+", with 95 % confidence: it may have learned nothing")
	if champion != nil {
		name, d := champion.ModelFile, champion.LossDifference
		if !champion.Comparable {
			notes = append(notes, fmt.Sprintf("not compared with %s: %s", name, champion.Reason))
		} else {
			v.Current = d
			fitted := ""
			if champion.Fitted {
				fitted = fmt.Sprintf(" (%.4f is allowed, since %s)", champion.Optimism, champion.fitted())
			}
			least := d.LogLoss - math.Hypot(d.LogLoss-d.Bounds[0], oneSided*champion.OptimismError)
			say(least <= champion.Optimism+rounding, "it is not significantly worse than "+name+fitted, fmt.Sprintf(
				"it is worse than %s with 95 %% confidence, by %.4f in log loss on the same rows%s", name, d.LogLoss, fitted))
		}
	}
	if gateF1 != nil && *gateF1 > 0 {
		say(v.F1 >= *gateF1, fmt.Sprintf("F1 %.4f reaches the gate of %.4g", v.F1, *gateF1),
			fmt.Sprintf("F1 %.*f is below the gate of %.6g", decimals(v.F1, *gateF1), v.F1, *gateF1))
	}
	if v.Passed = bad == nil; v.Passed {
		bad = append(good, notes...)
	}
	v.Why = strings.Join(bad, "; ")
	return v
}

// decimals returns how many of them distinguish x from y, at least four.
func decimals(x, y float64) int {
	n := 4
	for n < 15 && x != y && math.Round(x*math.Pow10(n)) == math.Round(y*math.Pow10(n)) {
		n++
	}
	return n
}

// baseRate is the share of positives among the training rows. Older documents do not have it,
// but the mean probability of their rows, which is the same without class weights.
func (m *Model) baseRate() float64 {
	if n := m.Training.Positives; n > 0 {
		return float64(n) / float64(m.Training.Rows)
	}
	return m.Reference.Probability.Numbers.Mean
}

// Compare evaluates the champion on the rows that the candidate m was evaluated on: on
// is OnTest for those that m held out, OnFolds or OnAll.
func (m *Model) Compare(ctx context.Context, e *Evaluation, on string, champion *Model) (Champion, error) {
	if reason := m.otherTask(champion); reason != "" {
		return Champion{Reason: reason}, nil
	}
	champion, err := champion.reading(e.sets[0].Rows.Table().Schema)
	if err != nil {
		return Champion{}, err
	}
	var sets []Scored
	var pairs metric.Paired
	unseen := make([]int, len(champion.Schema.Features))
	for _, candidate := range e.sets {
		s, err := score(ctx, candidate.Rows, champion.classifier(candidate.Rows))
		if err != nil {
			return Champion{}, err
		}
		sets = append(sets, s)
		p, err := s.Rows.Pair(ctx, s, candidate)
		if err != nil {
			return Champion{}, err
		}
		pairs.Add(p)
		counts, err := champion.Unseen(ctx, s.Rows)
		if err != nil {
			return Champion{}, err
		}
		for j, n := range counts {
			unseen[j] += n
		}
	}
	all := pool(sets)
	cost, threshold := m.cost(), champion.Threshold // in one currency
	metrics := measure(all, all.Ranking(), all.ConfusionAt(threshold), threshold, cost)
	difference, losses := pairs.Counts.Compare(), pairs.Losses.Compare()
	c := Champion{Comparable: true, Metrics: &metrics, Difference: &difference, LossDifference: &losses}
	if on != OnTest || !m.sameSplit(champion) { // copies of training rows apart, which both have
		c.Fitted, c.FittedShare = champion.mayBeFitted(e)
	}
	if c.Fitted {
		n := float64(champion.Training.Rows)
		c.Optimism = champion.optimism() * cmp.Or(c.FittedShare, 1)
		c.OptimismError = c.Optimism / math.Sqrt(2*n*champion.optimism())
		if on == OnFolds { // an excess of df/2 per row, of 1 − 1/Folds of the rows
			c.Optimism += m.optimism() / (2 * (Folds - 1))
		}
	}
	own := false
	if on == OnAll {
		own, _ = m.mayBeFitted(e)
	}
	c.Reason = c.caveats(champion, own, unseen)
	return c, nil
}

// optimism is by how much the log loss of the training rows is below that of others.
func (m *Model) optimism() float64 {
	return cmp.Or(m.Training.EffectiveDF, float64(len(m.weights))) / float64(m.Training.Rows)
}

// Unseen returns for each feature the number of rows with a level that the model has no weight for.
func (m *Model) Unseen(ctx context.Context, rows Source) ([]int, error) {
	columns, err := rows.CountLevels(ctx)
	if err != nil {
		return nil, err
	}
	schema := rows.Table().Schema
	unseen := make([]int, len(m.Schema.Features))
	for j := range unseen {
		column := &columns[schema.Index(m.Schema.Features[j].Name)]
		for level, n := range column.Levels {
			if !m.Knows(j, dataset.Value{Text: level, Level: true}) {
				unseen[j] += n
			}
		}
		if !m.Knows(j, dataset.Value{Missing: true, Level: true}) {
			unseen[j] += column.Missing // a number's are zero
		}
	}
	return unseen, nil
}

// reading returns the model for rows that another schema has cleaned: it counts days to the date of that one, and
// knows its own spellings of levels, of which that one may prefer others.
func (m *Model) reading(s *dataset.Schema) (*Model, error) {
	e, out := *m.Encoder, *m
	out.Encoder = &e
	e.Numbers, e.Curves, e.Grids = maps.Clone(e.Numbers), maps.Clone(e.Curves), maps.Clone(e.Grids)
	for name, days := range s.DaysAfter(m.Schema) {
		n := e.Numbers[name]
		n.Mean, n.Median = n.Mean+days, n.Median+days
		e.Numbers[name] = n
		for _, bases := range []map[string]*Basis{e.Curves, e.Grids} {
			if b := bases[name]; b != nil {
				later := *b
				later.Knots, later.Values = slices.Clone(b.Knots), slices.Clone(b.Values)
				floats.AddConst(days, later.Knots)
				floats.AddConst(days, later.Values)
				bases[name] = &later
			}
		}
	}
	if err := e.bind(m.Schema); err != nil { // with bases of its own
		return nil, err
	}
	for k := range e.bases {
		b := &e.bases[k]
		for spelling, level := range m.Schema.Features[b.feature].Map { // of a category
			_, own := b.level[spelling]
			if place, known := b.level[level]; known && !own {
				b.level[spelling] = place
			}
		}
	}
	return &out, nil
}

// CountTo has the model count dates back from the day of another export: a number of days is then what it was in
// the export that it was trained on. The day of that one is as_of, which all dates must have in common.
func (m *Model) CountTo(day string) error {
	first := ""
	for _, f := range m.Schema.Features {
		if first = cmp.Or(first, f.AsOf); f.AsOf != "" && f.AsOf != first {
			return fmt.Errorf("--as-of %s: the model counts days back from %s and, of %s, from %s, so the day of its export is "+
				"not known: train it on rows that were prepared with --as-of", day, first, f.Name, f.AsOf)
		}
	}
	return m.Schema.CountTo(day)
}

// caveats returns in words what limits a comparison. own says that the candidate, too, may have
// been fitted to some of the rows.
func (c *Champion) caveats(champion *Model, own bool, unseen []int) string {
	var caveats []string
	switch {
	case c.Fitted && own:
		caveats = append(caveats, c.fitted()+", and this model may have been too")
	case c.Fitted:
		caveats = append(caveats, c.fitted()+", which favours it")
	case own:
		caveats = append(caveats, "this model may have been fitted to some of these rows, which favours this model")
	}
	for j, n := range unseen {
		if n > 0 {
			name := champion.Schema.Features[j].Name
			caveats = append(caveats, fmt.Sprintf("%d rows have a level of %q that it has no weight for", n, name))
		}
	}
	return strings.Join(caveats, "; ")
}

// otherTask returns in words why the champion cannot score rows of m's schema, or "". It
// may have fewer features than m, and in another order.
func (m *Model) otherTask(champion *Model) string {
	a, b := m.Schema, champion.Schema
	if a.Target != b.Target {
		return fmt.Sprintf("it predicts %q = %q, this model %q = %q",
			b.Target.Name, b.Target.Positive, a.Target.Name, a.Target.Positive)
	}
	for _, g := range b.Features {
		i := a.Index(g.Name)
		if i < 0 {
			return fmt.Sprintf("its feature %q is not among these customers' columns", g.Name)
		}
		switch f := a.Features[i]; {
		case f.Type != g.Type:
			return fmt.Sprintf("its feature %q is a %s, this model's a %s", f.Name, g.Type, f.Type)
		case f.Type == dataset.Number && unit(f.Notation) != unit(g.Notation):
			return fmt.Sprintf("its feature %q has %s, this model's %s", f.Name, &g.Notation, &f.Notation)
		case f.Case != g.Case:
			return fmt.Sprintf("its feature %q is kept in %s case, this model's in %s case", f.Name, caseName(g), caseName(f))
		}
	}
	return ""
}

// unit says what the numbers of a notation count, of dates whatever their day.
func unit(n dataset.Notation) string {
	if n.AsOf != "" {
		n.AsOf = "a day"
	}
	return n.Example()
}

func caseName(f dataset.Feature) string { return cmp.Or(f.Case, "its own") }

// fitted says in words what Fitted and FittedShare do.
func (c *Champion) fitted() string {
	if c.FittedShare > 0 {
		return fmt.Sprintf("about %.3g %% of these rows equal rows that it was fitted to", 100*c.FittedShare)
	}
	return "it may have been fitted to some of these rows"
}

// sameSplit reports whether both models held out the same rows.
func (m *Model) sameSplit(other *Model) bool {
	a, b := &other.Training, &m.Training
	return other.Data.SHA256 == m.Data.SHA256 && other.Data.Key == m.Data.Key &&
		a.TestSize == b.TestSize && a.Seed == b.Seed && a.TimeColumn == b.TimeColumn
}

// mayBeFitted reports whether the model may have been fitted to some of the evaluated rows, and
// the share if its fingerprint tells.
func (m *Model) mayBeFitted(e *Evaluation) (fitted bool, share float64) {
	const enough = 20 // were 14 % of the rows fitted, none of 20 would be with a probability of 5 %
	equal, compared := m.FittedTo(e)
	if equal > 0 {
		return true, float64(equal) / float64(compared)
	}
	return compared < enough, 0
}

// FittedTo compares evaluated rows with the model's fingerprint: equal of those compared equal
// a row that it was fitted to. It compares none without a fingerprint or of a database.
func (m *Model) FittedTo(e *Evaluation) (equal, compared int) {
	for _, set := range e.sets {
		in, of := fingerprint.Overlap(m.Fingerprint, set.Rows.Hashes(m.Schema))
		equal, compared = equal+in, compared+of
	}
	return equal, compared
}
