package filedata

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"churn/internal/csvdata"
	"churn/internal/dataset"
)

const (
	maxColumns = 16_384 // of a worksheet in Excel
	maxRows    = 1_048_576
	maxSheet   = 4 << 30   // bytes of a worksheet, unpacked
	maxTexts   = 128 << 20 // likewise of the texts of all cells
)

// workbook returns the table on a worksheet: a row is a line, so that lines have the rows'
// numbers. Dates are as in 2026-01-31, times of day and durations as in 0:03:24, shares of a percent
// format as in 0.18, booleans true and false; of a formula its value when the file was saved.
func (o *Options) workbook(z *zip.Reader) (s csvdata.Source, err error) {
	for _, member := range z.File {
		most := uint64(maxTexts) // they are held in memory
		if strings.HasPrefix(member.Name, "xl/worksheets/") {
			most = maxSheet
		}
		if !strings.HasPrefix(member.Name, "xl/media/") && member.UncompressedSize64 > most {
			return s, fmt.Errorf("a workbook whose %s has more than %d bytes: save it as CSV", member.Name, most)
		}
	}
	book, err := openBook(z)
	if err != nil {
		return s, fmt.Errorf("a workbook that cannot be read: save it as CSV: %w", err)
	}
	if len(book.sheets) == 0 {
		return s, errors.New("a workbook without worksheets")
	}
	sheet := cmp.Or(o.Sheet, book.sheets[0])
	if o.Sheet == "" && len(book.sheets) > 1 {
		s.Note("the worksheet %q is read, of %q: --sheet names another", sheet, book.sheets)
	}
	at := slices.Index(book.sheets, sheet)
	if at < 0 {
		return s, fmt.Errorf("--sheet %q: the workbook has %q", sheet, book.sheets)
	}
	f, err := z.Open(book.paths[at])
	if err == nil {
		defer f.Close()
		err = noteSheet(&cells{tags: newTags(f)}, book, sheet, &s)
	}
	if err == nil {
		f, err = z.Open(book.paths[at])
	}
	if err != nil {
		return s, fmt.Errorf("a worksheet that cannot be read: save it as CSV: %w", err)
	}
	sheetRows := &sheetReader{cells: &cells{tags: newTags(f)}, book: book, skips: o.skips, line: 1}
	in := bufio.NewReaderSize(sheetRows, sampleBytes)
	s.Reader = in
	sample, err := peek(in)
	if err != nil {
		return s, err
	}
	noteHeaders(sample, &s)
	return s, shapeOf(sample, ',').titled()
}

// A book is what the cells of a workbook refer to.
type book struct {
	sheets, paths []string
	texts         []string
	formats       []format // of the cells' styles
	since1904     bool     // dates are counted, as on old Macs
}

func openBook(z *zip.Reader) (*book, error) {
	var list struct {
		Properties struct {
			Date1904 string `xml:"date1904,attr"`
		} `xml:"workbookPr"`
		Sheets []struct {
			Name string `xml:"name,attr"`
			ID   string `xml:"id,attr"`
		} `xml:"sheets>sheet"`
	}
	var targets struct {
		Relationship []struct {
			ID     string `xml:"Id,attr"`
			Target string `xml:",attr"`
		}
	}
	var styles struct {
		Formats []struct {
			ID   int    `xml:"numFmtId,attr"`
			Code string `xml:"formatCode,attr"`
		} `xml:"numFmts>numFmt"`
		Cells []struct {
			ID int `xml:"numFmtId,attr"`
		} `xml:"cellXfs>xf"`
	}
	var b book
	for _, member := range z.File {
		var document any
		switch member.Name {
		case "xl/workbook.xml":
			document = &list
		case "xl/_rels/workbook.xml.rels":
			document = &targets
		case "xl/styles.xml":
			document = &styles
		case "xl/sharedStrings.xml", "xl/SharedStrings.xml":
			document = &b
		default:
			continue
		}
		if err := b.read(member, document); err != nil {
			return nil, fmt.Errorf("%s: %w", member.Name, err)
		}
	}
	for _, sheet := range list.Sheets {
		for _, r := range targets.Relationship {
			if r.ID == sheet.ID {
				b.sheets = append(b.sheets, sheet.Name)
				b.paths = append(b.paths, strings.TrimPrefix(strings.Replace("/xl/"+r.Target, "/xl//", "/", 1), "/"))
			}
		}
	}
	b.since1904 = truth[list.Properties.Date1904] == "true"
	codes := maps.Clone(builtIn)
	for _, f := range styles.Formats {
		codes[f.ID] = f.Code
	}
	for _, c := range styles.Cells {
		b.formats = append(b.formats, formatOf(codes[c.ID]))
	}
	return &b, nil
}

// read reads a document of a workbook: the texts if it is the book.
func (b *book) read(member *zip.File, document any) error {
	f, err := member.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	if document == b {
		err = b.readTexts(newTags(f))
	} else {
		err = xml.NewDecoder(f).Decode(document)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, f) // at its end the checksum is compared
	}
	return err
}

func (b *book) readTexts(t *tags) error {
	var text []byte
	for t.next() {
		switch t.name {
		case "si":
			text = text[:0]
		case "/t":
			text = append(text, t.text...) // a text may have several forms
		case "/si":
			b.texts = append(b.texts, string(text))
		}
	}
	return t.err
}

// grouped describes a text that is read as another number than one with points between thousands; "" for others.
func (b *book) grouped(c *cells) string {
	text, _ := b.cell(c.kind, c.style, string(c.value))
	if len(text) > len("-123.456") || !groups.MatchString(text) {
		return ""
	}
	return fmt.Sprintf("%s is the text %q among numbers, and read with a decimal point", c.ref, text)
}

var groups = regexp.MustCompile(`^-?[1-9][0-9]{0,2}\.[0-9]{3}$`)

// noteSheet says what on a worksheet is not as it seems: cells that are empty, those of merged ranges but
// the first and formulas whose values were not saved, rows that are hidden, and texts among numbers that would be
// other numbers where points stand between thousands.
func noteSheet(t *cells, b *book, sheet string, s *csvdata.Source) error {
	var merged, formulas struct {
		first string
		n     int
	}
	var texts []int      // by column
	var grouped []string // likewise the first text such as 1.234, and its cell
	hidden, row, whole := 0, 0, false
	for t.next() {
		switch t.name {
		case "/c":
			if len(t.value) > 0 && t.column >= 0 && t.column < maxColumns { // beyond, reading ends with an error
				s.Typed, texts = grow(s.Typed, t.column+1), grow(texts, t.column+1)
				if slices.Contains([]string{"s", "str", "inlineStr"}, t.kind) {
					texts[t.column]++
					grouped = grow(grouped, t.column+1)
					if grouped[t.column] == "" {
						grouped[t.column] = b.grouped(t)
					}
				} else if t.kind != "e" {
					s.Typed[t.column] = true
				}
			}
			if t.formula && len(t.value) == 0 {
				formulas.first, formulas.n = cmp.Or(formulas.first, t.ref), formulas.n+1
			}
			if t.hidden && t.valued && t.row != row {
				hidden, row = hidden+1, t.row
			}
		case "mergeCell":
			merged.first, merged.n = cmp.Or(merged.first, t.attribute("ref")), merged.n+1
		case "/worksheet", "/chartsheet", "/dialogsheet":
			whole = true
		}
	}
	if t.err != nil || !whole {
		return cmp.Or(t.err, io.ErrUnexpectedEOF)
	}
	for i, note := range grouped {
		if s.Typed[i] && note != "" {
			s.Note("worksheet %q: %s: make it a number in a spreadsheet if its point is one of thousands",
				sheet, note)
		}
	}
	for i, n := range texts {
		s.Typed[i] = s.Typed[i] || n < 2 // a column with a header alone
	}
	if merged.n > 0 {
		s.Note("worksheet %q: %s is merged, the first of %d such ranges: its first cell alone has a value",
			sheet, merged.first, merged.n)
	}
	if formulas.n > 0 {
		s.Note("worksheet %q: %s has a formula without a value, the first of %d such cells, which are read "+
			"as empty: open the workbook in a spreadsheet and save it", sheet, formulas.first, formulas.n)
	}
	if hidden > 0 {
		s.Note("worksheet %q: %d hidden rows are read too", sheet, hidden)
	}
	return nil
}

// grow returns a slice of at least n elements.
func grow[T any](list []T, n int) []T { return append(list, make([]T, max(0, n-len(list)))...) }

// noteHeaders says that a table seems to have two headers: there are blank cells in its first record, texts
// alone in the second, and a number below.
func noteHeaders(sample []byte, s *csvdata.Source) {
	r := csv.NewReader(bytes.NewReader(sample))
	r.FieldsPerRecord = -1
	var records [3][]string
	var line int // of the first
	for i := range records {
		var err error
		if records[i], err = r.Read(); err != nil {
			return
		}
		if i == 0 {
			line, _ = r.FieldPos(0)
		}
	}
	number := func(cell string) bool { _, ok := dataset.ParseNumber(cell); return ok }
	blank := len(records[0]) < len(records[1]) || slices.Contains(records[0], "")
	if blank && !slices.Contains(records[1], "") && !slices.ContainsFunc(records[1], number) &&
		slices.ContainsFunc(records[2], number) {
		s.Note("line %d has blank cells, line %d texts alone: if that is the header, say --skip-lines %d",
			line, line+1, line)
	}
}
