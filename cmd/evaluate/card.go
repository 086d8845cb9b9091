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

// writeCard writes the page of a model that was evaluated on a file, of at most so many bytes.
func writeCard(path string, most int64, m *model.Model, dataFile string, e training.Evaluated) error {
	c := report.Card{
		ModelFile: e.ModelFile, ModelSHA256: e.ModelSHA256, Version: m.Version,
		TrainedAtUTC: m.TrainedAtUTC, TrainedBy: m.TrainedBy, DataFile: dataFile,
		Program:   "evaluate " + cli.Version() + ", " + runtime.Version(),
		MetricsOn: e.MetricsOn, Metrics: e.Metrics, Verdict: e.Verdict,
		Curves: e.Curves, Champion: e.Champion, Baseline: e.Baseline, Actions: e.Actions,
		Training: e.Training, Data: e.Data, Coefficients: e.Coefficients, Effects: e.Effects,
		LineTests: e.LineTests, Warnings: e.Warnings,
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
			info.Size(), most, e.ModelFile)
	}
	return f.Commit()
}
