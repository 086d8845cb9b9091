package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/predlog"
	"churn/internal/progress"
	"churn/internal/registry"
)

// ErrNoRecords tells that nobody was scored yet.
var ErrNoRecords = errors.New("no customers to rehearse on: nothing has been predicted yet, run serve first")

// On says which customers to rehearse on.
type On struct {
	Last int      // of so many records, the latest; 0: all
	Logs []string // patterns of the logs; none: those of the services on the folder
}

// Run rehearses a registered model on the last records of the logs below dir. The
// model must be sound, but its gate may have refused it. Without records the error
// is ErrNoRecords. Progress goes to stderr, if it is a terminal.
func Run(ctx context.Context, dir, name string, on On, stderr io.Writer) (*Result, error) {
	reg := registry.Open(dir, model.Verify, nil)
	candidate, err := model.Read(name, reg.ReadRegistered)
	if err != nil {
		return nil, err
	}
	return RunModel(ctx, dir, name, candidate, on, stderr)
}

// RunModel is Run for a model at hand. name is "" for one that is not registered yet,
// so that no record can be its own.
func RunModel(ctx context.Context, dir, name string, candidate *model.Model, on On, stderr io.Writer) (*Result, error) {
	reg := registry.Open(dir, model.Verify, nil)
	logs, err := predlog.Find(dir, on.Logs)
	if err != nil {
		return nil, err
	}
	size, err := logs.Size()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", logs, ErrNoRecords)
	}
	if err != nil {
		return nil, err
	}
	bar := progress.Bytes(stderr, "rehearsing", size)
	defer bar.Finish()
	r, err := rehearse(ctx, logs, on.Last, name, candidate, bar.Set)
	if err != nil {
		return nil, err
	}
	if r.Records == 0 {
		return nil, fmt.Errorf("%s: %w", logs, ErrNoRecords)
	}
	r.explain(candidate, func(name string) *model.Model {
		m, _ := model.Read(name, reg.ReadRegistered)
		return m // nil without a valid file: the score change is then reported without its reasons
	})
	return r, nil
}

// rehearse adds up the last n records of logs.
func rehearse(ctx context.Context, logs predlog.Logs, n int, name string, m *model.Model, progress func(int64)) (*Result, error) {
	all := newPart(name, m)
	found, err := predlog.Fold[*part]{
		New:      func() *part { return newPart(name, m) },
		Add:      (*part).add,
		Merge:    func(p *part) error { all.merge(p); return nil },
		Progress: progress,
		IDs:      true,
	}.Read(ctx, logs, n)
	if err != nil {
		return nil, err
	}
	r := all.Result
	r.Model, r.Threshold, r.Bad, r.Torn = name, m.Threshold, found.Bad, found.Torn
	r.odd = found.Warnings(logs)
	r.Flips = r.MoreCalls + r.FewerCalls
	if r.Compared > 0 {
		n := float64(r.Compared)
		r.ShareBefore, r.ShareAfter = float64(r.CallsBefore)/n, float64(r.CallsAfter)/n
		r.MeanMove, r.MeanAbsMove = all.move/n, all.abs/n
	}
	r.Unseen = sortedUnseen(all.unseen)
	r.Unseen = r.Unseen[:min(len(r.Unseen), maxUnseen)]
	return &r, nil
}

// explain says which features move the largest moves most. at returns the model
// of a name, nil if it is not at hand.
func (r *Result) explain(candidate *model.Model, at func(name string) *model.Model) {
	models := map[string]*model.Model{}
	for i := range r.Moves {
		m := &r.Moves[i]
		old, known := models[m.Model]
		if !known {
			old = at(m.Model)
			models[m.Model] = old
		}
		if old != nil {
			m.explain(old, candidate)
		}
	}
}

// explain splits the move into what each feature contributes more or less. A
// feature that one of the models does not have contributes nothing there.
func (m *Move) explain(old, candidate *model.Model) {
	width := len(old.Schema.Features)
	values := make([]dataset.Value, width)
	if (&part{}).check(old, m.features, values, make([]int, width)) != nil {
		return // the log is not what that model answered
	}
	before, after := old.Explain(values), candidate.Explain(m.values)
	m.Base = after.Base - before.Base
	for j, f := range candidate.Schema.Features {
		m.Because = append(m.Because, Change{f.Name, after.Contributions[j]})
	}
	for j, f := range old.Schema.Features {
		i := slices.IndexFunc(m.Because, func(c Change) bool { return c.Feature == f.Name })
		if i < 0 {
			i = len(m.Because)
			m.Because = append(m.Because, Change{Feature: f.Name})
		}
		m.Because[i].LogOdds -= before.Contributions[j]
	}
	slices.SortStableFunc(m.Because, func(a, b Change) int { return cmp.Compare(math.Abs(b.LogOdds), math.Abs(a.LogOdds)) })
	m.Because = m.Because[:min(len(m.Because), maxReasons)]
}
