// Package parquet lets package filedata read Parquet files, in the programs that import it: its
// library takes 7 MB of a program.
package parquet

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"churn/internal/csvdata"
	"churn/internal/filedata"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

func init() { filedata.Parquet = read }

// read returns the table in a Parquet file. Numbers are written so that reading them gives
// the same ones, dates as in 2026-01-31; null and NaN are empty cells.
func read(f io.ReaderAt, size int64) (s csvdata.Source, err error) {
	file, err := parquet.OpenFile(f, size)
	if err != nil {
		return s, fmt.Errorf("a Parquet file that is damaged, or not complete: %w", err)
	}
	p := &reader{file: file, rows: make([]parquet.Row, 256)}
	var names []string
	for _, field := range file.Schema().Fields() {
		if !field.Leaf() || field.Repeated() {
			return s, fmt.Errorf("the column %q is nested: write its parts as columns", field.Name())
		}
		names = append(names, field.Name())
		write := writerOf(field.Type())
		if write == nil {
			return s, fmt.Errorf("the column %q has the type %s, which is not read: write it as a number, a date or a text",
				field.Name(), field.Type())
		}
		p.write = append(p.write, write)
	}
	p.text = csvdata.AppendRow(nil, names)
	s.Reader, s.Typed = p, true
	return s, nil
}

// A reader writes a Parquet file as CSV.
type reader struct {
	file  *parquet.File
	group int // the next
	in    parquet.Rows
	rows  []parquet.Row
	write []func(parquet.Value) string // by column
	cells []string
	text  []byte
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

// next writes the next rows.
func (p *reader) next() error {
	if p.in == nil {
		groups := p.file.RowGroups()
		if p.group == len(groups) {
			return io.EOF
		}
		p.in = groups[p.group].Rows()
		p.group++
	}
	n, err := p.in.ReadRows(p.rows)
	p.text = p.text[:0]
	for _, row := range p.rows[:n] {
		p.cells = p.cells[:0]
		for i, v := range row {
			cell := ""
			if !v.IsNull() {
				cell = p.write[i](v)
			}
			p.cells = append(p.cells, cell)
		}
		p.text = csvdata.AppendRow(p.text, p.cells)
	}
	if errors.Is(err, io.EOF) {
		err = p.in.Close()
		p.in = nil
	}
	return err
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
			return nil
		}
	}
	switch t.Kind() {
	case parquet.Float:
		return func(v parquet.Value) string { return float(float64(v.Float()), 32) }
	case parquet.Double:
		return func(v parquet.Value) string { return float(v.Double(), 64) }
	case parquet.ByteArray:
		return func(v parquet.Value) string {
			return strings.TrimSpace(strings.ToValidUTF8(string(v.ByteArray()), "\ufffd"))
		}
	}
	if kind := t.Kind(); kind == parquet.Int96 || kind == parquet.FixedLenByteArray { // float16 and UUID among them
		return nil
	}
	return parquet.Value.String // whole numbers, true and false
}

func float(x float64, bits int) string {
	if math.IsNaN(x) {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, bits)
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
		return new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale)
	}
}
