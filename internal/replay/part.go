package replay

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/predlog"
)

// A part is what some records in a row have shown. Parts add up in the log's order.
type part struct {
	Result
	name   string
	model  *model.Model
	move   float64 // summed
	abs    float64
	unseen map[Unseen]int // Records is 0 in the keys

	values []dataset.Value // of the record under way, in the schema's order
	at     []int           // where each feature was in the last record
	digits [2][]byte
}

func newPart(name string, m *model.Model) *part {
	n := len(m.Schema.Features)
	return &part{name: name, model: m, unseen: map[Unseen]int{}, values: make([]dataset.Value, n), at: make([]int, n)}
}

// add scores a record again.
func (p *part) add(r *predlog.Record) {
	p.Records++
	own := r.ModelVersion == p.name
	if own {
		p.Audited++
	}
	if reason := p.check(p.model, r.Features, p.values, p.at); reason != nil {
		reason.RequestID = r.RequestID
		if own {
			p.differ(Difference{RequestID: r.RequestID, Logged: r.Probability, Before: r.Prediction, Refused: reason.text()})
			return
		}
		p.NotScorable++
		p.refuse(*reason)
		return
	}
	score := p.model.Score(p.values)
	after := 0
	if score.Churn {
		after = 1
	}
	if len(score.Warnings) > 0 {
		p.noteUnseen()
	}
	if own {
		if !p.same(score.Probability, r.Probability) || after != r.Prediction {
			p.differ(Difference{RequestID: r.RequestID, Logged: r.Probability, New: sixDecimals(score.Probability), Before: r.Prediction, After: after})
		}
		return
	}
	p.compare(r, score.Probability, after)
}

// check puts the features of a record in the order of a model's schema and judges
// them. at says where each was in the record before, where it mostly is again.
func (p *part) check(m *model.Model, features []predlog.Feature, values []dataset.Value, at []int) *Reason {
	for j := range m.Schema.Features {
		f := &m.Schema.Features[j]
		if at[j] >= len(features) || features[at[j]].Name != f.Name {
			at[j] = slices.IndexFunc(features, func(g predlog.Feature) bool { return g.Name == f.Name })
		}
		v := dataset.Value{Missing: true}
		if at[j] >= 0 {
			v = features[at[j]].Value
		} else {
			at[j] = len(features) // to look for in the next
		}
		var objection dataset.Mismatch
		var detail string
		if values[j], objection, detail = f.CheckValue(v); objection != "" {
			return &Reason{Feature: f.Name, Reason: objection, Detail: detail, Records: 1}
		}
	}
	return nil
}

// compare takes a record that another model answered.
func (p *part) compare(r *predlog.Record, probability float64, after int) {
	before := 0
	if r.Prediction == 1 {
		before = 1
	}
	p.Compared++
	p.CallsBefore += before
	p.CallsAfter += after
	switch {
	case after > before:
		p.MoreCalls++
	case after < before:
		p.FewerCalls++
	}
	move := probability - r.Probability
	p.move += move
	p.abs += math.Abs(move)
	if before == after && p.same(probability, r.Probability) {
		return // the log has no more decimals: nobody moved
	}
	if len(p.Moves) == maxMoves && !(math.Abs(move) > p.Moves[maxMoves-1].size()) {
		return
	}
	p.keep(Move{
		RequestID: r.RequestID, Model: r.ModelVersion, Logged: r.Probability, New: probability, Before: before, After: after,
		features: slices.Clone(r.Features), values: slices.Clone(p.values),
	})
}

func (m *Move) size() float64 { return math.Abs(m.New - m.Logged) }

// keep takes a move among the largest. Of equal ones the first in the log comes first.
func (p *part) keep(m Move) {
	i, _ := slices.BinarySearchFunc(p.Moves, m, func(have, m Move) int {
		if have.size() >= m.size() {
			return -1
		}
		return 1
	})
	p.Moves = slices.Insert(p.Moves, i, m)
	p.Moves = p.Moves[:min(len(p.Moves), maxMoves)]
}

// same tells whether two probabilities are logged as the same digits.
func (p *part) same(x, y float64) bool {
	for i, v := range []float64{x, y} {
		p.digits[i] = strconv.AppendFloat(p.digits[i][:0], v, 'f', 6, 64)
	}
	return string(p.digits[0]) == string(p.digits[1])
}

func sixDecimals(x float64) float64 {
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'f', 6, 64), 64) // it was just written
	return x
}

func (p *part) differ(d Difference) {
	p.NotReproduced++
	if len(p.Differences) < maxDifferences {
		p.Differences = append(p.Differences, d)
	}
}

func (p *part) refuse(r Reason) {
	for i := range p.Refused {
		if have := &p.Refused[i]; have.Feature == r.Feature && have.Reason == r.Reason {
			have.Records += r.Records
			return
		}
	}
	p.Refused = append(p.Refused, r)
}

// noteUnseen counts the levels of the record under way that the candidate has no weight for.
func (p *part) noteUnseen() {
	p.UnseenRecords++
	for j, v := range p.values {
		if p.model.Knows(j, v) {
			continue
		}
		u := Unseen{Feature: p.model.Schema.Features[j].Name, Level: v.Text}
		if v.Missing {
			u.Level = dataset.MissingLevel
		}
		if _, have := p.unseen[u]; have || len(p.unseen) < maxLevels {
			p.unseen[u]++
		}
	}
}

// merge adds what came next in the log.
func (p *part) merge(next *part) {
	p.Records += next.Records
	p.Compared += next.Compared
	p.MoreCalls += next.MoreCalls
	p.FewerCalls += next.FewerCalls
	p.CallsBefore += next.CallsBefore
	p.CallsAfter += next.CallsAfter
	p.NotScorable += next.NotScorable
	p.UnseenRecords += next.UnseenRecords
	p.Audited += next.Audited
	p.move += next.move
	p.abs += next.abs
	for _, m := range next.Moves {
		p.keep(m)
	}
	for _, r := range next.Refused {
		p.refuse(r)
	}
	p.NotReproduced += next.NotReproduced
	room := maxDifferences - len(p.Differences)
	p.Differences = append(p.Differences, next.Differences[:min(room, len(next.Differences))]...)
	for _, u := range sortedUnseen(next.unseen) { // in order: which have room must not hang on a map's
		n := u.Records
		u.Records = 0
		if _, have := p.unseen[u]; have || len(p.unseen) < maxLevels {
			p.unseen[u] += n
		}
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
