package model

import (
	"context"
	"iter"
	"maps"
	"math"
	"slices"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
)

// asked is the answers that a judgement counts: those of some weights to a part of
// a source, at a threshold.
type asked struct {
	part      dataset.Subset
	rows      *logreg.Rows
	w         []float64
	threshold float64
}

// ExamineSource is Examine for the rows of a part of a source; nil are all.
func (m *Model) ExamineSource(ctx context.Context, s Source, part dataset.Subset) (*Judgement, error) {
	return m.judgeSource(ctx, s, part, true)
}

func (m *Model) judgeSource(ctx context.Context, s Source, part dataset.Subset, detail bool) (*Judgement, error) {
	rows := m.Encoder.Rows(s.Table(), nil)
	b, err := s.Histogram(ctx, part, rows, m.weights, m.Threshold)
	if err != nil {
		return nil, err
	}
	if c := b.Confusion(); part != nil && (c.TP+c.FN == 0 || c.FP+c.TN == 0) {
		return nil, tooFew("test", c.TP+c.FN+c.FP+c.TN, c.TP+c.FN)
	}
	j := m.concludeBinned(b, b.Confusion(), detail)
	j.source, j.asked = s, []asked{{part, rows, m.weights, m.Threshold}}
	return j, nil
}

func (m *Model) concludeBinned(b metric.Binned, c metric.Confusion, detail bool) *Judgement {
	j := m.concludeFrom(counts{b.Ranking(), b.ConfusionAt(0.5), b.LogLoss(), b.Brier()}, c, detail)
	j.Doubt = b.AUCErrorBound()
	return j
}

// compareSource is Compare for a judgement of a source.
func (m *Model) compareSource(ctx context.Context, j *Judgement, on string, champion *Model) (Champion, error) {
	rows := champion.Encoder.Rows(j.source.Table(), nil)
	var parts []metric.Binned
	var both metric.Paired
	unseen := map[string]int{}
	for _, a := range j.asked {
		b, err := j.source.Histogram(ctx, a.part, rows, champion.weights, champion.Threshold)
		if err != nil {
			return Champion{}, err
		}
		parts = append(parts, b)
		p, err := j.source.Pair(ctx, a.part, [2]*logreg.Rows{rows, a.rows}, [2][]float64{champion.weights, a.w}, [2]float64{champion.Threshold, a.threshold})
		if err != nil {
			return Champion{}, err
		}
		both.Add(p)
		if err := champion.unseenOf(ctx, j.source, a.part, unseen); err != nil {
			return Champion{}, err
		}
	}
	all := metric.Pool(parts...)
	judged := champion.concludeBinned(all, all.Confusion(), false)
	judged.Figures.addCost(m.cost()) // in one currency
	difference := both.Compare()
	return Champion{Comparable: true, Reason: m.caveats(champion, on, inOrder(champion, unseen)), Figures: &judged.Figures, Difference: &difference}, nil
}

// UnseenIn is Unseen for the rows of a part of a source.
func (m *Model) UnseenIn(ctx context.Context, s Source, part dataset.Subset) (iter.Seq2[string, int], error) {
	unseen := map[string]int{}
	err := m.unseenOf(ctx, s, part, unseen)
	return inOrder(m, unseen), err
}

// unseenOf adds the rows that have a level without a weight, by category.
func (m *Model) unseenOf(ctx context.Context, s Source, part dataset.Subset, rows map[string]int) error {
	levels, err := s.Levels(ctx, part)
	if err != nil {
		return err
	}
	for j, f := range m.Schema.Features {
		if f.Type != dataset.Category {
			continue
		}
		enc := &m.Encoder.columns[j]
		for level, n := range levels[j].Levels {
			if _, known := enc.level[level]; !known {
				rows[f.Name] += n
			}
		}
		if enc.missing < 0 {
			rows[f.Name] += levels[j].Missing
		}
	}
	return nil
}

func inOrder(m *Model, rows map[string]int) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, f := range m.Schema.Features {
			if n := rows[f.Name]; n > 0 && !yield(f.Name, n) {
				return
			}
		}
	}
}

// summarizeBinned is dataset.SummarizeNumbers for probabilities that were counted by
// bin. A decile is the largest probability of its bin, so that the rows up to it are
// counted exactly.
func summarizeBinned(b metric.Binned) dataset.Summary {
	steps := b.Steps()
	rows, sum, squares := 0, 0.0, 0.0
	for _, c := range b.Cells {
		rows, sum, squares = rows+c.Rows, sum+c.Sum, squares+c.SumSquares
	}
	mean := sum / float64(rows)
	ranks := dataset.Ranks(rows)
	at := make([]dataset.Ranked, len(ranks))
	for i, rank := range ranks {
		upTo := 0
		for _, s := range steps {
			if upTo += s.Positives + s.Negatives; upTo >= rank {
				at[i] = dataset.Ranked{Value: s.Most, UpTo: upTo}
				break
			}
		}
	}
	std := math.Sqrt(max(0, squares-float64(rows)*mean*mean) / float64(rows-1))
	summary, _ := dataset.SummarizeRanked(mean, std, steps[0].Least, steps[len(steps)-1].Most, rows, at)
	return summary
}

// sortedLevels returns the levels of a summary as an encoder has them.
func sortedLevels(s *dataset.Summary) []string {
	levels := slices.Sorted(maps.Keys(s.Levels))
	if s.Missing > 0 {
		levels = append(levels, dataset.MissingLevel)
	}
	return levels
}

// shares returns for each category the share of the rows that have each weight on.
func (e *Encoder) shares(d *dataset.Description) [][]float64 {
	var all [][]float64
	for j := range e.schema.Features {
		if e.schema.Features[j].Type != dataset.Category {
			continue
		}
		s, c := &d.Columns[j], &e.columns[j]
		share := make([]float64, e.Width()+1)
		for level, n := range s.Levels {
			share[c.level[level]] = float64(n) / float64(d.Rows)
		}
		if c.missing >= 0 {
			share[c.missing] = float64(s.Missing) / float64(d.Rows)
		}
		all = append(all, share)
	}
	return all
}
