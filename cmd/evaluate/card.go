package main

import (
	"fmt"
	"runtime"

	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/report"
)

// writeCard writes the page of a model that was evaluated on a file, of at most so many bytes.
func writeCard(path string, most int64, m *model.Model, dataFile string, a model.Assessment) error {
	c := report.Card{
		Model: m, Program: "evaluate " + cli.Version() + ", " + runtime.Version(), DataFile: dataFile, Assessment: a,
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
			info.Size(), most, a.ModelFile)
	}
	return f.Commit()
}
