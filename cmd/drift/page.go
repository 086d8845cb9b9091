package main

import (
	"churn/internal/atomicfile"
	"churn/internal/report"
)

// writePage writes the page that --html asks for.
func (r *answer) writePage(file string) error {
	f, err := atomicfile.Create(file, 0o644)
	if err != nil {
		return err
	}
	page := report.Drift{
		Verdict: r.Verdict, Records: r.Records, Model: r.Model, ModelRecords: r.ModelRecords, ZThreshold: r.ZThreshold,
		Lab: r.Lab, Checks: r.Checks, Columns: r.Columns, Windows: r.Windows, Warnings: r.Warnings,
	}
	if r.Quality != nil {
		page.Quality = r.Quality.page()
	}
	if err := report.WriteDrift(f, page); err != nil {
		f.Abort()
		return err
	}
	return f.Commit()
}
