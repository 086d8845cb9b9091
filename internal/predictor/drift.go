package predictor

import (
	"net/http"

	"churn/internal/drift"
)

// driftOff is the verdict of GET /drift if no window is kept.
const driftOff drift.Severity = "off"

// A liveDrift is the answer of GET /drift.
type liveDrift struct {
	CurrentModel string         `json:"current_model"`
	Verdict      drift.Severity `json:"verdict"`  // ok, watch, alert, not_enough_data or off
	Rows         int            `json:"rows"`     // that the verdict rests on
	MinRows      int            `json:"min_rows"` // fewer have no verdict
	Window       int            `json:"window"`   // rows that are kept at most; 0: none
	Checks       []drift.Check  `json:"checks"`
}

// liveDrift answers GET /drift: whether the last rows that the current model
// answered look like its training rows.
func (p *Predictor) liveDrift(w http.ResponseWriter, _ *http.Request) {
	s := p.follower.current()
	if s.model == nil {
		p.answerError(w, errNoModel)
		return
	}
	d := liveDrift{s.name, driftOff, 0, drift.MinRows, p.limits.DriftRows, []drift.Check{}}
	if window := s.watch.window; window != nil {
		rows, checks, severity := window.checks()
		d.Rows, d.Verdict = rows, drift.NotEnoughData
		if rows >= drift.MinRows {
			d.Checks, d.Verdict = checks, severity
		}
	}
	answerJSON(w, http.StatusOK, d)
}
