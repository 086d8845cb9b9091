package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// Records are predictions that were logged and loaded into a table: a column a
// feature, and the log's model_version, prediction, probability and ts.
type Records struct {
	Table    *Table
	Last     int                 // how many to look at, the latest by ts; 0: all
	Model    string              // whose answers count for Scores and ByModel; "": nobody's
	Features []Tallied           // a feature may be tallied over several references
	Scores   *dataset.Tally      // of the probability; may be nil
	ByModel  *metric.Expectation // of the answers; may be nil
}

// A Tallied is a feature and its tally. Features that the table lacks stay at none.
type Tallied struct {
	Feature string
	Tally   *dataset.Tally
}

// What a cell is counted as, if not by its bin or level.
const (
	asMissing   = -1
	asWrongType = -2
	asUnseen    = -3
	asOthers    = -4 // of another model
)

// Count tallies the records, in one query. It returns how many there are, and of
// how many a feature has a value that is no number where it should be one.
func (r *Records) Count(ctx context.Context) (records int, wrongType map[string]int, err error) {
	tuples, err := r.tuples()
	if err != nil {
		return 0, nil, err
	}
	t := r.Table
	from := t.sql + " t"
	if r.Last > 0 {
		from = fmt.Sprintf("(SELECT * FROM %s ORDER BY %s DESC NULLS LAST LIMIT %d) t", from, t.column("ts").sql(), r.Last)
	}
	query := fmt.Sprintf("SELECT u.k, u.b, count(*), avg(u.x), sum(u.x), sum(u.v), sum(u.n) FROM %s %s GROUP BY u.k, u.b ORDER BY u.k, u.b",
		from, t.d.unpivot(tuples, "u", "k", "b", "x", "v", "n"))
	wrongType = map[string]int{}
	err = t.query(ctx, "counting the predictions", query, func(scan func(...any) error) error {
		var k, b, rows int
		var mean, sum, variance, unseen sql.NullFloat64
		if err := scan(&k, &b, &rows, &mean, &sum, &variance, &unseen); err != nil {
			return err
		}
		switch {
		case k == len(r.Features):
			records = rows
		case k == len(r.Features)+1 && b != asOthers:
			r.Scores.AddNumbers(b, rows, mean.Float64, 0)
		case k == len(r.Features)+2 && b != asOthers:
			r.ByModel.AddSums(rows, b == 1, sum.Float64, variance.Float64)
		case k < len(r.Features):
			r.add(r.Features[k], b, rows, mean.Float64, int(unseen.Float64), wrongType)
		}
		return nil
	})
	return records, wrongType, err
}

// add adds rows that were counted as b to a feature's tally.
func (r *Records) add(f Tallied, b, rows int, mean float64, unseen int, wrongType map[string]int) {
	ref := f.Tally.Reference()
	switch {
	case b == asWrongType:
		wrongType[f.Feature] = max(wrongType[f.Feature], rows)
	case b == asMissing:
		f.Tally.Missing += rows
	case ref.Numbers != nil:
		f.Tally.AddNumbers(b, rows, mean, unseen)
	case b == asUnseen:
		f.Tally.AddLevel("", false, rows)
	default:
		f.Tally.AddLevel(levelsOf(ref)[b], true, rows)
	}
}

func levelsOf(ref *dataset.Summary) []string { return slices.Sorted(maps.Keys(ref.Levels)) }

// tuples returns what is counted of each record: which tally, what the cell is
// counted as, the number, p(1−p) of a probability, and whether a constant's number is another.
func (r *Records) tuples() ([][]string, error) {
	t := r.Table
	none := t.d.asDouble("NULL")
	found := false
	var tuples [][]string
	for k, f := range r.Features {
		c := t.column(f.Feature)
		if c == nil {
			continue
		}
		if c.kind < kindText {
			return nil, t.unfit("%s: a column of type %s is neither number nor text", f.Feature, c.engineType)
		}
		found = true
		ref := f.Tally.Reference()
		if ref.Numbers == nil {
			tuples = append(tuples, []string{fmt.Sprint(k), t.level(c, levelsOf(ref)), none, none, "0"})
			continue
		}
		x, fine := t.numberOf(c)
		other := "0"
		if ref.Constant() {
			other = fmt.Sprintf("CASE WHEN %s <> %s THEN 1 ELSE 0 END", x, t.d.number(ref.Numbers.Min))
		}
		bin := fmt.Sprintf("CASE WHEN %s IS NULL THEN %d WHEN NOT (%s) THEN %d ELSE %s END", c.sql(), asMissing, fine, asWrongType, t.bin(x, ref.Numbers.Cuts))
		number := fmt.Sprintf("CASE WHEN %s THEN %s END", fine, x)
		tuples = append(tuples, []string{fmt.Sprint(k), bin, number, none, other})
	}
	if !found {
		return nil, t.unfit("it has none of the model's features as columns, but %s: README shows how a log is loaded", t.list())
	}
	tuples = append(tuples, []string{fmt.Sprint(len(r.Features)), "0", none, none, "0"})
	if r.Last > 0 && t.column("ts") == nil {
		return nil, t.unfit("it has no column ts, by which the last %d are found: --last 0 takes all", r.Last)
	}
	if r.Model == "" {
		return tuples, nil
	}
	for _, name := range []string{"model_version", "probability", "prediction"} {
		if t.column(name) == nil {
			return nil, t.unfit("it has no column %s, which each record of the log has: README shows how a log is loaded", name)
		}
	}
	_, p := t.expressions(t.column("probability"))
	own := fmt.Sprintf("%s = %s AND %s >= 0 AND %s <= 1", t.d.asText(t.column("model_version").sql()), quoteText(r.Model), p, p)
	_, prediction := t.expressions(t.column("prediction"))
	if r.Scores != nil {
		bin := fmt.Sprintf("CASE WHEN %s THEN %s ELSE %d END", own, t.bin(p, r.Scores.Reference().Numbers.Cuts), asOthers)
		tuples = append(tuples, []string{fmt.Sprint(len(r.Features) + 1), bin, p, none, "0"})
	}
	if r.ByModel != nil {
		called := fmt.Sprintf("CASE WHEN %s THEN CASE WHEN %s = 1 THEN 1 ELSE 0 END ELSE %d END", own, prediction, asOthers)
		tuples = append(tuples, []string{fmt.Sprint(len(r.Features) + 2), called, p, fmt.Sprintf("%s * (1 - %s)", p, p), "0"})
	}
	return tuples, nil
}

// unfit is the error for a table that is no log of predictions.
func (t *Table) unfit(format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{t.Name()}, args...)...)
}

// numberOf returns the expression of a column's number, and the condition that it is one.
func (t *Table) numberOf(c *tableColumn) (x, fine string) {
	raw, x := t.expressions(c)
	if c.kind == kindText {
		decimal := fmt.Sprintf(t.d.decimal, raw)
		return fmt.Sprintf("CASE WHEN %s THEN %s END", decimal, x), decimal
	}
	return x, fmt.Sprintf("abs(%s) <= %s", x, t.d.number(dataset.MaxNumber))
}

// bin returns the expression of a number's bin: how many cuts are below it, which is
// those that are not above its negative when all are negated. See dataset.NumberSummary.
func (t *Table) bin(x string, cuts []float64) string {
	if len(cuts) == 0 {
		return "0"
	}
	var negated []string
	for _, cut := range slices.Backward(cuts) {
		negated = append(negated, t.d.number(-cut))
	}
	return fmt.Sprintf("%d - width_bucket(-(%s), ARRAY[%s])", len(cuts), x, strings.Join(negated, ", "))
}

// level returns the expression of the place of a level.
func (t *Table) level(c *tableColumn, levels []string) string {
	cell, _ := t.expressions(c)
	place := "NULL"
	if len(levels) > 0 {
		quoted := make([]string, len(levels))
		for i, level := range levels {
			quoted[i] = quoteText(level)
		}
		place = fmt.Sprintf("NULLIF(array_position(ARRAY[%s], %s), 0) - 1", strings.Join(quoted, ", "), cell) // one engine says null of none, the other 0
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN %d ELSE COALESCE(%s, %d) END", cell, asMissing, place, asUnseen)
}
