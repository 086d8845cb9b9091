package model

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// Folds is the number of parts for out-of-fold probabilities.
const Folds = 5

// outOfFold holds, for each training row, the probability of a model that was
// fitted to the other folds.
type outOfFold struct {
	fold          []uint8
	probabilities []float64
	positive      []bool
}

// foldsAtOnce folds are fitted at a time: while one does what only one core can,
// the other has the rest. More would take more memory.
const foldsAtOnce = 2

func crossPredict(ctx context.Context, t *dataset.Table, o Options, train []int32, start []float64) (*outOfFold, error) {
	h := &outOfFold{positive: pick(t.Positive, train), probabilities: make([]float64, len(train))}
	var err error
	if h.fold, err = dataset.Folds(h.positive, Folds, o.Seed); err != nil {
		return nil, err
	}
	var next atomic.Int32
	var wg sync.WaitGroup
	errs := make([]error, Folds)
	for range foldsAtOnce {
		wg.Go(func() {
			for k := next.Add(1) - 1; k < Folds; k = next.Add(1) - 1 {
				if err := h.predict(ctx, t, o, train, uint8(k), start); err != nil {
					errs[k] = fmt.Errorf("fold %d of %d: %w", k+1, Folds, err)
				}
			}
		})
	}
	wg.Wait()
	return h, cmp.Or(errs...)
}

// predict fills in the probabilities of one fold.
func (h *outOfFold) predict(ctx context.Context, t *dataset.Table, o Options, train []int32, k uint8, start []float64) error {
	in, out := h.divide(train, k)
	m, _, err := fit(ctx, t, o, in, start)
	if err != nil {
		return err
	}
	p, err := m.Encoder.Rows(t, out).Probabilities(ctx, m.weights)
	if err != nil {
		return err
	}
	for i, fold := range h.fold {
		if fold == k {
			h.probabilities[i], p = p[0], p[1:]
		}
	}
	return nil
}

// divide returns the rows that are not in fold k and those that are, in order.
func (h *outOfFold) divide(train []int32, k uint8) (in, out []int32) {
	size := 0
	for _, fold := range h.fold {
		size += number(fold == k)
	}
	parts := [2][]int32{make([]int32, len(train)-size), make([]int32, size)}
	var filled [2]int
	for i, fold := range h.fold {
		side := number(fold == k)
		parts[side][filled[side]] = train[i]
		filled[side]++
	}
	return parts[0], parts[1]
}

// answer returns the answers of each fold at the threshold that the other folds
// picked, so that no row has a say in the threshold it is judged at, and counts them.
func (h *outOfFold) answer(o Options) ([]bool, metric.Confusion) {
	var total metric.Confusion
	answers := make([]bool, len(h.fold))
	p, y := make([]float64, 0, len(h.fold)), make([]bool, 0, len(h.fold))
	for k := range uint8(Folds) {
		p, y = p[:0], y[:0]
		for i, fold := range h.fold {
			if fold != k {
				p, y = append(p, h.probabilities[i]), append(y, h.positive[i])
			}
		}
		threshold := o.threshold(metric.Rank(p, y))
		for i, fold := range h.fold {
			if fold == k {
				answers[i] = h.probabilities[i] >= threshold
				total.Add(answers[i], h.positive[i])
			}
		}
	}
	return answers, total
}
