package main

import (
	"bytes"
	"fmt"
	"runtime"

	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/report"
)

// writeCard writes the page of a model that was evaluated on a file, of at most so many bytes.
func writeCard(path string, most int, m *model.Model, dataFile string, a model.Assessment) error {
	c := report.Card{
		Model: m, Program: "evaluate " + cli.Version() + ", " + runtime.Version(), DataFile: dataFile, Assessment: a,
	}
	var page bytes.Buffer
	if err := report.WriteCard(&page, c); err != nil {
		return err
	}
	if page.Len() > most {
		return fmt.Errorf("it has %d bytes, a card at most %d: evaluate --model %s --html FILE writes it elsewhere",
			page.Len(), most, a.ModelFile)
	}
	return atomicfile.Write(path, page.Bytes(), 0o666)
}
