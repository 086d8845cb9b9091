package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/metric"
	"churn/internal/model"
	"churn/internal/predlog"
)

// labelled is what became of the customers whose outcome is known, wherever in
// the log they are: outcomes are older than the window mostly.
type labelled struct {
	File     string            `json:"file"`
	Outcomes int               `json:"outcomes"`     // different ids in it with an outcome
	Rows     int               `json:"rows"`         // of them that the current model answered
	Others   int               `json:"other_models"` // that another model answered
	Unknown  int               `json:"unknown"`      // that no record has
	Realised *achieved         `json:"realised"`     // of Rows; null where they are too few
	Expected *metric.Estimates `json:"expected"`     // of the same; null where that does not hold
	Reason   string            `json:"reason"`       // why Realised is null
}

// settled is an answer whose outcome is known.
type settled struct {
	byModel     bool
	probability float64
	called      bool
	left        bool
}

// joined is the answers of a part of the log whose outcome is known, by request id.
// If a request was answered twice, the last answer counts.
type joined struct {
	model    string
	outcomes *dataset.Outcomes
	order    []string // ids as they were first met, so that sums have one order
	answers  map[string]settled
}

func (j *joined) add(r *predlog.Record) {
	left, known := j.outcomes.Positive[r.RequestID]
	if !known {
		return
	}
	j.put(r.RequestID, settled{r.ModelVersion == j.model, r.Probability, r.Prediction == 1, left})
}

func (j *joined) put(id string, s settled) {
	if _, met := j.answers[id]; !met {
		j.order = append(j.order, id)
	}
	j.answers[id] = s
}

// readLabelled joins the outcomes of a file to all records of the log.
func readLabelled(ctx context.Context, o options, logPath, name string, m *model.Model) (*labelled, []string, error) {
	f, err := os.Open(o.labels)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	outcomes, err := m.Schema.ReadOutcomes(ctx, f, o.labels)
	if err != nil {
		return nil, nil, err
	}
	all := &joined{name, outcomes, nil, map[string]settled{}}
	_, err = predlog.Fold[*joined]{
		New: func() *joined { return &joined{name, outcomes, nil, map[string]settled{}} },
		Add: (*joined).add,
		Merge: func(part *joined) error {
			for _, id := range part.order {
				all.put(id, part.answers[id])
			}
			return nil
		},
		IDs: true,
	}.Read(ctx, logPath, 0)
	if err != nil {
		return nil, nil, err
	}
	return all.judge(o, m), outcomes.Warnings(o.labels), nil
}

func (j *joined) judge(o options, m *model.Model) *labelled {
	l := &labelled{File: o.labels, Outcomes: len(j.outcomes.Positive)}
	l.Unknown = l.Outcomes - len(j.order)
	var c metric.Confusion
	var e metric.Expectation
	for _, id := range j.order {
		s := j.answers[id]
		if !s.byModel {
			l.Others++
			continue
		}
		l.Rows++
		c.Add(s.called, s.left)
		e.Add(s.probability, s.called)
	}
	if l.Rows < o.minRows {
		l.Reason = fmt.Sprintf("%d outcomes of customers that the current model answered, at least %d are needed", l.Rows, o.minRows)
		return l
	}
	realised := achievedOf(c)
	l.Realised = &realised
	if m.Training.ClassWeight == model.WeightNone {
		expected := e.Estimates()
		l.Expected = &expected
	}
	return l
}

func (l *labelled) print(w io.Writer, test achieved) {
	fmt.Fprintf(w, "\n%d outcomes in %s: %d of customers that the current model answered, %d that another one did, %d of nobody in the log\n",
		l.Outcomes, cli.Printable(l.File), l.Rows, l.Others, l.Unknown)
	if l.Realised == nil {
		fmt.Fprintf(w, "nothing can be said of them: %s\n", l.Reason)
		return
	}
	fmt.Fprintln(w)
	t := cli.NewTable(w, 1, "figure", "realised", "expected", "95 %", "test")
	for _, f := range figures(test, l.Expected, l.Realised) {
		expected, between := "", ""
		if f.Expected != nil {
			expected, between = fmt.Sprintf("%.4f", f.Expected.Value), interval(f.Expected)
		}
		t.AppendRow([]any{f.Name, fmt.Sprintf("%.4f", *f.Realised), expected, between, fmt.Sprintf("%.4f", f.Test)})
	}
	t.Render()
}
