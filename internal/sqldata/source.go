package sqldata

import (
	"cmp"
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
	"churn/internal/model"
	"churn/internal/sqlterms"
	"churn/internal/strictjson"
)

// A Source is the cleaned rows of a table, or the part of them whose keys have certain
// hashes: a model.Source. The rows of a part depend on the keys and the seed only.
type Source struct {
	v           *view
	quality     *dataset.Quality
	rows        int    // of the table
	keyless     int    // of them, those without a key
	fingerprint string // changes with any cell of the schema's columns and the key

	described *dataset.Description // nil until Describe
	sampled   *dataset.Table       // the last sample, of at most sampledTo rows
	sampledTo int
}

// Source checks the table against the schema, as csvdata.Clean does a file, and returns
// its rows. Data that fails the checks is a *dataset.ValidationError.
func (t *Table) Source(ctx context.Context, s *dataset.Schema, limits dataset.Limits) (*Source, error) {
	v, err := t.view(s, limits)
	if err != nil {
		return nil, err
	}
	out := &Source{v: v}
	if out.rows, out.keyless, out.fingerprint, err = v.fingerprint(ctx); err != nil {
		return nil, err
	}
	if out.quality, err = v.validate(ctx); err != nil {
		return nil, err
	}
	if out.quality.RowsRead != out.rows {
		return nil, v.changed()
	}
	return out, nil
}

// Data returns where the rows are from, identified by their content, whatever the table is called.
func (s *Source) Data() model.Data {
	parts := []string{s.v.keyName, fmt.Sprint(s.rows), s.fingerprint, fmt.Sprint(s.v.limits.DropInvalid)}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return model.Data{File: s.v.Name(), SHA256: hex.EncodeToString(sum[:]), Rows: s.rows, Key: s.v.keyName}
}

// Quality returns what the checks found.
func (s *Source) Quality() *dataset.Quality { return s.quality }

// Close ends the connections to the engine.
func (s *Source) Close() error { return s.v.Close() }

// Table returns a table with the schema and the levels, without rows.
func (s *Source) Table() *dataset.Table {
	t := dataset.NewTable(s.v.schema)
	for j := range t.Columns {
		t.Columns[j].Levels = s.v.columns[j].levels
	}
	return t
}

// of returns the rows whose keys have hashes in some ranges.
func (s *Source) of(hashes dataset.HashRange, seed uint64) *Source {
	part := *s
	part.v, part.described, part.sampled, part.sampledTo = s.v.of(hashes, seed), nil, nil, 0
	return &part
}

// Split is by the hash of the key and the seed.
func (s *Source) Split(testSize float64, seed uint64) (train, test model.Source, err error) {
	if testSize > 0 {
		test = s.of(dataset.TestRange(testSize), seed)
	}
	return s.of(dataset.TrainRange(testSize), seed), test, nil
}

// Folds are by the hash of the key and the seed. They share the description of all their
// rows, so a level of one fold only has the weight 0.
func (s *Source) Folds(ctx context.Context, n int, seed uint64) (func(k int) (rest, held model.Source), error) {
	d, err := s.Describe(ctx)
	if err != nil {
		return nil, err
	}
	if err := model.RequireClasses(d); err != nil {
		return nil, err
	}
	return func(k int) (model.Source, model.Source) {
		in, out := dataset.FoldRange(s.v.testSize(), k, n)
		rest, held := s.of(out, seed), s.of(in, seed)
		rest.described = d
		return rest, held
	}, nil
}

// Describe summarises the rows, once.
func (s *Source) Describe(ctx context.Context) (*dataset.Description, error) {
	const many = 4 // times the rows of a sample, which are worth its query
	if s.described != nil {
		return s.described, nil
	}
	var sample *dataset.Table
	var err error
	if n := model.StartSize(s); s.size() >= float64(many*n) {
		if sample, _, err = s.Sample(ctx, n, s.v.seed); err != nil {
			return nil, err
		}
	}
	s.described, err = s.v.describe(ctx, sample)
	return s.described, err
}

// size returns about how many rows there are.
func (s *Source) size() float64 {
	share := 0.0
	for _, part := range s.v.hashes {
		share += part.To - part.From
	}
	if s.v.hashes == nil {
		share = 1
	}
	return share * float64(s.quality.RowsKept)
}

// CountLevels counts the rows of each level of the categories.
func (s *Source) CountLevels(ctx context.Context) ([]dataset.Summary, error) {
	out := make([]dataset.Summary, len(s.v.columns))
	if levels := s.v.countLevels(out); len(levels.groups) > 0 {
		return out, s.v.rank(ctx, nil, levels)
	}
	return out, nil
}

// Pass adds up loss, gradient and Hessian in a few queries.
func (s *Source) Pass(_ context.Context, design *logreg.Rows) (logreg.Pass, error) {
	return func(ctx context.Context, w []float64, sums *logreg.Sums) error {
		return cmp.Or(s.v.sum(ctx, design, w, sums), requireRows(sums))
	}, nil
}

// Prepared is registry/source.json: the table that prepare has checked.
type Prepared struct {
	URL         string `json:"url"` // without secrets
	Table       string `json:"table"`
	Key         string `json:"key"`
	Rows        int    `json:"rows"`
	Fingerprint string `json:"fingerprint"` // of the cells of the schema's columns and the key
	SharedKeys  int    `json:"shared_keys"` // values of the key that several rows have
	DropInvalid bool   `json:"drop_invalid"`

	Summaries map[string]dataset.Summary `json:"-"` // of the rows that were not left out, by feature
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
		URL: v.url, Table: v.name, Key: v.keyName, Rows: s.rows, Fingerprint: s.fingerprint,
		SharedKeys: shared, DropInvalid: v.limits.DropInvalid, Summaries: map[string]dataset.Summary{},
	}
	for j, f := range v.schema.Features {
		p.Summaries[f.Name] = d.Columns[j]
		s.quality.Columns[j].Describe(&d.Columns[j], d.Scalings[j].Median)
	}
	return p, nil
}

// sharedKeys counts the keys that several rows have.
func (s *Source) sharedKeys(ctx context.Context) (shared int, err error) {
	if query := s.v.d.unique; query != "" {
		indexes, name := 0, s.v.column(s.v.keyName).name
		query = expand(query, sqlterms.QuoteText(s.v.sql), sqlterms.QuoteText(name))
		err = s.v.each(ctx, "looking for an index", query, []any{&indexes}, func() {})
		if err != nil || indexes > 0 {
			return 0, err
		}
	}
	query := fmt.Sprintf("SELECT count(*) FROM (SELECT %[1]s AS k FROM %[2]s t "+
		"WHERE %[1]s IS NOT NULL GROUP BY 1 HAVING count(*) > 1) g", s.v.key, s.v.sql)
	err = s.v.each(ctx, "counting the keys", query, []any{&shared}, func() {})
	return shared, err
}

// requireKeys rejects rows without a key: no part would contain them.
func (s *Source) requireKeys() error {
	if s.keyless == 0 {
		return nil
	}
	return s.v.reject("%s: %d rows have no key: name another column with --key, or give them one", s.v.keyName, s.keyless)
}

// RequireFewSums rejects a table that training in the database would take hours for:
// a pass adds up the products of each two columns, some 180,000 sums with this many.
func (s *Source) RequireFewSums() error {
	const most = 600
	groups, _ := s.v.levelGroups()
	n := len(groups)
	for i := range s.v.columns {
		if s.v.columns[i].feature.Type == dataset.Number {
			n++
		}
	}
	if n <= most {
		return nil
	}
	return s.v.reject("%d numbers and groups of categories are too many to train on in a database, "+
		"which takes %d at most: have prepare --ignore some, "+
		"or copy the table to a file, and prepare and train on that", n, most)
}

// location returns the parts of a URL that say which database it is of.
func location(from string) string {
	u, err := url.Parse(from)
	if err != nil {
		return from
	}
	parts := []string{u.Scheme, u.Host, u.Path}
	for _, name := range []string{"host", "port", "dbname", "database", "service"} {
		parts = append(parts, u.Query().Get(name))
	}
	return strings.Join(parts, "\n")
}

// Wanted says what a table is opened for.
type Wanted struct {
	Dir    string // has registry/source.json
	Schema *dataset.Schema
	Limits dataset.Limits
	Of     *model.Data // of a model to evaluate, which needs no key but to leave out its training rows
}

// OpenPrepared opens a table that prepare has checked. The key, and whether invalid rows
// are left out, are those of registry/source.json if that is of the same table. Warnings
// tell if it is of another, or if the table was changed. The caller closes the source.
func OpenPrepared(ctx context.Context, o Options, w Wanted, stderr io.Writer,
) (s *Source, warnings []string, err error) {
	p, err := readPrepared(filepath.Join(w.Dir, "registry", "source.json"))
	if err != nil {
		return nil, nil, err
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
	same := location(p.URL) == location(e.url) && p.Table == o.Table
	if same {
		w.Limits.DropInvalid = p.DropInvalid
		if o.Key == "" && w.Of == nil {
			o.Key = p.Key
		}
	}
	if o.Key == "" && w.Of == nil {
		return nil, nil, errors.New("--from needs --key, the column that identifies a customer, " +
			"unless prepare has checked the same table")
	}
	t, err := e.OpenTable(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	if o.Key == "" && w.Of != nil && t.column(w.Of.Key) != nil {
		if err := t.findKey(w.Of.Key); err != nil {
			return nil, nil, err
		}
	}
	if s, err = t.Source(ctx, w.Schema, w.Limits); err != nil {
		return nil, nil, err
	}
	if w.Of == nil {
		if err := s.requireKeys(); err != nil {
			return nil, nil, err
		}
	}
	changed := p.Rows != s.rows || p.Key == s.v.keyName && p.Fingerprint != s.fingerprint
	if w.Of == nil && same && changed && p.Rows == s.rows || w.Of != nil && w.Of.Rows == s.rows && !s.is(w.Of) {
		older, err := s.hashedByText(ctx)
		if err != nil {
			return nil, nil, err
		}
		changed = changed && p.Fingerprint != older.fingerprint
		if w.Of != nil && older.is(w.Of) {
			s = older
		}
	}
	switch {
	case !same:
		warnings = append(warnings, t.Name()+" is not the table that prepare checked last, with registry/schema.json: "+
			"unless that is intended, run prepare on it")
	case changed:
		warnings = append(warnings, fmt.Sprintf("%s was changed since prepare checked it "+
			"(%d rows then, %d now): run prepare again", t.Name(), p.Rows, s.rows))
	}
	return s, warnings, nil
}

// readPrepared reads registry/source.json. The zero value is for a file that does not exist.
func readPrepared(path string) (p Prepared, err error) {
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, nil
	case err != nil:
		return p, err
	}
	if err := strictjson.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("%s is not what prepare writes: run prepare again: %w", path, err)
	}
	return p, nil
}
