package dataset

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Infer makes a schema for a CSV file. A column whose every non-empty cell reads
// as a number is a number, any other a category; a column with missing cells
// becomes optional. The target and the ignored columns must be there.
//
// A file that cannot be read as CSV, or lacks a named column, is a *Refusal.
func Infer(r io.Reader, file string, target Target, ignore, missingValues []string) (*Schema, error) {
	fails := failures{file: file}
	rs, err := newRecords(r, &fails)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if rs.header != nil && !slices.Contains(rs.header, target.Name) {
		fails.add(1, target.Name, "absent", "the target column is missing")
	}
	for _, name := range ignore {
		if rs.header != nil && !slices.Contains(rs.header, name) {
			fails.add(1, name, "absent", "the column to ignore is missing")
		}
	}
	if err := fails.err(); err != nil {
		return nil, err
	}
	marks := missingTexts(missingValues)
	type column struct{ text, missing bool }
	columns := make([]column, len(rs.header))
	for {
		record, _, err := rs.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for i, cell := range record {
			cell = strings.TrimSpace(cell)
			if _, ok := marks[cell]; ok {
				columns[i].missing = true
			} else if _, ok := parseNumber(cell); !ok {
				columns[i].text = true
			}
		}
	}
	if rs.broken {
		return nil, fails.err()
	}
	s := &Schema{Format: Format, Target: target, Ignore: ignore, MissingValues: missingValues}
	for i, name := range rs.header {
		if name == target.Name || slices.Contains(ignore, name) {
			continue
		}
		f := Feature{Name: name, Type: Number, Optional: columns[i].missing}
		if columns[i].text {
			f.Type = Category
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
