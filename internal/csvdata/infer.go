package csvdata

import (
	"context"
	"io"

	"churn/internal/dataset"
)

// Infer makes a schema for a CSV file. A column whose every non-empty cell reads
// as a number is a number, any other a category; a column with missing cells is
// optional. The target and the ignored columns must exist.
//
// A file that is not CSV, or lacks a named column, gives a *dataset.ValidationError.
func Infer(
	ctx context.Context, r io.Reader, file string, target dataset.Target, ignore, missingValues []string,
) (*dataset.Schema, error) {
	issues := dataset.Issues{File: file}
	marks := dataset.NewMarks(missingValues)
	var header []string
	var kinds []kind
	bind := func(names []string) {
		header, kinds = names, make([]kind, len(names))
		position := positions(header)
		if position(target.Name) < 0 {
			issues.Add(1, target.Name, "absent", "the target column is missing")
		}
		for _, name := range ignore {
			if position(name) < 0 {
				issues.Add(1, name, "absent", "the column to ignore is missing")
			}
		}
	}
	err := readRecords(ctx, r, &issues, bind, func(rs *records) {
		for i, cell := range rs.cells {
			kinds[i].add(cell, &marks)
		}
	})
	if err != nil {
		return nil, err
	}
	s := &dataset.Schema{Format: dataset.Format, Target: target, Ignore: ignore, MissingValues: missingValues}
	ignored := positions(ignore)
	for i, name := range header {
		if name == target.Name || ignored(name) >= 0 {
			continue
		}
		k := &kinds[i]
		f := dataset.Feature{Name: name, Type: dataset.Number, Optional: k.missing || k.missingNumber}
		if k.text {
			f.Type, f.Optional = dataset.Category, k.missing
		}
		s.Features = append(s.Features, f)
	}
	if len(s.Features) == 0 {
		issues.AddColumn("", "no column is left to predict from")
		return nil, issues.Err()
	}
	s, err = s.With(nil, nil) // checked
	return s, dataset.InFile(file, err)
}

// kind is what the cells of a column are.
type kind struct {
	text, missing bool
	missingNumber bool       // like -999.0 where -999 means missing; in a column of texts it does not
	seen          dictionary // cells
}

func (k *kind) add(cell []byte, marks *dataset.Marks) {
	if k.text && k.missing || k.seen.find(cell) >= 0 {
		return
	}
	k.seen.add(cell)
	text := dataset.Trim(string(cell))
	if marks.Text(text) {
		k.missing = true
	} else if x, ok := dataset.ParseNumber(text); !ok {
		k.text = true
	} else if marks.Number(x) {
		k.missingNumber = true
	}
}
