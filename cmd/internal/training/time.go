package training

import (
	"context"
	"fmt"
	"io"

	"churn/internal/cli"
	"churn/internal/drift"
	"churn/internal/model"
)

// A TimeSplit is what a split by time shows beside the metrics.
type TimeSplit struct {
	*model.TimeSplit
	Verdict drift.Severity `json:"drift"`
	Drift   []drift.Check  `json:"checks"` // of the test rows against the training rows; those above ok
}

// byTime backtests a model that was fitted to a split by time, and compares the two parts.
func byTime(ctx context.Context, o Options, customers *Customers, m *model.Model) (*TimeSplit, error) {
	back, err := model.BacktestByTime(ctx, customers.Source, o.Options)
	if err != nil {
		return nil, err
	}
	_, test, err := customers.Split(o.TestSize, o.Seed)
	if err != nil {
		return nil, err
	}
	table, rows, err := test.Sample(ctx, customers.Data.Rows, o.Seed)
	if err != nil {
		return nil, err
	}
	out := &TimeSplit{TimeSplit: back, Drift: []drift.Check{}}
	columns := drift.NewColumns(m.Schema, m.References())[:len(m.Schema.Features)]
	for j, c := range columns {
		for _, i := range rows {
			c.Live.Add(table.Value(int(i), j))
		}
	}
	checks, verdict := drift.Compare(columns, drift.Pairs{})
	out.Verdict = verdict
	for _, c := range checks {
		if c.Severity != drift.OK {
			out.Drift = append(out.Drift, c)
		}
	}
	return out, nil
}

// print prints the split, the drift between its parts, and the backtest.
func (s *TimeSplit) print(w io.Writer) {
	if s == nil {
		return
	}
	fmt.Fprintf(w, "\nsplit by %s: the test rows are from %s on; drift from the training rows: %s\n",
		cli.Printable(s.Column), s.From, s.Verdict)
	for _, c := range s.Drift {
		fmt.Fprintf(w, "  %s: %s: %s\n", c.Severity, cli.Printable(c.Column), c.Sentence)
	}
	if len(s.Backtest) == 0 {
		return
	}
	fmt.Fprint(w, "\nbacktest: fitted to the rows before, evaluated on those up to the next\n\n")
	t := cli.NewTable(w, 1, "from", "rows before", "rows", "positive", "ROC AUC", "log loss", "F1")
	for _, b := range s.Backtest {
		if b.Metrics == nil {
			t.AppendRow([]any{b.From, b.TrainRows, b.Reason, "", "", "", ""})
			continue
		}
		row := []any{b.From, b.TrainRows, b.Metrics.Rows, b.Metrics.Positives}
		for _, x := range []float64{b.Metrics.ROCAUC, b.Metrics.LogLoss, b.Metrics.F1} {
			row = append(row, fmt.Sprintf("%.4f", x))
		}
		t.AppendRow(row)
	}
	t.Render()
}
