package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"gonum.org/v1/gonum/stat/distuv"
)

// Paired compares the predictions of two models on the same rows.
type Paired struct {
	Counts PairedCounts
	Losses LossSums // the candidate's log loss less the current model's
}

// Add adds the sums of other rows.
func (p *Paired) Add(q Paired) {
	for y := range p.Counts {
		for a := range p.Counts[y] {
			for b := range p.Counts[y][a] {
				p.Counts[y][a][b] += q.Counts[y][a][b]
			}
		}
	}
	p.Losses.Add(q.Losses)
}

// LossSums are sums over rows of the difference between two log losses of a row.
type LossSums struct {
	Rows         int
	Sum, Squares float64
}

// Add adds the sums of other rows.
func (s *LossSums) Add(q LossSums) {
	s.Rows, s.Sum, s.Squares = s.Rows+q.Rows, s.Sum+q.Sum, s.Squares+q.Squares
}

// A LossDifference is a mean difference of log losses over rows. Each bound alone is
// passed by the expected difference with a probability of 5 %: below the lower one or above
// the upper one.
type LossDifference struct {
	LogLoss  float64    `json:"log_loss"`
	StdError float64    `json:"std_error"`
	Bounds   [2]float64 `json:"bounds"`
}

// Compare returns the mean difference with the bounds of two one-sided paired t-tests.
func (s LossSums) Compare() LossDifference {
	n := float64(s.Rows)
	mean := s.Sum / n
	d := LossDifference{LogLoss: mean, Bounds: [2]float64{mean, mean}}
	if s.Rows < 2 {
		return d // not reached: evaluated rows are of both classes
	}
	d.StdError = math.Sqrt(max(s.Squares/n-mean*mean, 0) / (n - 1))
	reach := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(1-boundTail) * d.StdError
	d.Bounds = [2]float64{mean - reach, mean + reach}
	return d
}

// LossesAbove sums the log losses of probabilities less those of one constant probability.
func LossesAbove(base float64, probabilities []float64, positive []bool) (s LossSums) {
	check(probabilities, positive)
	constant := [2]float64{rowLoss(base, false, lossEpsilon), rowLoss(base, true, lossEpsilon)}
	for i, p := range probabilities {
		s.add(rowLoss(p, positive[i], lossEpsilon)-constant[Indicator(positive[i])], 1)
	}
	return s
}

func (s *LossSums) add(difference float64, rows int) {
	n := float64(rows)
	s.Add(LossSums{rows, n * difference, n * difference * difference})
}

// rowLoss is −log of the probability of the true label, clipped to [least, 1−least].
func rowLoss(p float64, positive bool, least float64) float64 {
	p = min(max(p, least), 1-least)
	if !positive {
		p = 1 - p
	}
	return -math.Log(p)
}

// Pair compares the predictions of two models on the same rows, each at its own threshold.
func Pair(positive []bool, current, candidate []float64, thresholds [2]float64) (p Paired) {
	if len(current) != len(positive) || len(candidate) != len(positive) {
		panic("metric: the numbers of labels and predictions differ")
	}
	for i, y := range positive {
		a, b := current[i], candidate[i]
		p.Counts[Indicator(y)][Indicator(a >= thresholds[0])][Indicator(b >= thresholds[1])]++
		p.Losses.add(rowLoss(b, y, lossEpsilon)-rowLoss(a, y, lossEpsilon), 1)
	}
	return p
}

// PairedCounts counts rows by true label, prediction of the current model and
// prediction of a candidate, in this order of indices: 1 is positive.
type PairedCounts [2][2][2]int

// An F1Difference compares a candidate with the current model on the same rows.
type F1Difference struct {
	F1              float64    `json:"f1"`              // the candidate's less the current model's
	Interval        [2]float64 `json:"interval"`        // 95 % confidence, of F1
	Better          float64    `json:"better"`          // fraction of replicates, ties counting half
	Distinguishable bool       `json:"distinguishable"` // the interval excludes 0
	Verdict         string     `json:"verdict"`         // Better, Worse or NotApart: the word for it everywhere
	Differ          int        `json:"differ"`          // rows with different predictions
}

// What F1Difference.Verdict says of the candidate.
const (
	Better   = "better"
	Worse    = "worse"
	NotApart = "cannot be told apart"
)

// AgainstAlwaysPositive pairs the predictions, as the candidate's, with those of the always-positive baseline.
func (c Confusion) AgainstAlwaysPositive() PairedCounts {
	return PairedCounts{{{}, {c.TN, c.FP}}, {{}, {c.FN, c.TP}}}
}

const (
	replicates   = 2_000 // the ends of the interval then vary between seeds by a twentieth of its width
	streams      = 10    // of random numbers, so that the result does not depend on the number of cores
	pairedSeed   = 20    // arbitrary; fixed, so that equal counts give equal intervals
	intervalTail = 0.025 // on either side
	boundTail    = 0.05  // beyond one bound of a LossDifference
)

// Compare returns the difference in F1 with its percentile interval from a paired
// bootstrap of the rows. Resampling rows with replacement and counting them is
// sampling the counts from a multinomial distribution, so the cost does not depend on
// the number of rows. Efron & Tibshirani (1993), chapter 13.
func (p PairedCounts) Compare() F1Difference {
	d := F1Difference{Differ: p[0][0][1] + p[0][1][0] + p[1][0][1] + p[1][1][0], Verdict: NotApart, Better: 0.5}
	if d.Differ == 0 {
		return d
	}
	// Both orders of the models use the same replicates, so that exchanging them only changes signs.
	cells, other := p.cells(), p.exchanged().cells()
	exchanged := slices.Compare(cells, other) > 0
	if exchanged {
		cells = other
	}
	d.F1 = difference(cells)
	drawn := make([]float64, replicates)
	var wg sync.WaitGroup
	for k := range uint64(streams) {
		wg.Go(func() {
			src := rand.NewPCG(pairedSeed, k)
			for i := k * replicates / streams; i < (k+1)*replicates/streams; i++ {
				drawn[i] = difference(resample(slices.Clone(cells), src))
			}
		})
	}
	wg.Wait()
	slices.Sort(drawn)
	better, tied := 0, 0
	for _, x := range drawn {
		better += Indicator(x > 0)
		tied += Indicator(x == 0)
	}
	d.Better = (float64(better) + float64(tied)/2) / replicates
	const out = replicates * intervalTail // replicates beyond either end
	d.Interval = [2]float64{drawn[int(out)], drawn[replicates-1-int(out)]}
	if exchanged { // 0 less them: a minus would make −0 of 0
		d.F1, d.Interval, d.Better = 0-d.F1, [2]float64{0 - d.Interval[1], 0 - d.Interval[0]}, 1-d.Better
	}
	if d.Distinguishable = d.Interval[0] > 0 || d.Interval[1] < 0; d.Distinguishable {
		d.Verdict = map[bool]string{true: Better, false: Worse}[d.F1 > 0]
	}
	return d
}

func (p PairedCounts) exchanged() PairedCounts {
	for truth := range p {
		p[truth][0][1], p[truth][1][0] = p[truth][1][0], p[truth][0][1]
	}
	return p
}

// cells returns the counts that determine both F1: the true positives of both models,
// of the current one alone and of the candidate alone; the rows that both get wrong;
// the false positives of the current model alone and of the candidate alone; the true
// negatives of both.
func (p PairedCounts) cells() []int {
	return []int{p[1][1][1], p[1][1][0], p[1][0][1], p[1][0][0] + p[0][1][1], p[0][1][0], p[0][0][1], p[0][0][0]}
}

// difference returns the candidate's F1 less the current model's.
func difference(cells []int) float64 {
	tp, wrong := cells[0], cells[3]
	current := Confusion{TP: tp + cells[1], FN: cells[2], FP: cells[4] + wrong}
	candidate := Confusion{TP: tp + cells[2], FN: cells[1], FP: cells[5] + wrong}
	return candidate.F1() - current.F1()
}

// resample draws the counts of as many rows with replacement, in place: each count is
// binomial given those before it.
func resample(cells []int, src rand.Source) []int {
	rows := 0
	for _, n := range cells {
		rows += n
	}
	left := rows // to draw
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
