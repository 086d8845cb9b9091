package dataset

import (
	"io"
	"math"
	"strings"
)

// MissingCode is the level code of a missing cell.
const MissingCode = math.MaxUint16

// A Table is customers in memory, by column.
type Table struct {
	Schema   *Schema
	Columns  []Column // in the schema's order
	Positive []bool   // the target
}

// A Column is the values of one feature: Numbers or Codes, the other is nil.
type Column struct {
	Numbers []float64 // NaN where missing
	Codes   []uint16  // positions in Levels, or MissingCode
	Levels  []string  // in order of first appearance

	code map[string]uint16
}

// NewTable returns a table without rows.
func NewTable(s *Schema) *Table {
	t := &Table{Schema: s, Columns: make([]Column, len(s.Features))}
	for i := range t.Columns {
		if s.Features[i].Type == Category {
			t.Columns[i].code = map[string]uint16{}
		}
	}
	return t
}

// ReadTable reads all customers of a CSV file into memory, with Scan's rules.
func ReadTable(r io.Reader, file string, s *Schema, limits Limits) (*Table, error) {
	t := NewTable(s)
	if _, err := s.Scan(r, file, limits, t.Append); err != nil {
		return nil, err
	}
	return t, nil
}

// Append adds a row. A category has at most maxLevels levels, which Scan has seen to.
func (t *Table) Append(row *Row) error {
	for i, v := range row.Values {
		t.Columns[i].append(v)
	}
	t.Positive = append(t.Positive, row.Positive)
	return nil
}

func (c *Column) append(v Value) {
	switch {
	case c.code == nil && v.Missing:
		c.Numbers = append(c.Numbers, math.NaN())
	case c.code == nil:
		c.Numbers = append(c.Numbers, v.Number)
	case v.Missing:
		c.Codes = append(c.Codes, MissingCode)
	default:
		code, ok := c.code[v.Text]
		if !ok {
			level := strings.Clone(v.Text) // not the record it was cut from
			code = uint16(len(c.Levels))
			c.code[level] = code
			c.Levels = append(c.Levels, level)
		}
		c.Codes = append(c.Codes, code)
	}
}

// Rows returns the number of rows.
func (t *Table) Rows() int { return len(t.Positive) }

// Value returns the cell of row i and feature j.
func (t *Table) Value(i, j int) Value {
	c := &t.Columns[j]
	if c.Codes == nil {
		x := c.Numbers[i]
		if math.IsNaN(x) {
			return Value{Missing: true}
		}
		return Value{Number: x}
	}
	if c.Codes[i] == MissingCode {
		return Value{Missing: true, Level: true}
	}
	return Value{Text: c.Levels[c.Codes[i]], Level: true}
}
