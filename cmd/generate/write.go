package main

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"

	"churn/internal/pipeline"
)

const header = "tenure_months,num_complaints,avg_session_minutes,plan_type,region,churn\n"

// blockRows is how many rows share a stream of random numbers. The bytes of
// every seed hang on it: it must never change.
const blockRows = 8192

// Streams of a block. The dirt has its own, so that the customers beneath it
// are those of the same seed without dirt.
const (
	streamCustomers = iota
	streamDirt
	streamsPerBlock = 4 // two are free
)

// A block is a run of rows on their way to the file.
type block struct {
	number, rows int
	text         []byte
	churned      int
}

// writeCustomers writes the header and all rows, drawing blocks on all cores, and
// returns how many customers churned. After each block it calls progress, if not
// nil, with the number of rows written.
func writeCustomers(
	ctx context.Context, w io.Writer, p *population, o options, progress func(rows int64),
) (churned int, err error) {
	if _, err := io.WriteString(w, header); err != nil {
		return 0, err
	}
	number, written := 0, 0
	next := func(b *block) error {
		b.number, b.rows = number, min(blockRows, o.rows-number*blockRows)
		if b.rows <= 0 {
			return io.EOF
		}
		number++
		return nil
	}
	draw := func(_ int, b *block) {
		b.text, b.churned = appendBlock(b.text[:0], p, o.seed, b.number, b.rows, o.dirty)
	}
	write := func(b *block) error {
		churned += b.churned
		written += b.rows
		if _, err := w.Write(b.text); err != nil {
			return err
		}
		if progress != nil {
			progress(int64(written))
		}
		return nil
	}
	err = pipeline.Run(ctx, runtime.GOMAXPROCS(0), next, draw, write)
	return churned, err
}

// appendBlock appends the rows of a block.
func appendBlock(b []byte, p *population, seed uint64, number, rows int, dirty float64) (_ []byte, churned int) {
	const rowBytes = 24 // with the comma; 22.4 on average in the lab's population
	b = slices.Grow(b, rows*rowBytes)
	stream := uint64(number) * streamsPerBlock
	s := newSampler(p, rand.NewPCG(seed, stream+streamCustomers))
	dirt := &spoiler{rate: dirty, rng: rand.New(rand.NewPCG(seed, stream+streamDirt))}
	var c customer
	for range rows {
		s.draw(&c)
		b = appendRow(b, &c, dirt)
		if c.churned {
			churned++
		}
	}
	return b, churned
}

func appendRow(b []byte, c *customer, dirt *spoiler) []byte {
	cell := len(b)
	b = strconv.AppendInt(b, int64(c.tenure), 10)
	b = append(dirt.number(b, cell, false), ',')

	cell = len(b)
	b = strconv.AppendInt(b, int64(c.complaints), 10)
	b = append(dirt.number(b, cell, false), ',')

	cell = len(b)
	b = appendHundredths(b, c.minutes)
	b = append(dirt.number(b, cell, true), ',')

	cell = len(b)
	b = append(b, plans[c.plan]...)
	b = append(dirt.text(b, cell), ',')

	cell = len(b)
	b = append(b, regions[c.region]...)
	b = append(dirt.text(b, cell), ',')

	churn := 0 // not '0': from 0 and 1 the compiler makes no jump, which half the rows would mispredict
	if c.churned {
		churn = 1
	}
	return append(b, '0'+byte(churn), '\n')
}

// appendHundredths appends x with two decimals, as strconv.AppendFloat does, which
// takes 10 ms more per million rows. x is from 0 to 1e6.
func appendHundredths(b []byte, x float64) []byte {
	scaled := x * 100 // off by less than 1e-8
	n := int(scaled + 0.5)
	if math.Abs(scaled-float64(n)) > 0.5-1e-7 { // a tie, or too near to one to tell
		return strconv.AppendFloat(b, x, 'f', 2, 64)
	}
	b = strconv.AppendInt(b, int64(n/100), 10)
	return append(b, '.', byte('0'+n/10%10), byte('0'+n%10))
}

// A spoiler spoils a share of the cells, as real exports are.
type spoiler struct {
	rate float64
	rng  *rand.Rand
}

const blankShare = 0.25 // of the spoiled cells, so that a rate of 0.15 stays within prepare's 5 % missing

// spoils decides on a cell, and whether it becomes blank.
func (s *spoiler) spoils() (spoil, blank bool) {
	if s.rng.Float64() >= s.rate {
		return false, false
	}
	return true, s.rng.Float64() < blankShare
}

// number returns b, whose number from cell on it may have spoiled: made blank,
// negative if that is allowed, or put between spaces.
func (s *spoiler) number(b []byte, cell int, negative bool) []byte {
	if s.rate == 0 {
		return b // inlined: most files are clean
	}
	return s.spoilNumber(b, cell, negative)
}

func (s *spoiler) spoilNumber(b []byte, cell int, negative bool) []byte {
	switch spoil, blank := s.spoils(); {
	case blank:
		b = b[:cell]
	case spoil && negative && s.rng.IntN(2) == 0:
		b = slices.Insert(b, cell, '-')
	case spoil:
		b = append(slices.Insert(b, cell, ' '), "  "...)
	}
	return b
}

// text returns b, whose category from cell on it may have spoiled: made blank,
// put into another case, or between spaces.
func (s *spoiler) text(b []byte, cell int) []byte {
	if s.rate == 0 {
		return b
	}
	return s.spoilText(b, cell)
}

func (s *spoiler) spoilText(b []byte, cell int) []byte {
	switch spoil, blank := s.spoils(); {
	case blank:
		b = b[:cell]
	case spoil && s.rng.IntN(2) == 0:
		otherCase(b[cell:])
	case spoil:
		b = append(slices.Insert(b, cell, ' ', ' '), ' ')
	}
	return b
}

// otherCase turns basic into Basic and EU into eu.
func otherCase(text []byte) {
	if 'a' <= text[0] && text[0] <= 'z' {
		text[0] -= 'a' - 'A'
		return
	}
	for i := range text {
		text[i] += 'a' - 'A'
	}
}
