package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"churn/internal/dataset"
)

// plainNumber writes a number as a CSV file has it.
func plainNumber(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// judge reads the table as the schema wants it and puts it to the gates, as Clean
// does a file.
func (v *view) judge(ctx context.Context) (*dataset.Quality, error) {
	if err := v.readTexts(ctx); err != nil {
		return nil, err
	}
	audit := v.schema.NewAudit(v.Name(), v.limits)
	v.judgeTexts(audit)
	read, kept, err := v.judgeNumbers(ctx, audit)
	if err != nil {
		return nil, err
	}
	if err := v.countKept(ctx, audit, kept < read); err != nil {
		return nil, err
	}
	return audit.Finish(read, read-kept)
}

// judgeNumbers counts the rows and judges the numbers that are cleaned by expressions.
// A subquery has each of the expressions once: with many columns they are long.
func (v *view) judgeNumbers(ctx context.Context, audit *dataset.Audit) (read, kept int, err error) {
	flag := func(condition string) string { return fmt.Sprintf("CASE WHEN %s THEN 1 ELSE 0 END", condition) }
	cells := []string{flag(v.kept()) + " AS ok"} // of a row: x is the number, d tells whether it is cleaned by an expression, c whether it was clipped
	exprs := []string{"count(*)", "sum(ok)"}
	for j := range v.columns {
		c := &v.columns[j]
		if c.feature.Type != dataset.Number {
			continue
		}
		x := fmt.Sprintf("x%d", j)
		cells = append(cells, v.value(j)+" AS "+x)
		exprs = append(exprs, fmt.Sprintf("sum(CASE WHEN %s IS NOT NULL THEN ok ELSE 0 END)", x))
		if !c.byExpression() {
			continue
		}
		clipped := "FALSE"
		if c.feature.ClipMin != nil {
			clipped = v.below(c.double, *c.feature.ClipMin)
			for _, mark := range c.feature.MissingNumbers() {
				clipped += fmt.Sprintf(" AND %s <> %s", c.double, v.d.number(mark))
			}
		}
		cells = append(cells, fmt.Sprintf("%s AS d%d, %s AS c%d", flag(c.guarded("TRUE")), j, flag(c.guarded(clipped)), j))
		exprs = append(exprs,
			fmt.Sprintf("sum(CASE WHEN %s IS NULL THEN d%d ELSE 0 END)", x, j),
			fmt.Sprintf("sum(c%d)", j),
			fmt.Sprintf("sum(CASE WHEN %s > 0 THEN d%d ELSE 0 END)", v.problem(j, x), j))
	}
	from := fmt.Sprintf("FROM (SELECT %s %s) q", strings.Join(v.d.fenced(cells, "f0"), ", "), v.rows(nil, nil, 0, true))
	sums, err := v.aggregate(ctx, "judging the numbers", exprs, from)
	if err != nil {
		return 0, 0, err
	}
	next := func() int {
		n := int(sums[0].Float64)
		sums = sums[1:]
		return n
	}
	read, kept = next(), next()
	for j := range v.columns {
		c := &v.columns[j]
		if c.feature.Type != dataset.Number {
			continue
		}
		audit.Keep(j, dataset.Value{}, next())
		if !c.byExpression() {
			continue
		}
		audit.Cleaned(j, next(), next())
		if c.sound = next() == 0; !c.sound {
			if err := v.nameProblems(ctx, audit, j); err != nil {
				return 0, 0, err
			}
		}
	}
	return read, kept, nil
}

// byExpression tells whether cells of a number are cleaned by an expression, but for the mapped ones.
func (c *column) byExpression() bool {
	return c.feature.Type == dataset.Number && (!c.mapped || c.decimal != "")
}

// guarded restricts a condition to the cells that are cleaned by an expression.
func (c *column) guarded(condition string) string {
	if c.decimal == "" {
		return condition
	}
	return fmt.Sprintf("CASE WHEN %s THEN %s ELSE FALSE END", c.decimal, condition)
}

// nameProblems tells the audit what is wrong with numbers of feature j.
func (v *view) nameProblems(ctx context.Context, audit *dataset.Audit, j int) error {
	c := &v.columns[j]
	query := fmt.Sprintf("SELECT k, count(*), min(x), min(r) FROM (SELECT CASE WHEN %s THEN %s ELSE 0 END AS k, %s AS x, %s AS r %s) q WHERE k > 0 GROUP BY k ORDER BY k",
		c.guarded("TRUE"), v.problem(j, v.value(j)), v.value(j), c.raw, v.rows(nil, nil, 0, true))
	return v.query(ctx, "naming the problems of "+c.feature.Name, query, func(scan func(...any) error) error {
		var k, rows int
		var least float64
		var raw string
		if err := scan(&k, &rows, &least, &raw); err != nil {
			return err
		}
		problem := &dataset.Problem{Kind: dataset.NotANumber, Value: raw}
		if k > notFinite {
			_, _, _, problem = c.feature.Clean(plainNumber(least))
		}
		audit.Problem(j, problem, rows)
		return nil
	})
}

// countKept counts the texts in rows that are kept. They are those that were read
// unless rows are left out.
func (v *view) countKept(ctx context.Context, audit *dataset.Audit, dropping bool) error {
	if dropping {
		if err := v.recount(ctx); err != nil {
			return err
		}
	}
	for j := range v.columns {
		for _, t := range v.columns[j].texts {
			if v.columns[j].feature.Type == dataset.Category && !t.drop {
				audit.Keep(j, t.value, t.rows)
			}
		}
	}
	for _, t := range v.target.texts {
		audit.KeepLabel(v.target.file(t.raw), t.rows)
	}
	return nil
}

// recount sets the rows of each text to those that are kept.
func (v *view) recount(ctx context.Context) error {
	var tuples [][]string
	columns := map[int]*column{len(v.columns): &v.target}
	for j := range v.columns {
		if v.columns[j].feature.Type == dataset.Category {
			columns[j] = &v.columns[j]
		}
	}
	at := map[int]map[string]*rawText{}
	nulls := map[int]*rawText{}
	for j, c := range columns {
		tuples = append(tuples, []string{fmt.Sprint(j), c.raw})
		at[j] = map[string]*rawText{}
		for i := range c.texts {
			if t := &c.texts[i]; t.null {
				nulls[j] = t
			} else {
				at[j][t.raw] = t
			}
			c.texts[i].rows = 0
		}
	}
	slices.SortFunc(tuples, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	var names, selected []string
	for i, t := range tuples {
		names = append(names, fmt.Sprintf("%s AS r%d", t[1], i))
		selected = append(selected, fmt.Sprintf("q.r%d", i))
		t[1] = selected[i]
	}
	query := fmt.Sprintf("SELECT u.j, u.r, count(*) FROM (SELECT %s %s) q %s GROUP BY u.j, u.r",
		strings.Join(names, ", "), v.rows(nil, nil, 0, false), v.d.unpivot(tuples, "u", "j", "r"))
	return v.query(ctx, "counting the rows that are kept", query, func(scan func(...any) error) error {
		var j, rows int
		var raw sql.NullString
		if err := scan(&j, &raw, &rows); err != nil {
			return err
		}
		t := at[j][raw.String]
		if !raw.Valid {
			t = nulls[j]
		}
		if t != nil {
			t.rows = rows
		}
		return nil
	})
}

// missing tells of each feature whether rows have no value of it.
func (v *view) missing(ctx context.Context) ([]bool, error) {
	var exprs []string
	for j := range v.columns {
		c := &v.columns[j]
		if c.byExpression() {
			exprs = append(exprs, fmt.Sprintf("max(CASE WHEN %s THEN 1 ELSE 0 END)", c.guarded(v.value(j)+" IS NULL")))
		}
	}
	var sums []sql.NullFloat64
	if len(exprs) > 0 {
		var err error
		if sums, err = v.aggregate(ctx, "looking for missing cells", exprs, v.rows(nil, nil, 0, true)); err != nil {
			return nil, err
		}
	}
	out := make([]bool, len(v.columns))
	for j := range v.columns {
		c := &v.columns[j]
		out[j] = slices.ContainsFunc(c.texts, func(t rawText) bool { return t.null || c.feature.Missing(t.raw) })
		if c.byExpression() {
			out[j] = out[j] || sums[0].Float64 > 0
			sums = sums[1:]
		}
	}
	return out, nil
}

// aggregate asks for one row of aggregates, in as few queries as may have so many columns.
func (v *view) aggregate(ctx context.Context, what string, exprs []string, from string) ([]sql.NullFloat64, error) {
	var out []sql.NullFloat64
	for chunk := range slices.Chunk(exprs, v.d.columnLimit) {
		err := v.query(ctx, what, "SELECT "+strings.Join(chunk, ", ")+" "+from, func(scan func(...any) error) error {
			row := make([]sql.NullFloat64, len(chunk))
			at := make([]any, len(chunk))
			for i := range row {
				at[i] = &row[i]
			}
			err := scan(at...)
			out = append(out, row...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
