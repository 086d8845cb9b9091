package main

import (
	"context"
	"fmt"
	"math"

	"churn/cmd/internal/training"
	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/registry"
	"churn/internal/replay"
	"churn/internal/status"

	"github.com/spf13/cobra"
)

// verdict is what evaluating a registered model reports.
type verdict struct {
	model.Assessment
	DataFile string         `json:"data_file"`
	Replay   *replay.Result `json:"rehearsal,omitzero"`
}

// evaluateModel computes the metrics of a registered model on customers in a file or in a
// database. Of those that it was trained on, only the ones held out are used. The model is exported
// even if there are no customers for it.
func evaluateModel(cmd *cobra.Command, o options) error {
	if err := o.Check(); err != nil {
		return err
	}
	reg := modelstore.Open(o.Dir)
	name, err := reg.Resolve(o.name)
	if err != nil {
		return err
	}
	var sha256 string
	m, err := model.Read(name, func(name string) ([]byte, error) {
		b, err := reg.ReadRegistered(name)
		sha256 = registry.SHA256(b)
		return b, err
	})
	if err != nil {
		return err
	}
	if err := o.to.write(m, name); err != nil {
		return err
	}
	if o.AsOf != "" {
		if err := m.CountTo(o.AsOf); err != nil {
			return err
		}
	}
	v := verdict{Assessment: model.Assessment{
		ModelFile: name, ModelSHA256: sha256, MetricsOn: model.OnAll, GateF1: o.GateOf(m.Schema),
		Training: m.Training, Data: m.Data, Coefficients: m.Reported(), Effects: m.Effects, Warnings: []string{},
	}}
	customers, err := training.Open(cmd.Context(), o.Options, m.Schema, m)
	if err != nil {
		return err
	}
	defer customers.Close()
	e, err := v.evaluate(cmd.Context(), customers, m)
	if err != nil {
		return err
	}
	v.Metrics, v.Detail = e.Metrics, training.Compare(cmd.Context(), reg, m, e, v.MetricsOn, name, o.AsOf)
	v.Act(e, o.Actions, customers.Data.Rows)
	v.Verdict = m.Gate(e, v.GateF1, v.Champion)
	v.PassedGate = v.Verdict.Passed
	if v.Replay, err = o.replayRegistered(cmd.Context(), name, m, &v.Warnings); err != nil {
		return err
	}
	cli.Warn(cmd, v.Warnings...)
	if o.page != "" {
		if err := writeCard(o.page, math.MaxInt, m, v.DataFile, v.Assessment); err != nil {
			return err
		}
	}
	return v.print(cmd, o.JSON)
}

// evaluate evaluates the model on customers.
func (v *verdict) evaluate(ctx context.Context, customers *training.Customers, m *model.Model,
) (*model.Evaluation, error) {
	defer customers.Finish()
	rows := customers.Source
	v.DataFile = customers.Name
	v.Warnings = append(v.Warnings, customers.Warnings...)
	if customers.Data.SHA256 == m.Data.SHA256 {
		if m.Training.TestSize > 0 {
			v.MetricsOn = model.OnTest
			var err error
			if _, rows, err = customers.Split(m.Training.TestSize, m.Training.Seed); err != nil {
				return nil, err
			}
		} else {
			v.Warnings = append(v.Warnings,
				"the model was fitted to every one of these customers: its metrics here are optimistic")
		}
	}
	e, err := m.Evaluate(ctx, rows)
	if err != nil {
		return nil, err
	}
	equal, compared := m.FittedTo(e)
	if equal >= 3 && 100*equal > compared && customers.Data.SHA256 != m.Data.SHA256 { // fewer may be equal by chance
		v.Warnings = append(v.Warnings, fmt.Sprintf("about %.0f %% of these rows equal rows that the model was fitted to: "+
			"its metrics here are optimistic; evaluate on other customers (rows may also be equal by chance, "+
			"where columns are few)", 100*float64(equal)/float64(compared)))
	}
	unseen, err := m.Unseen(ctx, rows)
	if err != nil {
		return nil, err
	}
	for j, n := range unseen {
		if n > 0 {
			v.Warnings = append(v.Warnings, fmt.Sprintf("%s: %d of %d rows have a level that was not in the training rows: "+
				"scored as none of the known levels", cli.Printable(m.Schema.Features[j].Name), n, e.Metrics.Rows))
		}
	}
	if v.LineTests, err = m.TestLines(ctx, rows); err != nil {
		return nil, err
	}
	v.Warnings = append(v.Warnings, training.Limits(m, e, v.LineTests)...)
	return e, customers.Check(ctx)
}

// print prints the verdict, and returns the error of a gate or of a replay that it did not pass.
func (v *verdict) print(cmd *cobra.Command, asJSON bool) error {
	w := cmd.OutOrStdout()
	if asJSON {
		if err := cli.JSON(w, v); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "models/%s on %s\n\n", v.ModelFile, cli.Printable(v.DataFile))
		training.PrintEvaluation(w, v.Assessment)
		if v.Replay != nil {
			fmt.Fprint(w, "\nrehearsal: ")
			v.Replay.Print(w)
		}
	}
	if !v.PassedGate {
		return status.Reject("%s does not pass the gate: %s", v.ModelFile, v.Verdict.Why)
	}
	if v.Replay != nil {
		return v.Replay.Err()
	}
	return nil
}
