// Package predictor is the HTTP service: it scores a customer with the current
// model, and answers once the record is in the log.
//
//	POST /predict   a customer as a flat JSON object; answers the record
//	GET  /health    whether there is a usable model, and which
//
// It follows the registry's pointer by itself: a model that becomes current
// answers the next request. One that cannot be used is refused, and the last
// good one goes on. Every error body is {"detail": …}, as FastAPI has it.
package predictor

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"churn/internal/predlog"
	"churn/internal/registry"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
)

// maxBody is the largest body read, in bytes: a customer of hundreds of features is far below it.
const maxBody = 1 << 20

// A Predictor is the service. Its zero value is not usable; make one with New.
type Predictor struct {
	follower *follower
	log      *predlog.Writer
	logger   *slog.Logger
}

// New returns a service for the registry's current model, which may come later.
// Predictions go to log, events to logger.
func New(reg *registry.Registry, log *predlog.Writer, logger *slog.Logger) *Predictor {
	p := &Predictor{follower: newFollower(reg, logger), log: log, logger: logger}
	p.follower.current() // so that the first request does not wait
	return p
}

// Routes returns the service's handler.
func (p *Predictor) Routes() http.Handler {
	r := chi.NewRouter()
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) { answerDetail(w, http.StatusNotFound, "Not Found") })
	r.MethodNotAllowed(func(w http.ResponseWriter, _ *http.Request) {
		answerDetail(w, http.StatusMethodNotAllowed, "Method Not Allowed")
	})
	r.Post("/predict", p.predict)
	r.Get("/health", p.health)
	return r
}

// errNoModel stands for whatever keeps the service from having a model; the
// reason is in /health and the log.
var errNoModel = errors.New("no usable model: see /health")

// predict answers POST /predict.
func (p *Predictor) predict(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		p.answerError(w, err)
		return
	}
	s := p.follower.current()
	if s.model == nil {
		p.answerError(w, errNoModel)
		return
	}
	ask, err := decode(body, s.model.Schema)
	if err != nil {
		p.answerError(w, err)
		return
	}
	defer ask.release()
	score := s.model.Score(ask.values)
	if ask.requestID == "" {
		ask.requestID = rand.Text()
	}
	record := predlog.Record{
		RequestID: ask.requestID, ModelVersion: s.name, Probability: score.Probability,
		Features: ask.features, Threshold: s.model.Threshold, Warnings: score.Warnings,
	}
	if score.Churn {
		record.Prediction = 1
	}
	now := time.Now()
	record.TS = float64(now.UnixMilli()) / 1000
	record.LatencyMS = float64(now.Sub(start).Nanoseconds()) / 1e6
	line := record.Append(make([]byte, 0, 512))
	if err := p.log.Append(line); err != nil {
		p.answerError(w, &logError{err})
		return
	}
	answer(w, http.StatusOK, line)
}

// health answers GET /health.
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
	if s.model == nil {
		h.Status, status = "error", http.StatusServiceUnavailable
	}
	b, err := json.Marshal(h)
	if err != nil {
		p.answerError(w, err)
		return
	}
	answer(w, status, b)
}

// logError marks a prediction that could not be logged and so is not answered.
type logError struct{ error }

func (e *logError) Unwrap() error { return e.error }

// answerError maps an error to a status and a body. What is not the client's
// business goes to the log alone.
func (p *Predictor) answerError(w http.ResponseWriter, err error) {
	var (
		tooLarge *http.MaxBytesError
		invalid  *invalidError
		log      *logError
	)
	switch {
	case errors.As(err, &invalid):
		answerDetail(w, http.StatusUnprocessableEntity, invalid.details)
	case errors.As(err, &tooLarge):
		answerDetail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit))
	case errors.Is(err, errNoModel):
		answerDetail(w, http.StatusServiceUnavailable, err.Error())
	case errors.As(err, &log):
		p.logger.Error("prediction not logged, not answered", "error", err.Error())
		answerDetail(w, http.StatusServiceUnavailable, "the prediction could not be logged, so it is not answered: try again")
	default: // the client went away, or sent half a body
		answerDetail(w, http.StatusBadRequest, "the body could not be read")
	}
}

func answerDetail(w http.ResponseWriter, status int, detail any) {
	b, err := json.Marshal(struct {
		Detail any `json:"detail"`
	}{detail})
	if err != nil {
		panic("predictor: " + err.Error()) // details are strings and numbers
	}
	answer(w, status, b)
}

func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // an error means that the client went away
}
