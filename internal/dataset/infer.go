package dataset

import (
	"context"
	"io"
	"slices"
)

// Infer makes a schema for a CSV file. A column whose every non-empty cell reads
// as a number is a number, any other a category; a column with missing cells
// becomes optional. The target and the ignored columns must be there.
//
// A file that cannot be read as CSV, or lacks a named column, is a *Refusal.
func Infer(ctx context.Context, r io.Reader, file string, target Target, ignore, missingValues []string) (*Schema, error) {
	fails := failures{file: file}
	in := newBlocks(r)
	header, b, err := readHeader(in, nil, &fails)
	if err != nil {
		return nil, err
	}
	if header != nil && !slices.Contains(header, target.Name) {
		fails.add(1, target.Name, "absent", "the target column is missing")
	}
	for _, name := range ignore {
		if header != nil && !slices.Contains(header, name) {
			fails.add(1, name, "absent", "the column to ignore is missing")
		}
	}
	if err := fails.err(); err != nil {
		return nil, err
	}
	marks := missingTexts(missingValues)
	numbers := missingNumbers(missingValues)
	columns := make([]kind, len(header))
	err = readRecords(ctx, in, b, len(header), &fails, func(rs *records) {
		for i, cell := range rs.cells {
			columns[i].look(cell, marks, numbers)
		}
	})
	if err != nil {
		return nil, err
	}
	s := &Schema{Format: Format, Target: target, Ignore: ignore, MissingValues: missingValues}
	for i, name := range header {
		if name == target.Name || slices.Contains(ignore, name) {
			continue
		}
		c := &columns[i]
		f := Feature{Name: name, Type: Number, Optional: c.missing || c.missingNumber}
		if c.text {
			f.Type, f.Optional = Category, c.missing
		}
		s.Features = append(s.Features, f)
	}
	if len(s.Features) == 0 {
		return nil, &Refusal{[]Failure{{File: file, Problem: "no column is left to predict from"}}}
	}
	if err := s.compile(); err != nil {
		return nil, inFile(file, err)
	}
	return s, nil
}

// kind is what a column's cells have shown.
type kind struct {
	text, missing bool
	missingNumber bool // a mark in another form: -999.0 where -999 is one, which says nothing if the column is of texts
	known         memo // cells that were looked at
}

func (k *kind) look(cell []byte, marks map[string]struct{}, numbers []float64) {
	if k.text && k.missing || k.known.find(cell) >= 0 {
		return
	}
	k.known.add(cell)
	text := trimmed(string(cell))
	if _, ok := marks[text]; ok {
		k.missing = true
	} else if x, ok := parseNumber(text); !ok {
		k.text = true
	} else if slices.Contains(numbers, x) {
		k.missingNumber = true
	}
}
