package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"churn/internal/cli"
	"churn/internal/csvdata"
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
	outcome     int32 // its number
	met         bool
	byModel     bool
	called      bool
	ts          float64
	probability float64
}

// joined is the answers of a part of the log whose outcome is known.
type joined struct {
	model    string
	outcomes *csvdata.Outcomes
	answers  []settled
}

func (j *joined) add(r *predlog.Record) {
	if n, known := j.outcomes.Number(r.RequestID); known {
		j.answers = append(j.answers, settled{int32(n), true, r.ModelVersion == j.model, r.Prediction == 1, r.TS, r.Probability})
	}
}

// readLabelled joins the outcomes of a file to all records of the log. Of two
// answers to a request the one with the later time counts, of equal ones the later
// one, as when prepare adds them to its rows.
func readLabelled(ctx context.Context, o options, logs predlog.Logs, name string, m *model.Model) (*labelled, []string, error) {
	f, err := os.Open(o.labels)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	outcomes, err := csvdata.ReadOutcomes(ctx, f, o.labels, m.Schema)
	var refusal *dataset.ValidationError
	if errors.As(err, &refusal) {
		return nil, nil, errors.New(refusal.Error()) // trouble: an answer of no would mean that there is drift
	}
	if err != nil {
		return nil, nil, err
	}
	answers := make([]settled, len(outcomes.Positive)) // by outcome, so that sums have one order
	_, err = predlog.Fold[*joined]{
		New: func() *joined { return &joined{model: name, outcomes: outcomes} },
		Add: (*joined).add,
		Merge: func(part *joined) error {
			for _, s := range part.answers {
				if old := &answers[s.outcome]; !old.met || s.ts >= old.ts {
					*old = s
				}
			}
			return nil
		},
		IDs: true,
	}.Read(ctx, logs, 0)
	if err != nil {
		return nil, nil, err
	}
	return judgeLabelled(o, m, outcomes, answers), outcomes.Warnings(o.labels), nil
}

func judgeLabelled(o options, m *model.Model, outcomes *csvdata.Outcomes, answers []settled) *labelled {
	l := &labelled{File: o.labels, Outcomes: len(answers)}
	var c metric.Confusion
	var e metric.Expectation
	for n, s := range answers {
		switch {
		case !s.met:
			l.Unknown++
		case !s.byModel:
			l.Others++
		default:
			l.Rows++
			c.Add(s.called, outcomes.Positive[n])
			e.Add(s.probability, s.called)
		}
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
	fmt.Fprintf(w, "\noutcomes in %s: %d, of these %d of customers that the current model answered, %d that another one did, %d of nobody in the log\n",
		cli.Printable(l.File), l.Outcomes, l.Rows, l.Others, l.Unknown)
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
