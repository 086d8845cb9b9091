package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
	"churn/internal/model"
)

// mostLoss is what metric.LogLoss makes of a probability of 0 for the truth.
var mostLoss = 52 * math.Ln2

// predictions are model.Predictions counted by bin.
type predictions struct{ metric.Binned }

// ConfusionAt is exact at the threshold that the probabilities were counted at, and where bins begin.
func (p predictions) ConfusionAt(threshold float64) metric.Confusion {
	if threshold == p.Threshold {
		return p.Confusion()
	}
	return p.Binned.ConfusionAt(threshold)
}

func (p predictions) Pool(others ...model.Predictions) model.Predictions {
	parts := []metric.Binned{p.Binned}
	for _, other := range others {
		parts = append(parts, other.(predictions).Binned)
	}
	return predictions{metric.Pool(parts...)}
}

// Summarize is dataset.SummarizeNumbers of the probabilities. A decile is the largest
// probability of its bin, so that the rows up to it are counted exactly.
func (p predictions) Summarize() dataset.Summary {
	bins := p.Bins()
	rows, sum, squares := 0, 0.0, 0.0
	for _, c := range p.Cells {
		rows, sum, squares = rows+c.Rows, sum+c.Sum, squares+c.SumSquares
	}
	mean := sum / float64(rows)
	ranks := dataset.Ranks(rows)
	at := make([]dataset.OrderStatistic, len(ranks))
	for i, rank := range ranks {
		upTo := 0
		for _, s := range bins {
			if upTo += s.Positives + s.Negatives; upTo >= rank {
				at[i] = dataset.OrderStatistic{Value: s.Max, UpTo: upTo}
				break
			}
		}
	}
	std := math.Sqrt(max(0, squares-float64(rows)*mean*mean) / float64(rows-1))
	summary, _ := dataset.SummarizeRanked(mean, std, bins[0].Min, bins[len(bins)-1].Max, rows, at)
	return summary
}

// histogram counts the probabilities of a part's rows.
func (v *view) histogram(ctx context.Context, part dataset.HashRange, seed uint64, rows *logreg.Rows, w []float64, threshold float64) (metric.Binned, error) {
	b := metric.Binned{Threshold: threshold}
	inner := []string{"y", v.probability(0) + " AS p", fmt.Sprintf("LEAST(%s, %s) AS l", v.loss(0), v.d.number(mostLoss))}
	query := fmt.Sprintf(`SELECT LEAST(CAST(floor(p * %d) AS integer), %d), CASE WHEN p >= %s THEN 1 ELSE 0 END, y,
count(*), sum(p), sum(p * p), min(p), max(p), sum(l) FROM (SELECT %s FROM %s) c GROUP BY 1, 2, 3`, metric.Bins, metric.Bins-1, v.d.number(threshold),
		strings.Join(v.d.fenced(inner, "f2"), ", "), v.scored(part, seed, []scorer{v.scorer(rows, w)}, nil))
	err := v.query(ctx, "counting the probabilities", query, func(scan func(...any) error) error {
		var c metric.BinnedCell
		var called, class int
		err := scan(&c.Bin, &called, &class, &c.Rows, &c.Sum, &c.SumSquares, &c.Min, &c.Max, &c.Loss)
		c.PredictedPositive, c.Positive = called == 1, class == 1
		b.Cells = append(b.Cells, c)
		return err
	})
	return b, err
}

// pair counts the answers of two models to the same rows.
func (v *view) pair(ctx context.Context, part dataset.HashRange, seed uint64, rows [2]*logreg.Rows, w [2][]float64, thresholds [2]float64) (p metric.PairedCounts, err error) {
	answer := func(k int) string {
		return fmt.Sprintf("CASE WHEN %s >= %s THEN 1 ELSE 0 END", v.probability(k), v.d.number(thresholds[k]))
	}
	query := fmt.Sprintf("SELECT y, %s, %s, count(*) FROM %s GROUP BY 1, 2, 3", answer(0), answer(1),
		v.scored(part, seed, []scorer{v.scorer(rows[0], w[0]), v.scorer(rows[1], w[1])}, nil))
	err = v.query(ctx, "comparing the answers", query, func(scan func(...any) error) error {
		var y, first, second, n int
		if err := scan(&y, &first, &second, &n); err != nil {
			return err
		}
		p[y][first][second] += n
		return nil
	})
	return p, err
}

// sampleRows is how many rows golden ones are picked from: those with the smallest hashes.
const sampleRows = 5000

// golden returns some of a part's rows, by their hashes: for each column one row of
// which it is the first missing cell, if a sample has such, then others, complete ones
// first, so that there are most.
func (v *view) golden(ctx context.Context, part dataset.HashRange, seed uint64, rows, most int) ([][]dataset.Value, error) {
	if sampleRows < rows {
		sample, err := v.golden(ctx, part.Sample(float64(sampleRows)/float64(rows)), seed, 0, most)
		if err != nil || len(sample) == most { // fewer: many rows share few keys
			return sample, err
		}
	}
	names, columns := v.cleaned()
	missing := "CASE"
	for j, name := range names {
		empty := name + " IS NULL"
		if v.columns[j].feature.Type == dataset.Category {
			empty = fmt.Sprintf("%s = %d", name, len(v.columns[j].levels))
		}
		missing += fmt.Sprintf(" WHEN %s THEN %d", empty, j)
	}
	missing += " ELSE -1 END"
	query := fmt.Sprintf(`SELECT turn, %[1]s FROM (SELECT q.*, CASE WHEN g >= 0 AND k = 1 THEN 0 WHEN g < 0 THEN 1 ELSE 2 END AS turn
FROM (SELECT q.*, row_number() OVER (PARTITION BY g ORDER BY h) AS k FROM (SELECT q.*, %[2]s AS g FROM (SELECT %[3]s AS h, %[4]s %[5]s) q) q) q) q
WHERE k <= %[6]d ORDER BY turn, g DESC, h`,
		strings.Join(names, ", "), missing, v.hash(seed), strings.Join(columns, ", "), v.rows(part, nil, seed, false), most)
	var out [][]dataset.Value
	err := v.query(ctx, "fetching golden rows", query, func(scan func(...any) error) error {
		cells := make([]sql.NullFloat64, len(names))
		turn := 0
		at := []any{&turn}
		for j := range cells {
			at = append(at, &cells[j])
		}
		if err := scan(at...); err != nil {
			return err
		}
		row := make([]dataset.Value, len(cells))
		for j, c := range cells {
			row[j] = v.fetched(j, c)
		}
		if len(out) < most && (turn > 0 || len(out) < most/2) {
			out = append(out, row)
		}
		return nil
	})
	return out, err
}

// fetched returns a cell of a cleaned row as a value.
func (v *view) fetched(j int, cell sql.NullFloat64) dataset.Value {
	if v.columns[j].feature.Type == dataset.Number {
		return dataset.Value{Number: cell.Float64, Missing: !cell.Valid}
	}
	levels := v.columns[j].levels
	if code := int(cell.Float64); code < len(levels) {
		return dataset.Value{Text: levels[code], Level: true}
	}
	return dataset.Value{Missing: true, Level: true}
}

// A scorer is a model as queries need it: how each number is standardised, and the
// weight of each number and level.
type scorer struct {
	w       []float64
	width   int
	numbers []*logreg.Numbers // by feature; nil for a category
	place   []int             // of a number's weight, by feature
	levels  []levelWeights    // by feature
}

// levelWeights are the places of the weights of a category's levels, −1 for none.
type levelWeights struct {
	*logreg.Levels
	w []float64
}

// index returns the place of a level's weight, or −1; the code after the last is a missing cell's.
func (l levelWeights) index(code int) int {
	if code < len(l.Weight) {
		return int(l.Weight[code])
	}
	return int(l.Missing)
}

// ofText returns the weight of the level that a text is, 0 for one that has none.
func (l levelWeights) ofText(t rawText) float64 {
	if t.drop {
		return 0
	}
	return l.of(t.code)
}

// of returns the weight of a level, 0 for one that has none.
func (l levelWeights) of(code int) float64 {
	if k := l.index(code); k >= 0 {
		return l.w[k]
	}
	return 0
}

func (v *view) scorer(rows *logreg.Rows, w []float64) scorer {
	s := scorer{
		w: w, width: rows.Width, numbers: make([]*logreg.Numbers, len(v.columns)),
		place: make([]int, len(v.columns)), levels: make([]levelWeights, len(v.columns)),
	}
	numbers, levels := 0, 0
	for j := range v.columns {
		if v.columns[j].feature.Type == dataset.Number {
			s.numbers[j], s.place[j] = &rows.Numbers[numbers], numbers
			numbers++
		} else {
			s.levels[j] = levelWeights{&rows.Levels[levels], w}
			levels++
		}
	}
	return s
}

// standardised returns the expression of feature j as the trainer sees it, out of
// one of the number after cleaning.
func (v *view) standardised(s scorer, j int, value string) string {
	n := s.numbers[j]
	return fmt.Sprintf("(COALESCE(%s, %s) - %s) / %s", value, v.d.number(n.Fill), v.d.number(n.Mean), v.d.number(n.Scale))
}

// levelSum returns the expression of what the levels of a row add to scorer k's z, with the intercept.
func (v *view) levelSum(s scorer, k int) string {
	sum := []string{v.d.number(s.w[s.width])}
	for j := range v.columns {
		c := &v.columns[j]
		if c.feature.Type != dataset.Category {
			continue
		}
		l := s.levels[j]
		sum = append(sum, c.lookup(weightName(k), func(t rawText) string { return v.d.number(l.ofText(t)) }, v.d.number(l.of(len(c.levels)))))
	}
	return strings.Join(sum, " + ")
}

// mostLogit is where exp(−|z|) stops falling: products with it stay above the
// smallest double, which PostgreSQL calls an error.
const mostLogit = 300

// scored returns a subquery of a part's rows with the class y, the z of each scorer,
// e = exp(−|z|), the block numbers b0, b1 …, and the first scorer's standardised
// numbers, x0, x1 … in the order of its weights.
func (v *view) scored(part dataset.HashRange, seed uint64, scorers []scorer, blocks []block) string {
	inner, outer := []string{v.class() + " AS y"}, []string{"y"}
	for i, b := range blocks {
		inner, outer = append(inner, v.blockCode(b)+" AS "+blockName(i)), append(outer, blockName(i))
	}
	for k, s := range scorers {
		inner = append(inner, fmt.Sprintf("%s AS lw%d", v.levelSum(s, k), k))
		z := []string{fmt.Sprintf("lw%d", k)}
		for j := range v.columns {
			if s.numbers[j] == nil {
				continue
			}
			x := fmt.Sprintf("s%dx%d", k, s.place[j])
			inner = append(inner, v.standardised(s, j, v.value(j))+" AS "+x)
			z = append(z, fmt.Sprintf("%s * %s", x, v.d.number(s.w[s.place[j]])))
			if k == 0 {
				outer = append(outer, fmt.Sprintf("%s AS x%d", x, s.place[j]))
			}
		}
		sum := strings.Join(z, " + ")
		outer = append(outer, fmt.Sprintf("%s AS z%d", sum, k), fmt.Sprintf("exp(-LEAST(abs(%s), %s)) AS e%d", sum, v.d.number(mostLogit), k))
	}
	return fmt.Sprintf("(SELECT %s FROM (SELECT %s %s) a) b", strings.Join(v.d.fenced(outer, "f1"), ", "),
		strings.Join(v.d.fenced(inner, "f0"), ", "), v.rows(part, scorers, seed, false))
}

// probability returns the expression of scorer k's probability.
func (v *view) probability(k int) string {
	return fmt.Sprintf("CASE WHEN z%d >= 0 THEN 1 ELSE e%d END / (1 + e%d)", k, k, k)
}

// loss returns the expression of log(1+exp(−yz)) with y = ±1, safe for any z.
func (v *view) loss(k int) string {
	return fmt.Sprintf("ln(1 + e%d) + CASE WHEN (z%d >= 0) = (y = 1) THEN %s ELSE abs(z%d) END", k, k, v.d.number(0), k)
}
