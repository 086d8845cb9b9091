package csvdata

import (
	"math"

	"churn/internal/dataset"
)

// noCode is the code of a cell that has none.
const noCode = math.MaxUint16

// A cell is the result of cleaning a text.
type cell struct {
	value   dataset.Value
	csv     string // as prepare writes it
	changes dataset.Changes
	problem *dataset.Problem
	hotFields
}

// hotFields are the fields of a cell that every row needs. They are stored apart, so
// that those of a column stay in a processor's cache.
type hotFields struct {
	code      uint16 // of value, in its column, or noCode
	coded     bool   // code is set: a row that is kept has the cell
	flagged   bool   // the cell was changed, is missing or has a problem
	unchanged bool   // csv is the text as it was read
}

// A column reads the cells of one feature, and counts the values of the rows that are
// kept. A number with too many values for codes (high cardinality) has a sketch
// instead.
type column struct {
	feature  *dataset.Feature
	limit    int     // levels that a category may have
	describe bool    // a summary is needed
	origin   float64 // of the sketch

	quality dataset.ColumnQuality // Present and Numeric count the cells without a code alone

	texts  dictionary
	cells  []cell      // by number of the text plus one; cells[0] is the last one without a number
	hot    []hotFields // of cells
	free   bool        // feature.Free
	direct bool        // texts is disabled: cells[1] is the last plain number, of which it has value alone

	levels  map[dataset.Value]uint16 // codes of a category
	numbers dataset.Numbering        // codes of a number
	values  []dataset.Value          // by code, in order of first appearance
	counts  []int                    // rows by code
	first   []int                    // line of the first one
	present int                      // values that are not missing
	sketch  *dataset.Sketch          // nil for low cardinality; without describe it only counts rows
}

func newColumn(f *dataset.Feature, limit int, describe bool, origin float64) *column {
	c := &column{
		feature: f, limit: limit, describe: describe, origin: origin, free: f.Free(),
		cells: make([]cell, 1), hot: make([]hotFields, 1),
	}
	if f.Type == dataset.Category {
		c.levels = map[dataset.Value]uint16{}
	}
	return c
}

// read cleans and validates a cell, and returns its position in cells and hot, valid
// until the next read. It is not a pointer: so many pointers would cost the garbage
// collector time.
func (c *column) read(text []byte) int32 {
	if i := c.texts.find(text); i >= 0 {
		return int32(i + 1)
	}
	if c.texts.disabled {
		if !c.direct {
			c.direct, c.cells, c.hot = true, make([]cell, 2), make([]hotFields, 2)
		}
		x, ok := 0.0, false
		if c.free {
			x, ok = dataset.ParseDecimal(text)
		}
		if !ok {
			x, ok = c.feature.Plain(text)
		}
		if ok {
			c.cells[1].value.Number, c.hot[1] = x, hotFields{unchanged: true}
			return 1
		}
	}
	found := c.clean(string(text))
	if i := c.texts.add(text); i >= 0 {
		c.cells, c.hot = append(c.cells, found), append(c.hot, found.hotFields)
		return int32(i + 1)
	}
	c.cells[0], c.hot[0] = found, found.hotFields
	return 0
}

// adapt gives up, after so many rows, the dictionaries of numbers of whose cells nearly all differ, and
// where no summary is needed the codes too: in the end a table gives its own.
func adapt(columns []*column, rows int) {
	for _, c := range columns {
		if c.feature.Type == dataset.Number && varied(len(c.texts.texts), rows-c.quality.Missing) {
			c.texts.disable()
			if !c.describe {
				c.useSketch()
			}
		}
	}
}

func (c *column) clean(text string) cell {
	v, clean, changes, problem := c.feature.Clean(text)
	found := cell{value: v, csv: quote(clean), changes: changes, problem: problem}
	found.unchanged = found.csv == text
	found.flagged = changes != 0 || problem != nil || v.Missing
	return found
}

// code returns a value's code, or noCode if there are too many.
func (c *column) code(v dataset.Value, line int) uint16 {
	if c.sketch != nil {
		return noCode
	}
	var code uint16
	var known bool
	if c.feature.Type == dataset.Category {
		code, known = c.levels[v]
	} else {
		code = uint16(c.numbers.Of(v.Float()))
		known = int(code) < len(c.values)
	}
	switch {
	case known:
		return code
	case v.Missing:
	case v.Level && c.present == c.limit:
		c.quality.TooManyLevels = true
		return noCode
	case !v.Level && c.present == dataset.MaxCodedValues:
		c.useSketch()
		return noCode
	default:
		c.present++
	}
	code = uint16(len(c.values))
	if v.Level {
		c.levels[v] = code
	}
	c.values, c.counts, c.first = append(c.values, v), append(c.counts, 0), append(c.first, line)
	return code
}

// useSketch replaces codes by a sketch. A table still needs the codes given so far.
func (c *column) useSketch() {
	c.sketch = dataset.NewSketch(c.origin)
	c.texts.disable()
	c.numbers = dataset.Numbering{}
	if c.describe {
		for i, v := range c.values {
			c.sketch.Add(v, c.counts[i])
		}
		clear(c.counts) // of values that sampled rows of this chunk may have
	}
}

// count counts the cell at a position, of a row that is kept.
func (c *column) count(at int32, line int) {
	found, hot := &c.cells[at], &c.hot[at]
	if !hot.coded { // not in read: values of rows that are left out must not take codes
		hot.coded, hot.code = true, noCode
		if found.problem == nil {
			hot.code = c.code(found.value, line)
		}
	}
	switch {
	case hot.code != noCode && c.sketch == nil:
		c.counts[hot.code]++
	case c.sketch == nil || found.problem != nil:
		c.quality.CountPresent(found.value, 1, line)
	case c.describe:
		c.sketch.Add(found.value, 1)
	default:
		c.sketch.Rows++
	}
}

func (c *column) merge(d *column) {
	c.quality.Merge(&d.quality)
	for i, v := range d.values {
		code := c.code(v, d.first[i])
		switch {
		case c.sketch != nil:
			c.sketch.Add(v, d.counts[i])
		case code == noCode:
			c.quality.CountPresent(v, d.counts[i], d.first[i])
		default:
			c.counts[code] += d.counts[i]
			c.first[code] = min(c.first[code], d.first[i])
		}
	}
	if d.sketch != nil {
		if c.sketch == nil {
			c.useSketch()
		}
		c.sketch.Merge(d.sketch)
	}
}

// finish adds the counts to the quality report, and to the sketch if there is one.
func (c *column) finish(q *dataset.ColumnQuality) {
	q.Merge(&c.quality)
	for i, v := range c.values {
		switch n := c.counts[i]; {
		case c.sketch != nil:
			c.sketch.Add(v, n)
		case !v.Missing:
			q.CountPresent(v, n, c.first[i])
			if v.Level {
				q.Levels[v.Text] = n
			}
		}
	}
	if c.sketch != nil {
		q.Present += c.sketch.Rows
	}
}

// summary describes the rows that are kept.
func (c *column) summary() (s dataset.Summary, to dataset.Scaling) {
	if c.sketch == nil {
		return dataset.DescribeCounts(c.feature, c.values, c.counts)
	}
	s = c.sketch.Summary()
	return s, s.Scaling(c.sketch.Median())
}
