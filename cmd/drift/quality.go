package main

import (
	"fmt"
	"io"

	"churn/internal/cli"
	"churn/internal/metric"
	"churn/internal/model"
	"churn/internal/report"
)

// quality is what the current model's answers are worth: what to expect of those in
// the window, and what became of those whose outcome is known.
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
	q := &quality{Holds: m.Training.ClassWeight == model.WeightNone, Rows: e.Rows, Test: achievedOf(m.Metrics.Confusion)}
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

// figures are the figures of quality, each with what is known of it. expected and
// realised may be nil.
func figures(test achieved, expected *metric.Estimates, realised *achieved) []report.QualityFigure {
	e, r := expected, realised
	if e == nil {
		e = &metric.Estimates{}
	}
	if r == nil {
		r = &achieved{}
	}
	out := []report.QualityFigure{
		{Name: "precision", Test: test.Precision, Expected: &e.Precision, Realised: &r.Precision},
		{Name: "recall", Test: test.Recall, Expected: &e.Recall, Realised: &r.Recall},
		{Name: "F1", Test: test.F1, Expected: &e.F1, Realised: &r.F1},
		{Name: "accuracy", Test: test.Accuracy, Expected: &e.Accuracy, Realised: &r.Accuracy},
		{Name: "churn rate", Test: test.PositiveRate, Expected: &e.PositiveRate, Realised: &r.PositiveRate},
	}
	for i := range out {
		if expected == nil {
			out[i].Expected = nil
		}
		if realised == nil {
			out[i].Realised = nil
		}
	}
	return out
}

// page is the quality as the page shows it.
func (q *quality) page() *report.Quality {
	p := &report.Quality{Reason: q.Reason, Rows: q.Rows, Figures: figures(q.Test, q.Expected, nil)}
	if l := q.Labelled; l != nil {
		p.Labelled = &report.Labelled{File: l.File, Outcomes: l.Outcomes, Rows: l.Rows, Others: l.Others, Unknown: l.Unknown, Reason: l.Reason,
			Figures: figures(q.Test, l.Expected, l.Realised)}
	}
	return p
}

func (q *quality) print(w io.Writer) {
	if q.Expected == nil {
		fmt.Fprintf(w, "\nquality: nothing can be expected of the current model: %s\n", q.Reason)
	} else {
		fmt.Fprintf(w, "\nquality to be expected of the %d answers, if customers leave for the reasons they had in training\n\n", q.Rows)
		t := cli.NewTable(w, 1, "figure", "expected", "95 %", "test")
		for _, f := range figures(q.Test, q.Expected, nil) {
			t.AppendRow([]any{f.Name, fmt.Sprintf("%.4f", f.Expected.Value), interval(f.Expected), fmt.Sprintf("%.4f", f.Test)})
		}
		t.Render()
	}
	if q.Labelled != nil {
		q.Labelled.print(w, q.Test)
	}
}

func interval(e *metric.Estimate) string {
	return fmt.Sprintf("%.4f to %.4f", e.Interval[0], e.Interval[1])
}
