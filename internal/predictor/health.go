package predictor

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"churn/internal/drift"
	"churn/internal/predictor/webui"
	"churn/internal/predlog"
	"churn/internal/report"
)

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

// A liveDrift is the response of GET /drift.
type liveDrift struct {
	CurrentModel string         `json:"current_model"`
	Verdict      drift.Severity `json:"verdict"`  // ok, watch, alert, not_enough_data or off
	Rows         int            `json:"rows"`     // that were compared
	MinRows      int            `json:"min_rows"` // fewer give no verdict
	Window       int            `json:"window"`   // maximum of rows; 0: none
	Checks       []drift.Check  `json:"checks"`
}

// liveDrift answers GET /drift: whether the last rows that the current model scored differ
// from its training rows.
func (p *Predictor) liveDrift(w http.ResponseWriter, _ *http.Request, s *snapshot) error {
	found := s.metrics.window.compare()
	answerJSON(w, http.StatusOK,
		liveDrift{s.name, found.Verdict, found.Records, drift.MinRows, p.limits.DriftRows, found.Checks})
	return nil
}

// driftPage answers GET /drift.html: the page of the drift program, of the same rows as
// GET /drift.
func (p *Predictor) driftPage(w http.ResponseWriter, r *http.Request, s *snapshot) error {
	const each = 128 << 10 // bytes of a column's drawing, and what makes it
	if err := recorderOf(r).claim.Spend(int64(each * (2 + len(s.model.Schema.Features)))); err != nil {
		return err
	}
	result := s.metrics.window.compare()
	result.Model = s.name
	var page bytes.Buffer
	if err := report.WriteDrift(&page, &result); err != nil {
		return &internalError{http.StatusInternalServerError, "Internal Server Error", "drift not drawn", err}
	}
	p.answerReport(w, r, page.Bytes(), webui.Drift)
	return nil
}
