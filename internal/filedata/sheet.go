package filedata

import (
	"bufio"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"churn/internal/csvdata"
	"churn/internal/dataset"
)

// A sheetReader writes a worksheet as CSV.
type sheetReader struct {
	*cells
	book   *book
	skips  func(row int) bool
	line   int // of the next row
	text   []byte
	width  int // of the header
	record []string
}

func (s *sheetReader) Read(p []byte) (int, error) {
	for len(s.text) == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
		if s.row > maxRows || s.row < s.line {
			return 0, fmt.Errorf("the worksheet has a row %d behind row %d", s.row, s.line-1)
		}
		for ; s.line < s.row; s.line++ {
			s.text = append(s.text, '\n')
		}
		if err := s.add(); err != nil {
			return 0, err
		}
		s.line++
	}
	n := copy(p, s.text)
	s.text = s.text[n:]
	return n, nil
}

// next reads the cells of the next row that has some.
func (s *sheetReader) next() error {
	for s.cells.next() {
		switch s.name {
		case "row":
			s.record = s.record[:0]
		case "c":
			if s.column < 0 || s.column >= maxColumns {
				return fmt.Errorf("row %d of the worksheet has a cell in column %d", s.row, s.column+1)
			}
		case "/c":
			if !s.valued {
				continue
			}
			s.record = grow(s.record, s.column+1)
			cell, err := s.book.cell(s.kind, s.style, string(s.value))
			if err != nil {
				return fmt.Errorf("row %d of the worksheet: %w", s.row, err)
			}
			s.record[s.column] = strings.ReplaceAll(cell, "\n", " ") // a row is a line
		case "/row":
			if len(s.record) > 0 {
				return nil
			}
		}
	}
	return cmp.Or(s.err, io.EOF)
}

func (s *sheetReader) add() error {
	size := 0
	for _, cell := range s.record {
		size += len(cell) // one text may stand in many cells
	}
	switch {
	case size > maxCells:
		return fmt.Errorf("row %d of the worksheet has texts of more than %d MB: save it as CSV", s.row, maxCells>>20)
	case s.skips(s.row):
		s.text = append(s.text, '\n')
		return nil
	}
	s.width = cmp.Or(s.width, len(s.record))
	s.record = grow(s.record, s.width) // empty cells at the end are not in the file
	s.text = csvdata.AppendRow(s.text, s.record)
	return nil
}

// column returns the column of a cell such as AB12, from 0; −1 if it has none.
func column(ref string) int {
	n := 0
	for _, c := range strings.ToLower(ref) {
		if c >= 'a' && c <= 'z' && n <= maxColumns {
			n = 26*n + int(c-'a') + 1
		}
	}
	return n - 1
}

var truth = map[string]string{"0": "false", "1": "true", "false": "false", "true": "true"}

// cell returns the text of a cell from its attributes and its value.
func (b *book) cell(kind, style, value string) (string, error) {
	value = strings.TrimSpace(value)
	switch kind {
	case "s":
		i, err := strconv.Atoi(value)
		if err != nil || i < 0 || i >= len(b.texts) {
			return "", fmt.Errorf("a text %q is missing: open the workbook in a spreadsheet and save it", value)
		}
		return strings.TrimSpace(b.texts[i]), nil
	case "b":
		return truth[value], nil
	case "", "n":
		var f format
		if i, err := strconv.Atoi(style); err == nil && i >= 0 && i < len(b.formats) {
			f = b.formats[i]
		}
		const since1904 = 1462 // days later than others
		if x, err := strconv.ParseFloat(value, 64); err == nil {
			if b.since1904 && f.date {
				x += since1904
			}
			return f.text(x, value), nil
		}
	}
	return value, nil
}

// A format is what a number format shows: dates, or times of day and durations. Of the latter elapsed hours are
// written as [h], and seconds may be shown.
type format struct{ date, clock, elapsed, seconds bool }

// builtIn are the formats that have no code in the file, where cells are dates or times.
var builtIn = map[int]string{14: "d", 15: "d", 16: "d", 17: "m", 18: "h:m", 19: "h:m:s", 20: "h:m", 21: "h:m:s",
	22: "d", 32: "h:m", 33: "h:m:s", 45: "m:s", 46: "[h]:m:s", 47: "m:s"}

// literal finds text, colours and locales in the code of a format, but not [h], [m] and [s].
var literal = regexp.MustCompile(`"[^"]*"|\\.|[_*].|am/pm|a/p|\[[^\]]*[^\]hms][^\]]*\]`)

func formatOf(code string) (f format) {
	code, _, _ = strings.Cut(literal.ReplaceAllString(strings.ToLower(code), ""), ";")
	f.elapsed, f.seconds = strings.Contains(code, "["), strings.Contains(code, "s")
	clock := f.elapsed || strings.ContainsAny(code, "hs")
	f.date = strings.ContainsAny(code, "yd") || !clock && strings.Contains(code, "m") // of months
	f.clock = clock && !f.date
	return f
}

// text returns a number, which the file has as value, as it is in CSV. Times are rounded to seconds: a sum of
// fractions of a day misses them.
func (f format) text(x float64, value string) string {
	const day = 24 * 60 * 60
	const epoch, last = 25_569, 2_958_466 // 1970-01-01, and the day after 9999-12-31
	const dated = 10_000                  // days, of 1927: from here on h:mm shows the time of a date
	switch seconds := int64(math.Round(max(-1, min(x, last)) * day)); {
	case f.date && seconds >= day && x < last:
		t := time.Unix(seconds-epoch*day, 0).UTC()
		if seconds%day == 0 {
			return t.Format(time.DateOnly)
		}
		return t.Format(time.RFC3339)
	case (f.clock || f.date) && x >= 0 && x < last:
		if !f.elapsed && seconds >= dated*day {
			seconds %= day
		}
		if f.seconds {
			return (&dataset.Notation{Unit: dataset.Seconds}).Format(float64(seconds))
		}
		return (&dataset.Notation{Unit: dataset.Minutes}).Format(float64(seconds / 60))
	case f.clock && x < 0 && x > -last:
		return "-" + f.text(-x, "")
	case strings.Trim(value, "0123456789") != "": // a spreadsheet means 15 digits, whatever a program wrote
		return strconv.FormatFloat(x, 'g', 15, 64)
	}
	return value
}

// cells are the tags of a worksheet, with the row and the cell that they belong to.
type cells struct {
	*tags
	row    int  // from 1
	hidden bool // the row is

	ref             string // of the cell, such as AB12; may be empty
	column          int    // from 0, −1 for none
	kind, style     string
	formula, valued bool // it has a formula, and a value
	value           []byte
}

func (c *cells) next() bool {
	if !c.tags.next() {
		return false
	}
	switch c.name {
	case "row":
		c.row, c.column, c.hidden = c.row+1, -1, truth[c.attribute("hidden")] == "true"
		if r := c.attribute("r"); r != "" {
			c.row, _ = strconv.Atoi(r) // 0 is behind another row
		}
	case "c":
		c.ref, c.kind, c.style = c.attribute("r"), c.attribute("t"), c.attribute("s")
		c.formula, c.valued, c.value = false, false, c.value[:0]
		if c.column++; c.ref != "" {
			c.column = column(c.ref)
		}
	case "f":
		c.formula = true
	case "/v", "/t":
		if len(c.value)+len(c.text) > maxCells {
			c.err = errLong
			return false
		}
		c.value, c.valued = append(c.value, c.text...), true
	}
	return true
}

// maxCells is the most bytes of a cell, and of a row: Excel writes 32,767 characters into a cell.
const maxCells = 16 << 20

var errLong = fmt.Errorf("a text of more than %d MB", maxCells>>20)

// tagBytes are those of an XML document, at most left until the next tag.
type tagBytes struct {
	*bufio.Reader
	left int
}

func (t *tagBytes) ReadByte() (byte, error) {
	if t.left--; t.left < 0 {
		return 0, errLong
	}
	return t.Reader.ReadByte()
}

// tags reads an XML document tag by tag.
type tags struct {
	in         *tagBytes
	decoder    *xml.Decoder
	name       string // without a prefix, behind a slash if the tag ends an element
	attributes []xml.Attr
	text       []byte // since the tag before
	err        error
}

func newTags(r io.Reader) *tags {
	in := &tagBytes{Reader: bufio.NewReader(r)}
	return &tags{in: in, decoder: xml.NewDecoder(in)}
}

// next reads the next tag. It leaves out how a text is pronounced.
func (t *tags) next() bool {
	t.text, t.in.left = t.text[:0], maxCells
	for spoken := false; ; {
		token, err := t.decoder.RawToken()
		switch token := token.(type) {
		case xml.StartElement:
			t.name, t.attributes = token.Name.Local, token.Attr
		case xml.EndElement:
			t.name, t.attributes = "/"+token.Name.Local, nil
		case xml.CharData:
			t.text = append(t.text, token...)
			continue
		case nil:
			if err != io.EOF {
				t.err = err
			}
			return false
		default:
			continue
		}
		if spoken = t.name == "rPh" || spoken && t.name != "/rPh"; !spoken {
			return true
		}
		t.text = t.text[:0]
	}
}

// attribute returns the value of an attribute; "" if there is none.
func (t *tags) attribute(name string) string {
	for _, a := range t.attributes {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
