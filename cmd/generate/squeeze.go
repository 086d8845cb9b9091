package main

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Draws by look-up. A table answers where the answer is beyond doubt; near a
// boundary the exact computation does. So each draw is the exact one's, bit for
// bit, at a fraction of its price: Marsaglia's squeeze (Devroye, 1986, II.3.6).

// levelBits of a random number choose the cell of a levels table: 0.3 % of the
// draws from four levels fall into a cell that holds a boundary.
const levelBits = 10

const inDoubt = math.MaxUint8 // no level has this number

// levels draws from weighted levels what distuv.Categorical would.
type levels struct {
	shares []float64
	table  [1 << levelBits]uint8 // a level, or inDoubt
}

// newLevels asks distuv at both ends of each cell. Each level is one interval of
// random numbers, so where the ends agree all between them does.
func newLevels(shares []float64) *levels {
	l := &levels{shares: shares}
	var at word
	exact := distuv.NewCategorical(shares, &at)
	ask := func(u uint64) (level uint8) {
		// At the very end of a level, rounding can carry a number past all of them,
		// and distuv panics: once in 2^53 draws, but an end of a cell may be just there.
		defer func() {
			if recover() != nil {
				level = inDoubt
			}
		}()
		at = word(u)
		return uint8(exact.Rand())
	}
	const width = 1 << (53 - levelBits)
	for cell := range l.table {
		first := uint64(cell) * width
		l.table[cell] = ask(first)
		if ask(first+width-1) != l.table[cell] {
			l.table[cell] = inDoubt
		}
	}
	return l
}

// at returns the level that distuv.Categorical draws from the random number u.
func (l *levels) at(u uint64) int {
	// Float64 takes the lower 53 bits; the table, the highest of these.
	if level := l.table[u<<11>>(64-levelBits)]; level != inDoubt {
		return int(level)
	}
	return l.exactly(u)
}

func (l *levels) exactly(u uint64) int {
	at := word(u)
	return int(distuv.NewCategorical(l.shares, &at).Rand())
}

// A word is a source that repeats one random number.
type word uint64

func (w *word) Uint64() uint64 { return uint64(*w) }

const (
	sigmoidReach = 8  // the table covers log-odds from -8 to 8
	sigmoidCells = 64 // per unit
)

// sigmoids holds the sigmoid in the middle of each cell.
var sigmoids = func() (t [2 * sigmoidReach * sigmoidCells]float64) {
	for cell := range t {
		t[cell] = sigmoid((float64(cell)+0.5)/sigmoidCells - sigmoidReach)
	}
	return t
}()

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// belowSigmoid returns u < sigmoid(z).
func belowSigmoid(u, z float64) bool {
	// The sigmoid climbs by at most 1/4 per unit, so by that times half a cell on
	// either side of the middle; the rest is for rounding.
	const doubt = 0.25*0.5/sigmoidCells + 1e-9
	cell := int((z + sigmoidReach) * sigmoidCells) // truncates: cell 0 starts one cell early, where nothing climbs
	if 0 <= cell && cell < len(sigmoids) && math.Abs(u-sigmoids[cell]) > doubt {
		return u < sigmoids[cell]
	}
	return u < sigmoid(z)
}
