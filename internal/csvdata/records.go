package csvdata

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"churn/internal/dataset"
)

// records yields the records of a chunk. Malformed records are skipped and reported
// to issues.
//
// Text without quotes is split at commas and line ends here. All other text goes
// through encoding/csv, which is slower, with the same cells, lines and issues.
type records struct {
	chunk  chunk
	width  int // cells that a record must have; 0 is any number
	issues *dataset.Issues
	broken bool // the text is not CSV from here on
	blank  int  // lines of nothing but delimiters, which spreadsheets leave

	cells [][]byte // of the record, each with padding bytes behind it
	line  int      // of the record
	raw   []byte   // the record with its line end, if it has no quotes

	csv   *csv.Reader // for text with quotes, or that is not UTF-8
	cell  []byte      // its cells, one after another
	rest  []byte      // what is left of text without quotes
	first int         // line of rest
}

// reset starts with a chunk. It reuses the memory.
func (rs *records) reset(c chunk, width int, issues *dataset.Issues) {
	*rs = records{
		chunk: c, width: width, issues: issues,
		cells: rs.cells[:0], cell: rs.cell, rest: c.text, first: c.line,
	}
	if bytes.IndexByte(c.text, '"') >= 0 || !utf8.Valid(c.text) {
		rs.csv = newCSV(c)
	}
}

func newCSV(c chunk) *csv.Reader {
	r := csv.NewReader(bytes.NewReader(c.text))
	r.Comma, r.ReuseRecord = rune(c.comma), true
	r.FieldsPerRecord = -1 // next reports ragged records itself, all of them
	return r
}

// next advances to the next record, and reports whether there is one.
func (rs *records) next() bool {
	if rs.chunk.tooLong {
		rs.broken = true
		rs.issues.Add(rs.chunk.line, "", "long",
			fmt.Sprintf("a record of more than %d MB: is there a quote that is not closed?", maxRecord>>20))
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
		full := func(cell []byte) bool { return len(cell) > 0 }
		if len(rs.cells) > 1 && !full(rs.cells[0]) && !slices.ContainsFunc(rs.cells, full) {
			rs.blank++
			continue
		}
		if rs.width == 0 || len(rs.cells) == rs.width {
			return true
		}
		hint := ""
		if rs.line == 2 && len(rs.cells) == rs.width+1 {
			hint = ": if every line has one more, name that column in the header, too"
		}
		for _, c := range []byte(",;\t|") {
			if len(rs.cells) < rs.width && bytes.Count(bytes.Join(rs.cells, nil), []byte{c}) >= rs.width-1 {
				hint = fmt.Sprintf(": its cells seem to be separated by %q, those of the header by %q", c, rs.chunk.comma)
			}
		}
		rs.issues.Add(rs.line, "", "ragged", fmt.Sprintf("%d cells, the header has %d%s", len(rs.cells), rs.width, hint))
	}
}

// nextPlain takes a record from text without quotes. Empty lines are skipped.
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
			rs.split(record)
			return true
		}
	}
	return false
}

// withoutEnd removes a line's end, as encoding/csv does: \n or \r\n, and at the end
// of the file \r alone.
func withoutEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
}

// split splits a record at its commas, eight bytes at a time.
func (rs *records) split(record []byte) {
	cells := rs.cells[:0]
	padded := record[:len(record)+padding]
	start := 0
	for at := 0; ; {
		commas := equal(binary.LittleEndian.Uint64(padded[at:]), rs.chunk.comma)
		if at+8 > len(record) { // commas behind the record do not count
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

// equal returns a word with the highest bit of each byte set where word has the byte c.
func equal(word uint64, c byte) uint64 {
	const ones, low = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	x := word ^ uint64(c)*ones
	return ^(x&low + low | x | low)
}

// nextQuoted reads a record with encoding/csv.
func (rs *records) nextQuoted() bool {
	for {
		record, err := rs.csv.Read()
		var parse *csv.ParseError
		switch {
		case err == io.EOF:
			return false
		case errors.As(err, &parse):
			// after a stray quote the rest cannot be split reliably
			rs.broken = true
			advice := ""
			if errors.Is(parse.Err, csv.ErrBareQuote) {
				advice = `: a quote belongs around the whole cell; write ="001" as 001`
			}
			rs.issues.Add(rs.chunk.line+parse.StartLine-1, "", "csv", fmt.Sprintf("not CSV: %v%s", parse.Err, advice))
			return false
		case err != nil:
			panic("csvdata: " + err.Error()) // memory cannot fail
		}
		line, _ := rs.csv.FieldPos(0)
		rs.line = rs.chunk.line + line - 1
		invalid := func(cell string) bool { return !utf8.ValidString(cell) }
		if i := slices.IndexFunc(record, invalid); i >= 0 {
			rs.issues.Add(rs.line, "", "utf-8", fmt.Sprintf("cell %d is not UTF-8 text: "+
				"name its encoding with --encoding, such as windows-1252", i+1))
			if rs.width == 0 {
				return false
			}
			continue
		}
		rs.copy(record)
		return true
	}
}

// copy copies a record, so that its cells have padding.
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

// readRecords calls bind with the header of a file, and each with every record as long
// as the text is CSV. What is wrong goes to issues.
func readRecords(
	ctx context.Context, s Source, issues *dataset.Issues, bind func(header []string), each func(*records),
) error {
	in := newChunkReader(s)
	header, c, err := readHeader(in, issues)
	if err != nil {
		return err
	}
	if header != nil {
		bind(header)
	}
	if !issues.Empty() {
		return issues.Err()
	}
	var rs records
	for c, err = in.next(nil); err == nil; c, err = in.next(c.text) {
		rs.reset(c, len(header), issues)
		for rs.next() {
			each(&rs)
		}
		if rs.broken {
			return issues.Err()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err != io.EOF {
		return err
	}
	return nil
}

// readHeader reads chunks up to the header, and returns its trimmed names and what
// follows it in the chunk, which the next chunk is. The error is the reader's; the names of
// an invalid header are nil, and issues has the reason.
func readHeader(in *chunkReader, issues *dataset.Issues) (names []string, c chunk, err error) {
	for {
		c, err = in.next(c.text)
		if err == io.EOF {
			issues.AddColumn("", "the file is empty: it needs a header line")
			return nil, c, nil
		}
		if err != nil {
			return nil, c, err
		}
		if names = cutHeader(&c, issues); names != nil || !issues.Empty() {
			in.first = &c
			return names, c, nil
		}
	}
}

// cutHeader removes the header from a chunk and returns its names; nil if there is
// none, or an invalid one.
func cutHeader(c *chunk, issues *dataset.Issues) []string {
	rs := records{chunk: *c, issues: issues, csv: newCSV(*c)}
	if !rs.next() {
		return nil
	}
	end := rs.csv.InputOffset()
	c.line += bytes.Count(c.text[:end], []byte{'\n'})
	c.text = c.text[end:]
	if n := len(rs.cells); n > maxColumns {
		issues.Add(rs.line, "", "columns", fmt.Sprintf("%d columns, at most %d are read: leave some out of the file",
			n, maxColumns))
		return nil
	}
	if only := string(rs.cells[0]); len(rs.cells) == 1 && c.comma == ',' && strings.ContainsAny(only, ";\t|") {
		issues.Add(rs.line, "", "separator", "only one column: cells must be separated by commas")
		return nil // or every column of the schema would be missing
	}
	names := make([]string, 0, len(rs.cells))
	seen := map[string]bool{}
	for i, cell := range rs.cells {
		name := cmp.Or(dataset.ColumnName(string(cell)), placeName(i))
		if len(name) > dataset.MaxText {
			issues.Add(rs.line, "", "long name", fmt.Sprintf("the name of column %d has %d bytes, at most %d: "+
				"is there a quote that is not closed?", i+1, len(name), dataset.MaxText))
		} else if seen[name] {
			name = placeName(i) + " " + name
		}
		seen[name] = true
		names = append(names, name)
	}
	return names
}

// second returns the name of column i if an earlier one has it: the header has #3 and the name then.
func second(i int, header string) (name string, ok bool) {
	return strings.CutPrefix(header, placeName(i)+" ")
}

// addSecond reports columns whose names are there twice, but for those that are ignored.
func addSecond(issues *dataset.Issues, header []string, ignored func(string) int) {
	for i, column := range header {
		if name, ok := second(i, column); ok && ignored(column) < 0 && ignored(placeName(i)) < 0 {
			issues.Add(1, name, "twice", fmt.Sprintf("the column is there twice: leave out the second with --ignore '%s', "+
				"or rename it", placeName(i)))
		}
	}
}

// Place returns the index of a column that is called by its name, or by its place: #1 is the first. It returns
// −1 if there is none.
func Place(header []string, column string) int {
	at := positions(header)(column)
	if place, err := strconv.Atoi(strings.TrimPrefix(column, "#")); at < 0 && err == nil && column[0] == '#' &&
		place >= 1 && place <= len(header) {
		return place - 1
	}
	return at
}

// positions returns a function that is slices.Index of different names, for many of them, however their
// characters are composed.
func positions(names []string) func(name string) int {
	at := make(map[string]int, len(names))
	for i, name := range names {
		at[dataset.Trim(name)] = i
	}
	for i, name := range names {
		at[name] = i
	}
	return func(name string) int {
		for _, key := range []string{name, dataset.Trim(name)} {
			if i, ok := at[key]; ok {
				return i
			}
		}
		return -1
	}
}

// placeName is the name of a column that has none, such as the index that pandas writes.
func placeName(i int) string { return "#" + strconv.Itoa(i+1) }
