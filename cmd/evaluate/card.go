package main

import (
	"fmt"
	"runtime"

	"churn/cmd/internal/training"
	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/report"
)

// verdictOf is the verdict on a model that was just fitted.
func verdictOf(r *training.Result) verdict {
	return verdict{
		ModelFile: r.ModelFile, ModelSHA256: r.ModelSHA256, DataFile: r.Data.File,
		MetricsOn: r.MetricsOn, Metrics: r.Metrics, GateF1: r.GateF1, PassedGate: r.PassedGate, Verdict: r.Verdict,
		Training: r.Training, Data: r.Data, Coefficients: r.Coefficients, Effects: r.Effects, LineTests: r.LineTests,
		Warnings: r.Warnings, Detail: r.Detail,
	}
}

// writeCard writes the page of a verdict on a model, of at most so many bytes.
func writeCard(path string, most int64, m *model.Model, v verdict) error {
	c := report.Card{
		ModelFile: v.ModelFile, ModelSHA256: v.ModelSHA256, Version: m.Version,
		TrainedAtUTC: m.TrainedAtUTC, TrainedBy: m.TrainedBy, DataFile: v.DataFile,
		Program:   "evaluate " + cli.Version() + ", " + runtime.Version(),
		MetricsOn: v.MetricsOn, Metrics: v.Metrics, Verdict: v.Verdict,
		Curves: v.Curves, Champion: v.Champion, Baseline: v.Baseline, Actions: v.Actions,
		Training: v.Training, Data: v.Data, Coefficients: v.Coefficients, Effects: v.Effects,
		LineTests: v.LineTests, Warnings: v.Warnings,
	}
	for _, f := range m.Schema.Features {
		if f.Type == dataset.Category {
			c.Categories = append(c.Categories, f.Name)
		}
	}
	f, err := atomicfile.Create(path, 0o666)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := report.WriteCard(f, c); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > most {
		return fmt.Errorf("it has %d bytes, a card at most %d: evaluate --model %s --html FILE writes it elsewhere",
			info.Size(), most, v.ModelFile)
	}
	return f.Commit()
}
