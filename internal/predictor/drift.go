package predictor

import (
	"net/http"

	"churn/internal/drift"
)

// Verdicts of GET /drift besides the levels of a check.
const (
	driftUnknown = "not_enough_data" // fewer rows than MinDriftRows
	driftOff     = "off"             // no window is kept
)

// A liveDrift is the answer of GET /drift.
type liveDrift struct {
	CurrentModel string        `json:"current_model"`
	Verdict      string        `json:"verdict"`  // ok, watch, alert, not_enough_data or off
	Rows         int           `json:"rows"`     // that the verdict rests on
	MinRows      int           `json:"min_rows"` // fewer have no verdict
	Window       int           `json:"window"`   // rows that are kept at most; 0: none
	Checks       []drift.Check `json:"checks"`
}

// liveDrift answers GET /drift: whether the last rows that the current model
// answered look like its training rows.
func (p *Predictor) liveDrift(w http.ResponseWriter, _ *http.Request) {
	s := p.follower.current()
	if s.model == nil {
		p.answerError(w, errNoModel)
		return
	}
	d := liveDrift{s.name, driftOff, 0, MinDriftRows, p.limits.DriftRows, []drift.Check{}}
	if window := s.watch.window; window != nil {
		rows, checks, level := window.checks()
		d.Rows, d.Verdict = rows, driftUnknown
		if rows >= MinDriftRows {
			d.Checks, d.Verdict = checks, string(level)
		}
	}
	answerJSON(w, http.StatusOK, d)
}
