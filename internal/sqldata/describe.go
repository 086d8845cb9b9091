package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/sqlterms"
)

// describe summarises the rows, as dataset's Summarize does those of a table in memory:
// deciles and medians are exact, and found sooner with a sample of the rows, which may be nil.
func (v *view) describe(ctx context.Context, sample *dataset.Table) (*dataset.Description, error) {
	names, columns := v.cleaned()
	d := &dataset.Description{
		Columns: make([]dataset.Summary, len(v.columns)), Scalings: make([]dataset.Scaling, len(v.columns)),
	}
	parts := []aggregates{{exprs: []string{"count(*)", "sum(y)"}}}
	for j, name := range names {
		if v.columns[j].feature.Type == dataset.Number {
			part := aggregates{cells: columns[j+1 : j+2]}
			for _, f := range []string{"count", "avg", "stddev_samp", "min", "max"} {
				part.exprs = append(part.exprs, fmt.Sprintf("%s(%s)", f, name))
			}
			parts = append(parts, part)
		}
	}
	cells := func(cells []string) string { return v.selection(v.d.Fenced(append(cells, columns[0]), "f0")) }
	sums, err := v.aggregate(ctx, "adding up the numbers", parts, cells)
	if err != nil {
		return nil, err
	}
	d.Rows, d.Positives = int(sums[0]), int(sums[1])
	sums = sums[2:]
	moments := make([]moments, len(v.columns))
	for j := range v.columns {
		if v.columns[j].feature.Type == dataset.Number {
			moments[j].rows, moments[j].mean, moments[j].std = int(sums[0]), sums[1], sums[2]
			moments[j].min, moments[j].max = sums[3], sums[4]
			sums = sums[5:]
		}
	}
	if err := v.refine(ctx, names, columns[1:], moments); err != nil {
		return nil, err
	}
	statistics, err := v.orderStatistics(ctx, moments, sample, v.countLevels(d.Columns))
	if err != nil {
		return nil, err
	}
	for j, m := range moments {
		switch {
		case v.columns[j].feature.Type != dataset.Number:
			continue
		case m.rows == 0:
			d.Columns[j] = dataset.SummarizeNumbers(nil)
			d.Columns[j].Missing = d.Rows
		default:
			var median float64
			d.Columns[j], median = dataset.SummarizeRanked(m.mean, m.std, m.min, m.max, m.rows, statistics[j])
			d.Columns[j].Missing = d.Rows - m.rows
			d.Scalings[j] = d.Columns[j].Scaling(median)
		}
	}
	return d, nil
}

// moments are those of a column's numbers; std has n−1.
type moments struct {
	rows                int
	mean, std, min, max float64
}

// farFromZero is how many standard deviations a mean may be from zero for an engine's
// standard deviation to be exact enough: PostgreSQL's loses a digit for each factor of 10.
const farFromZero = 1e5

// refine queries the mean and the standard deviation of numbers far from zero again, as
// differences from the mean.
func (v *view) refine(ctx context.Context, names, columns []string, moments []moments) error {
	var parts []aggregates
	var far []int
	for j, m := range moments {
		if m.rows > 1 && m.min < m.max && math.Abs(m.mean) > farFromZero*m.std {
			far = append(far, j)
			offset := fmt.Sprintf("%s - %s", names[j], v.d.Number(m.mean))
			parts = append(parts, aggregates{
				columns[j : j+1], []string{fmt.Sprintf("avg(%s)", offset), fmt.Sprintf("stddev_samp(%s)", offset)},
			})
		}
	}
	sums, err := v.aggregate(ctx, "adding up the numbers that are far from zero", parts, func(cells []string) string {
		return v.selection(v.d.Fenced(cells, "f0"))
	})
	if err != nil {
		return err
	}
	for i, j := range far {
		moments[j].mean += sums[2*i]
		moments[j].std = sums[2*i+1]
	}
	return nil
}

// selection returns a FROM clause with the given columns of the rows.
func (v *view) selection(columns []string) string {
	return fmt.Sprintf("FROM (SELECT %s %s) q", strings.Join(columns, ", "), v.rows(false))
}

// cleaned returns the columns of a subquery of cleaned cells, and their names by
// feature: numbers, or level codes. y is the class.
func (v *view) cleaned() (names, columns []string) {
	columns = append(columns, v.class()+" AS y")
	for j := range v.columns {
		name, value := fmt.Sprintf("c%d", j), v.code(j)
		if v.columns[j].feature.Type == dataset.Number {
			name, value = fmt.Sprintf("x%d", j), v.value(j)
		}
		names, columns = append(names, name), append(columns, value+" AS "+name)
	}
	return names, v.d.Fenced(columns, "f0")
}

// levelGroups divides the categories into groups whose functions are the codes of the levels,
// numbered from 0 over all categories; of has the feature and the code of each.
func (v *view) levelGroups() (groups []termGroup, of [][2]int) {
	var terms []sqlterms.CodedTerm
	for j := range v.columns {
		if v.columns[j].feature.Type == dataset.Category {
			t := sqlterms.CodedTerm{Code: v.code(j), Values: []string{""}, Functions: [][]int32{nil}}
			for code := range len(v.columns[j].levels) + 1 {
				t.Functions[0], of = append(t.Functions[0], int32(len(of))), append(of, [2]int{j, code})
			}
			terms = append(terms, t)
		}
	}
	return groupTerms(terms), of
}

// levelCounts are the rows of each level of the categories, counted by groups: see pass.
type levelCounts struct {
	groups []termGroup
	add    func(group, code, rows int)
}

// countLevels adds the rows of each level to out as they are counted; those of a table that was validated are known.
func (v *view) countLevels(out []dataset.Summary) levelCounts {
	add := func(j int, value dataset.Value, rows int) {
		if value.Missing {
			out[j].Missing += rows
			return
		}
		out[j].Levels[value.Text] += rows
		out[j].Rows += rows
	}
	for j := range v.columns {
		c := &v.columns[j]
		if c.feature.Type != dataset.Category {
			continue
		}
		out[j].Levels = map[string]int{}
		for _, t := range c.texts {
			if v.hashes == nil && t.code != dropped && t.rows > 0 {
				add(j, t.value, t.rows)
			}
		}
	}
	if v.hashes == nil {
		return levelCounts{}
	}
	groups, of := v.levelGroups()
	return levelCounts{groups, func(group, code, rows int) {
		for _, n := range groups[group].weights(0, code) {
			add(of[n][0], v.level(of[n][0], of[n][1]), rows)
		}
	}}
}

// level returns the level of a category that has a code, or what is missing.
func (v *view) level(j, code int) dataset.Value {
	if levels := v.columns[j].levels; code < len(levels) {
		return dataset.Value{Text: levels[code], Level: true}
	}
	return dataset.Value{Missing: true, Level: true}
}

// Hashes returns nil: the rows are not in memory.
func (s *Source) Hashes(*dataset.Schema) []uint64 { return nil }

// values returns a row's values; cells are of the columns of cleaned.
func (v *view) values(cells []sql.NullFloat64) []dataset.Value {
	row := make([]dataset.Value, len(cells))
	for j, cell := range cells {
		if v.columns[j].feature.Type == dataset.Number {
			row[j] = dataset.Value{Number: cell.Float64, Missing: !cell.Valid}
		} else {
			row[j] = v.level(j, int(cell.Float64))
		}
	}
	return row
}

// Sample fetches the n rows whose keys have the lowest hashes, in their order. The rows of
// one key are in the order of a hash of their cells.
func (s *Source) Sample(ctx context.Context, n int, _ uint64) (*dataset.Table, []int32, error) {
	if s.sampled != nil && n <= s.sampledTo {
		return s.sampled, dataset.AllRows(min(n, s.sampled.Rows())), nil
	}
	const margin = 1.1 // a range of hashes has only about as many rows as its size says
	var table *dataset.Table
	var err error
	if fraction := margin * float64(n) / s.size(); fraction < 1 {
		table, _, err = s.v.of(s.v.hashes.Sample(fraction), s.v.seed).sample(ctx, n, "0")
	}
	if err == nil && (table == nil || table.Rows() < n) { // many rows share few keys
		table, _, err = s.v.sample(ctx, n, "0")
	}
	if err != nil {
		return nil, nil, err
	}
	s.sampled, s.sampledTo = table, n
	return table, dataset.AllRows(table.Rows()), nil
}

// sample fetches the n rows with the lowest hashes. part is an expression of their hash h, whose value is each
// row's part.
func (v *view) sample(ctx context.Context, n int, part string) (table *dataset.Table, parts []int, err error) {
	names, columns := v.cleaned()
	query := fmt.Sprintf("SELECT y, %s, %s FROM (SELECT %s AS h, %s AS g, %s %s) q ORDER BY h, g LIMIT %d",
		part, strings.Join(names, ", "), v.hash(v.seed), v.rowHash(), strings.Join(columns, ", "), v.rows(false), n)
	cells, dest := nullable(len(names))
	class, at := 0, 0
	table = dataset.NewTable(v.schema)
	err = v.each(ctx, "fetching rows", query, append([]any{&class, &at}, dest...), func() {
		table.Append(&dataset.Row{Values: v.values(cells), Positive: class == 1})
		parts = append(parts, at)
	})
	return table, parts, err
}

// fetched is rows of a table in memory, divided as they would be in the database.
type fetched struct {
	model.Source
	table *dataset.Table
	rows  []int32
	parts []int // by row of the table: its fold, or −1 if it is held out
}

// Fetch returns all rows in memory. Split and Folds then divide them by their keys, as those of Source do.
func (s *Source) Fetch(ctx context.Context, testSize float64, seed uint64) (model.Source, error) {
	train := s.v.of(dataset.TrainRange(testSize), seed).inFolds(model.Folds)
	part := train.fold("h")
	if test := dataset.TestRange(testSize); testSize > 0 {
		to, _ := bound(test[0].To)
		part = fmt.Sprintf("CASE WHEN h < %s THEN -1 ELSE %s END", to, part)
	}
	table, parts, err := s.v.of(nil, seed).sample(ctx, s.rows, part)
	if err == nil && table.Rows() != s.quality.RowsKept {
		err = s.v.changed()
	}
	if err != nil {
		return nil, err
	}
	return (&fetched{table: table, parts: parts}).where(func(int) bool { return true }), nil
}

// where returns the rows of some parts.
func (f *fetched) where(in func(part int) bool) *fetched {
	part := *f
	part.rows = nil
	for i, k := range f.parts {
		if in(k) {
			part.rows = append(part.rows, int32(i))
		}
	}
	part.Source = model.InMemoryRows(f.table, part.rows)
	return &part
}

// Split has the rows that Fetch was told to hold out, whatever the seed; testSize is Fetch's, or 0.
func (f *fetched) Split(testSize float64, _ uint64) (train, test model.Source, err error) {
	if testSize == 0 {
		return f, nil, nil
	}
	return f.where(func(part int) bool { return part >= 0 }), f.where(func(part int) bool { return part < 0 }), nil
}

// Folds are those of the training rows. n is model.Folds, and the seed that of Fetch.
func (f *fetched) Folds(context.Context, int, uint64) (func(k int) (rest, held model.Source), error) {
	return func(k int) (rest, held model.Source) {
		rest = f.where(func(part int) bool { return part >= 0 && part != k })
		return rest, f.where(func(part int) bool { return part == k })
	}, nil
}
