package predictor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"churn/internal/model"
	"churn/internal/registry"
)

const (
	lookEvery  = time.Millisecond       // how often the pointer is read at most
	retryEvery = 100 * time.Millisecond // how often a refused model is tried again: it may still be on its way
)

// A follower holds the model that the registry's pointer names.
type follower struct {
	reg     *registry.Registry
	logger  *slog.Logger
	metrics *metrics

	serving atomic.Pointer[serving]
	looked  atomic.Int64 // when the pointer was last read, in nanoseconds since started

	started time.Time
	mu      sync.Mutex // held while the pointer is read and a model loaded
	tried   time.Time  // when a model was last refused
}

// serving is what requests see: it is replaced whole.
type serving struct {
	name    string // of the model's file
	model   *model.Model
	watch   *watch // over model
	pointer string // what was current when this was made
	refused error  // why pointer is not served, or nil

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
		f.look()
		f.looked.Store(int64(time.Since(f.started)))
	}
	return f.serving.Load()
}

func (f *follower) fresh() bool {
	return int64(time.Since(f.started))-f.looked.Load() < int64(lookEvery)
}

// look reads the pointer and loads the model that it names, if that is new.
func (f *follower) look() {
	old := f.serving.Load()
	name, err := f.reg.Current()
	if err == nil && name == old.pointer && (old.refused == nil || time.Since(f.tried) < retryEvery) {
		return
	}
	next := &serving{name: name, pointer: name, document: new(document)}
	if err == nil {
		next.model, err = f.load(name)
	}
	if err == nil {
		next.watch = f.metrics.watch(name, next.model)
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
	f.serving.Store(&serving{name: old.name, model: old.model, pointer: name, refused: err, document: old.document, watch: old.watch})
}

// load reads and checks a model.
func (f *follower) load(name string) (*model.Model, error) {
	b, err := f.reg.ReadModel(name)
	if err != nil {
		return nil, err
	}
	m, err := model.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}
