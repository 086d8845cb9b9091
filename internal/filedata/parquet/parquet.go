// Package parquet lets package filedata read Parquet files, in the programs that import it: its
// library takes 7 MB of a program.
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/filedata"
	"churn/internal/strictjson"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

func init() { filedata.Parquet = read }

// read returns the table in a Parquet file. Numbers are written so that reading them gives
// the same ones, dates as in 2026-01-31; null and NaN are empty cells, and so are those of columns
// to ignore that cannot be read.
func read(f io.ReaderAt, size int64, ignore []string) (s csvdata.Source, err error) {
	file, err := parquet.OpenFile(f, size)
	if err != nil {
		return s, fmt.Errorf("a Parquet file that is damaged, or not complete: %w", err)
	}
	p := &reader{f: f, file: file}
	s.Typed = make([]bool, len(file.Root().Columns()))
	var names []string
	for _, column := range file.Root().Columns() {
		names = append(names, dataset.ColumnName(column.Name()))
	}
	leaves := slices.DeleteFunc(slices.Clone(file.Metadata().Schema), func(e format.SchemaElement) bool {
		return !e.Type.Valid
	})
	for i, column := range file.Root().Columns() {
		p.columns = append(p.columns, columnReader{index: column.Index()})
		ignored := slices.ContainsFunc(ignore, func(name string) bool { return csvdata.Place(names, name) == i })
		leave := fmt.Sprintf("leave it out, in prepare with --ignore %s", strictjson.Word(names[i]))
		nested := !column.Leaf() || column.Repeated()
		if nested && !ignored {
			return s, fmt.Errorf("the column %q is nested: %s, or write its parts as columns", names[i], leave)
		} else if nested {
			continue
		}
		write := writerOf(column.Type())
		if _, half := leaves[column.Index()].LogicalType.Value.(*format.Float16Type); half { // the library has none
			write = float16
		}
		s.Typed[i] = !isText(column.Type())
		if p.columns[i].write = write; write == nil && !ignored {
			return s, fmt.Errorf("the column %q has the type %s, which is not read: %s, or write it as a number, "+
				"a date or a text", names[i], column.Type(), leave)
		}
	}
	p.text = csvdata.AppendRow(nil, names)
	s.Reader = p
	return s, nil
}

// A reader writes a Parquet file as CSV.
type reader struct {
	f       io.ReaderAt
	file    *parquet.File
	columns []columnReader
	values  [batch]parquet.Value
	cells   []string
	text    []byte
}

const batch = 256 // rows that are read at a time

// A columnReader reads the values of a column.
type columnReader struct {
	index  int                        // among the columns that are not nested
	write  func(parquet.Value) string // nil: the column is not read
	group  int                        // of rows, the next
	pages  parquet.Pages              // nil between groups
	page   parquet.Page               // nil between pages
	values parquet.ValueReader        // of page
	cells  []string
}

func (p *reader) Read(b []byte) (n int, err error) {
	defer func() { // the library panics on some damaged files
		if e := recover(); e != nil {
			err = fmt.Errorf("a Parquet file that is damaged: %v", e)
		}
	}()
	for len(p.text) == 0 {
		if err := p.next(); err != nil {
			return 0, err
		}
	}
	n = copy(b, p.text)
	p.text = p.text[n:]
	return n, nil
}

func (p *reader) next() error {
	rows := -1
	for i := range p.columns {
		c := &p.columns[i]
		if c.write == nil {
			continue
		}
		if err := p.fill(c); err != nil {
			return err
		}
		if rows >= 0 && len(c.cells) != rows {
			return errors.New("a Parquet file that is damaged: its columns have different lengths: write it again")
		}
		rows = len(c.cells)
	}
	if rows <= 0 {
		return io.EOF
	}
	p.text = p.text[:0]
	for row := range rows {
		p.cells = p.cells[:0]
		for i := range p.columns {
			cell := ""
			if c := &p.columns[i]; c.write != nil {
				cell = c.cells[row]
			}
			p.cells = append(p.cells, cell)
		}
		p.text = csvdata.AppendRow(p.text, p.cells)
	}
	return nil
}

// fill reads the next cells of a column.
func (p *reader) fill(c *columnReader) error {
	c.cells = c.cells[:0]
	for len(c.cells) < batch {
		if c.pages == nil {
			if c.group == len(p.file.RowGroups()) {
				return nil
			}
			if err := p.open(c); err != nil {
				return err
			}
			c.group++
		}
		if c.page == nil {
			page, err := c.pages.ReadPage()
			if err == io.EOF {
				err, c.pages = c.pages.Close(), nil
			}
			if err != nil {
				return err
			}
			if page == nil {
				continue
			}
			c.page, c.values = page, page.Values()
		}
		n, err := c.values.ReadValues(p.values[:batch-len(c.cells)])
		for _, v := range p.values[:n] {
			cell := ""
			if !v.IsNull() {
				cell = c.write(v)
			}
			c.cells = append(c.cells, cell)
		}
		if errors.Is(err, io.EOF) {
			parquet.Release(c.page)
			c.page, err = nil, nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *reader) open(c *columnReader) (err error) {
	chunk := p.file.RowGroups()[c.group].ColumnChunks()[c.index].(*parquet.FileColumnChunk)
	f := p.f
	if chunk.Type().Kind() == parquet.Boolean {
		f, err = withRuns(f, &p.file.Metadata().RowGroups[c.group].Columns[c.index].MetaData)
		if err != nil {
			return fmt.Errorf("a Parquet file that is damaged, or not complete: %w", err)
		}
	}
	c.pages = chunk.PagesFrom(f)
	return nil
}

func isText(t parquet.Type) bool {
	if l := t.LogicalType(); l != nil {
		if _, decimal := l.Value.(*format.DecimalType); decimal {
			return false
		}
	}
	return t.Kind() == parquet.ByteArray
}

// writerOf returns how values of a type are written, nil if it is not known.
func writerOf(t parquet.Type) func(parquet.Value) string {
	const perDay = 24 * 60 * 60
	whole := parquet.Value.Int64
	if t.Kind() == parquet.Int32 {
		whole = func(v parquet.Value) int64 { return int64(v.Int32()) }
	}
	if logical := t.LogicalType(); logical != nil {
		switch l := logical.Value.(type) {
		case *format.DateType:
			return func(v parquet.Value) string { return time.Unix(whole(v)*perDay, 0).UTC().Format(time.DateOnly) }
		case *format.TimestampType:
			unit := l.Unit.Value.Duration()
			return func(v parquet.Value) string {
				perSecond := int64(time.Second / unit)
				seconds, rest := v.Int64()/perSecond, v.Int64()%perSecond
				return time.Unix(seconds, rest*int64(unit)).UTC().Format(time.RFC3339Nano)
			}
		case *format.DecimalType:
			return decimal(t, int(l.Scale))
		case *format.IntType:
			if l.IsSigned {
				break
			}
			if t.Kind() == parquet.Int32 {
				return func(v parquet.Value) string { return strconv.FormatUint(uint64(uint32(v.Int32())), 10) }
			}
			return func(v parquet.Value) string { return strconv.FormatUint(uint64(v.Int64()), 10) }
		case *format.TimeType:
			perSecond, clock := float64(time.Second/l.Unit.Value.Duration()), dataset.Notation{Unit: dataset.Seconds}
			return func(v parquet.Value) string { return clock.Format(math.Round(float64(whole(v)) / perSecond)) }
		}
	}
	switch t.Kind() {
	case parquet.Float:
		return func(v parquet.Value) string { return float(float64(v.Float()), 32) }
	case parquet.Double:
		return func(v parquet.Value) string { return float(v.Double(), 64) }
	case parquet.Int96: // nanoseconds of a Julian day
		const epoch = 2440588 // the day of 1970-01-01
		return func(v parquet.Value) string {
			n := v.Int96()
			day, rest := int64(int32(n[2]))-epoch, int64(n[1])<<32|int64(n[0])
			return time.Unix(day*perDay, rest).UTC().Format(time.RFC3339Nano)
		}
	case parquet.FixedLenByteArray: // UUID among them
		return nil
	case parquet.ByteArray:
		return func(v parquet.Value) string {
			return strings.TrimSpace(strings.ToValidUTF8(string(v.ByteArray()), "\ufffd"))
		}
	}
	return parquet.Value.String // whole numbers, true and false
}

func float(x float64, bits int) string {
	if math.IsNaN(x) {
		return ""
	}
	const most = 1e21
	if a := math.Abs(x); a >= 1 && a < most { // customers are found by it: not 1.234567e+06
		return strconv.FormatFloat(x, 'f', -1, bits)
	}
	return strconv.FormatFloat(x, 'g', -1, bits)
}

// float16 writes a number of 1 bit of sign, 5 of the exponent and 10 of the fraction.
func float16(v parquet.Value) string {
	bits := binary.LittleEndian.Uint16(v.ByteArray())
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	x := math.Ldexp(1024+fraction, exponent-25)
	switch {
	case exponent == 0:
		x = math.Ldexp(fraction, -24)
	case exponent == 31 && fraction > 0:
		x = math.NaN()
	case exponent == 31:
		x = math.Inf(1)
	}
	if bits>>15 == 1 {
		x = -x
	}
	return float(x, 32)
}

// decimal returns how decimals are written: an integer, in bytes a two's complement with the
// highest first, and the power of ten that divides it.
func decimal(t parquet.Type, scale int) func(parquet.Value) string {
	return func(v parquet.Value) string {
		n := new(big.Int)
		switch t.Kind() {
		case parquet.Int32:
			n.SetInt64(int64(v.Int32()))
		case parquet.Int64:
			n.SetInt64(v.Int64())
		default:
			b := v.ByteArray()
			if n.SetBytes(b); len(b) > 0 && b[0] >= 0x80 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
			}
		}
		digits, negative := strings.CutPrefix(n.String(), "-")
		if scale > 0 {
			digits = strings.Repeat("0", max(0, scale+1-len(digits))) + digits
			digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
		}
		if negative {
			return "-" + digits
		}
		return digits
	}
}
