package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/sqlterms"
)

// validate cleans the table and checks it against the schema, as csvdata.Clean does a file.
func (v *view) validate(ctx context.Context) (*dataset.Quality, error) {
	if err := v.readTexts(ctx); err != nil {
		return nil, err
	}
	audit := v.schema.NewAudit(v.Name(), v.limits)
	v.validateTexts(audit)
	read, kept, err := v.validateNumbers(ctx, audit)
	if err != nil {
		return nil, err
	}
	if kept < read {
		if err := v.recount(ctx); err != nil {
			return nil, err
		}
	}
	for j := range v.columns {
		for _, t := range v.columns[j].texts {
			if v.columns[j].feature.Type == dataset.Category && t.code != dropped {
				audit.Keep(j, t.value, t.rows)
			}
		}
	}
	for _, t := range v.target.texts {
		audit.KeepLabel(v.target.inFile(t.raw), t.rows)
	}
	return audit.Finish(read, read-kept)
}

// validateNumbers counts the rows, and validates the numbers that are cleaned by
// expressions. A subquery contains each of these once: with many columns they are long.
func (v *view) validateNumbers(ctx context.Context, audit *dataset.Audit) (read, kept int, err error) {
	flag := func(condition string) string { return fmt.Sprintf("CASE WHEN %s THEN 1 ELSE 0 END", condition) }
	// Of a row x is the number, d whether it is cleaned by an expression, and c whether it was clipped.
	parts := []aggregates{{exprs: []string{"count(*)", "sum(ok)"}}}
	for j := range v.columns {
		c := &v.columns[j]
		if c.feature.Type != dataset.Number {
			continue
		}
		x := fmt.Sprintf("x%d", j)
		part := aggregates{
			cells: []string{v.value(j) + " AS " + x},
			exprs: []string{fmt.Sprintf("sum(CASE WHEN %s IS NOT NULL THEN ok ELSE 0 END)", x)},
		}
		if !c.byExpression() {
			parts = append(parts, part)
			continue
		}
		clipped := "FALSE"
		if c.feature.ClipMin != nil {
			clipped = v.below(c.double, *c.feature.ClipMin)
			for _, mark := range c.feature.MissingNumbers() {
				clipped += fmt.Sprintf(" AND %s <> %s", c.double, v.d.Number(mark))
			}
		}
		part.cells = append(part.cells,
			fmt.Sprintf("%s AS d%d", flag(c.guarded("TRUE")), j), fmt.Sprintf("%s AS c%d", flag(c.guarded(clipped)), j))
		parts = append(parts, aggregates{part.cells, append(part.exprs,
			fmt.Sprintf("sum(CASE WHEN %s IS NULL THEN d%d ELSE 0 END)", x, j),
			fmt.Sprintf("sum(c%d)", j),
			fmt.Sprintf("sum(CASE WHEN %s > 0 THEN d%d ELSE 0 END)", v.problem(j, x), j))})
	}
	ok, rows := flag(v.kept())+" AS ok", v.rows(true)
	sums, err := v.aggregate(ctx, "validating the numbers", parts, func(cells []string) string {
		return fmt.Sprintf("FROM (SELECT %s %s) q", strings.Join(v.d.Fenced(append(cells, ok), "f0"), ", "), rows)
	})
	if err != nil {
		return 0, 0, err
	}
	next := func() int {
		n := int(sums[0])
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
		if c.valid = next() == 0; !c.valid {
			if err := v.findProblems(ctx, audit, j); err != nil {
				return 0, 0, err
			}
		}
	}
	return read, kept, nil
}

// byExpression reports whether numbers are cleaned by an expression, but for mapped cells.
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

// findProblems adds what is wrong with numbers of feature j to the audit.
func (v *view) findProblems(ctx context.Context, audit *dataset.Audit, j int) error {
	c := &v.columns[j]
	query := fmt.Sprintf("SELECT k, count(*), min(x), min(r) "+
		"FROM (SELECT CASE WHEN %s THEN %s ELSE 0 END AS k, %s AS x, %s AS r %s) q WHERE k > 0 GROUP BY k ORDER BY k",
		c.guarded("TRUE"), v.problem(j, v.value(j)), v.value(j), c.raw, v.rows(true))
	var k, rows int
	var least float64
	var raw string
	what := "finding the problems of " + c.feature.Name
	return v.each(ctx, what, query, []any{&k, &rows, &least, &raw}, func() {
		problem := &dataset.Problem{Kind: dataset.NotANumber, Value: raw}
		if k > notFinite {
			_, problem = c.feature.CheckNumber(least)
		}
		audit.Problem(j, problem, rows)
	})
}

// recount sets the rows of each category's and the target's texts to those that are not left out.
func (v *view) recount(ctx context.Context) error {
	columns := slices.DeleteFunc(v.all(), func(c *column) bool {
		return c.feature != nil && c.feature.Type == dataset.Number
	})
	var queries []string
	texts := map[textKey]*rawText{}
	for i, c := range columns {
		for k := range c.texts {
			t := &c.texts[k]
			t.rows = 0
			texts[textKey{i, sql.NullString{String: t.raw, Valid: !t.null}}] = t
		}
	}
	for chunk := range slices.Chunk(dataset.UpTo[int32](len(columns)), v.d.columnLimit) {
		var cells []string
		var tuples [][]string
		for _, i := range chunk {
			cells = append(cells, fmt.Sprintf("%s AS r%d", columns[i].raw, i))
			tuples = append(tuples, []string{fmt.Sprint(i), fmt.Sprintf("q.r%d", i)})
		}
		queries = append(queries, fmt.Sprintf("SELECT u.j, u.r, count(*) FROM (SELECT %s %s) q %s GROUP BY u.j, u.r",
			strings.Join(cells, ", "), v.rows(false), v.d.unpivot(tuples, "j", "r")))
	}
	var key textKey
	var rows int
	return v.eachOf(ctx, "counting the rows that are kept", queries, []any{&key.column, &key.raw, &rows}, func() {
		if t := texts[key]; t != nil {
			t.rows = rows
		}
	})
}

// textKey is a text of one of several columns.
type textKey struct {
	column int
	raw    sql.NullString
}

// missing reports for each feature whether rows have no value of it.
func (v *view) missing(ctx context.Context) ([]bool, error) {
	var parts []aggregates
	for j := range v.columns {
		if c := &v.columns[j]; c.byExpression() {
			parts = append(parts, aggregates{exprs: []string{
				fmt.Sprintf("max(CASE WHEN %s THEN 1 ELSE 0 END)", c.guarded(v.value(j)+" IS NULL")),
			}})
		}
	}
	rows := v.rows(true)
	sums, err := v.aggregate(ctx, "looking for missing cells", parts, func([]string) string { return rows })
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(v.columns))
	for j := range v.columns {
		c := &v.columns[j]
		out[j] = slices.ContainsFunc(c.texts, func(t rawText) bool { return t.null || c.feature.Missing(t.raw) })
		if c.byExpression() {
			out[j] = out[j] || sums[0] > 0
			sums = sums[1:]
		}
	}
	return out, nil
}

// fingerprint returns the number of rows, of those without a key, and the sum of a hash
// of each row, over the cells of the schema's columns and the key.
func (v *view) fingerprint(ctx context.Context) (rows, keyless int, print string, err error) {
	keys := "count(*)"
	if v.key != "" {
		keys = fmt.Sprintf("count(%s)", v.key)
	}
	query := fmt.Sprintf("SELECT count(*), count(*) - %s, COALESCE(%s, '0') FROM %s t",
		keys, fmt.Sprintf(v.d.hashSum, v.rowHash()), v.sql)
	err = v.each(ctx, "taking the fingerprint", query, []any{&rows, &keyless, &print}, func() {})
	return rows, keyless, print, err
}

// rowHash returns the expression of a hash of the cells of the schema's columns and the key: each is hashed with the
// hash of those before as its seed. Of an engine without such hashes, and in earlier versions, it is of all texts.
func (v *view) rowHash() string {
	columns := append([]*column{&v.target}, v.all()[:len(v.columns)]...)
	if v.key != "" {
		columns = append(columns, &column{of: v.column(v.keyName), raw: v.d.AsText(v.key)})
	}
	if v.hashTexts {
		cells := sqlterms.Texts(slices.Values(columns), func(c *column) string {
			return fmt.Sprintf("COALESCE(%s, chr(30))", c.raw)
		})
		return fmt.Sprintf(v.d.keyHash, sqlterms.Combine(cells, " || chr(31) || "), 0)
	}
	const most = 100 // nested in each other
	row := "0"
	for chunk := range slices.Chunk(columns, most) {
		part := "0"
		for _, c := range chunk {
			part = v.d.hash(c, part)
		}
		row = fmt.Sprintf(v.d.cellHashes[kindNumber], part, row)
	}
	return row
}

// hash returns the expression of a cell's hash with a seed. Numbers that are levels are hashed as texts: 1.0 and 1.00
// are two levels.
func (d *dialect) hash(c *column, seed string) string {
	hash, ok := d.cellHashes[c.of.kind]
	if ok && (c.of.kind == kindNumber || c.feature != nil && c.feature.Type == dataset.Number) {
		return fmt.Sprintf(hash, c.of.sql(), seed)
	}
	return fmt.Sprintf(d.textHash, c.raw, seed)
}

// changed returns the error for a table that changed between two queries.
func (v *view) changed() error {
	return fmt.Errorf("%s was changed while it was read: "+
		"wait until nobody writes, or name a table or a snapshot that does not change, and run this again", v.Name())
}

// Check reports whether the table was changed since the source was made.
func (s *Source) Check(ctx context.Context) error {
	rows, _, print, err := s.v.fingerprint(ctx)
	if err == nil && (rows != s.rows || print != s.fingerprint) {
		err = s.v.changed()
	}
	return err
}

// is reports whether the rows are those of a model.
func (s *Source) is(of *model.Data) bool { return s.Data().SHA256 == of.SHA256 }

// hashedByText returns the source with the fingerprint that earlier versions took.
func (s *Source) hashedByText(ctx context.Context) (*Source, error) {
	if s.v.hashTexts {
		return s, nil
	}
	older, v := *s, *s.v
	older.v, v.hashTexts = &v, true
	var err error
	_, _, older.fingerprint, err = v.fingerprint(ctx)
	return &older, err
}

// aggregates are aggregates of one column, over cells of a subquery.
type aggregates struct{ cells, exprs []string }

// aggregate returns the aggregates of one snapshot, 0 for NULL, from as few queries as the
// engine's limit of columns allows; from has the cells of a query.
func (v *view) aggregate(ctx context.Context, what string, parts []aggregates, from func(cells []string) string,
) (out []float64, err error) {
	if len(parts) == 0 {
		return nil, nil
	}
	var queries []string
	var widths []int
	var cells, exprs []string
	for i, p := range parts {
		cells, exprs = append(cells, p.cells...), append(exprs, p.exprs...)
		if i+1 < len(parts) && len(exprs)+len(parts[i+1].exprs) <= v.d.columnLimit {
			continue
		}
		queries = append(queries, "SELECT "+strings.Join(exprs, ", ")+" "+from(cells))
		widths, cells, exprs = append(widths, len(exprs)), nil, nil
	}
	err = v.queryAll(ctx, what, queries, func(scan func(dest ...any) error) error {
		row, dest := nullable(widths[0])
		err := scan(dest...)
		for _, cell := range row {
			out = append(out, cell.Float64)
		}
		widths = widths[1:]
		return err
	})
	return out, err
}
