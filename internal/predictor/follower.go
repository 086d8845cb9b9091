package predictor

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/registry"
)

const (
	lookEvery  = time.Millisecond       // how often the pointer is looked at, at most
	retryEvery = 100 * time.Millisecond // how often a refused model is tried again: it may still be on its way
	settled    = 2 * time.Second        // the coarsest clock of a file system: a file changed later may change again and look the same
)

// A follower holds the model that the registry's pointer names.
type follower struct {
	reg     *registry.Registry
	logger  *slog.Logger
	metrics *metrics

	serving atomic.Pointer[serving]
	looked  atomic.Int64 // when the last look at the pointer began, in nanoseconds since started

	started time.Time
	mu      sync.Mutex  // held while the pointer is looked at and a model loaded
	seen    fs.FileInfo // of the pointer as it was read, if it was settled then
	tried   time.Time   // when a model was last refused
}

// serving is what requests see: it is replaced whole.
type serving struct {
	name    string // of the model's file
	model   *model.Model
	levels  []map[string]dataset.Value // what texts of a feature stand for: those of the training rows
	watch   *watch                     // over model
	pointer string                     // what was current when this was made
	refused error                      // why pointer is not served, or nil

	document *document // tells clients of the model, if there is one
}

func newFollower(reg *registry.Registry, logger *slog.Logger, metrics *metrics) *follower {
	f := &follower{reg: reg, logger: logger, metrics: metrics, started: time.Now()}
	f.serving.Store(&serving{})
	f.looked.Store(-int64(lookEvery))
	return f
}

// current returns what to answer with, after a look at the pointer. A changed
// pointer is followed before it returns, by whichever request comes first.
func (f *follower) current() *serving {
	if f.fresh() {
		return f.serving.Load()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.fresh() {
		began := time.Since(f.started) // to load a model takes a while, in which the pointer may change again
		f.look()
		f.looked.Store(int64(began))
	}
	return f.serving.Load()
}

func (f *follower) fresh() bool {
	return int64(time.Since(f.started))-f.looked.Load() < int64(lookEvery)
}

// look loads the model that the pointer names, if that is new.
func (f *follower) look() {
	old := f.serving.Load()
	at, _ := f.reg.StatCurrent() // whatever is wrong with it, Current says
	if old.refused == nil && same(at, f.seen) {
		return
	}
	f.seen = nil
	if at != nil && time.Since(at.ModTime()) > settled {
		f.seen = at
	}
	name, err := f.reg.Current()
	if err == nil && name == old.pointer && (old.refused == nil || time.Since(f.tried) < retryEvery) {
		return
	}
	next := &serving{name: name, pointer: name, document: new(document)}
	if err == nil {
		next.model, err = model.Read(name, f.reg.ReadModel)
	}
	if err == nil {
		next.levels, next.watch = levels(next.model), f.metrics.watch(name, next.model)
		if old.model != nil {
			f.metrics.reloads.Inc()
		}
		f.serving.Store(next)
		f.logger.Info("model loaded", "model", name)
		return
	}
	f.tried = time.Now()
	if old.refused == nil || old.refused.Error() != err.Error() {
		level, event := slog.LevelError, "model refused"
		if errors.Is(err, registry.ErrNoCurrent) && old.model == nil {
			level, event = slog.LevelWarn, "no model yet"
		}
		f.logger.Log(context.Background(), level, event, "model", name, "serving", old.name, "error", err.Error())
		if !errors.Is(err, registry.ErrNoCurrent) {
			f.metrics.reloadsRefused.Inc()
		}
	}
	next = new(serving)
	*next = *old
	next.pointer, next.refused = name, err
	f.serving.Store(next)
}

// same tells whether a file has not changed.
func same(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// levels returns what the levels of the training rows, as they are written there,
// stand for, by feature.
func levels(m *model.Model) []map[string]dataset.Value {
	values := make([]map[string]dataset.Value, len(m.Schema.Features))
	for i := range values {
		f := &m.Schema.Features[i]
		values[i] = map[string]dataset.Value{}
		for text := range m.Reference.Columns[f.Name].Levels {
			if v, problem := f.CheckText(text); problem == nil && !v.Missing {
				values[i][text] = v
			}
		}
	}
	return values
}
