package main

import (
	"context"
	"io"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
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

// writeCustomers writes the header and all rows, drawing blocks on all cores, and
// returns how many customers churned.
func writeCustomers(ctx context.Context, w io.Writer, p *population, o options) (churned int, err error) {
	if _, err := io.WriteString(w, header); err != nil {
		return 0, err
	}
	buffers := make([][]byte, runtime.GOMAXPROCS(0))
	counts := make([]int, len(buffers))
	for from := 0; from < o.rows; from += blockRows * len(buffers) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var wg sync.WaitGroup
		for k := range buffers {
			block := from/blockRows + k
			rows := min(blockRows, o.rows-block*blockRows)
			wg.Go(func() {
				buffers[k], counts[k] = appendBlock(buffers[k][:0], p, o.seed, block, rows, o.dirty)
			})
		}
		wg.Wait()
		for k, b := range buffers {
			if _, err := w.Write(b); err != nil {
				return 0, err
			}
			churned += counts[k]
		}
	}
	return churned, nil
}

// appendBlock appends the rows of a block; rows below 1 is none.
func appendBlock(b []byte, p *population, seed uint64, block, rows int, dirty float64) (_ []byte, churned int) {
	stream := uint64(block) * streamsPerBlock
	s := newSampler(p, rand.NewPCG(seed, stream+streamCustomers))
	dirt := &spoiler{rate: dirty, rng: rand.New(rand.NewPCG(seed, stream+streamDirt))}
	for range rows {
		c := s.draw()
		b = dirt.number(b, strconv.Itoa(c.tenure), false)
		b = dirt.number(b, strconv.Itoa(c.complaints), false)
		b = dirt.number(b, strconv.FormatFloat(c.minutes, 'f', 2, 64), true)
		b = dirt.text(b, plans[c.plan])
		b = dirt.text(b, regions[c.region])
		if c.churned {
			b = append(b, "1\n"...)
			churned++
		} else {
			b = append(b, "0\n"...)
		}
	}
	return b, churned
}

// A spoiler writes cells, a share of them spoiled as real exports are.
type spoiler struct {
	rate float64
	rng  *rand.Rand
}

const blankShare = 0.25 // of the spoiled cells, so that a rate of 0.15 stays within prepare's 5 % missing

// spoils decides on a cell, and whether it becomes blank.
func (s *spoiler) spoils() (spoil, blank bool) {
	if s.rate == 0 || s.rng.Float64() >= s.rate {
		return false, false
	}
	return true, s.rng.Float64() < blankShare
}

// number appends a number's cell and a comma. Spoiled it is blank, negative if
// it may be, or has spaces around.
func (s *spoiler) number(b []byte, text string, negative bool) []byte {
	switch spoil, blank := s.spoils(); {
	case blank:
		text = ""
	case spoil && negative && s.rng.IntN(2) == 0:
		text = "-" + text
	case spoil:
		text = " " + text + "  "
	}
	return append(append(b, text...), ',')
}

// text appends a category's cell and a comma. Spoiled it is blank, in another
// case, or has spaces around.
func (s *spoiler) text(b []byte, text string) []byte {
	switch spoil, blank := s.spoils(); {
	case blank:
		text = ""
	case spoil && s.rng.IntN(2) == 0:
		text = otherCase(text)
	case spoil:
		text = "  " + text + " "
	}
	return append(append(b, text...), ',')
}

// otherCase turns basic into Basic and EU into eu.
func otherCase(text string) string {
	if lower := strings.ToLower(text); lower != text {
		return lower
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
