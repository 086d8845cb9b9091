package dataset

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// records reads the records of a CSV file. Faults of the file's form go to
// fails; a record that has one is passed over.
type records struct {
	csv    *csv.Reader
	header []string // trimmed
	fails  *failures
	broken bool // the file stopped being CSV before its end
}

// newRecords reads the header. After a header that cannot be used, next returns
// io.EOF at once and fails says why.
func newRecords(r io.Reader, fails *failures) (*records, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	if bom, _ := in.Peek(3); string(bom) == "\xef\xbb\xbf" {
		in.Discard(3)
	}
	rs := &records{csv: csv.NewReader(in), fails: fails}
	rs.csv.FieldsPerRecord = -1 // next reports ragged records itself, all of them
	rs.csv.ReuseRecord = true
	header, line, err := rs.next()
	if err == io.EOF {
		if len(fails.list) == 0 {
			fails.addColumn("", "the file is empty: it needs a header line")
		}
		return rs, nil
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if name == "" {
			fails.add(line, "", fmt.Sprint("no name ", i), fmt.Sprintf("column %d has no name", i+1))
		} else if seen[name] {
			fails.add(line, name, "twice", "the column is there twice")
		}
		seen[name] = true
		rs.header = append(rs.header, name)
	}
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t|") {
		fails.add(line, "", "separator", "only one column: cells must be separated by commas")
		rs.header = nil // or every column of the schema would be missing
	}
	return rs, nil
}

// next returns the next record of the header's length and the line it begins
// on. The record is overwritten by the next call. At the end it returns io.EOF;
// another error means that the file could not be read.
func (rs *records) next() ([]string, int, error) {
	for {
		record, err := rs.csv.Read()
		var parse *csv.ParseError
		switch {
		case errors.As(err, &parse):
			// After a stray quote nothing that follows can be trusted.
			rs.broken = true
			rs.fails.add(parse.StartLine, "", "csv", fmt.Sprintf("not CSV: %v", parse.Err))
			return nil, 0, io.EOF
		case err != nil:
			return nil, 0, err
		}
		line, _ := rs.csv.FieldPos(0)
		if i := firstInvalid(record); i >= 0 {
			rs.fails.add(line, "", "utf-8", fmt.Sprintf("cell %d is not UTF-8 text: save the file as UTF-8", i+1))
			if rs.header == nil {
				return nil, 0, io.EOF
			}
			continue
		}
		if rs.header != nil && len(record) != len(rs.header) {
			rs.fails.add(line, "", "ragged", fmt.Sprintf("%d cells, the header has %d", len(record), len(rs.header)))
			continue
		}
		return record, line, nil
	}
}

func firstInvalid(record []string) int {
	for i, cell := range record {
		if !utf8.ValidString(cell) {
			return i
		}
	}
	return -1
}
