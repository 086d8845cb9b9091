package sqldata

import (
	"context"
	"fmt"
	"math"
	"strings"

	"churn/internal/metric"
	"churn/internal/model"
	"churn/internal/sqlterms"
)

// maxLoss is metric.LogLoss of a probability of 0 for the true class.
var maxLoss = 52 * math.Ln2

// Predict counts the probabilities by bin.
func (s *Source) Predict(ctx context.Context, c model.Classifier) (model.Predictions, error) {
	p, err := s.v.predict(ctx, []model.Classifier{c})
	return p[0], err
}

// PredictFolds is Predict of each fold by its own weights, in one query.
func (s *Source) PredictFolds(ctx context.Context, by []model.Classifier) ([]model.Predictions, error) {
	return s.v.inFolds(len(by)).predict(ctx, by)
}

func (v *view) predict(ctx context.Context, by []model.Classifier) ([]model.Predictions, error) {
	parts, c := make([]model.BinnedPredictions, len(by)), by[0]
	var w [][]float64
	for k := range by {
		parts[k].Threshold, w = c.Threshold, append(w, by[k].Weights)
	}
	columns := []string{
		"y", sqlterms.Probability(0) + " AS p", fmt.Sprintf("LEAST(%s, %s) AS l", v.loss(0), v.d.Number(maxLoss)),
		"0 AS fold",
	}
	if v.folds > 0 {
		columns[3] = "fold"
	}
	query := fmt.Sprintf(`SELECT fold, LEAST(CAST(floor(p * %d) AS integer), %d), CASE WHEN p >= %s THEN 1 ELSE 0 END, y,
count(*), sum(p), sum(p * p), min(p), max(p), sum(l) FROM (SELECT %s FROM %s) c GROUP BY 1, 2, 3, 4`,
		metric.Bins, metric.Bins-1, v.d.Number(c.Threshold),
		strings.Join(v.d.Fenced(columns, "f2"), ", "), v.scored([]*sqlterms.Encoded{v.encode(c.Design, w, 0)}, nil))
	var cell metric.BinnedCell
	var fold, answer, class int
	dest := []any{
		&fold, &cell.Bin, &answer, &class, &cell.Rows, &cell.Sum, &cell.SumSquares, &cell.Min, &cell.Max, &cell.Loss,
	}
	err := v.each(ctx, "counting the probabilities", query, dest, func() {
		cell.PredictedPositive, cell.Positive = answer == 1, class == 1
		parts[fold].Cells = append(parts[fold].Cells, cell)
	})
	var out []model.Predictions
	for _, p := range parts {
		out = append(out, p)
	}
	return out, err
}

// Pair compares two classifiers by the rows' classes, answers and losses.
func (s *Source) Pair(ctx context.Context, current, candidate model.Scored) (p metric.Paired, err error) {
	v := s.v
	columns := []string{"y"}
	var losses [2]string
	var scorers []*sqlterms.Encoded
	for k, c := range []model.Classifier{current.By, candidate.By} {
		columns = append(columns,
			fmt.Sprintf("CASE WHEN %s >= %s THEN 1 ELSE 0 END AS a%d", sqlterms.Probability(k), v.d.Number(c.Threshold), k))
		losses[k] = fmt.Sprintf("LEAST(%s, %s)", v.loss(k), v.d.Number(maxLoss))
		scorers = append(scorers, v.encode(c.Design, [][]float64{c.Weights}, k))
	}
	columns = append(columns, fmt.Sprintf("%s - %s AS d", losses[1], losses[0]))
	query := fmt.Sprintf("SELECT y, a0, a1, count(*), sum(d), sum(d * d) FROM (SELECT %s FROM %s) c GROUP BY 1, 2, 3",
		strings.Join(v.d.Fenced(columns, "f2"), ", "), v.scored(scorers, nil))
	var y, first, second int
	var l metric.LossSums
	err = v.each(ctx, "comparing the answers", query, []any{&y, &first, &second, &l.Rows, &l.Sum, &l.Squares}, func() {
		p.Counts[y][first][second] += l.Rows
		p.Losses.Add(l)
	})
	return p, err
}

// scored returns a subquery of the rows with the class y, the z of each scorer and
// e = exp(−|z|), all columns of the scorers' stages, and more that are computed from them.
func (v *view) scored(scorers []*sqlterms.Encoded, more []string) string {
	_, columns := v.cleaned()
	var places, values, exps []string
	kept := []string{"y"} // of the columns before z, where there are too many for one more stage
	packed := false
	if v.folds > 0 {
		columns = append(columns, v.hash(v.seed)+" AS hash")
		places, kept = append(places, v.fold("hash")+" AS fold"), append(kept, "fold")
	}
	for k, e := range scorers {
		second, third := e.Stages()
		places, values = append(places, second...), append(values, third...)
		if packed = packed || e.Packed; e.Packed && len(third) > 0 {
			kept = append(kept, fmt.Sprintf("l%d", k))
		}
		more = append(more, fmt.Sprintf("%s AS z%d", e.Z(), k))
		exps = append(exps, v.d.Exp(k))
	}
	if len(places) == 0 {
		columns = columns[:1+len(v.columns)] // no fence: to compute a cell twice costs less than one more copy of each row
	}
	query := fmt.Sprintf("(SELECT %s %s) a", strings.Join(columns, ", "), v.rows(false))
	for i, stage := range [][]string{places, values, more, exps} {
		if len(stage) == 0 {
			continue
		}
		before := []string{"a.*"}
		if packed && i == 2 {
			before = kept
		}
		columns := v.d.Fenced(append(before, stage...), fmt.Sprintf("g%d", i))
		query = fmt.Sprintf("(SELECT %s FROM %s) a", strings.Join(columns, ", "), query)
	}
	return query
}

// loss returns the expression of log(1+exp(−yz)) with y = ±1, safe for any z.
func (v *view) loss(k int) string {
	return fmt.Sprintf("ln(1 + e%d) + CASE WHEN (z%d >= 0) = (y = 1) THEN %s ELSE abs(z%d) END", k, k, v.d.Number(0), k)
}
