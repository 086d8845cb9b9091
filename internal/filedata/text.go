package filedata

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"churn/internal/csvdata"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

var errZeros = errors.New("this is not text: it has bytes of zero. " +
	"If it is UTF-16 or UTF-32 without a byte order mark, say --encoding utf-16le or utf-32le")

func (o *Options) text(in *bufio.Reader) (csvdata.Source, error) {
	var s csvdata.Source
	in, err := o.decode(in, &s)
	if err != nil {
		return s, err
	}
	sample, err := peek(in)
	if err != nil {
		return s, err
	}
	if bytes.IndexByte(sample, 0) >= 0 {
		return s, errZeros
	}
	if after, found := bytes.CutPrefix(sample, []byte("sep=")); found && len(after) > 1 && o.Delimiter == "" {
		o = &Options{Delimiter: string(after[:1]), SkipLines: max(o.SkipLines, 1), SkipRows: o.SkipRows} // Excel's own
	}
	s.Reader = in
	if bytes.IndexByte(sample, '\n') < 0 && bytes.IndexByte(sample, '\r') >= 0 {
		s.Note("lines end with a carriage return alone")
		s.Reader = returns{in}
		sample = bytes.ReplaceAll(sample, []byte{'\r'}, []byte{'\n'})
	}
	if o.SkipLines+o.SkipRows > 0 {
		s.Reader = &skipper{r: s.Reader, Options: o, line: 1}
		for range o.SkipLines {
			_, sample, _ = bytes.Cut(sample, []byte{'\n'})
		}
	}
	return s, o.delimit(&s, sample)
}

// peek returns the beginning of a text, without a character that is cut off.
func peek(in *bufio.Reader) ([]byte, error) {
	sample, err := in.Peek(sampleBytes)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if err == nil { // there is more
		sample = bytes.TrimRightFunc(sample, func(r rune) bool { return r == utf8.RuneError })
	}
	return sample, nil
}

// decode returns the text as UTF-8.
func (o *Options) decode(in *bufio.Reader, s *csvdata.Source) (*bufio.Reader, error) {
	sample, err := peek(in)
	if err != nil {
		return nil, err
	}
	from, err := o.encoding(sample, s)
	if from == nil || err != nil {
		return in, err
	}
	return bufio.NewReaderSize(&decoded{r: from.NewDecoder().Reader(in), from: from, line: 1}, sampleBytes), nil
}

// decoded reads a text that was decoded. A byte that its encoding does not have is an error, since texts that
// differ in such bytes alone would be the same.
type decoded struct {
	r    io.Reader
	from encoding.Encoding
	line int
	same int // bytes of utf8.RuneError that were read last
}

func (d *decoded) Read(p []byte) (int, error) {
	const replacement = string(utf8.RuneError)
	n, err := d.r.Read(p)
	for _, b := range p[:n] {
		if b != replacement[d.same] {
			d.same = 0
		}
		if b == replacement[d.same] {
			d.same++
		}
		if d.same == len(replacement) {
			return 0, fmt.Errorf("line %d is not %v: name the file's encoding with --encoding, or correct the line",
				d.line, d.from)
		}
		if b == '\n' {
			d.line++
		}
	}
	return n, err
}

// encoding returns the encoding of a text; nil is UTF-8.
func (o *Options) encoding(sample []byte, s *csvdata.Source) (encoding.Encoding, error) {
	switch {
	case o.Encoding != "":
		return encodingOf(o.Encoding)
	case bytes.HasPrefix(sample, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(sample, []byte("\x00\x00\xfe\xff")):
		return utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), nil
	case bytes.HasPrefix(sample, []byte("\xff\xfe")), bytes.HasPrefix(sample, []byte("\xfe\xff")):
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), nil
	case !utf8.Valid(sample):
		return suspect(sample, s)
	}
	return nil, nil
}

// Decode returns a text as UTF-8 without a byte order mark, and the character between its cells,
// both found as in a file. guessed is whether it was taken for Windows-1252. Line ends are changed in
// place if they are carriage returns.
func Decode(text []byte) (utf []byte, comma byte, guessed bool, err error) {
	s := csvdata.Source{Comma: ','}
	from, err := new(Options).encoding(text, &s)
	guessed = len(s.Notes) > 0
	if from != nil {
		text, err = from.NewDecoder().Bytes(text)
	}
	if err != nil {
		return nil, 0, false, err
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(text, '\n') < 0 {
		for i := range text {
			if text[i] == '\r' {
				text[i] = '\n'
			}
		}
	}
	if rest, found := bytes.CutPrefix(text, []byte("sep=")); found && len(rest) > 1 && // Excel's own
		strings.IndexByte(delimiters, rest[0]) >= 0 {
		_, text, _ = bytes.Cut(text, []byte{'\n'})
		return text, rest[0], guessed, nil
	}
	separated(text[:min(len(text), sampleBytes)], &s)
	return text, s.Comma, guessed, nil
}

// suspect takes a text that is not UTF-8 for Windows-1252, and says so.
func suspect(sample []byte, s *csvdata.Source) (encoding.Encoding, error) {
	at := 0
	for at < len(sample) {
		r, n := utf8.DecodeRune(sample[at:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		at += n
	}
	line := 1 + bytes.Count(sample[:at], []byte{'\n'})
	double := paired(sample)
	switch {
	case bytes.IndexByte(sample, 0) >= 0:
		return nil, errZeros
	case !double && multibyte(sample):
		return nil, fmt.Errorf("line %d is not UTF-8, and other lines are: the file mixes encodings, save it in one; "+
			"or all of it has another, such as shift-jis: name it with --encoding", line)
	}
	read := charmap.Windows1252.DecodeByte(sample[at])
	undefined := func(b byte) bool { return bytes.IndexByte(sample, b) >= 0 }
	if double || slices.ContainsFunc([]byte{0x81, 0x8d, 0x8f, 0x90, 0x9d}, undefined) { // in Windows-1252
		return nil, fmt.Errorf("line %d is not UTF-8, and the text is not Windows-1252 either: name its encoding with "+
			"--encoding, such as windows-1250, macintosh or utf-16le, or euc-kr, shift-jis, gb18030 or big5", line)
	}
	s.Note("read as Windows-1252, since line %d is not UTF-8 (its byte %X is then %q): "+
		"--encoding names another", line, sample[at], read)
	return charmap.Windows1252, nil
}

// multibyte reports whether a text has a character of UTF-8 that is more than one byte.
func multibyte(text []byte) bool {
	return bytes.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf && r != utf8.RuneError })
}

// paired reports whether letters beyond ASCII have two bytes each, and some stand together.
func paired(text []byte) bool {
	longest, run := 0, 0
	for _, b := range text {
		if b < utf8.RuneSelf && run%2 == 1 {
			return false
		}
		if run++; b < utf8.RuneSelf {
			run = 0
		}
		longest = max(longest, run)
	}
	const word = 4 // bytes
	return longest >= word
}

// encodingOf returns an encoding by a name that people use; nil is UTF-8.
func encodingOf(name string) (encoding.Encoding, error) {
	plain := func(name string) string {
		return strings.NewReplacer(" ", "", "-", "", "_", "", "iso", "", "cp949", "euckr", "cp932", "shiftjis",
			"cp936", "gbk", "gb2312", "gbk", "cp950", "big5", "cp", "windows").Replace(strings.ToLower(name))
	}
	switch wanted := plain(name); wanted {
	case "utf8", "utf8sig":
		return nil, nil
	case "utf16", "utf16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), nil
	case "utf32", "utf32le":
		return utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), nil
	case "utf16be":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), nil
	case "latin1":
		return charmap.ISO8859_1, nil
	case "latin9":
		return charmap.ISO8859_15, nil
	case "ansi":
		return charmap.Windows1252, nil
	default:
		for _, e := range append([]encoding.Encoding{korean.EUCKR, japanese.ShiftJIS, japanese.EUCJP, japanese.ISO2022JP,
			simplifiedchinese.GB18030, simplifiedchinese.GBK, traditionalchinese.Big5}, charmap.All...) {
			if plain(fmt.Sprint(e)) == wanted {
				return e, nil
			}
		}
	}
	return nil, fmt.Errorf("--encoding %q: not known: utf-8, utf-16le, utf-16be, utf-32le, windows-1250 to 1258, "+
		"latin-1, latin-9, iso-8859-1 to 16, macintosh, ibm437, koi8-r, euc-kr, shift-jis, euc-jp, iso-2022-jp, "+
		"gb18030, gbk, big5", name)
}

// delimit finds the character between cells.
func (o *Options) delimit(s *csvdata.Source, sample []byte) error {
	names := map[string]byte{",": ',', ";": ';', "\t": '\t', "tab": '\t', "|": '|', `\t`: '\t'}
	if o.Delimiter != "" {
		known := false
		if s.Comma, known = names[o.Delimiter]; !known {
			return fmt.Errorf("--delimiter %q: one of , ; | and tab", o.Delimiter)
		}
		return nil
	}
	best := separated(sample, s)
	if name := map[byte]string{';': "semicolons", '\t': "tabs", '|': "vertical bars"}[s.Comma]; name != "" {
		s.Note("cells are separated by %s", name)
	}
	return best.titled()
}

const delimiters = ",;\t|"

// separated sets the comma by which a text looks most like a table, if it looks like one.
func separated(sample []byte, s *csvdata.Source) (best shape) {
	for _, c := range []byte(delimiters) {
		if found := shapeOf(sample, c); found.better(best) {
			best, s.Comma = found, c
		}
	}
	return best
}

// A shape is how a text looks as a table.
type shape struct {
	width int // cells of most records; 1 is no table
	agree int // records of that width
	first int // cells of the first record that are not empty
	title int // lines before the first record of that width, most of whose cells are not empty
}

// titled returns an error for a table whose first record seems to be a title.
func (a shape) titled() error {
	if a.first == 1 && a.agree >= 3 {
		return fmt.Errorf("line 1 has one cell, the lines below have %d: if it is a title, leave it out with --skip-lines %d",
			a.width, a.title)
	}
	return nil
}

func (a shape) better(b shape) bool {
	return a.width > 1 && (a.agree > b.agree || a.agree == b.agree && a.width > b.width)
}

func shapeOf(sample []byte, comma byte) (s shape) {
	const most = 100 // records
	r := csv.NewReader(bytes.NewReader(sample))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = rune(comma), -1, true
	widths, lines := map[int]int{}, map[int]int{}
	for range most {
		record, err := r.Read()
		if err != nil { // the end, not such a table, or the sample's last record
			break
		}
		filled := 0 // a spreadsheet writes as many delimiters behind a title as in a row
		for _, cell := range record {
			filled += min(len(cell), 1)
		}
		s.first = cmp.Or(s.first, filled)
		widths[len(record)]++
		if _, found := lines[len(record)]; !found && 2*filled > len(record) {
			line, _ := r.FieldPos(0)
			lines[len(record)] = line - 1
		}
	}
	for width, n := range widths {
		if width > 1 && (n > s.agree || n == s.agree && width > s.width) {
			s.width, s.agree, s.title = width, n, lines[width]
		}
	}
	return s
}

// returns reads a text whose lines end with a carriage return.
type returns struct{ r io.Reader }

func (c returns) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	for i, b := range p[:n] {
		if b == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}

// skipper leaves out the text of lines, but not their ends, so that all lines keep their numbers.
type skipper struct {
	r io.Reader
	*Options
	line int
}

func (s *skipper) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.line > s.SkipLines+1+s.SkipRows {
		return n, err
	}
	kept := 0
	for _, b := range p[:n] {
		if b == '\n' || !s.skips(s.line) {
			p[kept] = b
			kept++
		}
		if b == '\n' {
			s.line++
		}
	}
	return kept, err
}
