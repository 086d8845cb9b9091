package warehouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
)

// A Source is the cleaned customers of a table, ready to be trained on: model.Source.
// The rows of a part hang on the hash of the key and the seed alone.
type Source struct {
	v       *view
	seed    uint64
	quality *dataset.Quality
	rows    int    // of the table
	print   string // fingerprint: changes with any cell that the schema or the key names
}

// Source puts the table to the schema's gates, and returns its rows by key and seed.
// What is wrong with them is a refusal.
func (t *Table) Source(ctx context.Context, s *dataset.Schema, limits dataset.Limits, seed uint64) (*Source, error) {
	v, err := t.view(s, limits)
	if err != nil {
		return nil, err
	}
	out := &Source{v: v, seed: seed}
	if out.rows, out.print, err = v.fingerprint(ctx); err != nil {
		return nil, err
	}
	if out.quality, err = v.judge(ctx); err != nil {
		return nil, err
	}
	if out.quality.RowsRead != out.rows {
		return nil, v.changed()
	}
	return out, nil
}

// keys returns how many rows have no key, and how many keys more than one row has.
func (s *Source) keys(ctx context.Context) (empty, shared int, err error) {
	v := s.v
	query := fmt.Sprintf(`SELECT COALESCE(sum(CASE WHEN k IS NULL THEN n ELSE 0 END), 0), COALESCE(sum(CASE WHEN k IS NOT NULL AND n > 1 THEN 1 ELSE 0 END), 0)
FROM (SELECT %s AS k, count(*) AS n FROM %s t GROUP BY 1) g`, v.key, v.sql)
	err = v.query(ctx, "counting the keys", query, func(scan func(...any) error) error { return scan(&empty, &shared) })
	return empty, shared, err
}

// SHA256 names the rows by what they are, whoever reads them and whatever the table is called.
func (s *Source) SHA256() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{s.v.keyName, fmt.Sprint(s.rows), s.print, fmt.Sprint(s.v.limits.DropInvalid)}, "\n")))
	return hex.EncodeToString(sum[:])
}

// Name is Table's.
func (s *Source) Name() string { return s.v.Name() }

// Rows returns the number of rows of the table, Kept those that cleaning has not left
// out, Key the column that tells them apart, Quality what the gates found.
func (s *Source) Rows() int                 { return s.rows }
func (s *Source) Kept() int                 { return s.quality.RowsKept }
func (s *Source) Key() string               { return s.v.keyName }
func (s *Source) Quality() *dataset.Quality { return s.quality }

// Close ends the connections to the engine.
func (s *Source) Close() error { return s.v.Close() }

// fingerprint returns the number of rows and the sum of a hash of each, over the
// cells that the schema or the key names.
func (v *view) fingerprint(ctx context.Context) (rows int, print string, err error) {
	cells := []string{v.target.raw}
	for _, c := range v.columns {
		cells = append(cells, c.raw)
	}
	if v.key != "" {
		cells = append(cells, v.d.asText(v.key))
	}
	for i, c := range cells {
		cells[i] = fmt.Sprintf("COALESCE(%s, chr(30))", c)
	}
	hash := fmt.Sprintf(v.d.keyHash, strings.Join(cells, " || chr(31) || "), 0)
	query := fmt.Sprintf("SELECT count(*), COALESCE(%s, '0') FROM %s t", fmt.Sprintf(v.d.hashSum, hash), v.sql)
	err = v.query(ctx, "taking the fingerprint", query, func(scan func(...any) error) error { return scan(&rows, &print) })
	return rows, print, err
}

// changed is the error for a table that is not what it was.
func (v *view) changed() error {
	return fmt.Errorf("%s was changed while it was read: wait until nobody writes, or name a table or a snapshot that stays, and run this again", v.Name())
}

// Check tells whether the table is still what it was when the source was made.
func (s *Source) Check(ctx context.Context) error {
	rows, print, err := s.v.fingerprint(ctx)
	if err == nil && (rows != s.rows || print != s.print) {
		err = s.v.changed()
	}
	return err
}

// Table returns a table without rows that has the schema and the levels.
func (s *Source) Table() *dataset.Table {
	t := dataset.NewTable(s.v.schema)
	for j := range t.Columns {
		t.Columns[j].Levels = s.v.columns[j].levels
	}
	return t
}

// Describe summarises the rows of a part.
func (s *Source) Describe(ctx context.Context, part dataset.Subset) (*dataset.Description, error) {
	return s.v.describe(ctx, part, s.seed)
}

// Levels summarises the categories of a part's rows.
func (s *Source) Levels(ctx context.Context, part dataset.Subset) ([]dataset.Summary, error) {
	out := make([]dataset.Summary, len(s.v.columns))
	return out, s.v.countLevels(ctx, out, part, s.seed)
}

// Sums adds what a pass over a part's rows adds, with meat what logreg's Meat does.
func (s *Source) Sums(ctx context.Context, part dataset.Subset, rows *logreg.Rows, w []float64, meat bool, sums *logreg.Sums) error {
	return s.v.sum(ctx, part, s.seed, rows, w, meat, sums)
}

// Histogram counts the probabilities of a part's rows.
func (s *Source) Histogram(ctx context.Context, part dataset.Subset, rows *logreg.Rows, w []float64, threshold float64) (metric.Binned, error) {
	return s.v.histogram(ctx, part, s.seed, rows, w, threshold)
}

// Pair counts the answers of two models, the current one first, to a part's rows.
func (s *Source) Pair(ctx context.Context, part dataset.Subset, rows [2]*logreg.Rows, w [2][]float64, thresholds [2]float64) (metric.Paired, error) {
	return s.v.pair(ctx, part, s.seed, rows, w, thresholds)
}

// Golden returns at most so many rows of a part that has rows, in the schema's order.
func (s *Source) Golden(ctx context.Context, part dataset.Subset, rows, most int) ([][]dataset.Value, error) {
	return s.v.golden(ctx, part, s.seed, rows, most)
}
