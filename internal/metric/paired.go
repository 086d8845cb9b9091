package metric

import (
	"math/rand/v2"
	"slices"
	"sync"

	"gonum.org/v1/gonum/stat/distuv"
)

// PairedCounts counts rows by the truth, the answer of the current model and that of a
// candidate, in this order: 1 is positive.
type PairedCounts [2][2][2]int

// Pair counts the answers of two models on the same rows.
func Pair(positive, current, candidate []bool) PairedCounts {
	if len(current) != len(positive) || len(candidate) != len(positive) {
		panic("metric: as many answers as labels are needed")
	}
	var p PairedCounts
	for i, y := range positive {
		p[number(y)][number(current[i])][number(candidate[i])]++
	}
	return p
}

// Add adds the counts of other rows.
func (p *PairedCounts) Add(q PairedCounts) {
	for y := range p {
		for a := range p[y] {
			for b := range p[y][a] {
				p[y][a][b] += q[y][a][b]
			}
		}
	}
}

// A F1Difference tells how much better a candidate answers than the current model,
// on the same rows.
type F1Difference struct {
	F1              float64    `json:"f1"`              // the candidate's less the current model's
	Interval        [2]float64 `json:"interval"`        // 95 %, of that
	Better          float64    `json:"better"`          // share of the replicates where the candidate is better, ties counting half
	Distinguishable bool       `json:"distinguishable"` // the interval leaves out 0
	Differ          int        `json:"differ"`          // rows that the two answer differently
}

const (
	replicates   = 2_000 // the ends of the interval then move by a twentieth of its width from seed to seed
	streams      = 10    // of random numbers: the result is the same on any number of cores
	pairedSeed   = 20    // any; the same answers always give the same interval
	intervalTail = 0.025 // on either side
)

// Compare returns the difference in F1 with its percentile interval from a paired
// bootstrap of the rows. Drawing rows with replacement and counting them is
// drawing the counts from a multinomial, so it costs the same for any number of
// rows. Efron & Tibshirani (1993), chapter 13.
func (p PairedCounts) Compare() F1Difference {
	d := F1Difference{Differ: p[0][0][1] + p[0][1][0] + p[1][0][1] + p[1][1][0]}
	if d.Differ == 0 {
		d.Better = 0.5
		return d
	}
	// The draws of one order serve both, so that exchanging the models changes signs alone.
	if other := p.exchanged(); slices.Compare(p.cells(), other.cells()) > 0 {
		e := other.Compare()
		return F1Difference{0 - e.F1, [2]float64{0 - e.Interval[1], 0 - e.Interval[0]}, 1 - e.Better, e.Distinguishable, e.Differ} // 0 − 0 is 0, −0 is not
	}
	d.F1 = difference(p.cells())
	drawn := make([]float64, replicates)
	var wg sync.WaitGroup
	for k := range uint64(streams) {
		wg.Go(func() {
			src := rand.NewPCG(pairedSeed, k)
			for i := k * replicates / streams; i < (k+1)*replicates/streams; i++ {
				drawn[i] = difference(resample(p.cells(), src))
			}
		})
	}
	wg.Wait()
	slices.Sort(drawn)
	better, tied := 0, 0
	for _, x := range drawn {
		better += number(x > 0)
		tied += number(x == 0)
	}
	d.Better = (float64(better) + float64(tied)/2) / replicates
	const out = replicates * intervalTail // draws beyond either end
	d.Interval = [2]float64{drawn[int(out)], drawn[replicates-1-int(out)]}
	d.Distinguishable = d.Interval[0] > 0 || d.Interval[1] < 0
	return d
}

func (p PairedCounts) exchanged() PairedCounts {
	for truth := range p {
		p[truth][0][1], p[truth][1][0] = p[truth][1][0], p[truth][0][1]
	}
	return p
}

// cells returns the counts as both F1 need them: the positives that both find,
// that the current model alone finds and the candidate alone; the rows that both
// have wrong; the negatives that the current model alone calls and the candidate
// alone; the negatives that neither calls.
func (p PairedCounts) cells() []int {
	return []int{p[1][1][1], p[1][1][0], p[1][0][1], p[1][0][0] + p[0][1][1], p[0][1][0], p[0][0][1], p[0][0][0]}
}

// difference returns the candidate's F1 less the current model's.
func difference(cells []int) float64 {
	found, wrong := cells[0], cells[3]
	current := Confusion{TP: found + cells[1], FN: cells[2], FP: cells[4] + wrong}
	candidate := Confusion{TP: found + cells[2], FN: cells[1], FP: cells[5] + wrong}
	return candidate.F1() - current.F1()
}

// resample draws the counts of as many rows with replacement, in place: each cell
// is binomial given those before it.
func resample(cells []int, src rand.Source) []int {
	rows := 0
	for _, n := range cells {
		rows += n
	}
	left := rows // to be drawn
	for i, n := range cells {
		drawn := left
		if n < rows {
			drawn = int(distuv.Binomial{N: float64(left), P: float64(n) / float64(rows), Src: src}.Rand())
		}
		cells[i] = drawn
		left -= drawn
		rows -= n
		if rows == 0 {
			clear(cells[i+1:])
			break
		}
	}
	return cells
}
