package training

import (
	"bytes"
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
	"runtime/debug"
	"slices"

	"churn/internal/cli"
	"churn/internal/csvdata"
	"churn/internal/datacheck"
	"churn/internal/dataset"
	"churn/internal/filedata"
	"churn/internal/input"
	"churn/internal/metric"
	"churn/internal/model"
	"churn/internal/progress"
	"churn/internal/sqldata"
	"churn/internal/status"
	"churn/internal/streamdata"

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

	quality *dataset.Quality // of rows that are streamed from a file; nil of others
	clean   bool             // prepare has checked the same rows, and found nothing that checkData looks for
}

// Open opens customers in a file or in a database, by the schema of a model to evaluate on them, or if
// of is nil by prepare's.
func Open(ctx context.Context, o Options, schema *dataset.Schema, of *model.Model) (*Customers, error) {
	limits := dataset.Limits{MaxMissing: 1, Known: of != nil, DropOpen: of != nil, Time: o.TimeColumn}
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
		wanted.Of = &of.Data
	}
	source, warnings, err := sqldata.OpenPrepared(ctx, o.Database.Options, wanted, o.Stderr)
	if err != nil {
		return nil, err
	}
	data := source.Data()
	c := &Customers{
		Source: source, Name: data.File, Warnings: warnings, Data: data,
		Check: source.Check, Finish: func() {}, Close: func() { source.Close() },
	}
	testSize, seed := o.TestSize, o.Seed
	if of != nil {
		testSize, seed = of.Training.TestSize, of.Training.Seed
	}
	const cell = 8 // bytes: at most 16 MB in all, which only a --memory of less prevents
	if data.Rows <= model.StartSize(source) && int64(data.Rows*len(schema.Features)*cell) <= o.memory() {
		c.Source, err = source.Fetch(ctx, testSize, seed)
	} else if of == nil {
		err = source.RequireFewSums()
	}
	if err != nil {
		source.Close()
		return nil, err
	}
	return c, nil
}

// memory returns the bytes for the rows.
func (o *Options) memory() int64 { return cmp.Or(o.Memory, cli.AvailableMemory()/4*3) }

func (o *Options) read(ctx context.Context, schema *dataset.Schema, limits dataset.Limits,
	of *model.Model) (*Customers, error) {
	processed := filepath.Join(o.Dir, "data", "processed.csv")
	o.Form.Ignore = schema.Ignore
	f, err := filedata.Open(ctx, cmp.Or(o.In, processed), o.Form, o.Stderr)
	if err != nil {
		if of == nil || o.In == "" {
			err = o.hintPrepare(err)
		}
		return nil, err
	}
	defer f.Close()
	limits.Plain = of == nil || o.In == "" || input.SameFile(o.In, processed)
	if of != nil && limits.Plain {
		if err := o.checkDays(f.Name, of.Schema); err != nil {
			return nil, err
		}
	}
	c, err := o.load(ctx, f, schema, limits, of)
	if err != nil {
		return nil, err
	}
	if of != nil {
		c.Warnings = append(c.Warnings, c.blanks()...)
		if of.Data.SHA256 == c.Data.SHA256 && of.Data.Key != c.Data.Key && of.Training.TestSize > 0 {
			c.Close()
			return nil, fmt.Errorf("%s: the model's test rows were chosen in memory: raise --memory", c.Name)
		}
	}
	if o.In == "" {
		c.Data.File = "data/processed.csv" // as the reference lab writes it, whatever the folder
		if of == nil {
			c.Warnings = append(c.Warnings, o.checkPrepared(c)...)
		}
	}
	return c, nil
}

// checkDays rejects prepared customers whose dates are not counted from where a model's schema counts them.
func (o *Options) checkDays(name string, of *dataset.Schema) error {
	if o.AsOf != "" {
		return fmt.Errorf("%s: its dates are days already: --as-of goes with --in, the file of an export", name)
	}
	if prepared, err := dataset.ReadSchema(filepath.Join(o.Dir, "registry", "schema.json")); err == nil {
		for column := range of.DaysAfter(prepared) {
			return fmt.Errorf("%s: %s is days before another date than in the model: evaluate it with --in on the file "+
				"that was prepared", name, cli.Printable(column))
		}
	}
	return nil
}

// load reads the customers of a file: into memory, or if they are too large for that into a temporary file.
func (o *Options) load(ctx context.Context, f *filedata.Table, schema *dataset.Schema, limits dataset.Limits,
	of *model.Model) (*Customers, error) {
	source, err := f.Read("reading")
	if err != nil {
		return nil, err
	}
	for _, note := range source.Notes {
		fmt.Fprintf(o.Stderr, "%s: %s\n", o.By, note)
	}
	why, err := o.tooLarge(&source, schema, limits, of)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	source.Reader = io.TeeReader(source.Reader, hash)
	c := &Customers{Name: f.Name, Data: model.Data{File: f.Name}, Check: func(context.Context) error { return nil }}
	var table *dataset.Table
	var streamed *streamdata.Source // or instead
	if why == "" {
		table, err = csvdata.ReadTable(ctx, source, schema, limits)
	} else {
		fmt.Fprintf(o.Stderr, "%s: %s: %s\n", o.By, f.Name, why)
		streamed, c.quality, err = streamdata.Open(ctx, f, source, schema, limits, filepath.Join(o.Dir, "data"))
	}
	if err != nil {
		return nil, err
	}
	fitting := progress.Rows(o.Stderr, "fitting", 0)
	c.Data.SHA256 = hex.EncodeToString(hash.Sum(nil))
	c.Progress, c.Finish, c.Close = func(rows int) { fitting.Add(int64(rows)) }, fitting.Finish, fitting.Finish
	open := 0
	if streamed == nil {
		c.Source, c.Data.Rows, open = model.InMemory(table), table.Rows(), table.Open
	} else {
		c.Source, c.Data.Rows, c.Data.Key, open = streamed, c.quality.RowsKept, streamdata.Key, c.quality.RowsOpen
		c.Close = func() { fitting.Finish(); streamed.Close() }
	}
	if open > 0 {
		c.Warnings = append(c.Warnings,
			fmt.Sprintf("%d rows are left out, since their outcome is open or a third value", open))
	}
	return c, nil
}

// tooLarge returns why the rows of a file are streamed and what that costs; "" if they are held in
// memory. It looks at the first ones. Rows that a model was trained on are streamed again to find
// its test rows.
func (o *Options) tooLarge(s *csvdata.Source, schema *dataset.Schema, limits dataset.Limits, of *model.Model,
) (string, error) {
	const first, gib = 1 << 20, 1 << 30
	if s.Size == 0 { // it is packed, or no text
		return "", nil
	}
	start, err := io.ReadAll(io.LimitReader(s.Reader, first))
	s.Reader = io.MultiReader(bytes.NewReader(start), s.Reader)
	if err != nil || len(start) == 0 {
		return "", err
	}
	each := int64(32) // bytes of a row beside its cells: its number, class, order and probability
	if of == nil && (o.TestSize == 0 || o.Tune != model.TuneNone) {
		each += 60 // for folds: measured
	}
	cells := int64(1)
	for _, f := range schema.Features {
		if cells += 2; f.Type == dataset.Number {
			cells += 6 // at most
		}
	}
	rows := int64(float64(bytes.Count(start, []byte{'\n'})) / float64(len(start)) * float64(s.Size))
	need, memory := rows*(each+cells), o.memory()
	why := ""
	if need > memory {
		why = fmt.Sprintf("some %d rows may take %.3g GiB of memory, --memory is %.3g", rows, float64(need)/gib,
			float64(memory)/gib)
	}
	if of != nil && of.Data.Key == streamdata.Key {
		why = "the model was trained on rows beyond --memory"
	}
	switch {
	case why == "":
		if os.Getenv("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(memory) // Go collects more often as it comes near
		}
		return "", nil
	case limits.Time != "" || o.Actions.Segment != "":
		fmt.Fprintf(o.Stderr, "%s: %s, but times and --segment need all rows there\n", o.By, why)
		return "", nil
	}
	return fmt.Sprintf("%s: a temporary file in data takes up to %.3g GiB, which each pass reads", why,
		float64(rows*cells)/gib), nil
}

// blanks names features with missing cells that were never missing in the training rows.
func (c *Customers) blanks() (warnings []string) {
	t := c.Table()
	for j := range t.Schema.Features {
		f, n := &t.Schema.Features[j], 0
		if f.Optional {
			continue
		}
		for i := range t.Rows() {
			n += metric.Indicator(t.Value(i, j).Missing)
		}
		if c.quality != nil {
			n = c.quality.Columns[j].Missing
		}
		if n > 0 {
			warnings = append(warnings, fmt.Sprintf("%d of %d rows have no %s, which was never missing in training: "+
				"the service rejects such customers", n, c.Data.Rows, cli.Printable(f.Name)))
		}
	}
	return warnings
}

// checkData adds what datacheck finds in rows in memory to the warnings; with Strict it is an error.
func (o *Options) checkData(c *Customers) error {
	t := c.Table()
	if t.Rows() == 0 || o.Database.Given() || c.clean {
		return nil // prepare has checked them
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
	var quality dataset.Quality
	if err := json.Unmarshal(b, &quality); err == nil && quality.ProcessedSHA256 == c.Data.SHA256 {
		c.clean = datacheck.Clean(&quality, c.Table().Schema)
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
