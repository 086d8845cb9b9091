package predictor

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"churn/internal/model"
	"churn/internal/predictor/openapi"
	"churn/internal/registry"
)

const (
	checkEvery = time.Millisecond       // the pointer is checked at most once in it
	retryEvery = 100 * time.Millisecond // a rejected model is tried again: its file may still be being copied
	// the coarsest clock of a file system: a younger file may change without a new time
	settled = 2 * time.Second
)

// A follower holds the model that the registry's pointer names.
type follower struct {
	reg     *registry.Registry
	logger  *slog.Logger
	metrics *metrics
	service openapi.Service

	snapshot atomic.Pointer[snapshot]
	checked  atomic.Int64 // when the last check of the pointer began, in nanoseconds since started

	started time.Time
	mu      sync.Mutex  // held while the pointer is checked and a model loaded
	seen    fs.FileInfo // of the pointer as it was read, if it was settled then
	tried   time.Time   // when a model was last rejected
}

// A snapshot is the model that requests see. It is replaced whole.
type snapshot struct {
	name     string // of the model's file
	model    *model.Model
	metrics  *modelMetrics
	pointer  string // the current model when this was made
	rejected error  // why pointer is not served, or nil

	openapi func() ([]byte, error) // the OpenAPI document, made once
}

func newFollower(reg *registry.Registry, logger *slog.Logger, metrics *metrics, service openapi.Service) *follower {
	f := &follower{reg: reg, logger: logger, metrics: metrics, service: service, started: time.Now()}
	f.snapshot.Store(&snapshot{})
	f.checked.Store(-int64(checkEvery))
	return f
}

// current checks the pointer, loads a new current model, and returns what answers.
func (f *follower) current() *snapshot {
	if f.fresh() {
		return f.snapshot.Load()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.fresh() {
		began := time.Since(f.started) // the pointer may change again while a model is loaded
		f.check()
		f.checked.Store(int64(began))
	}
	return f.snapshot.Load()
}

func (f *follower) fresh() bool {
	return int64(time.Since(f.started))-f.checked.Load() < int64(checkEvery)
}

// check loads the model that the pointer names, if that is new.
func (f *follower) check() {
	old := f.snapshot.Load()
	at, _ := f.reg.StatCurrent() // Current reports its errors
	if old.rejected == nil && same(at, f.seen) {
		return
	}
	f.seen = nil
	if at != nil && time.Since(at.ModTime()) > settled {
		f.seen = at
	}
	name, err := f.reg.Current()
	if err == nil && name == old.pointer && (old.rejected == nil || time.Since(f.tried) < retryEvery) {
		return
	}
	var m *model.Model
	if err == nil {
		m, err = model.Read(name, f.reg.ReadModel)
	}
	if err == nil {
		if old.model != nil {
			f.metrics.reloads.Inc()
			if was, is := old.model.Schema.Target.Name, m.Schema.Target.Name; !strings.EqualFold(was, is) {
				f.logger.Warn("the new model predicts another column: one folder and one service for each target",
					"model", name, "predicts", is, "before", was)
			}
		}
		f.snapshot.Store(f.snapshotOf(name, m))
		f.logger.Info("model loaded", "model", name)
		return
	}
	f.tried = time.Now()
	if old.rejected == nil || old.rejected.Error() != err.Error() {
		level, event := slog.LevelError, "model rejected"
		if errors.Is(err, registry.ErrNoCurrent) && old.model == nil {
			level, event = slog.LevelWarn, "no model yet"
		}
		f.logger.Log(context.Background(), level, event, "model", name, "serving", old.name, "error", err.Error())
		if !errors.Is(err, registry.ErrNoCurrent) {
			f.metrics.reloadsRejected.Inc()
		}
	}
	next := *old
	next.pointer, next.rejected = name, err
	f.snapshot.Store(&next)
}

// snapshotOf returns the snapshot of a model that was loaded.
func (f *follower) snapshotOf(name string, m *model.Model) *snapshot {
	return &snapshot{
		name: name, pointer: name, model: m, metrics: f.metrics.ofModel(name, m),
		openapi: sync.OnceValues(func() ([]byte, error) { return openapi.Document(name, m, f.service) }),
	}
}

// same reports whether a file has not changed.
func same(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
