package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"math"
	"strings"

	"gonum.org/v1/gonum/stat"
)

// noCode is the code of a cell that has none.
const noCode = math.MaxUint16

// beyond counts cells without a code.
type beyond struct {
	cells   int
	numbers int    // levels that read as numbers
	word    string // the first that does not
	line    int    // its line; 0 if there is none
}

func (b *beyond) count(text string, line int) {
	b.cells++
	if _, ok := parseNumber(text); ok {
		b.numbers++
	} else if b.line == 0 {
		b.word, b.line = strings.Clone(text), line
	}
}

// maxValues is how many different numbers a column may have to be kept as codes:
// two decimals of some hundreds fit.
const maxValues = 1 << 14

// A cell is what cleaning makes of a text.
type cell struct {
	value   Value
	csv     string // as prepare writes it
	changes Changes
	problem *Problem
	brief
}

// brief is the part of a cell that all rows need. It is kept by itself, so that
// those of a column stay in a processor's cache.
type brief struct {
	code  uint16 // of value, in its column, or noCode
	coded bool   // code is known: a row that is kept has the cell
	odd   bool   // the cell needs more than to be counted
	same  bool   // its csv is the text as it was read
}

// cells reads the cells of one feature, and counts the values of the rows that
// are kept.
type cells struct {
	feature  *Feature
	limit    int     // levels that a category may have
	describe bool    // a summary is wanted
	origin   float64 // a number of the column, for its spread
	quality  ColumnQuality

	texts  memo
	known  []cell  // by number of the text, from 1 on; at 0 is the last one without a number; none is replaced before the next read
	briefs []brief // of known

	codes   map[Value]uint16
	values  []Value // by code, in order of first appearance
	counts  []int   // rows by code
	first   []int   // line of the first one
	present int     // values that are not missing
	beyond  beyond  // cells without a code in rows that are kept, unless the file is refused
	wide    *spread // of rows of a number that has too many values for codes; else nil. For a table, which needs no summary, it only counts rows
}

func newCells(f *Feature, limit int, describe bool, origin float64) *cells {
	return &cells{feature: f, limit: limit, describe: describe, origin: origin, codes: map[Value]uint16{}, known: make([]cell, 1), briefs: make([]brief, 1)}
}

// read cleans and judges a cell, and returns its place in known and briefs, which
// is good until the next read. It is no pointer: those would be many, and cost the
// collector time.
func (c *cells) read(text []byte) int32 {
	if i := c.texts.find(text); i >= 0 {
		return int32(i + 1)
	}
	found := c.clean(string(text))
	if i := c.texts.add(text); i >= 0 {
		c.known, c.briefs = append(c.known, found), append(c.briefs, found.brief)
		return int32(i + 1)
	}
	if len(c.known) > 1 { // until the memo gave up
		c.known, c.briefs = make([]cell, 1), make([]brief, 1)
	}
	c.known[0], c.briefs[0] = found, found.brief
	return 0
}

func (c *cells) clean(text string) cell {
	var found cell
	var clean string
	found.value, clean, found.changes, found.problem = c.feature.Clean(text)
	found.csv = quoted(clean)
	found.same = found.csv == text
	found.odd = found.changes != 0 || found.problem != nil || found.value.Missing
	return found
}

// code returns a value's code. A value too many has none.
func (c *cells) code(v Value, line int) uint16 {
	if c.wide != nil {
		return noCode
	}
	code, ok := c.codes[v]
	switch {
	case ok:
		return code
	case v.Missing:
	case v.Level && c.present == c.limit:
		c.quality.tooManyLevels = true
		return noCode
	case !v.Level && c.present == maxValues:
		c.widen()
		return noCode
	default:
		c.present++
	}
	code = uint16(len(c.values))
	c.codes[v] = code
	c.values, c.counts, c.first = append(c.values, v), append(c.counts, 0), append(c.first, line)
	return code
}

// widen makes the column wide. Codes that were given stay good for a table.
func (c *cells) widen() {
	c.wide = newSpread(c.origin)
	c.texts.giveUp()
	if c.describe {
		for i, v := range c.values {
			c.wide.add(v, c.counts[i])
		}
		c.codes, c.values, c.counts, c.first = nil, nil, nil, nil
	}
}

// count counts a cell of a row that is kept, unless the file is refused.
func (c *cells) count(i int32, line int) {
	found, b := &c.known[i], &c.briefs[i]
	if !b.coded { // only now: the values of rows that are left out must not count, whoever reads them
		b.coded, b.code = true, noCode
		if found.problem == nil {
			b.code = c.code(found.value, line)
		}
	}
	if b.code != noCode && c.wide == nil {
		c.counts[b.code]++
		return
	}
	switch {
	case c.wide == nil || found.problem != nil:
		c.beyond.count(found.value.Text, line)
	case c.describe:
		c.wide.add(found.value, 1)
	default:
		c.wide.rows++
	}
}

// merge adds what another worker counted of the feature.
func (c *cells) merge(d *cells) {
	c.quality.add(&d.quality)
	c.beyond.cells += d.beyond.cells
	c.beyond.numbers += d.beyond.numbers
	if d.beyond.line > 0 && (c.beyond.line == 0 || d.beyond.line < c.beyond.line) {
		c.beyond.word, c.beyond.line = d.beyond.word, d.beyond.line
	}
	for i, v := range d.values {
		code := c.code(v, d.first[i])
		switch {
		case c.wide != nil:
			c.wide.add(v, d.counts[i])
		case code == noCode:
			c.beyond.cells += d.counts[i]
		default:
			c.counts[code] += d.counts[i]
			c.first[code] = min(c.first[code], d.first[i])
		}
	}
	if d.wide != nil {
		if c.wide == nil {
			c.widen()
		}
		c.wide.merge(d.wide)
	}
}

// finish completes the quality report, and a wide column's spread.
func (c *cells) finish() {
	q := &c.quality
	q.kept, q.numbers, q.notNumber = c.beyond.cells, c.beyond.numbers, c.beyond.word
	line := c.beyond.line
	for i, v := range c.values {
		n := c.counts[i]
		if c.wide != nil {
			c.wide.add(v, n)
			continue
		}
		if v.Missing {
			continue
		}
		q.kept += n
		if !v.Level {
			continue
		}
		q.Levels[v.Text] = n
		if _, ok := parseNumber(v.Text); ok {
			q.numbers += n
		} else if line == 0 || c.first[i] < line {
			line, q.notNumber = c.first[i], v.Text
		}
	}
	if c.wide != nil {
		q.kept += c.wide.rows
	}
}

// summary describes the rows that were kept.
func (c *cells) summary() (s Summary) {
	if c.wide != nil {
		return c.wide.summary()
	}
	missing, levels := 0, map[string]int{}
	var numbers, weights []float64
	for i, v := range c.values {
		switch n := c.counts[i]; {
		case v.Missing:
			missing = n
		case v.Level:
			levels[v.Text] = n
			s.Rows += n
		default:
			numbers, weights = append(numbers, v.Number), append(weights, float64(n))
		}
	}
	if c.feature.Type == Category {
		s.Levels = levels
	} else {
		stat.SortWeighted(numbers, weights)
		s = summarize(numbers, weights)
	}
	s.Missing = missing
	return s
}

// number returns a value as a number, NaN for a missing one.
func (v Value) number() float64 {
	if v.Missing {
		return math.NaN()
	}
	return v.Number
}

// quoted returns a cell, without space around it, as it stands in a CSV file.
func quoted(text string) string {
	if !strings.ContainsAny(text, ",\"\r\n") && text != `\.` { // which ends a file for PostgreSQL
		return text
	}
	line, err := csvRow([]string{text})
	if err != nil {
		panic("dataset: " + err.Error()) // memory cannot fail
	}
	return strings.TrimSuffix(string(line), "\n")
}

func csvRow(cells []string) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	err := w.Write(cells)
	w.Flush()
	return b.Bytes(), errors.Join(err, w.Error())
}
