package main

import (
	"fmt"

	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/registry"
	"churn/internal/replay"
	"churn/internal/training"
	"churn/internal/warehouse"

	"github.com/spf13/cobra"
)

// verdict is what judging a registered model reports.
type verdict struct {
	ModelFile    string              `json:"model_file"`
	ModelSHA256  string              `json:"model_sha256"`
	DataFile     string              `json:"data_file"`
	FiguresOn    string              `json:"figures_on"`
	Figures      model.Figures       `json:"figures"`
	GateF1       float64             `json:"gate_f1"`
	PassedGate   bool                `json:"passed_gate"`
	Training     model.Training      `json:"training"`
	Data         model.Data          `json:"data"`
	Coefficients []model.Coefficient `json:"coefficients"`
	Warnings     []string            `json:"warnings"`

	*training.Detail
	Rehearsal *replay.Result `json:"rehearsal,omitzero"`
}

// judge computes the figures of a registered model on customers in a file or a
// table. Of those that it was made from, only the ones held out are used. page is where
// to draw them; "" is nowhere.
func judge(cmd *cobra.Command, o training.Options, from warehouse.Options, name, page string, on stage) error {
	if err := o.Check(); err != nil {
		return err
	}
	reg := registry.Open(o.Dir, model.Verify, nil)
	b, err := reg.ReadRegistered(name)
	if err != nil {
		return err
	}
	m, err := model.Parse(b)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	v := verdict{
		ModelFile: name, ModelSHA256: registry.SHA256(b), FiguresOn: model.OnAll, GateF1: o.GateF1,
		Training: m.Training, Data: m.Data, Coefficients: m.Coefficients, Warnings: []string{},
	}
	var table *dataset.Table
	var j *model.Judgement
	if from.Given() {
		var source *warehouse.Source
		source, j, err = v.onTable(cmd.Context(), o, from, m)
		if source != nil {
			defer source.Close()
		}
	} else {
		table, j, err = v.onFile(cmd.Context(), o, m)
	}
	if err != nil {
		return err
	}
	v.Figures, v.Detail = j.Figures, training.Examine(cmd.Context(), reg, table, m, j, v.FiguresOn, name)()
	v.PassedGate = v.Figures.Passed(o.GateF1)
	if v.Rehearsal, err = on.rehearse(cmd, o.Dir, name, m, &v.Warnings); err != nil {
		return err
	}
	cli.Warn(cmd, v.Warnings...)
	if page != "" {
		if err := writeCard(page, m, v); err != nil {
			return err
		}
	}
	w := cmd.OutOrStdout()
	if o.JSON {
		if err := cli.JSON(w, v); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "models/%s on %s\n\n", name, v.DataFile)
		training.PrintFigures(w, v.FiguresOn, v.Figures)
		training.PrintChampion(w, v.Champion)
		if v.Rehearsal != nil {
			fmt.Fprint(w, "\nrehearsal: ")
			v.Rehearsal.Print(w)
		}
	}
	if !v.PassedGate {
		return cli.No("F1 %.4f is below the gate of %.4g", v.Figures.F1, v.GateF1)
	}
	if v.Rehearsal != nil {
		return v.Rehearsal.Err()
	}
	return nil
}
