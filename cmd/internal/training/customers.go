package training

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"churn/internal/cli"
	"churn/internal/csvdata"
	"churn/internal/datacheck"
	"churn/internal/dataset"
	"churn/internal/filedata"
	"churn/internal/model"
	"churn/internal/progress"
	"churn/internal/sqldata"
	"churn/internal/status"

	"github.com/go-json-experiment/json"
)

// Customers are the rows to train on or to evaluate with, and where they come from.
type Customers struct {
	model.Source
	Name     string // for messages
	Data     model.Data
	Warnings []string

	Check    func(ctx context.Context) error // whether the rows are still the same
	Progress func(rows int)                  // to be called after each pass; nil if the source shows progress itself
	Finish   func()                          // ends the display of progress
	Close    func()                          // after which the rows cannot be compared either
}

// Open opens the customers to evaluate a model on.
func Open(ctx context.Context, o Options, m *model.Model) (*Customers, error) {
	return open(ctx, o, m.Schema, m)
}

// open opens customers in a file or in a database, by the schema of a model, or if of
// is nil by prepare's.
func open(ctx context.Context, o Options, schema *dataset.Schema, of *model.Model) (*Customers, error) {
	limits := dataset.Limits{MaxMissing: 1, Known: of != nil, Time: o.TimeColumn}
	if of != nil {
		limits.Time = of.Training.TimeColumn
	}
	if slices.Contains(schema.Columns(), limits.Time) {
		return nil, fmt.Errorf("--time-column %s is a feature or the target: prepare it with that flag, or take another",
			cli.Printable(limits.Time))
	}
	const most = 5000 // features: a fit holds several matrices of their square, 200 MB each
	if n := len(schema.Features); n > most {
		return nil, fmt.Errorf("%d features, at most %d can be fitted: leave columns out with prepare --ignore", n, most)
	}
	if s := o.Actions.Segment; s != "" && schema.Index(s) < 0 {
		return nil, fmt.Errorf("--segment %q is no feature of the schema, nor are the target and ignored columns", s)
	}
	if o.Database.Given() {
		return o.query(ctx, schema, limits, of)
	}
	return o.read(ctx, schema, limits, of)
}

func (o *Options) query(ctx context.Context, schema *dataset.Schema, limits dataset.Limits,
	of *model.Model) (*Customers, error) {
	wanted := sqldata.Wanted{Dir: o.Dir, Schema: schema, Limits: limits}
	if of != nil {
		wanted.Model, wanted.Key = true, of.Data.Key
	}
	source, warnings, err := sqldata.OpenPrepared(ctx, o.Database.Options, wanted, o.Stderr)
	if err != nil {
		return nil, err
	}
	return &Customers{
		Source: source, Name: source.Name(), Warnings: warnings,
		Data:  model.Data{File: source.Name(), SHA256: source.SHA256(), Rows: source.Rows(), Key: source.Key()},
		Check: source.Check, Finish: func() {}, Close: func() { source.Close() },
	}, nil
}

func (o *Options) read(ctx context.Context, schema *dataset.Schema, limits dataset.Limits,
	of *model.Model) (*Customers, error) {
	f, err := filedata.Open(ctx, cmp.Or(o.In, filepath.Join(o.Dir, "data", "processed.csv")), o.Form, o.Stderr)
	if err != nil {
		if of == nil || o.In == "" {
			err = o.hintPrepare(err)
		}
		return nil, err
	}
	defer f.Close()
	name := f.Name
	limits.Plain = of == nil || o.In == "" || sameFile(o.In, filepath.Join(o.Dir, "data", "processed.csv"))
	source, err := f.Read("reading")
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	source.Reader = io.TeeReader(source.Reader, hash)
	table, err := csvdata.ReadTable(ctx, source, schema, limits)
	if err != nil {
		return nil, err
	}
	for _, note := range source.Notes {
		fmt.Fprintf(o.Stderr, "%s: %s\n", o.By, note)
	}
	var warnings []string
	if of != nil {
		warnings = append(warnings, blanks(table)...)
	}
	fitting := progress.Rows(o.Stderr, "fitting", 0)
	c := &Customers{
		Source: model.InMemory(table, nil), Name: name,
		Data: model.Data{File: name, SHA256: hex.EncodeToString(hash.Sum(nil)), Rows: table.Rows()}, Warnings: warnings,
		Check:    func(context.Context) error { return nil },
		Progress: func(rows int) { fitting.Add(int64(rows)) },
		Finish:   fitting.Finish, Close: fitting.Finish,
	}
	if o.In == "" {
		c.Data.File = "data/processed.csv" // as the reference lab writes it, whatever the folder
		if of == nil {
			c.Warnings = append(c.Warnings, o.checkPrepared(c)...)
		}
	}
	return c, nil
}

// blanks names features with missing cells that were never missing in the training rows.
func blanks(t *dataset.Table) (warnings []string) {
	for j := range t.Schema.Features {
		f := &t.Schema.Features[j]
		n := 0
		for i := 0; i < t.Rows() && !f.Optional; i++ {
			if t.Value(i, j).Missing {
				n++
			}
		}
		if n > 0 {
			warnings = append(warnings, fmt.Sprintf("%d of %d rows have no %s, which was never missing in training: "+
				"the service rejects such customers", n, t.Rows(), cli.Printable(f.Name)))
		}
	}
	return warnings
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// checkData adds what datacheck finds in rows in memory to the warnings; with Strict it is an error.
func (o *Options) checkData(c *Customers) error {
	t := c.Table()
	if t.Rows() == 0 {
		return nil // they are in a database
	}
	found, err := datacheck.Table(t, func() (test []int32, err error) {
		if t.Times != nil {
			parts, _ := dataset.SplitByTime(t.Times, 1-o.TestSize)
			test = parts[1]
		} else if o.TestSize > 0 {
			_, test, err = dataset.Split(t.Positive, o.TestSize, o.Seed)
		}
		return test, err
	})
	if err != nil {
		return status.Reject("%s: %w", c.Name, err)
	}
	if o.Strict {
		q := dataset.Quality{File: c.Name, Findings: found}
		return q.Refuse()
	}
	for i := range found {
		issue := found[i].Issue(c.Name)
		c.Warnings = append(c.Warnings, issue.String())
	}
	return nil
}

// checkPrepared returns a warning if the data is not what prepare wrote with the
// schema: somebody edited it, which is allowed, or a prepare was killed between its files.
func (o *Options) checkPrepared(c *Customers) []string {
	b, err := os.ReadFile(filepath.Join(o.Dir, "registry", "quality.json"))
	if err != nil {
		return nil // nothing to compare it with
	}
	var quality struct {
		ProcessedSHA256 string `json:"processed_sha256"`
	}
	if err := json.Unmarshal(b, &quality); err == nil && quality.ProcessedSHA256 == c.Data.SHA256 {
		return nil
	}
	return []string{c.Name + " is not what prepare wrote last, with registry/schema.json: " +
		"unless you edited it, run prepare again"}
}

// hintPrepare says what to do where prepared data is missing.
func (o *Options) hintPrepare(err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, readErr := os.ReadFile(filepath.Join(o.Dir, "registry", "source.json"))
	var source struct{ URL, Table string }
	named := o.Database.Given() || o.In != ""
	if readErr == nil && !named && json.Unmarshal(b, &source, json.MatchCaseInsensitiveNames(true)) == nil {
		return fmt.Errorf("%w: prepare checked customers in a database: name it here too, --from %s --table %s",
			err, source.URL, source.Table)
	}
	return fmt.Errorf("%w: run prepare first", err)
}
