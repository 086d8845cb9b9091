package predictor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"churn/internal/model"
	"churn/internal/predictor/openapi"
	"churn/internal/predlog"
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

// Drain makes /readyz answer 503 from now on, so that a balancer sends no new requests
// here. Those that still come are answered, each as the last one of its connection, so
// that connections are idle before they are closed.
func (p *Predictor) Drain() { p.draining.Store(true) }

// health answers GET /health: 200 with a usable model, and with the reason if a newer one
// was rejected; otherwise 503.
func (p *Predictor) health(w http.ResponseWriter, _ *http.Request) {
	s := p.follower.current()
	h := struct {
		Status       string `json:"status"`
		CurrentModel string `json:"current_model,omitempty"`
		Detail       string `json:"detail,omitempty"`
		Version      string `json:"version,omitempty"` // of the program
	}{Status: "ok", CurrentModel: s.name, Version: p.Version}
	status := http.StatusOK
	if s.rejected != nil {
		h.Detail = p.follower.reg.Relative(s.rejected.Error())
		if s.model != nil {
			h.Detail = fmt.Sprintf("%s keeps serving: %s", s.name, h.Detail)
		}
	}
	if err := p.log.Err(); err != nil {
		h.Status, h.Detail, status = "error", unlogged+cause(err), http.StatusServiceUnavailable
	}
	if s.model == nil {
		h.Status, status = "error", http.StatusServiceUnavailable
	}
	answerJSON(w, status, h)
}

// live answers GET /livez: the process runs.
func (p *Predictor) live(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready answers GET /readyz: a model has been loaded and has reproduced its
// golden rows, predictions can be logged, and the service is not about to stop.
func (p *Predictor) ready(w http.ResponseWriter, _ *http.Request) {
	if err := p.unready(); err != nil {
		answerDetail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	p.live(w, nil)
}

// unready returns why a balancer should send no requests here, or nil.
func (p *Predictor) unready() error {
	if p.draining.Load() {
		return errors.New("stopping")
	}
	if p.follower.current().model == nil {
		return errNoModel
	}
	if err := p.log.Err(); err != nil {
		return errors.New(unlogged + cause(err))
	}
	return nil
}

const unlogged = "predictions cannot be logged, so none is sent: "

// cause returns why the log cannot be written, without the names of files.
func cause(err error) string {
	var problem predlog.Problem
	var errno syscall.Errno
	switch {
	case errors.As(err, &problem):
		return problem.Error()
	case errors.As(err, &errno):
		return errno.Error()
	}
	return "serve's messages say why"
}
