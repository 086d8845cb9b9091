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
	"churn/internal/sqlterms"
)

// Records are predictions that were logged and loaded into a table, with a column for each
// feature, and the log's model_version, prediction, probability and ts.
type Records struct {
	Table    *Table
	Last     int                 // the number of records to read, the latest by ts; 0: all
	Model    string              // whose predictions Scores and ByModel count; "": none
	Features []Tallied           // a feature may have tallies for several references
	Scores   *dataset.Tally      // of the probability; may be nil
	ByModel  *metric.Expectation // of the predictions; may be nil
}

// A Tallied is a feature and its tally. A feature that the table lacks is not counted.
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

// Count tallies the records in one query. It returns how many there are and, by feature,
// how many have a value that is not the number it should be.
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
	query := fmt.Sprintf("SELECT u.k, u.b, count(*), avg(u.x), sum(u.x), sum(u.v), sum(u.n), "+
		"sum(u.z), sum(u.z * u.z), sum(u.z * u.z * u.z), sum(u.z * u.z * u.z * u.z) "+
		"FROM %s %s GROUP BY u.k, u.b ORDER BY u.k, u.b", from, t.d.unpivot(tuples, "u", "k", "b", "x", "v", "n", "z"))
	wrongType = map[string]int{}
	var k, b, rows int
	var mean, sum, variance, unseen sql.NullFloat64
	var z [4]sql.NullFloat64
	dest := []any{&k, &b, &rows, &mean, &sum, &variance, &unseen, &z[0], &z[1], &z[2], &z[3]}
	err = t.each(ctx, "counting the predictions", query, dest, func() {
		powers := [4]float64{z[0].Float64, z[1].Float64, z[2].Float64, z[3].Float64}
		switch {
		case k == len(r.Features):
			records = rows
		case k == len(r.Features)+1 && b != asOthers:
			r.Scores.AddNumbers(b, rows, mean.Float64, powers, 0)
		case k == len(r.Features)+2 && b != asOthers:
			r.ByModel.AddSums(rows, b == 1, sum.Float64, variance.Float64)
		case k < len(r.Features):
			r.add(r.Features[k], b, rows, mean.Float64, powers, int(unseen.Float64), wrongType)
		}
	})
	return records, wrongType, err
}

// add adds rows that were counted as b to the tally of a feature.
func (r *Records) add(
	f Tallied, b, rows int, mean float64, powers [4]float64, unseen int, wrongType map[string]int,
) {
	ref := f.Tally.Reference()
	switch {
	case b == asWrongType:
		wrongType[f.Feature] = max(wrongType[f.Feature], rows)
	case b == asMissing:
		f.Tally.Missing += rows
	case ref.Numbers != nil:
		f.Tally.AddNumbers(b, rows, mean, powers, unseen)
	case b == asUnseen:
		f.Tally.AddLevel("", false, rows)
	default:
		f.Tally.AddLevel(levelsOf(ref)[b], true, rows)
	}
}

func levelsOf(ref *dataset.Summary) []string { return slices.Sorted(maps.Keys(ref.Levels)) }

// tuples returns the cells to count of each record: the index of the tally, the bin, the
// number, p(1−p) of a probability, 1 for a number other than that of a constant, and the
// standardised number.
func (r *Records) tuples() ([][]string, error) {
	t := r.Table
	null := t.d.AsDouble("NULL")
	var tuples [][]string
	for k, f := range r.Features {
		c := t.column(f.Feature)
		if c == nil {
			continue
		}
		if c.kind < kindText {
			return nil, t.unfit("%s: a column of type %s is neither number nor text", f.Feature, c.engineType)
		}
		tuples = append(tuples, t.featureTuple(k, c, f.Tally.Reference()))
	}
	if len(tuples) == 0 {
		return nil, t.unfit("it has none of the model's features as columns, but %s: "+
			"docs/warehouse.md shows how a log is loaded", t.list())
	}
	tuples = append(tuples, []string{fmt.Sprint(len(r.Features)), "0", null, null, "0", null})
	if r.Last > 0 && t.column("ts") == nil {
		return nil, t.unfit("it has no column ts, by which the last %d are found: use --last 0 for all", r.Last)
	}
	if r.Model == "" {
		return tuples, nil
	}
	for _, name := range []string{"model_version", "probability", "prediction"} {
		if t.column(name) == nil {
			return nil, t.unfit("it has no column %s, which each record of the log has: "+
				"docs/warehouse.md shows how a log is loaded", name)
		}
	}
	_, p := t.expressions(t.column("probability"))
	_, prediction := t.expressions(t.column("prediction"))
	own := func(bin string) string {
		return fmt.Sprintf("CASE WHEN %s = %s AND %s >= 0 AND %s <= 1 THEN %s ELSE %d END",
			t.d.AsText(t.column("model_version").sql()), sqlterms.QuoteText(r.Model), p, p, bin, asOthers)
	}
	if r.Scores != nil {
		ref := r.Scores.Reference().Numbers
		tuples = append(tuples, []string{
			fmt.Sprint(len(r.Features) + 1), own(t.bin(p, ref.Cuts)), p, null, "0", t.standardised(p, ref),
		})
	}
	if r.ByModel != nil {
		answer := own(fmt.Sprintf("CASE WHEN %s = 1 THEN 1 ELSE 0 END", prediction))
		tuples = append(tuples, []string{
			fmt.Sprint(len(r.Features) + 2), answer, p, fmt.Sprintf("%s * (1 - %s)", p, p), "0", null,
		})
	}
	return tuples, nil
}

// featureTuple returns the tuple of feature k in a column.
func (t *Table) featureTuple(k int, c *tableColumn, ref *dataset.Summary) []string {
	null := t.d.AsDouble("NULL")
	if ref.Numbers == nil {
		return []string{fmt.Sprint(k), t.level(c, levelsOf(ref)), null, null, "0", null}
	}
	x, valid := t.numberOf(c)
	other := "0"
	if ref.Constant() {
		other = fmt.Sprintf("CASE WHEN %s <> %s THEN 1 ELSE 0 END", x, t.d.Number(ref.Numbers.Min))
	}
	bin := fmt.Sprintf("CASE WHEN %s IS NULL THEN %d WHEN NOT (%s) THEN %d ELSE %s END",
		c.sql(), asMissing, valid, asWrongType, t.bin(x, ref.Numbers.Cuts))
	number := func(x string) string { return fmt.Sprintf("CASE WHEN %s THEN %s END", valid, x) }
	return []string{fmt.Sprint(k), bin, number(x), null, other, number(t.standardised(x, ref.Numbers))}
}

// standardised returns the expression of a number less the mean and over the std of a reference.
func (t *Table) standardised(x string, ref *dataset.NumberSummary) string {
	most := t.d.Number(dataset.MostStandardised)
	return fmt.Sprintf("GREATEST(-%[1]s, LEAST((%[2]s - %[3]s) / %[4]s, %[1]s))",
		most, x, t.d.Number(ref.Mean), t.d.Number(ref.Std))
}

// unfit returns the error for a table that does not have the records of a log.
func (t *Table) unfit(format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{t.Name()}, args...)...)
}

// numberOf returns the expression of a column's number, and the condition that it is one.
func (t *Table) numberOf(c *tableColumn) (x, valid string) {
	raw, x := t.expressions(c)
	if c.kind == kindText {
		decimal := fmt.Sprintf(t.d.decimal, raw)
		return fmt.Sprintf("CASE WHEN %s THEN %s END", decimal, x), decimal
	}
	return x, fmt.Sprintf("abs(%s) <= %s", x, t.d.Number(dataset.MaxNumber))
}

// bin returns the expression of a number's bin, the number of cuts below it: width_bucket
// counts cuts up to a number, so both are negated. See dataset.NumberSummary.
func (t *Table) bin(x string, cuts []float64) string {
	if len(cuts) == 0 {
		return "0"
	}
	var negated []string
	for _, cut := range slices.Backward(cuts) {
		negated = append(negated, t.d.Number(-cut))
	}
	return fmt.Sprintf("%d - width_bucket(-(%s), ARRAY[%s])", len(cuts), x, strings.Join(negated, ", "))
}

// level returns the expression of the index of a level.
func (t *Table) level(c *tableColumn, levels []string) string {
	cell, _ := t.expressions(c)
	index := "NULL"
	if len(levels) > 0 {
		quoted := sqlterms.Texts(slices.Values(levels), sqlterms.QuoteText)
		// Of a text that is not in the array PostgreSQL returns NULL, Trino 0.
		index = fmt.Sprintf("NULLIF(array_position(ARRAY[%s], %s), 0) - 1", strings.Join(quoted, ", "), cell)
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN %d ELSE COALESCE(%s, %d) END", cell, asMissing, index, asUnseen)
}
