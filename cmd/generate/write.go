package main

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"

	"churn/internal/metric"
	"churn/internal/pipeline"
)

const header = "tenure_months,num_complaints,avg_session_minutes,plan_type,region,churn\n"

// chunkRows is how many rows share a stream of random numbers. The bytes of every seed
// depend on it: it must never change.
const chunkRows = 8192

// Streams of a chunk. Dirt has its own, so that the customers are those of the same
// seed without dirt.
const (
	streamCustomers = iota
	streamDirt
	streamsPerChunk = 4 // two are reserved
)

// A chunk is consecutive rows of the file.
type chunk struct {
	number, rows int
	text         []byte
	churned      int
}

// writeCustomers writes the header and all rows, drawing chunks on all cores, and
// returns the number of churners. After each chunk it calls progress with the number of rows
// written.
func writeCustomers(
	ctx context.Context, w io.Writer, p *population, o options, progress func(rows int64),
) (churned int, err error) {
	if _, err := io.WriteString(w, header); err != nil {
		return 0, err
	}
	number, written := 0, 0
	next := func(c *chunk) error {
		c.number, c.rows = number, min(chunkRows, o.rows-number*chunkRows)
		if c.rows <= 0 {
			return io.EOF
		}
		number++
		return nil
	}
	draw := func(_ int, c *chunk) {
		c.text, c.churned = appendChunk(c.text[:0], p, o.seed, c.number, c.rows, o.dirty)
	}
	write := func(c *chunk) error {
		churned += c.churned
		written += c.rows
		if _, err := w.Write(c.text); err != nil {
			return err
		}
		progress(int64(written))
		return nil
	}
	err = pipeline.Run(ctx, runtime.GOMAXPROCS(0), next, draw, write)
	return churned, err
}

func appendChunk(b []byte, p *population, seed uint64, number, rows int, dirty float64) (_ []byte, churned int) {
	const rowBytes = 24 // 22.4 on average without shifts
	b = slices.Grow(b, rows*rowBytes)
	stream := uint64(number) * streamsPerChunk
	s := newSampler(p, rand.NewPCG(seed, stream+streamCustomers))
	dirt := &corrupter{rate: dirty, rng: rand.New(rand.NewPCG(seed, stream+streamDirt))}
	var c customer
	for range rows {
		s.draw(&c)
		b = appendRow(b, &c, dirt)
		churned += metric.Indicator(c.churned)
	}
	return b, churned
}

func appendRow(b []byte, c *customer, dirt *corrupter) []byte {
	start := len(b)
	b = strconv.AppendInt(b, int64(c.tenure), 10)
	b = append(dirt.cell(b, start, count), ',')

	start = len(b)
	b = strconv.AppendInt(b, int64(c.complaints), 10)
	b = append(dirt.cell(b, start, count), ',')

	start = len(b)
	b = appendHundredths(b, c.minutes)
	b = append(dirt.cell(b, start, signed), ',')

	start = len(b)
	b = append(b, plans[c.plan]...)
	b = append(dirt.cell(b, start, category), ',')

	start = len(b)
	b = append(b, regions[c.region]...)
	b = append(dirt.cell(b, start, category), ',')

	return append(b, '0'+byte(metric.Indicator(c.churned)), '\n')
}

// appendHundredths appends x with two decimals, as strconv.AppendFloat does, which
// takes 10 ms more per million rows. x is from 0 to 1e6.
func appendHundredths(b []byte, x float64) []byte {
	scaled := x * 100 // rounding error below 1e-8
	n := int(scaled + 0.5)
	if math.Abs(scaled-float64(n)) > 0.5-1e-7 { // too close to a tie
		return strconv.AppendFloat(b, x, 'f', 2, 64)
	}
	b = strconv.AppendInt(b, int64(n/100), 10)
	return append(b, '.', byte('0'+n/10%10), byte('0'+n%10))
}

// A corrupter corrupts a fraction of the cells in ways that are common in exports.
type corrupter struct {
	rate float64
	rng  *rand.Rand
}

const blankRate = 0.25 // of the corrupted cells, so that a rate of 0.15 stays within prepare's 5 % missing

// A cellKind says what else than blanks and spaces can be wrong with a cell.
type cellKind int

const (
	count    cellKind = iota // nothing
	signed                   // a minus sign
	category                 // the case
)

// cell returns b with the cell that begins at start perhaps corrupted.
func (d *corrupter) cell(b []byte, start int, kind cellKind) []byte {
	if d.rate == 0 {
		return b // inlined, which saves 7 ms per million clean rows
	}
	return d.corrupt(b, start, kind)
}

func (d *corrupter) corrupt(b []byte, start int, kind cellKind) []byte {
	switch {
	case d.rng.Float64() >= d.rate:
	case d.rng.Float64() < blankRate:
		b = b[:start]
	case kind == signed && d.rng.IntN(2) == 0:
		b = slices.Insert(b, start, '-')
	case kind == category && d.rng.IntN(2) == 0:
		changeCase(b[start:])
	case kind == category:
		b = append(slices.Insert(b, start, ' ', ' '), ' ')
	default:
		b = append(slices.Insert(b, start, ' '), "  "...)
	}
	return b
}

// changeCase turns basic into Basic and EU into eu.
func changeCase(text []byte) {
	if 'a' <= text[0] && text[0] <= 'z' {
		text[0] -= 'a' - 'A'
		return
	}
	for i := range text {
		text[i] += 'a' - 'A'
	}
}
