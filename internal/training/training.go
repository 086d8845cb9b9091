// Package training is one training run, from prepared data to a registered
// model: what train and evaluate share. The two differ in how the threshold is
// picked and in the gate's default.
package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"time"

	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/registry"
	"churn/internal/replay"

	"github.com/spf13/cobra"
)

// Options are what the user may choose.
type Options struct {
	Dir    string // that holds data, registry, models and logs
	In     string // prepared data; "" is DIR/data/processed.csv
	GateF1 float64
	JSON   bool
	By     string    // train or evaluate
	Stderr io.Writer // shows progress, if it is a terminal

	// Open finds the customers elsewhere than in a file, and says what is odd about
	// them. nil: they are in In.
	Open func(ctx context.Context, schema *dataset.Schema) (Source, []string, error)

	// Rehearse is called with the model before it is registered; its error ends the
	// run there. nil: there is no rehearsal.
	Rehearse func(context.Context, *model.Model) (*replay.Result, error)
	model.Options
}

// Flags declares the flags that train and evaluate share.
func Flags(cmd *cobra.Command, o *Options, gateF1 float64) {
	o.By, o.Stderr = cmd.Name(), cmd.ErrOrStderr()
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.StringVar(&o.In, "in", "", "prepared `file` to train on (default DIR/data/processed.csv)")
	f.StringVar(&o.Version, "version", "v1", "logical `version` of the model: letters, digits, '.', '_' and '-'")
	f.Uint64Var(&o.Seed, "seed", 42, "seed of the split and the folds")
	f.Float64Var(&o.GateF1, "gate-f1", gateF1, "least F1 for the model to become current, 0 to 1")
	f.Float64Var(&o.TestSize, "test-size", 0.25, "`share` of the rows held out for the figures; 0: fit on all, figures out of 5 folds")
	f.Float64Var(&o.C, "c", 1, "inverse strength of the L2 penalty, above 0")
	f.StringVar(&o.ClassWeight, "class-weight", model.WeightNone, "`weight` of the classes: none or balanced")
	f.BoolVar(&o.JSON, "json", false, "print the result as JSON")
}

var versionPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Check refuses options that make no sense.
func (o *Options) Check() error {
	switch {
	case !versionPattern.MatchString(o.Version):
		return fmt.Errorf("--version %q: 1 to 64 letters, digits, '.', '_' and '-'", o.Version)
	case !(o.GateF1 >= 0 && o.GateF1 <= 1):
		return fmt.Errorf("--gate-f1 %g: 0 to 1", o.GateF1)
	case !(o.TestSize >= 0 && o.TestSize < 1):
		return fmt.Errorf("--test-size %g: a share, 0 to below 1", o.TestSize)
	case !(o.C > 0 && o.C <= math.MaxFloat64):
		return fmt.Errorf("--c %g: above 0", o.C)
	case o.ClassWeight != model.WeightNone && o.ClassWeight != model.WeightBalanced:
		return fmt.Errorf("--class-weight %q: %s or %s", o.ClassWeight, model.WeightNone, model.WeightBalanced)
	}
	return nil
}

// Result is what a run reports.
type Result struct {
	ModelFile    string              `json:"model_file"`
	ModelSHA256  string              `json:"model_sha256"`
	Version      string              `json:"version"`
	TrainedAtUTC string              `json:"trained_at_utc"`
	PassedGate   bool                `json:"passed_gate"`
	GateF1       float64             `json:"gate_f1"`
	Current      string              `json:"current_model"` // after the run
	FiguresOn    string              `json:"figures_on"`
	Figures      model.Figures       `json:"figures"`
	Training     model.Training      `json:"training"`
	Data         model.Data          `json:"data"`
	Coefficients []model.Coefficient `json:"coefficients"`
	Rehearsal    *replay.Result      `json:"rehearsal,omitzero"` // if it was asked for, and somebody was scored
	Warnings     []string            `json:"warnings"`

	*Detail // with Options.Detail

	Model *model.Model `json:"-"`

	pointerErr error // why Current is not known
}

// Run trains a model, registers it and makes it current if it passes the gate.
// The result is complete whether it does or not.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	rows, err := load(ctx, o)
	if err != nil {
		return nil, err
	}
	defer rows.close()
	m, err := rows.train(ctx, o)
	if err != nil {
		var r interface{ Refusal() }
		if errors.As(err, &r) { // the rows are at fault: say which
			return nil, cli.No("%s: %w", rows.name, err)
		}
		return nil, err
	}
	m.GateF1 = &o.GateF1
	m.Data, m.TrainedBy, m.TrainedAtUTC = rows.data, o.By, time.Now().UTC().Format(time.RFC3339)
	b, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	var rehearsed *replay.Result
	if o.Rehearse != nil {
		if rehearsed, err = o.Rehearse(ctx, m); err != nil {
			return nil, err
		}
	}
	passed := m.Figures.Passed(o.GateF1)
	reason := ""
	if passed {
		reason = fmt.Sprintf("F1 %.4f, gate %.4g", m.Figures.F1, o.GateF1)
	}
	reg := registry.Open(o.Dir, model.Verify, nil)
	detail := func() *Detail { return nil }
	if o.Detail {
		detail = Examine(ctx, reg, rows.table, m, m.Judgement, m.FiguresOn, "")
	}
	entry, err := reg.Add(ctx, b, m.NamePrefix(), newEntry(m, o.GateF1), reason)
	if err != nil {
		return nil, err
	}
	r := &Result{
		ModelFile: entry.ModelFile, ModelSHA256: entry.ModelSHA256, Version: m.Version, TrainedAtUTC: m.TrainedAtUTC,
		PassedGate: passed, GateF1: o.GateF1,
		FiguresOn: m.FiguresOn, Figures: m.Figures, Training: m.Training, Data: m.Data, Coefficients: m.Coefficients,
		Warnings: append(rows.doubts, warnings(m)...),
	}
	if r.Current = entry.ModelFile; !passed {
		if r.Current, err = reg.Current(); err != nil && !errors.Is(err, registry.ErrNoCurrent) {
			r.pointerErr = err // somebody is just editing it: the run is done all the same
		}
	}
	r.Detail, r.Model = detail(), m
	if r.Rehearsal = rehearsed; rehearsed != nil {
		rehearsed.Model = r.ModelFile
	}
	return r, nil
}

// file returns the path of the prepared data.
func (o *Options) file() string {
	if o.In == "" {
		return filepath.Join(o.Dir, "data", "processed.csv")
	}
	return o.In
}

// Crowded warns of a ROC AUC that may be off by more than a thousandth; "" is none.
func Crowded(doubt float64) string {
	const most = 1e-3
	if doubt <= most {
		return ""
	}
	return fmt.Sprintf("most probabilities crowd into few of the 10,000 bins that they were counted by: the ROC AUC may be off by %.4f", doubt)
}

// warnings puts doubts about the figures in words.
func warnings(m *model.Model) []string {
	out := []string{}
	f := m.Figures
	if f.F1 <= f.BaselineF1All {
		out = append(out, fmt.Sprintf("answering churn to everyone has an F1 of %.4f, the model %.4f: by F1 the model adds nothing, look at its ROC AUC of %.4f",
			f.BaselineF1All, f.F1, f.ROCAUC))
	}
	if f.Accuracy < f.BaselineAccuracy {
		out = append(out, fmt.Sprintf("one answer to everyone is right for %.1f %% of the customers, the model for %.1f %%", 100*f.BaselineAccuracy, 100*f.Accuracy))
	}
	if w := Crowded(m.Doubt); w != "" {
		out = append(out, w)
	}
	for _, f := range m.Schema.Features {
		s := m.Reference.Columns[f.Name]
		if s.Constant() || len(s.Levels) == 1 && s.Missing == 0 {
			out = append(out, f.Name+": every training row has the same value, so the model learns nothing from it")
		}
	}
	if m.Training.ClassWeight == model.WeightBalanced {
		out = append(out, "with balanced class weights the probabilities are not the chances of churn: use them to rank")
	}
	return out
}
