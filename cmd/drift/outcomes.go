package main

import (
	"context"
	"errors"
	"os"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/metric"
	"churn/internal/predlog"
)

// answer is a logged prediction of a customer whose outcome is known.
type answer struct {
	outcome     int32 // its number
	logged      bool
	byModel     bool // by the current one
	positive    bool // predicted
	ts          float64
	probability float64
}

// readLabelled joins the outcomes of o.labels to all records of the log. Of two
// answers to a request the one with the later time counts, of equal ones the later
// in the log, as when prepare adds outcomes to its rows.
func readLabelled(ctx context.Context, o options, logs predlog.Logs, refs *references) (
	*drift.Labelled, []string, error,
) {
	f, err := os.Open(o.labels)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	outcomes, err := csvdata.ReadOutcomes(ctx, f, o.labels, refs.model.Schema)
	var invalid *dataset.ValidationError
	if errors.As(err, &invalid) {
		return nil, nil, errors.New(invalid.Error()) // status 2: a status of 1 would mean that there is drift
	}
	if err != nil {
		return nil, nil, err
	}
	answers := make([]answer, len(outcomes.Positive)) // by outcome, so that sums have one order
	_, err = predlog.Fold[*[]answer]{
		New: func() *[]answer { return new([]answer) },
		Add: func(chunk *[]answer, r *predlog.Record) {
			if n, known := outcomes.Number(r.RequestID); known {
				*chunk = append(*chunk, answer{
					outcome: int32(n), logged: true, byModel: r.ModelVersion == refs.modelName, positive: r.Prediction == 1,
					ts: r.TS, probability: r.Probability,
				})
			}
		},
		Merge: func(chunk *[]answer) error {
			for _, a := range *chunk {
				if old := &answers[a.outcome]; !old.logged || a.ts >= old.ts {
					*old = a
				}
			}
			return nil
		},
		IDs: true,
	}.Read(ctx, logs, 0)
	if err != nil {
		return nil, nil, err
	}
	return evaluateLabelled(o, refs, outcomes, answers), outcomes.Warnings(o.labels), nil
}

func evaluateLabelled(o options, refs *references, outcomes *csvdata.Outcomes, answers []answer) *drift.Labelled {
	l := &drift.Labelled{File: o.labels, Outcomes: len(answers)}
	var c metric.Confusion
	var e metric.Expectation
	for n, a := range answers {
		switch {
		case !a.logged:
			l.Unknown++
		case !a.byModel:
			l.Others++
		default:
			l.Rows++
			c.Add(a.positive, outcomes.Positive[n])
			e.Add(a.probability, a.positive)
		}
	}
	if l.Rows < o.minRows {
		l.Reason = drift.NotEnough(l.Rows, "outcomes of customers scored by the current model", o.minRows)
		return l
	}
	realised := drift.MetricsOf(c)
	l.Realised = &realised
	if refs.model.Training.Calibrated() {
		expected := e.Estimates()
		l.Expected = &expected
	}
	return l
}
