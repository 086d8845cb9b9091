package main

import (
	"churn/internal/atomicfile"
	pages "churn/internal/report"
)

// writePage writes the page that --html asks for.
func (r *report) writePage(file string) error {
	f, err := atomicfile.Create(file, 0o644)
	if err != nil {
		return err
	}
	page := pages.Drift{
		Verdict: r.Verdict, Records: r.Records, Model: r.Model, ModelRecords: r.ModelRecords, ZThreshold: r.ZThreshold,
		Lab: r.Lab, Checks: r.Checks, Columns: r.Columns, Windows: r.Windows, Warnings: r.Warnings,
	}
	if r.Quality != nil {
		page.Quality = r.Quality.page()
	}
	if err := pages.WriteDrift(f, page); err != nil {
		f.Abort()
		return err
	}
	return f.Commit()
}
