package sqldata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"churn/internal/dataset"
	"churn/internal/strictjson"
)

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
