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
func writeCard(path string, most int, m *model.Model, dataFile string, a model.Assessment) error {
	c := report.Card{
		Model: m, Program: "evaluate " + cli.Version() + ", " + runtime.Version(), DataFile: dataFile, Assessment: a,
	}
	page, err := report.CardPage(c)
	if err != nil {
		return err
	}
	if len(page) > most {
		return fmt.Errorf("it has %d bytes, a card at most %d: evaluate --model %s --html FILE writes it elsewhere",
			len(page), most, a.ModelFile)
	}
	return atomicfile.Write(path, page, 0o666)
}
