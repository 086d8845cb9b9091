package main

import (
	"fmt"
	"io"

	"churn/internal/cli"
	"churn/internal/metric"
	"churn/internal/model"
)

// quality is what the current model's answers are worth: those of the window,
// whose outcome nobody knows yet, and those whose outcome is known.
type quality struct {
	Holds    bool              `json:"holds"`    // its probabilities can be taken for expectations
	Reason   string            `json:"reason"`   // why there is no expectation
	Rows     int               `json:"rows"`     // of the window that it answered
	Expected *metric.Estimates `json:"expected"` // of those; null with a reason
	Test     achieved          `json:"test"`     // when it was trained
	Labelled *labelled         `json:"labelled,omitzero"`
}

// achieved are figures of answers whose truth is known.
type achieved struct {
	Precision    float64 `json:"precision"`
	Recall       float64 `json:"recall"`
	F1           float64 `json:"f1"`
	Accuracy     float64 `json:"accuracy"`
	PositiveRate float64 `json:"positive_rate"`
}

func achievedOf(c metric.Confusion) achieved {
	positives, rows := c.TP+c.FN, c.TP+c.FN+c.FP+c.TN
	return achieved{c.Precision(), c.Recall(), c.F1(), c.Accuracy(), float64(positives) / float64(rows)}
}

// qualityOf judges what the current model answered in the window.
func qualityOf(m *model.Model, e metric.Expectation, minRows int) *quality {
	q := &quality{Holds: m.Training.ClassWeight == model.WeightNone, Rows: e.Rows, Test: achievedOf(m.Figures.Confusion)}
	switch {
	case !q.Holds:
		q.Reason = "it was trained with class weights, so its probabilities are not shares of customers"
	case e.Rows < minRows:
		q.Reason = fmt.Sprintf("it answered %d of the records, at least %d are needed", e.Rows, minRows)
	default:
		expected := e.Estimates()
		q.Expected = &expected
	}
	return q
}

func (q *quality) print(w io.Writer) {
	if q.Expected == nil {
		fmt.Fprintf(w, "\nquality: nothing can be expected of the current model: %s\n", q.Reason)
	} else {
		fmt.Fprintf(w, "\nquality to be expected of the %d answers, if customers leave for the reasons they had in training\n\n", q.Rows)
		t := cli.NewTable(w, 1, "figure", "expected", "95 %", "test")
		each(q.Test, q.Expected, nil, func(name string, test float64, e metric.Estimate, _ float64) {
			t.AppendRow([]any{name, fmt.Sprintf("%.4f", e.Value), interval(e), fmt.Sprintf("%.4f", test)})
		})
		t.Render()
	}
	if q.Labelled != nil {
		q.Labelled.print(w, q)
	}
}

// each calls f for each figure: of the test, expected, and realised where they are given.
func each(test achieved, expected *metric.Estimates, realised *achieved, f func(name string, test float64, expected metric.Estimate, realised float64)) {
	if expected == nil {
		expected = &metric.Estimates{}
	}
	if realised == nil {
		realised = &achieved{}
	}
	f("precision", test.Precision, expected.Precision, realised.Precision)
	f("recall", test.Recall, expected.Recall, realised.Recall)
	f("F1", test.F1, expected.F1, realised.F1)
	f("accuracy", test.Accuracy, expected.Accuracy, realised.Accuracy)
	f("churn rate", test.PositiveRate, expected.PositiveRate, realised.PositiveRate)
}

func interval(e metric.Estimate) string {
	return fmt.Sprintf("%.4f to %.4f", e.Interval[0], e.Interval[1])
}
