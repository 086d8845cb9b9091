package model

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// An Assessment is what is reported of a model and its metrics.
type Assessment struct {
	ModelFile    string        `json:"model_file"`
	ModelSHA256  string        `json:"model_sha256"`
	MetricsOn    string        `json:"figures_on"` // OnTest, OnFolds or OnAll
	Metrics      Metrics       `json:"figures"`
	GateF1       *float64      `json:"gate_f1"` // null: no gate of F1
	Verdict      Verdict       `json:"verdict"`
	PassedGate   bool          `json:"passed_gate"`
	Training     Training      `json:"training"`
	Data         Data          `json:"data"`
	Coefficients []Coefficient `json:"coefficients"`
	Effects      []Effect      `json:"effects,omitzero"`    // of terms that are not all lines and levels
	LineTests    []LineTest    `json:"line_tests,omitzero"` // of evaluate: of the training rows, or with --model of these
	Warnings     []string      `json:"warnings"`

	*Detail // of evaluate
}

// Detail is what evaluate reports beside the metrics, of the same rows.
type Detail struct {
	Curves   metric.Curves       `json:"curves"`
	Baseline metric.F1Difference `json:"always_positive"` // the model's F1 less that of the always-positive baseline
	Champion *Champion           `json:"champion"`        // null: there was no other current model

	// What can be expected of the actions asked for, by these rows.
	Capacity  *metric.Top      `json:"capacity,omitzero"`
	Profit    *metric.Profit   `json:"profit,omitzero"`
	SegmentBy string           `json:"segment_by,omitzero"`
	Segments  []metric.Segment `json:"segments,omitzero"`
}

// ActionOptions say what is to be done with a model's predictions.
type ActionOptions struct {
	Capacity int             // customers who can be called; 0: any number
	Campaign metric.Campaign // with the Value 0 there is none
	Segment  string          // feature to evaluate by; "" is none
}

// Act fills in what to expect of some actions among so many customers, of whom the evaluated rows are a sample.
func (d *Detail) Act(e *Evaluation, o ActionOptions, customers int) {
	d.Baseline = e.Metrics.Confusion.AgainstAlwaysPositive().Compare()
	d.SegmentBy = o.Segment
	if o.Capacity > 0 {
		d.Capacity = new(e.ranking.Top(o.Capacity, customers))
	}
	if o.Campaign.Value > 0 {
		d.Profit = e.ranking.Profit(o.Campaign, e.Metrics.Confusion)
		if t := d.Capacity; t != nil {
			t.Profit = new(o.Campaign.Calls(t.Capacity, t.Churners.Value))
		}
	}
	if o.Segment != "" {
		d.Segments = e.segments(o.Segment)
		metric.Segments(d.Segments)
	}
}

// segments divides rows in memory by the levels of a feature, or by a number's fifths of the training rows.
func (e *Evaluation) segments(feature string) (out []metric.Segment) {
	type key struct {
		upTo float64 // of a number; the missing cells are last
		name string
	}
	parts := map[key]*metric.Segment{}
	segment := e.segmentOf(feature)
	for _, s := range e.sets {
		rows, table := s.Predictions.(*rowPredictions), s.Rows.Table()
		j := table.Schema.Index(feature)
		for k, i := range rows.rows {
			upTo, name := segment(table.Value(int(i), j))
			p := parts[key{upTo, name}]
			if p == nil {
				p = &metric.Segment{Name: name}
				parts[key{upTo, name}] = p
			}
			p.Add(rows.probabilities[k], s.By.Threshold, rows.positive[k])
		}
	}
	inOrder := func(a, b key) int { return cmp.Or(cmp.Compare(a.upTo, b.upTo), strings.Compare(a.name, b.name)) }
	for _, of := range slices.SortedFunc(maps.Keys(parts), inOrder) {
		out = append(out, *parts[of])
	}
	return out
}

// segmentOf returns the function from a value to its segment and the order of that.
func (e *Evaluation) segmentOf(feature string) func(dataset.Value) (float64, string) {
	var cuts []float64
	if n := e.model.Reference.Columns[feature].Numbers; n != nil {
		if cuts = n.Cuts; len(cuts) == 9 { // of ten bins, take two together
			cuts = []float64{cuts[1], cuts[3], cuts[5], cuts[7]}
		}
	}
	return func(v dataset.Value) (float64, string) {
		i, _ := slices.BinarySearch(cuts, v.Number)
		switch {
		case v.Missing:
			return math.Inf(1), dataset.MissingLevel
		case v.Level:
			return 0, v.Text
		case len(cuts) == 0:
			return 0, "all numbers"
		case i == len(cuts):
			return math.MaxFloat64, fmt.Sprintf("above %.6g", cuts[i-1])
		case i > 0:
			return cuts[i], fmt.Sprintf("above %.6g, up to %.6g", cuts[i-1], cuts[i])
		}
		return cuts[i], fmt.Sprintf("up to %.6g", cuts[i])
	}
}
