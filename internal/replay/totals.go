package replay

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/predlog"
)

// totals add up consecutive records of the log.
type totals struct {
	Result
	name   string
	model  *model.Model
	others map[string]string // models that predict another column
	days   modelstore.Days
	change float64 // of the probability, summed
	abs    float64
	unseen map[Unseen]int // Records is 0 in the keys

	values []dataset.Value // of the current record, in the schema's order
	at     []int           // where each feature was in the last record
	digits [2][]byte
}

func newTotals(name string, m *model.Model, others map[string]string, days modelstore.Days) *totals {
	n := len(m.Schema.Features)
	return &totals{name: name, model: m, others: others, days: days, unseen: map[Unseen]int{},
		values: make([]dataset.Value, n), at: make([]int, n)}
}

// add scores a record again.
func (t *totals) add(r *predlog.Record) {
	own := r.ModelVersion == t.name
	if own {
		t.Audited++
	}
	if problem := readValues(t.model, r.Features, t.days[r.ModelVersion], t.values, t.at); problem != nil {
		problem.RequestID = r.RequestID
		if own {
			t.differ(Difference{RequestID: r.RequestID, Logged: r.Probability, Before: r.Prediction, Refused: problem.text()})
			return
		}
		t.NotScorable++
		t.addUnscorable(*problem)
		return
	}
	score := t.model.Score(t.values)
	after := score.Prediction()
	if len(score.Warnings) > 0 {
		t.UnseenRecords++
		t.countLevels()
	}
	if !own {
		t.countUnknown(r.Features)
		if t.others[r.ModelVersion] != "" {
			t.OtherTarget++
			return
		}
		t.compare(r, score.Probability, after)
	} else if !t.same(score.Probability, r.Probability) || after != r.Prediction {
		logged, _ := strconv.ParseFloat(strconv.FormatFloat(score.Probability, 'f', 6, 64), 64) // as the log has it
		t.differ(Difference{RequestID: r.RequestID, Logged: r.Probability, New: logged, Before: r.Prediction, After: after})
	}
}

// readValues puts the features of a record in the order of a model's schema, and
// returns the first that the model cannot score. at says where each feature was in the
// record before, which is mostly where it is in this one, and days what is added to its dates.
func readValues(m *model.Model, features []predlog.Feature, days map[string]float64, values []dataset.Value, at []int,
) *Unscorable {
	for j := range m.Schema.Features {
		f := &m.Schema.Features[j]
		if at[j] >= len(features) || features[at[j]].Name != f.Name {
			at[j] = slices.IndexFunc(features, func(g predlog.Feature) bool { return g.Name == f.Name })
		}
		v := dataset.Value{Missing: true}
		if at[j] >= 0 {
			v = features[at[j]].Value
			v.Number += days[f.Name]
		} else {
			at[j] = len(features) // to be searched for in the next record
		}
		var mismatch dataset.Mismatch
		var detail string
		if values[j], mismatch, detail = f.CheckValue(v); mismatch != "" {
			return &Unscorable{Feature: f.Name, Reason: mismatch, Detail: detail, Records: 1}
		}
	}
	return nil
}

// countUnknown counts the record if it has a feature that the candidate neither uses nor
// ignores.
func (t *totals) countUnknown(features []predlog.Feature) {
	used := 0
	for _, at := range t.at {
		if at < len(features) {
			used++
		}
	}
	if used < len(features) && slices.ContainsFunc(features, func(f predlog.Feature) bool {
		return t.model.Schema.Index(f.Name) < 0 && !t.model.Schema.Skips(f.Name)
	}) {
		t.UnknownFields++
	}
}

// compare adds a record that another model answered.
func (t *totals) compare(r *predlog.Record, probability float64, after int) {
	before := r.Prediction
	t.Compared++
	t.PositivesBefore += before
	switch {
	case after > before:
		t.ToPositive++
	case after < before:
		t.ToNegative++
	}
	change := probability - r.Probability
	t.change += change
	t.abs += math.Abs(change)
	if before == after && t.same(probability, r.Probability) {
		return // the log has no more decimals: nothing changed
	}
	if len(t.Changes) == maxChanges && !(math.Abs(change) > t.Changes[maxChanges-1].size()) {
		return
	}
	t.keep(ScoreChange{
		RequestID: r.RequestID, Model: r.ModelVersion, Logged: r.Probability, New: probability, Before: before, After: after,
		features: slices.Clone(r.Features), values: slices.Clone(t.values),
	})
}

func (c *ScoreChange) size() float64 { return math.Abs(c.New - c.Logged) }

// keep inserts a change among the largest. Of equal ones the first in the log comes first.
func (t *totals) keep(c ScoreChange) {
	t.Changes = append(t.Changes, c)
	slices.SortStableFunc(t.Changes, func(a, b ScoreChange) int { return cmp.Compare(b.size(), a.size()) })
	t.Changes = t.Changes[:min(len(t.Changes), maxChanges)]
}

// same reports whether two probabilities are logged as the same digits.
func (t *totals) same(x, y float64) bool {
	for i, v := range []float64{x, y} {
		t.digits[i] = strconv.AppendFloat(t.digits[i][:0], v, 'f', 6, 64)
	}
	return string(t.digits[0]) == string(t.digits[1])
}

func (t *totals) differ(d Difference) {
	t.NotReproduced++
	if len(t.Differences) < maxDifferences {
		t.Differences = append(t.Differences, d)
	}
}

func (t *totals) addUnscorable(u Unscorable) {
	for i := range t.Unscorable {
		if have := &t.Unscorable[i]; have.Feature == u.Feature && have.Reason == u.Reason {
			have.Records += u.Records
			return
		}
	}
	t.Unscorable = append(t.Unscorable, u)
}

// countLevels counts the levels of the current record that the candidate has no weight for.
func (t *totals) countLevels() {
	for j, v := range t.values {
		if t.model.Knows(j, v) {
			continue
		}
		u := Unseen{Feature: t.model.Schema.Features[j].Name, Level: v.Text, Records: 1}
		switch {
		case v.Missing:
			u.Level = dataset.MissingLevel
		case !v.Level: // a number that is used as levels
			u.Level = strconv.FormatFloat(v.Number, 'g', -1, 64)
		}
		t.addUnseen(u)
	}
}

func (t *totals) addUnseen(u Unseen) {
	n := u.Records
	u.Records = 0
	if _, have := t.unseen[u]; have || len(t.unseen) < maxLevels {
		t.unseen[u] += n
	}
}

// merge adds the records that follow in the log.
func (t *totals) merge(next *totals) {
	t.Compared += next.Compared
	t.ToPositive += next.ToPositive
	t.ToNegative += next.ToNegative
	t.PositivesBefore += next.PositivesBefore
	t.NotScorable += next.NotScorable
	t.OtherTarget += next.OtherTarget
	t.UnknownFields += next.UnknownFields
	t.UnseenRecords += next.UnseenRecords
	t.Audited += next.Audited
	t.NotReproduced += next.NotReproduced
	t.change += next.change
	t.abs += next.abs
	for _, c := range next.Changes {
		t.keep(c)
	}
	for _, u := range next.Unscorable {
		t.addUnscorable(u)
	}
	t.Differences = append(t.Differences, next.Differences...)
	t.Differences = t.Differences[:min(len(t.Differences), maxDifferences)]
	for _, u := range sortedUnseen(next.unseen) { // sorted: a map's order must not decide which are counted
		t.addUnseen(u)
	}
}

// sortedUnseen returns levels with their counts, the most frequent first.
func sortedUnseen(counts map[Unseen]int) []Unseen {
	list := make([]Unseen, 0, len(counts))
	for u, n := range counts {
		u.Records = n
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b Unseen) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), cmp.Compare(a.Feature, b.Feature), cmp.Compare(a.Level, b.Level))
	})
	return list
}

// explain divides the change into the changes of the contributions of features and
// pairs. One that one of the models does not have contributes nothing there.
func (c *ScoreChange) explain(old, candidate *model.Model) {
	width := len(old.Schema.Features)
	values := make([]dataset.Value, width)
	if readValues(old, c.features, nil, values, make([]int, width)) != nil {
		return // the log is not what that model answered
	}
	before, after := old.Explain(values), candidate.Explain(c.values)
	c.Base = after.Base - before.Base
	for j, name := range candidate.Contributors() {
		c.Reasons = append(c.Reasons, Reason{name, after.Contributions[j]})
	}
	for j, name := range old.Contributors() {
		reversed := name
		if j >= width {
			p := old.Encoder.Pairs[j-width]
			reversed = model.Pair{p[1], p[0]}.String()
		}
		i := slices.IndexFunc(c.Reasons, func(r Reason) bool { return r.Feature == name || r.Feature == reversed })
		if i < 0 {
			i = len(c.Reasons)
			c.Reasons = append(c.Reasons, Reason{Feature: name})
		}
		c.Reasons[i].LogOdds -= before.Contributions[j]
	}
	slices.SortStableFunc(c.Reasons, func(a, b Reason) int {
		return cmp.Compare(math.Abs(b.LogOdds), math.Abs(a.LogOdds))
	})
	c.Reasons = c.Reasons[:min(len(c.Reasons), maxReasons)]
}
