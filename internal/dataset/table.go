package dataset

import (
	"math"
	"math/bits"
	"slices"
)

// MissingCode is the level code of a missing cell.
const MissingCode = math.MaxUint16

// A Table is customers in memory, by column.
type Table struct {
	Schema   *Schema
	Columns  []Column // in the schema's order
	Positive []bool   // the target
	Open     int      // rows that are left out, since their outcome is open or a third value

	// Times are by row, of Limits.Time; nil without it. Dates says whether they are dates.
	Times []float64
	Dates bool
}

// A Column is the values of one feature. A category has Codes and Levels, a number
// Codes and Values, or Numbers alone if it has more than MaxCodedValues different ones.
type Column struct {
	Codes   []uint16  // by row: positions in Levels or Values, or MissingCode
	Levels  []string  // in order of first appearance
	Values  []float64 // in order of first appearance
	Numbers []float64 // by row: NaN where missing

	ofLevel  map[string]uint16 // codes
	ofNumber Numbering         // likewise
}

// MaxCodedValues is how many different values a number may have to be stored as
// codes: two decimals of some hundreds fit.
const MaxCodedValues = 1 << 14

// NewTable returns a table without rows.
func NewTable(s *Schema) *Table {
	return &Table{Schema: s, Columns: make([]Column, len(s.Features))}
}

// Empty returns a table without rows whose columns have codes for some values, in their order. A
// number of which there are none is stored as it is.
func Empty(s *Schema, values [][]Value) *Table {
	t := NewTable(s)
	for j := range t.Columns {
		t.Columns[j].AppendCoded(UpTo[uint16](len(values[j])), values[j], new([]int32))
		if s.Features[j].Type == Number && len(values[j]) == 0 {
			t.Columns[j].useNumbers()
		}
	}
	t.Keep(nil)
	return t
}

// Grow makes room for further rows.
func (t *Table) Grow(rows int) {
	t.Positive = slices.Grow(t.Positive, rows)
	for j := range t.Columns {
		if c := &t.Columns[j]; c.Numbers != nil {
			c.Numbers = slices.Grow(c.Numbers, rows)
		} else {
			c.Codes = slices.Grow(c.Codes, rows)
		}
	}
}

// A Row is one customer: a value for each feature, in the schema's order, and the target.
type Row struct {
	Values   []Value
	Positive bool
}

// Append adds a row. A category has at most maxLevels levels.
func (t *Table) Append(row *Row) {
	for j := range row.Values {
		t.Columns[j].AppendCoded([]uint16{0}, row.Values[j:j+1], new([]int32))
	}
	t.Positive = append(t.Positive, row.Positive)
}

// AppendNumbers appends numbers, NaN where missing.
func (c *Column) AppendNumbers(numbers []float64) {
	c.useNumbers()
	c.Numbers = append(c.Numbers, numbers...)
}

// UseCodes replaces Numbers by codes if at most MaxCodedValues of them differ.
func (c *Column) UseCodes() {
	const width = 17 // bits of a hash: equal numbers have equal ones, so that as many differ, at the least
	var seen [1 << width]bool
	differ := 0
	for _, x := range c.Numbers {
		if at := &seen[math.Float64bits(x+0)*Golden>>(64-width)]; !*at && x == x {
			*at = true
			if differ++; differ > MaxCodedValues {
				return
			}
		}
	}
	numbers := c.Numbers
	c.Numbers = nil
	for _, x := range numbers {
		code := uint16(MissingCode)
		if x == x {
			code = c.codeNumber(x) // may switch to numbers
		}
		if c.Numbers != nil {
			c.Numbers = numbers
			return
		}
		c.Codes = append(c.Codes, code)
	}
}

// AppendCoded appends cells by code. values has the value of each code. recoded maps
// codes to the column's, plus one, 0 if not known yet; it belongs to the worker that assigned
// the codes, and is extended and filled in here.
func (c *Column) AppendCoded(codes []uint16, values []Value, recoded *[]int32) {
	*recoded = append(*recoded, make([]int32, len(values)-len(*recoded))...)
	known := *recoded
	if c.Numbers == nil {
		c.Codes = slices.Grow(c.Codes, len(codes))
	}
	for _, code := range codes {
		if known[code] == 0 && c.Numbers == nil {
			known[code] = int32(c.code(values[code])) + 1 // may switch to numbers
		}
		if c.Numbers == nil {
			c.Codes = append(c.Codes, uint16(known[code]-1))
		} else {
			c.Numbers = append(c.Numbers, values[code].Float())
		}
	}
}

// code returns a value's code, a new one for a new value. For one number too many the
// column switches to Numbers.
func (c *Column) code(v Value) uint16 {
	if v.Missing {
		return MissingCode
	}
	if !v.Level {
		return c.codeNumber(v.Number)
	}
	code, known := c.ofLevel[v.Text]
	switch {
	case known:
		return code
	case len(c.Levels) == maxLevels:
		return MissingCode // the audit rejects the data in the end
	case c.ofLevel == nil:
		c.ofLevel = map[string]uint16{}
	}
	code = uint16(len(c.Levels))
	c.Levels, c.ofLevel[v.Text] = append(c.Levels, v.Text), code
	return code
}

func (c *Column) codeNumber(x float64) uint16 {
	code := c.ofNumber.Of(x)
	if code == MaxCodedValues {
		c.useNumbers()
		return MissingCode
	}
	if code == len(c.Values) {
		c.Values = append(c.Values, x)
	}
	return uint16(code)
}

// useNumbers replaces codes by numbers.
func (c *Column) useNumbers() {
	if c.Numbers != nil {
		return
	}
	numbers := make([]float64, len(c.Codes), cap(c.Codes))
	for i := range c.Codes {
		numbers[i] = c.Number(i)
	}
	c.Numbers, c.Codes, c.Values, c.ofNumber = numbers, nil, nil, Numbering{}
}

// Number returns the number in row i, NaN where it is missing.
func (c *Column) Number(i int) float64 {
	switch {
	case c.Numbers != nil:
		return c.Numbers[i]
	case c.Codes[i] == MissingCode:
		return math.NaN()
	}
	return c.Values[c.Codes[i]]
}

// Coded returns the values that the codes stand for, and behind them a missing cell.
func (c *Column) Coded() (values []Value) {
	for _, x := range c.Values {
		values = append(values, Value{Number: x})
	}
	for _, level := range c.Levels {
		values = append(values, Value{Text: level, Level: true})
	}
	return append(values, Value{Missing: true})
}

// Count adds some rows to the counts of Coded values.
func (c *Column) Count(counts []int, rows []int32) {
	last := len(counts) - 1
	for _, i := range rows {
		counts[min(int(c.Codes[i]), last)]++
	}
}

// Keep removes all but some rows, given in ascending order.
func (t *Table) Keep(rows []int32) {
	for j := range t.Columns {
		c := &t.Columns[j]
		c.Codes, c.Numbers = pick(c.Codes, rows), pick(c.Numbers, rows)
	}
	t.Positive, t.Times = pick(t.Positive, rows), pick(t.Times, rows)
}

// Join adds the rows of a table that gives equal values the same codes: see Empty.
func (t *Table) Join(other *Table) {
	for j := range t.Columns {
		c, o := &t.Columns[j], &other.Columns[j]
		c.Codes, c.Numbers = append(c.Codes, o.Codes...), append(c.Numbers, o.Numbers...)
	}
	t.Positive = append(t.Positive, other.Positive...)
}

// pick moves the values of some rows to the front, and returns them; none have none.
func pick[T any](values []T, rows []int32) []T {
	if len(values) == 0 {
		return values
	}
	for k, i := range rows {
		values[k] = values[i]
	}
	return values[:len(rows)]
}

// A Sample is some rows of a table, which represent all of a data set.
type Sample struct {
	*Table
	Use   []int32 // rows of the table, ascending
	Lines []int   // by row of the table: its line, 0 for a row that was added; nil if rows have none
	All   int     // rows of the data set
}

// Rows returns the number of rows.
func (t *Table) Rows() int { return len(t.Positive) }

// Value returns the cell of row i and feature j.
func (t *Table) Value(i, j int) Value {
	c, f := &t.Columns[j], &t.Schema.Features[j]
	if f.Type == Number {
		if x := c.Number(i); !math.IsNaN(x) {
			return Value{Number: x}
		}
	} else if code := c.Codes[i]; code != MissingCode {
		return Value{Text: c.Levels[code], Level: true}
	}
	return f.missing()
}

// A Numbering numbers different numbers in the order of their first appearance. NaN, for
// missing cells, is one of them; −0 is 0.
type Numbering struct {
	keys  []uint64 // bits, by number
	slots []int32  // by hash, a power of two, at least half of them free: a position in keys plus one; 0 is free
}

// NumberingOf numbers different numbers by their places.
func NumberingOf(numbers []float64) (n Numbering) {
	for _, x := range numbers {
		n.keys = append(n.keys, math.Float64bits(x+0))
	}
	n.grow()
	return n
}

// Of returns the number that x has, or gets as a new one.
func (n *Numbering) Of(x float64) int {
	if 2*len(n.keys) >= len(n.slots) {
		n.grow()
	}
	key := math.Float64bits(x + 0) // −0 is 0
	at := n.find(key)
	if n.slots[at] == 0 {
		n.keys = append(n.keys, key)
		n.slots[at] = int32(len(n.keys))
	}
	return int(n.slots[at]) - 1
}

const Golden = 0x9e3779b97f4a7c15 // 2⁶⁴ over the golden ratio

// find returns the slot of a key, or the one where it belongs.
func (n *Numbering) find(key uint64) int {
	mask := len(n.slots) - 1
	at := int(key * Golden >> (64 - bits.Len(uint(mask))))
	for n.slots[at] != 0 && n.keys[n.slots[at]-1] != key {
		at = (at + 1) & mask
	}
	return at
}

func (n *Numbering) grow() {
	n.slots = make([]int32, max(16, 1<<bits.Len(uint(2*len(n.keys)))))
	for i, key := range n.keys {
		n.slots[n.find(key)] = int32(i + 1)
	}
}
