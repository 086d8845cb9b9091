package sqldata

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
	"churn/internal/model"
	"churn/internal/status"
	"churn/internal/strictjson"
)

// A Source is the cleaned customers of a table, ready to be trained on: model.Source.
// Which rows are in a part depends on the hash of the key and the seed alone.
type Source struct {
	v       *view
	quality *dataset.Quality
	rows    int    // of the table
	keyless int    // of them, those without a key
	print   string // fingerprint: changes with any cell that the schema or the key names

	seed      uint64               // of the hash
	hashes    dataset.HashRange    // of the rows' keys; nil: all rows
	described *dataset.Description // nil: not described yet
}

// Source puts the table to the schema's gates, and returns its rows.
// What is wrong with them is a refusal.
func (t *Table) Source(ctx context.Context, s *dataset.Schema, limits dataset.Limits) (*Source, error) {
	v, err := t.view(s, limits)
	if err != nil {
		return nil, err
	}
	out := &Source{v: v}
	if out.rows, out.keyless, out.print, err = v.fingerprint(ctx); err != nil {
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

// sharedKeys counts the keys that more than one row has.
func (s *Source) sharedKeys(ctx context.Context) (shared int, err error) {
	v := s.v
	query := fmt.Sprintf("SELECT count(*) FROM (SELECT %s AS k FROM %s t WHERE %s IS NOT NULL GROUP BY 1 HAVING count(*) > 1) g", v.key, v.sql, v.key)
	err = v.query(ctx, "counting the keys", query, func(scan func(...any) error) error { return scan(&shared) })
	return shared, err
}

// requireKeys rejects rows without a key: no part would have them.
func (s *Source) requireKeys() error {
	if s.keyless == 0 {
		return nil
	}
	return s.v.refuse("%s: %d rows have no key: name another column with --key, or give them one", s.v.keyName, s.keyless)
}

// SHA256 names the rows by what they are, whoever reads them and whatever the table is called.
func (s *Source) SHA256() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{s.v.keyName, fmt.Sprint(s.rows), s.print, fmt.Sprint(s.v.limits.DropInvalid)}, "\n")))
	return hex.EncodeToString(sum[:])
}

// Name is Table's.
func (s *Source) Name() string { return s.v.Name() }

// Rows returns the number of rows of the table, Key the column that identifies them,
// Quality what the checks found.
func (s *Source) Rows() int                 { return s.rows }
func (s *Source) Key() string               { return s.v.keyName }
func (s *Source) Quality() *dataset.Quality { return s.quality }

// Close ends the connections to the engine.
func (s *Source) Close() error { return s.v.Close() }

// fingerprint returns the number of rows, of those without a key, and the sum of a hash
// of each row, over the cells that the schema or the key names.
func (v *view) fingerprint(ctx context.Context) (rows, keyless int, print string, err error) {
	cells, keys := []string{v.target.raw}, "count(*)"
	for _, c := range v.columns {
		cells = append(cells, c.raw)
	}
	if v.key != "" {
		cells, keys = append(cells, v.d.asText(v.key)), fmt.Sprintf("count(%s)", v.key)
	}
	for i, c := range cells {
		cells[i] = fmt.Sprintf("COALESCE(%s, chr(30))", c)
	}
	hash := fmt.Sprintf(v.d.keyHash, strings.Join(cells, " || chr(31) || "), 0)
	query := fmt.Sprintf("SELECT count(*), count(*) - %s, COALESCE(%s, '0') FROM %s t", keys, fmt.Sprintf(v.d.hashSum, hash), v.sql)
	err = v.query(ctx, "taking the fingerprint", query, func(scan func(...any) error) error { return scan(&rows, &keyless, &print) })
	return rows, keyless, print, err
}

// changed is the error for a table that is not what it was.
func (v *view) changed() error {
	return fmt.Errorf("%s was changed while it was read: wait until nobody writes, or name a table or a snapshot that stays, and run this again", v.Name())
}

// Check tells whether the table is still what it was when the source was made.
func (s *Source) Check(ctx context.Context) error {
	rows, _, print, err := s.v.fingerprint(ctx)
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

// of returns the rows that are in some hash ranges.
func (s *Source) of(hashes dataset.HashRange, seed uint64) *Source {
	part := *s
	part.hashes, part.seed, part.described = hashes, seed, nil
	return &part
}

// Split is by the hash of the key and the seed.
func (s *Source) Split(testSize float64, seed uint64) (train, test model.Source, err error) {
	if testSize > 0 {
		test = s.of(dataset.TestRange(testSize), seed)
	}
	return s.of(dataset.TrainRange(testSize), seed), test, nil
}

// Folds are by the hash of the key and the seed. They have the description of all
// their rows, so a level of one fold alone has the weight 0. Folds of which the
// others have one class alone are rejected.
func (s *Source) Folds(ctx context.Context, n int, seed uint64) ([]model.Fold, error) {
	d, err := s.Describe(ctx)
	if err != nil {
		return nil, err
	}
	testSize := 0.0
	if s.hashes != nil {
		testSize = s.hashes[0].From
	}
	folds := make([]model.Fold, n)
	for k := range folds {
		in, out := dataset.FoldRange(testSize, k, n)
		held, rest := s.of(in, seed), s.of(out, seed)
		rest.described = d
		if err := rest.checkClasses(ctx, k, n); err != nil {
			return nil, err
		}
		folds[k] = model.Fold{Rest: rest, Held: held}
	}
	return folds, nil
}

// checkClasses rejects all folds but k of n if they have one class alone. Of many rows
// of either class some are in each fold: (1/5)⁵⁰ is the chance of none.
func (s *Source) checkClasses(ctx context.Context, k, n int) error {
	const many = 50
	d := s.described
	if min(d.Positives, d.Rows-d.Positives) >= many {
		return nil
	}
	counts, err := s.v.aggregate(ctx, "counting the classes", []string{"count(*)", "sum(y)"}, s.v.selection(s.hashes, s.seed, []string{s.v.class() + " AS y"}))
	if err != nil {
		return err
	}
	rows, positives := int(counts[0].Float64), int(counts[1].Float64)
	if positives > 0 && positives < rows {
		return nil
	}
	return status.Reject("%d rows of %d are positive: without fold %d of %d, chosen by the hash of the key, there are %d of %d: "+
		"more rows are needed, of either class", d.Positives, d.Rows, k+1, n, positives, rows)
}

// Describe summarises the rows, once.
func (s *Source) Describe(ctx context.Context) (*dataset.Description, error) {
	if s.described != nil {
		return s.described, nil
	}
	d, err := s.v.describe(ctx, s.hashes, s.seed)
	s.described = d
	return d, err
}

// CountLevels counts the rows of each level of the categories.
func (s *Source) CountLevels(ctx context.Context) ([]dataset.Summary, error) {
	out := make([]dataset.Summary, len(s.v.columns))
	return out, s.v.countLevels(ctx, out, s.hashes, s.seed)
}

// Pass adds up loss, gradient and Hessian in some queries.
func (s *Source) Pass(_ context.Context, design *logreg.Rows) (logreg.Pass, error) {
	return func(ctx context.Context, w []float64, sums *logreg.Sums) error {
		err := s.v.sum(ctx, s.hashes, s.seed, design, w, false, sums)
		if err == nil && sums.Rows == 0 {
			return status.Reject("0 training rows: too few values of the key for the share held out and the folds")
		}
		return err
	}, nil
}

// ScoreCovariance is that of logreg.Rows.
func (s *Source) ScoreCovariance(ctx context.Context, design *logreg.Rows, w []float64) (*logreg.Sums, error) {
	sums := logreg.NewSums(design.Width)
	return sums, s.v.sum(ctx, s.hashes, s.seed, design, w, true, sums)
}

// Predict counts the probabilities by bin.
func (s *Source) Predict(ctx context.Context, c model.Classifier) (model.Predictions, error) {
	b, err := s.v.histogram(ctx, s.hashes, s.seed, c.Design, c.Weights, c.Threshold)
	return predictions{b}, err
}

// Pair counts the answers of two classifiers.
func (s *Source) Pair(ctx context.Context, current, candidate model.Classifier) (metric.PairedCounts, error) {
	return s.v.pair(ctx, s.hashes, s.seed, [2]*logreg.Rows{current.Design, candidate.Design},
		[2][]float64{current.Weights, candidate.Weights}, [2]float64{current.Threshold, candidate.Threshold})
}

// Golden returns rows by the order of their hashes.
func (s *Source) Golden(ctx context.Context, d *dataset.Description, n int) ([][]dataset.Value, error) {
	return s.v.golden(ctx, s.hashes, s.seed, d.Rows, n)
}

// Prepared says where customers are that prepare has judged: registry/source.json.
type Prepared struct {
	URL         string `json:"url"` // without its secret
	Table       string `json:"table"`
	Key         string `json:"key"`
	Rows        int    `json:"rows"`
	Fingerprint string `json:"fingerprint"` // of the cells that schema and key name
	SharedKeys  int    `json:"shared_keys"` // values of the key that several rows have
	DropInvalid bool   `json:"drop_invalid"`

	Summaries map[string]dataset.Summary `json:"-"` // of the rows that are kept, by feature
}

// Prepare describes all rows. Rows without a key are rejected.
func (s *Source) Prepare(ctx context.Context) (*Prepared, error) {
	v := s.v
	if err := s.requireKeys(); err != nil {
		return nil, err
	}
	shared, err := s.sharedKeys(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.Describe(ctx)
	if err != nil {
		return nil, err
	}
	if d.Rows != s.quality.RowsKept {
		return nil, v.changed()
	}
	p := &Prepared{
		URL: v.url, Table: v.name, Key: v.keyName, Rows: s.rows, Fingerprint: s.print,
		SharedKeys: shared, DropInvalid: v.limits.DropInvalid, Summaries: map[string]dataset.Summary{},
	}
	for j, f := range v.schema.Features {
		p.Summaries[f.Name] = d.Columns[j]
	}
	return p, nil
}

// whereOf returns what a URL says of where, and not of who.
func whereOf(from string) string {
	u, err := url.Parse(from)
	if err != nil {
		return from
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// Wanted says what a table is opened for.
type Wanted struct {
	Dir    string // whose registry/source.json says what prepare has judged
	Schema *dataset.Schema
	Limits dataset.Limits
	Model  bool   // a model is judged: it needs no key, but that of its own rows
	Key    string // of its own rows, which the table may have
}

// OpenPrepared opens a table that prepare has judged. The key and what is left out
// are those of registry/source.json if that is of the same table. It warns if the
// table is another, or not what it was. The caller closes the source.
func OpenPrepared(ctx context.Context, o Options, w Wanted, stderr io.Writer) (s *Source, warnings []string, err error) {
	path := filepath.Join(w.Dir, "registry", "source.json")
	var p Prepared
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, nil, err
	default:
		if err := strictjson.Unmarshal(b, &p); err != nil {
			return nil, nil, fmt.Errorf("%s is not what prepare writes: run prepare again: %w", path, err)
		}
	}
	e, err := Open(ctx, o, stderr)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	same := whereOf(p.URL) == whereOf(e.url) && p.Table == o.Table
	if same {
		w.Limits.DropInvalid = p.DropInvalid
		if o.Key == "" && !w.Model {
			o.Key = p.Key
		}
	}
	if o.Key == "" && !w.Model {
		return nil, nil, errors.New("--from wants --key, the column that tells the customers apart, unless prepare has judged the same table")
	}
	t, err := e.OpenTable(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	if o.Key == "" && w.Key != "" && t.column(w.Key) != nil {
		if err := t.findKey(w.Key); err != nil {
			return nil, nil, err
		}
	}
	if s, err = t.Source(ctx, w.Schema, w.Limits); err != nil {
		return nil, nil, err
	}
	if !w.Model {
		if err := s.requireKeys(); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case !same:
		warnings = append(warnings, fmt.Sprintf("%s is not the table that prepare judged last, with registry/schema.json: unless that is meant, run prepare on it", t.Name()))
	case p.Rows != s.rows || p.Key == s.Key() && p.Fingerprint != s.print:
		warnings = append(warnings, fmt.Sprintf("%s was changed since prepare judged it (%d rows then, %d now): run prepare again", t.Name(), p.Rows, s.rows))
	}
	return s, warnings, nil
}
