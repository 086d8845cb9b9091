package training

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/progress"
	"churn/internal/registry"

	"github.com/go-json-experiment/json"
)

// A Source is customers that stay where they are.
type Source interface {
	model.Source
	Name() string                    // for messages and documents
	SHA256() string                  // of what they are: another for other customers
	Rows() int                       // of all
	Kept() int                       // of all, how many cleaning has not left out
	Key() string                     // the column whose hash says which are held out
	Check(ctx context.Context) error // whether they are still the same
	Close() error
}

// customers are those to train on: a table in memory, or a source.
type customers struct {
	name   string // in messages
	table  *dataset.Table
	source Source
	data   model.Data
	doubts []string
}

// load reads prepared data by the schema that prepare left in the registry.
func load(ctx context.Context, o Options) (c *customers, err error) {
	schema, err := dataset.ReadSchema(filepath.Join(o.Dir, "registry", "schema.json"))
	if err != nil {
		return nil, hintPrepare(err, o)
	}
	c = &customers{name: o.file(), data: model.Data{File: o.In}}
	if o.Open != nil {
		err = c.open(ctx, o, schema)
	} else {
		err = c.read(ctx, o, schema)
	}
	if err != nil {
		return nil, err
	}
	stats, err := os.ReadFile(filepath.Join(o.Dir, "registry", "train_stats.json"))
	if err == nil {
		c.data.StatsSHA256 = registry.SHA256(stats)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return c, nil
}

func (c *customers) open(ctx context.Context, o Options, schema *dataset.Schema) (err error) {
	if c.source, c.doubts, err = o.Open(ctx, schema); err != nil {
		return err
	}
	c.name = c.source.Name()
	c.data = model.Data{File: c.name, SHA256: c.source.SHA256(), Rows: c.source.Rows(), Key: c.source.Key()}
	return nil
}

func (c *customers) read(ctx context.Context, o Options, schema *dataset.Schema) error {
	if o.In == "" {
		c.data.File = "data/processed.csv" // as the lab writes it, whatever the folder
	}
	f, bar, err := progress.File(o.Stderr, "reading", o.file())
	if err != nil {
		return hintPrepare(err, o)
	}
	defer f.Close()
	defer bar.Finish()
	hash := sha256.New()
	c.table, err = dataset.ReadTable(ctx, io.TeeReader(bar.Reader(f), hash), o.file(), schema, dataset.Limits{MaxMissing: 1})
	if err != nil {
		return err
	}
	c.data.SHA256, c.data.Rows = hex.EncodeToString(hash.Sum(nil)), c.table.Rows()
	c.doubts = checkPrepared(o, c.data)
	return nil
}

// train fits a model. A source that has changed meanwhile is an error.
func (c *customers) train(ctx context.Context, o Options) (*model.Model, error) {
	if c.source != nil {
		m, err := model.TrainFrom(ctx, c.source, o.Options)
		if err != nil {
			return nil, err
		}
		if err := c.source.Check(ctx); err != nil {
			return nil, err
		}
		parts := m.Training.Rows
		if m.FiguresOn == model.OnTest {
			parts += m.Figures.Rows
		}
		if none := c.source.Kept() - parts; none > 0 {
			return nil, cli.No("%s: %d rows have no key, so they are in no part: name another column with --key, or give them one", cli.Printable(c.source.Key()), none)
		}
		return m, nil
	}
	bar := progress.Rows(o.Stderr, "fitting", 0)
	defer bar.Finish()
	o.Progress = func(rows int) { bar.Add(int64(rows)) }
	return model.Train(ctx, c.table, o.Options)
}

func (c *customers) close() {
	if c.source != nil {
		c.source.Close()
	}
}

// checkPrepared returns a warning if the data is not what prepare wrote with the
// schema: somebody edited it, which is theirs to do, or a prepare was killed
// between its files.
func checkPrepared(o Options, data model.Data) []string {
	b, err := os.ReadFile(filepath.Join(o.Dir, "registry", "quality.json"))
	if o.In != "" || err != nil {
		return []string{} // other data than prepare's, or nothing to compare it with
	}
	var quality struct {
		ProcessedSHA256 string `json:"processed_sha256"`
	}
	if err := json.Unmarshal(b, &quality); err == nil && quality.ProcessedSHA256 == data.SHA256 {
		return []string{}
	}
	return []string{o.file() + " is not what prepare wrote last, with registry/schema.json: unless you edited it, run prepare again"}
}

// hintPrepare says what to do where prepared data is missing.
func hintPrepare(err error, o Options) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if b, readErr := os.ReadFile(filepath.Join(o.Dir, "registry", "source.json")); readErr == nil && o.Open == nil && o.In == "" {
		var source struct{ URL, Table string }
		if json.Unmarshal(b, &source, json.MatchCaseInsensitiveNames(true)) == nil {
			return fmt.Errorf("%w: prepare judged customers that stay in a database: name it here too, --from %s --table %s", err, source.URL, source.Table)
		}
	}
	return fmt.Errorf("%w: run prepare first", err)
}
