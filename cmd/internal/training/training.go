// Package training is what train and evaluate share: one training run, from prepared
// data to a registered model. The two differ in how the threshold is picked and in the
// gate's default.
package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"churn/cmd/internal/database"
	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/filedata"
	"churn/internal/logreg"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/registry"
	"churn/internal/replay"
	"churn/internal/status"

	"github.com/spf13/cobra"
)

// GCPercent lets the heap of a run grow in fewer steps: train takes a tenth less time for a million
// rows, and 20 MB more.
const GCPercent = 200

// Options are the flags of train and evaluate.
type Options struct {
	Dir    string // that holds data, registry, models and logs
	In     string // prepared data, or with a model any; "" is DIR/data/processed.csv
	Form   filedata.Options
	AsOf   string   // with a model: date of the export, from which days are counted back; "": the schema's
	Memory int64    // bytes for the rows of a file; 0: three quarters of what there is
	GateF1 *float64 // nil: none
	Logs   []string // patterns of the logs whose customers a model with other columns must score; nil: the default
	JSON   bool
	Strict bool      // findings about the rows are an error
	By     string    // train or evaluate
	Stderr io.Writer // shows progress, if it is a terminal

	c, pairs, gate string  // flags, until Check reads them
	builtInGate    float64 // least F1 of a model of the built-in schema, unless a gate is given

	Database database.Flags // if given, the customers are there and not in a file
	Compare  bool           // report the comparison with the current model, and the curves
	Actions  model.ActionOptions

	Candidate bool // register the model, and change no pointer
	Force     bool // train for another target, and promote a model that can score no logged customer

	// Rehearse, if not nil, replays records with the model before it is registered: of Logs, in which
	// tables of a database are files, the Last ones, or with 0 all. Its error ends the run there.
	Rehearse func(ctx context.Context, m *model.Model, logs []string) (*replay.Result, error)
	Last     int
	model.Options
}

// Flags declares the flags that train and evaluate share.
func Flags(cmd *cobra.Command, o *Options, gateF1 float64, terms string) {
	o.By, o.Stderr = cmd.Name(), cmd.ErrOrStderr()
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.StringVar(&o.In, "in", "", "prepared `file` to train on (default DIR/data/processed.csv)")
	cli.SizeVar(f, &o.Memory, "memory", 0, "memory in `bytes`, such as 2GB, for the rows: where they need more each pass "+
		"reads them again, or the database; 0: three quarters of the cgroup's or the machine's")
	f.StringVar(&o.Version, "version", "v1", "logical `version` of the model: letters, digits, '.', '_' and '-'")
	f.Uint64Var(&o.Seed, "seed", 42, "seed of the split and the folds")
	o.builtInGate = gateF1
	f.StringVar(&o.gate, "gate-f1", "", fmt.Sprintf("minimum `F1`, 0 to 1, in addition to the gate of skill "+
		"(default %.2f with the built-in schema, else none)", gateF1))
	f.Float64Var(&o.TestSize, "test-size", 0.25,
		"`share` of the rows held out for the metrics; 0: fit on all rows, 5-fold cross-validated metrics")
	f.StringVar(&o.TimeColumn, "time-column", "",
		"`column` of times that prepare kept: the last rows are held out, and four cuts are backtested")
	f.StringVar(&o.c, "c", "1", "inverse `strength` of the penalty, above 0; auto: by cross-validation")
	f.StringVar(&o.Terms, "terms", terms, "how numbers enter: `line`, curve, or auto: by cross-validation")
	f.StringVar(&o.pairs, "pairs", "", "pairs of features that enter together: a number, auto, or `a*b,c*d` "+
		"(default auto with --terms auto, else 0)")
	f.StringVar(&o.ClassWeight, "class-weight", model.WeightNone, "`weight` of the classes: none or balanced")
	f.BoolVar(&o.RawWeights, "raw-weights", false,
		"with --class-weight balanced: leave the intercept as fitted, so that probabilities are not calibrated")
	f.BoolVar(&o.Candidate, "candidate", false, "register the model, and leave it to rollback MODEL to make it current")
	f.BoolVar(&o.Force, "force", false,
		"go on where the current model has another target, or the new one can score no logged customer")
	f.StringArrayVar(&o.Logs, "log", nil,
		"`pattern` of logs whose customers try a model with other columns, instead of logs/predictions*.log, or URL#TABLE "+
			"of a database; repeatable")
	f.BoolVar(&o.Strict, "strict", false, "reject rows with a leak of the outcome, or copies on both sides of the split")
	f.BoolVar(&o.JSON, "json", false, "print the result as JSON")
	o.Database.Add(cmd)
	o.Database.AddKey()
	cmd.MarkFlagsMutuallyExclusive("from", "in")
}

var versionPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

const (
	leastC = 1e-9 // as good as no weights
	mostC  = 1e15 // as good as no penalty
)

// Check rejects options that are out of range.
func (o *Options) Check() (err error) {
	if o.gate != "" {
		gate, err := strconv.ParseFloat(o.gate, 64)
		if err != nil || !(gate >= 0 && gate <= 1) {
			return fmt.Errorf("--gate-f1 %s: 0 to 1", o.gate)
		}
		o.GateF1 = &gate
	}
	o.AutoC = o.c == model.TermsAuto
	if o.C, _ = strconv.ParseFloat(o.c, 64); o.AutoC { // what is no number is 0 or infinite, and rejected below
		o.C = 1
	}
	if o.pairs == "" && o.Terms == model.TermsAuto {
		o.pairs = model.TermsAuto
	}
	if o.Pairs, err = model.ParsePairs(cmp.Or(o.pairs, "0")); err != nil {
		return fmt.Errorf("--pairs %w", err)
	}
	switch {
	case !versionPattern.MatchString(o.Version):
		return fmt.Errorf("--version %q: 1 to 64 letters, digits, '.', '_' and '-'", o.Version)
	case !(o.TestSize >= 0 && o.TestSize < 1):
		return fmt.Errorf("--test-size %g: a share, 0 to below 1", o.TestSize)
	case o.TimeColumn != "" && (o.TestSize == 0 || o.Database.Given()):
		return errors.New("--time-column holds out the last rows of a file: it goes with neither --test-size 0 nor --from")
	case o.c != model.TermsAuto && !(o.C >= leastC && o.C <= mostC):
		return fmt.Errorf("--c %s: %g to %g, or auto", o.c, leastC, mostC)
	case o.Terms != model.TermsLine && o.Terms != model.TermsCurve && o.Terms != model.TermsAuto:
		return fmt.Errorf("--terms %q: line, curve or auto", o.Terms)
	case o.ClassWeight != model.WeightNone && o.ClassWeight != model.WeightBalanced:
		return fmt.Errorf("--class-weight %q: %s or %s", o.ClassWeight, model.WeightNone, model.WeightBalanced)
	case o.RawWeights && o.ClassWeight != model.WeightBalanced:
		return errors.New("--raw-weights goes with --class-weight balanced")
	}
	return cmp.Or(o.checkActions(), o.Database.Check())
}

// Result is what a run reports.
type Result struct {
	model.Assessment
	Version      string         `json:"version"`
	TrainedAtUTC string         `json:"trained_at_utc"`
	Candidate    bool           `json:"candidate"`           // passed its gate, but is not current
	Current      string         `json:"current_model"`       // after the run
	TimeSplit    *TimeSplit     `json:"time_split,omitzero"` // with --time-column
	Replay       *replay.Result `json:"rehearsal,omitzero"`  // with --rehearse, if there were records

	Model *model.Model `json:"-"`

	pointerErr error // of reading Current
	refused    error // why the model is a candidate, unless that was asked for
}

// Run trains a model, registers it and makes it current if it passes the gate.
// The result is complete whether it does or not.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	customers, err := openPrepared(ctx, o)
	if err != nil {
		return nil, err
	}
	defer customers.Close()
	tried := replay.Evidence
	if o.Rehearse != nil {
		if tried = max(o.Last, tried); o.Last == 0 {
			tried = 0
		}
	}
	logs, remove, err := o.Database.Logs(ctx, o.Stderr, o.Logs, tried, math.Inf(-1), customers.Table().Schema)
	if err != nil {
		return nil, err
	}
	defer remove()
	m, warnings, err := train(ctx, o, customers)
	if err != nil {
		return nil, err
	}
	var split *TimeSplit
	if o.TimeColumn != "" {
		if split, err = byTime(ctx, o, customers, m); err != nil {
			return nil, err
		}
	}
	compared := Compare(ctx, modelstore.Open(o.Dir), m, m.Evaluation, m.MetricsOn, "", "")
	m.Verdict = new(m.Gate(m.Evaluation, m.GateF1, compared.Champion))
	var replayed *replay.Result
	if o.Rehearse != nil {
		if replayed, err = o.Rehearse(ctx, m, logs); err != nil {
			return nil, err
		}
	}
	r, err := register(ctx, o, m, logs, warnings)
	if err != nil {
		return nil, err
	}
	if o.Compare {
		r.Detail = compared
		r.Act(m.Evaluation, o.Actions, m.Data.Rows)
	}
	if r.TimeSplit, r.Replay = split, replayed; replayed != nil {
		replayed.Model = r.ModelFile
	}
	return r, nil
}

// register adds a model to the registry, and makes it current if it passed its gate, unless it is to be a candidate
// or could score none of the customers in the logs.
func register(ctx context.Context, o Options, m *model.Model, logs, warnings []string) (*Result, error) {
	reg, entry := modelstore.Open(o.Dir), modelstore.NewEntry(m)
	b, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	promote := entry.PassedGate && !o.Candidate
	var refused error
	if current, err := reg.Current(); err == nil && promote {
		var more []string
		more, refused = replay.Promotion(ctx, o.Dir, current, "", m, logs, o.Force)
		warnings = append(warnings, more...)
	}
	reason := "" // none: the current model stays
	if promote = promote && refused == nil; promote {
		reason = m.Verdict.Why
	}
	if entry, err = reg.Add(ctx, b, m.NamePrefix(), entry, reason); err != nil {
		return nil, err
	}
	r := &Result{
		Version: m.Version, TrainedAtUTC: m.TrainedAtUTC, Current: entry.ModelFile,
		Candidate: entry.PassedGate && !promote, refused: refused, Model: m,
		Assessment: model.Assessment{
			ModelFile: entry.ModelFile, ModelSHA256: entry.ModelSHA256, MetricsOn: m.MetricsOn, Metrics: m.Metrics,
			GateF1: m.GateF1, Verdict: *m.Verdict, PassedGate: m.Verdict.Passed, Training: m.Training, Data: m.Data,
			Coefficients: m.Reported(), Effects: m.Effects, LineTests: m.LineTests, Warnings: warnings,
		},
	}
	if !promote {
		if r.Current, err = reg.Current(); err != nil && !errors.Is(err, registry.ErrNoCurrent) {
			r.pointerErr = err // somebody is just editing it: the run is done all the same
		}
	}
	return r, nil
}

// GateOf returns the least F1 of a model of a schema, nil if there is none. An F1 of the user's
// own data says nothing without their base rate.
func (o *Options) GateOf(schema *dataset.Schema) *float64 {
	lab := dataset.Lab()
	if o.GateF1 == nil && schema.Target == lab.Target && slices.Equal(schema.Columns(), lab.Columns()) {
		return &o.builtInGate
	}
	return o.GateF1
}

// openPrepared opens the customers by the schema that prepare left in the registry.
func openPrepared(ctx context.Context, o Options) (*Customers, error) {
	schema, err := dataset.ReadSchema(filepath.Join(o.Dir, "registry", "schema.json"))
	if err != nil {
		return nil, o.hintPrepare(err)
	}
	if err := CheckTarget(o.Dir, schema.Target.Name); err != nil && !o.Force {
		return nil, err
	}
	c, err := Open(ctx, o, schema, nil)
	if err != nil {
		return nil, err
	}
	if err := o.checkData(c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// train fits a model to prepared customers.
func train(ctx context.Context, o Options, customers *Customers) (*model.Model, []string, error) {
	defer customers.Finish()
	o.Progress = customers.Progress
	m, err := model.Train(ctx, customers.Source, o.Options)
	if changed := customers.Check(ctx); changed != nil {
		return nil, nil, changed
	}
	switch {
	case errors.Is(err, status.ErrRejected): // the rows are at fault: say which
		return nil, nil, status.Reject("%s: %w", customers.Name, err)
	case errors.Is(err, logreg.ErrNotConverged):
		return nil, nil, fmt.Errorf("%w: lower --c, or leave out columns that nearly repeat others", err)
	case err != nil:
		return nil, nil, err
	}
	m.GateF1, m.Data = o.GateOf(m.Schema), customers.Data
	m.TrainedBy, m.TrainedAtUTC = o.By, time.Now().UTC().Format(time.RFC3339)
	m.Training.Program = o.By + " " + cli.Version()
	stats, err := os.ReadFile(filepath.Join(o.Dir, "registry", "train_stats.json"))
	if err == nil {
		m.Data.StatsSHA256 = registry.SHA256(stats)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	return m, append(customers.Warnings, warnings(m)...), nil
}
