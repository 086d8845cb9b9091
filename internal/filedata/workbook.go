package filedata

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"churn/internal/csvdata"

	"github.com/thedatashed/xlsxreader"
)

const (
	maxColumns = 16_384 // of a worksheet in Excel
	maxRows    = 1_048_576
	maxSheet   = 4 << 30   // bytes of a worksheet, unpacked
	maxTexts   = 128 << 20 // likewise of the texts of all cells
)

var date1904 = regexp.MustCompile(`\bdate1904="(1|true)"`)

// workbook returns the table on a worksheet: a row is a line, so that lines have the rows'
// numbers. Dates are as in 2026-01-31, shares of a percent format as in 0.18, booleans true
// and false; of a formula its value when the file was saved.
func (o *Options) workbook(z *zip.Reader) (s csvdata.Source, err error) {
	if err := verify(z); err != nil {
		return s, err
	}
	book, err := xlsxreader.NewReaderZip(z)
	if err != nil {
		return s, fmt.Errorf("a workbook that cannot be read: save it as CSV: %w", err)
	}
	if len(book.Sheets) == 0 {
		return s, errors.New("a workbook without worksheets")
	}
	sheet := o.Sheet
	if sheet == "" {
		sheet = book.Sheets[0]
		if len(book.Sheets) > 1 {
			s.Note(fmt.Sprintf("the worksheet %q is read, of %q: --sheet names another", sheet, book.Sheets))
		}
	} else if !slices.Contains(book.Sheets, sheet) {
		return s, fmt.Errorf("--sheet %q: the workbook has %q", sheet, book.Sheets)
	}
	if err := noteEmpty(z, sheet, &s); err != nil {
		return s, err
	}
	s.Typed = true
	in := bufio.NewReaderSize(&sheetReader{rows: book.ReadRows(sheet), skips: o.skips, line: 1}, sampleBytes)
	s.Reader = in
	sample, err := peek(in)
	if err != nil {
		return s, err
	}
	return s, shapeOf(sample, ',').titled()
}

// findTag returns the text of a tag with an attribute in a document of the archive, or nil.
func findTag(z *zip.Reader, document, name, key, value string) []byte {
	text, _ := fs.ReadFile(z, document) // which the library has read too
	for tag := range bytes.SplitSeq(text, []byte{'<'}) {
		if bytes.HasPrefix(tag, []byte(name+" ")) && html.UnescapeString(attribute(tag, key)) == value {
			return tag
		}
	}
	return nil
}

// noteEmpty says which cells of a worksheet are empty and do not seem so: those of merged ranges but the
// first, and formulas whose values were not saved.
func noteEmpty(z *zip.Reader, sheet string, s *csvdata.Source) error {
	id := attribute(findTag(z, "xl/workbook.xml", "sheet", "name", sheet), "r:id")
	path := attribute(findTag(z, "xl/_rels/workbook.xml.rels", "Relationship", "Id", id), "Target")
	f, err := z.Open(strings.TrimPrefix(strings.Replace("/xl/"+path, "/xl//", "/", 1), "/"))
	if err != nil {
		return nil // the library knows better
	}
	defer f.Close()
	tags := bufio.NewScanner(f)
	const most = 1 << 20 // bytes of a cell's text, of which Excel has 32,767 characters
	tags.Buffer(nil, most)
	tags.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '<'); i >= 0 {
			return i + 1, data[:i], nil
		}
		return 0, nil, nil // at the end there is no tag
	})
	var cell []byte
	var merged, formulas struct {
		first string
		n     int
	}
	formula := false
	for tags.Scan() {
		tag, text, _ := bytes.Cut(tags.Bytes(), []byte{'>'})
		switch name, _, _ := bytes.Cut(tag, []byte{' '}); string(name) {
		case "c":
			cell, formula = append(cell[:0], tag...), false
		case "f", "f/":
			formula = true
		case "v":
			formula = formula && len(text) == 0
		case "/c":
			if formula {
				formulas.first, formulas.n = cmp.Or(formulas.first, attribute(cell, "r")), formulas.n+1
			}
		case "mergeCell":
			merged.first, merged.n = cmp.Or(merged.first, attribute(tag, "ref")), merged.n+1
		}
	}
	if merged.n > 0 {
		s.Note(fmt.Sprintf("worksheet %q: %s is merged, the first of %d such ranges: its first cell alone has a value",
			sheet, merged.first, merged.n))
	}
	if formulas.n > 0 {
		s.Note(fmt.Sprintf("worksheet %q: %s has a formula without a value, the first of %d such cells, which are read "+
			"as empty: open the workbook in a spreadsheet and save it", sheet, formulas.first, formulas.n))
	}
	return tags.Err()
}

// attribute returns the value of a tag's attribute.
func attribute(tag []byte, name string) string {
	_, after, _ := strings.Cut(string(tag), " "+name+`="`)
	value, _, _ := strings.Cut(after, `"`)
	return value
}

// verify reads all members of an archive, which compares their checksums: the library takes a
// damaged one for a shorter one.
func verify(z *zip.Reader) error {
	for _, member := range z.File {
		if !strings.HasSuffix(member.Name, ".xml") {
			continue
		}
		most := int64(maxTexts) // they are held in memory
		if strings.HasPrefix(member.Name, "xl/worksheets/") {
			most = maxSheet
		}
		r, err := member.Open()
		if err != nil {
			return fmt.Errorf("a workbook that is damaged: %w", err)
		}
		text := io.Discard
		var book bytes.Buffer
		if member.Name == "xl/workbook.xml" {
			text = &book
		}
		n, err := io.Copy(text, io.LimitReader(r, most))
		r.Close()
		switch {
		case err != nil:
			return fmt.Errorf("a workbook that is damaged: %w", err)
		case n == most:
			return fmt.Errorf("a workbook whose %s has more than %d bytes: save it as CSV", member.Name, most)
		case date1904.Match(book.Bytes()):
			return errors.New("a workbook that counts dates from 1904: save it as CSV")
		}
	}
	return nil
}

// A sheetReader writes a worksheet as CSV.
type sheetReader struct {
	rows  chan xlsxreader.Row
	skips func(row int) bool
	line  int // of the next row
	text  []byte
	width int // of the header
	cells []string
}

func (s *sheetReader) Read(p []byte) (int, error) {
	for len(s.text) == 0 {
		row, more := <-s.rows
		if !more {
			return 0, io.EOF
		}
		if row.Error != nil {
			return 0, fmt.Errorf("row %d of the worksheet: %w", row.Index, row.Error)
		}
		if row.Index > maxRows || row.Index < s.line {
			return 0, fmt.Errorf("the worksheet has a row %d behind row %d", row.Index, s.line-1)
		}
		for ; s.line < row.Index; s.line++ {
			s.text = append(s.text, '\n')
		}
		if err := s.add(row); err != nil {
			return 0, err
		}
		s.line++
	}
	n := copy(p, s.text)
	s.text = s.text[n:]
	return n, nil
}

func (s *sheetReader) add(row xlsxreader.Row) error {
	if s.skips(row.Index) {
		s.text = append(s.text, '\n')
		return nil
	}
	s.cells = s.cells[:0]
	for _, c := range row.Cells {
		at := c.ColumnIndex()
		if at < 0 || at >= maxColumns {
			return fmt.Errorf("row %d of the worksheet has a cell in column %q", row.Index, c.Column)
		}
		for len(s.cells) <= at {
			s.cells = append(s.cells, "")
		}
		s.cells[at] = strings.ReplaceAll(cellText(c), "\n", " ") // a row is a line
	}
	s.width = cmp.Or(s.width, len(s.cells))
	for len(s.cells) < s.width {
		s.cells = append(s.cells, "") // empty cells at the end are not in the file
	}
	s.text = csvdata.AppendRow(s.text, s.cells)
	return nil
}

func cellText(c xlsxreader.Cell) string {
	switch c.Type {
	case xlsxreader.TypeDateTime:
		if clock, found := strings.CutPrefix(c.Value, "1899-12-30"); found { // a time of day, down to the second
			if t, err := time.Parse("T15:04:05Z", cmp.Or(clock, "T00:00:00Z")); err == nil {
				return t.Round(time.Minute).Format("15:04")
			}
		}
	case xlsxreader.TypeBoolean:
		return map[string]string{"0": "false", "1": "true"}[c.Value]
	case xlsxreader.TypeNumerical: // of which a spreadsheet means 15 digits, whatever a program wrote
		if x, err := strconv.ParseFloat(c.Value, 64); err == nil && strings.Trim(c.Value, "0123456789") != "" {
			return strconv.FormatFloat(x, 'g', 15, 64)
		}
	}
	return strings.TrimSpace(c.Value)
}
