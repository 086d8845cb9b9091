package predictor

import (
	"errors"
	"fmt"
	"net/http"

	"churn/internal/registry"
)

// Drain makes /readyz answer 503 from now on, so that a balancer sends no new
// requests here. Those that come all the same are answered, each as the last one
// of its connection, so that a connection that is closed later has long been idle.
func (p *Predictor) Drain() { p.draining.Store(true) }

// health answers GET /health: 200 with a usable model, and why a newer one was
// refused if one was; else 503.
func (p *Predictor) health(w http.ResponseWriter, _ *http.Request) {
	s := p.follower.current()
	h := struct {
		Status       string `json:"status"`
		CurrentModel string `json:"current_model,omitempty"`
		Detail       string `json:"detail,omitempty"`
	}{"ok", s.name, ""}
	status := http.StatusOK
	if s.refused != nil {
		h.Detail = p.follower.reg.Relative(s.refused.Error())
		if s.model != nil {
			h.Detail = fmt.Sprintf("%s goes on: %s", s.name, h.Detail)
		}
	}
	if err := p.log.Err(); err != nil {
		h.Status, h.Detail, status = "error", "predictions cannot be logged, so none is answered", http.StatusServiceUnavailable
	}
	if s.model == nil {
		h.Status, status = "error", http.StatusServiceUnavailable
	}
	answerJSON(w, status, h)
}

// live answers GET /livez: the process runs.
func (p *Predictor) live(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, statusOnly{"ok"})
}

// ready answers GET /readyz: a model has been loaded and has reproduced its
// golden rows, and the service is not about to stop.
func (p *Predictor) ready(w http.ResponseWriter, _ *http.Request) {
	if err := p.unready(); err != nil {
		answerDetail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, statusOnly{"ok"})
}

// unready returns why no requests should be sent here, or nil.
func (p *Predictor) unready() error {
	if p.draining.Load() {
		return errors.New("stopping")
	}
	if p.follower.current().model == nil {
		return errNoModel
	}
	return nil
}

type statusOnly struct {
	Status string `json:"status"`
}

// models answers GET /models: metadata.json as it is.
func (p *Predictor) models(w http.ResponseWriter, _ *http.Request) {
	entries, err := p.follower.reg.Entries()
	if err != nil {
		p.logger.Error("models not listed", "error", err.Error())
		answerDetail(w, http.StatusServiceUnavailable, "the registry cannot be read")
		return
	}
	if entries == nil {
		entries = []registry.Entry{}
	}
	answerJSON(w, http.StatusOK, entries)
}
