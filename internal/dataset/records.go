package dataset

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// records yields the records of a block. Faults of the file's form go to fails;
// a record that has one is passed over.
//
// Text without quotes is cut at commas and line ends here. All other text goes
// through encoding/csv, which is slower, with the same cells, lines and faults.
type records struct {
	block  block
	width  int // cells that a record must have; 0 is any number
	fails  *failures
	broken bool // the file stopped being CSV

	cells [][]byte // of the record, each with padding bytes behind it
	line  int      // of the record
	raw   []byte   // the record with its line end, if it has no quotes

	csv   *csv.Reader // for text with quotes, or that is not UTF-8
	cell  []byte      // its cells, one after another
	rest  []byte      // what is left of text without
	first int         // line of rest
}

// over starts with a block. Memory is used again.
func (rs *records) over(b block, width int, fails *failures) {
	*rs = records{block: b, width: width, fails: fails, cells: rs.cells[:0], cell: rs.cell, rest: b.text, first: b.line}
	if bytes.IndexByte(b.text, '"') >= 0 || !utf8.Valid(b.text) {
		rs.csv = csv.NewReader(bytes.NewReader(b.text))
		rs.csv.FieldsPerRecord = -1 // next reports ragged records itself, all of them
		rs.csv.ReuseRecord = true
	}
}

// next goes to the next record, and tells whether there is one.
func (rs *records) next() bool {
	if rs.block.long {
		rs.broken = true
		rs.fails.add(rs.block.line, "", "long", fmt.Sprintf("a record of more than %d MB: is there a quote that is not closed?", maxRecord>>20))
		return false
	}
	for {
		found := false
		if rs.csv != nil {
			found = rs.nextQuoted()
		} else {
			found = rs.nextPlain()
		}
		if !found {
			return false
		}
		if rs.width == 0 || len(rs.cells) == rs.width {
			return true
		}
		rs.fails.add(rs.line, "", "ragged", fmt.Sprintf("%d cells, the header has %d", len(rs.cells), rs.width))
	}
}

// nextPlain cuts a record out of text without quotes. Empty lines are none.
func (rs *records) nextPlain() bool {
	for len(rs.rest) > 0 {
		end := bytes.IndexByte(rs.rest, '\n') + 1
		if end == 0 {
			end = len(rs.rest)
		}
		rs.raw, rs.rest = rs.rest[:end], rs.rest[end:]
		rs.line = rs.first
		rs.first++
		if record := withoutEnd(rs.raw); len(record) > 0 {
			rs.cut(record)
			return true
		}
	}
	return false
}

// withoutEnd takes away a line's end, as encoding/csv does: \n or \r\n, and at
// the end of the file \r alone.
func withoutEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// cut cuts a record at its commas, eight bytes at a time.
func (rs *records) cut(record []byte) {
	cells := rs.cells[:0]
	padded := record[:len(record)+padding]
	start := 0
	for at := 0; ; {
		commas := equal(binary.LittleEndian.Uint64(padded[at:]), ',')
		if at+8 > len(record) { // the commas of other records
			commas &= 1<<(8*uint(len(record)-at)) - 1
		}
		for ; commas != 0; commas &= commas - 1 {
			comma := at + bits.TrailingZeros64(commas)/8
			cells = append(cells, record[start:comma])
			start = comma + 1
		}
		if at += 8; at >= len(record) {
			break
		}
	}
	rs.cells = append(cells, record[start:])
}

// equal returns a word whose bytes have their highest bit set where those of
// word are c.
func equal(word uint64, c byte) uint64 {
	const ones, low = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	x := word ^ uint64(c)*ones
	return ^(x&low + low | x | low)
}

// nextQuoted reads a record by encoding/csv.
func (rs *records) nextQuoted() bool {
	for {
		record, err := rs.csv.Read()
		var parse *csv.ParseError
		switch {
		case err == io.EOF:
			return false
		case errors.As(err, &parse):
			// After a stray quote nothing that follows can be trusted.
			rs.broken = true
			rs.fails.add(rs.block.line+parse.StartLine-1, "", "csv", fmt.Sprintf("not CSV: %v", parse.Err))
			return false
		case err != nil:
			panic("dataset: " + err.Error()) // memory cannot fail
		}
		line, _ := rs.csv.FieldPos(0)
		rs.line = rs.block.line + line - 1
		if i := firstInvalid(record); i >= 0 {
			rs.fails.add(rs.line, "", "utf-8", fmt.Sprintf("cell %d is not UTF-8 text: save the file as UTF-8", i+1))
			if rs.width == 0 {
				return false
			}
			continue
		}
		rs.copy(record)
		return true
	}
}

// copy copies a record, so that its cells have padding too.
func (rs *records) copy(record []string) {
	size := padding
	for _, cell := range record {
		size += len(cell)
	}
	if cap(rs.cell) < size {
		rs.cell = make([]byte, 2*size)
	}
	text := rs.cell[:0]
	rs.cells = rs.cells[:0]
	for _, cell := range record {
		text = append(text, cell...)
		rs.cells = append(rs.cells, text[len(text)-len(cell):])
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

// readRecords hands each record to each: those of b, and of the blocks behind it.
// It ends where the text stops being CSV, with what fails has by then.
func readRecords(ctx context.Context, in *blocks, b block, width int, fails *failures, each func(*records)) error {
	var rs records
	for {
		rs.over(b, width, fails)
		for rs.next() {
			each(&rs)
		}
		if rs.broken {
			return fails.err()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		if b, err = in.next(b.text); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", fails.file, err)
		}
	}
}

// readHeader reads blocks up to the header, takes it off the last one, and
// returns its names, trimmed. After a header that cannot be used they are nil and
// fails says why.
func readHeader(in *blocks, memory []byte, fails *failures) (names []string, b block, err error) {
	for {
		b, err = in.next(memory)
		if err == io.EOF {
			fails.addColumn("", "the file is empty: it needs a header line")
			return nil, b, nil
		}
		if err != nil {
			return nil, b, fmt.Errorf("%s: %w", fails.file, err)
		}
		if names = header(&b, fails); names != nil || len(fails.list) > 0 {
			return names, b, nil
		}
		memory = b.text // of empty lines
	}
}

// header takes the header off a block; nil if there is none, or one at fault.
func header(b *block, fails *failures) []string {
	rs := records{block: *b, fails: fails, csv: csv.NewReader(bytes.NewReader(b.text))}
	if !rs.next() {
		return nil
	}
	end := rs.csv.InputOffset()
	b.line += bytes.Count(b.text[:end], []byte{'\n'})
	b.text = b.text[end:]
	if only := string(rs.cells[0]); len(rs.cells) == 1 && strings.ContainsAny(only, ";\t|") {
		fails.add(rs.line, "", "separator", "only one column: cells must be separated by commas")
		return nil // or every column of the schema would be missing
	}
	var names []string
	seen := map[string]bool{}
	for i, cell := range rs.cells {
		name := columnName(string(cell))
		if name == "" {
			fails.add(rs.line, "", fmt.Sprint("no name ", i), fmt.Sprintf("column %d has no name", i+1))
		} else if seen[name] {
			fails.add(rs.line, name, "twice", "the column is there twice")
		}
		seen[name] = true
		names = append(names, name)
	}
	return names
}
