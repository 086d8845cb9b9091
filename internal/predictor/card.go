package predictor

import (
	"errors"
	"net/http"
	"strings"

	"churn/internal/registry"

	"github.com/go-chi/chi/v5"
)

// cardPolicy lets a card show its own style and pictures, and do nothing else: it
// is a file that somebody put into a folder, under the address of this service.
const cardPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; sandbox"

// card answers GET /models/NAME.html: the card of a registered model.
func (p *Predictor) card(w http.ResponseWriter, r *http.Request) {
	name := chi.URLParam(r, "file")
	if !strings.HasSuffix(name, ".html") {
		answerDetail(w, http.StatusNotFound, "Not Found")
		return
	}
	text, err := p.follower.reg.ReadCard(name)
	switch {
	case errors.Is(err, registry.ErrNoCard):
		answerDetail(w, http.StatusNotFound, "no such card: evaluate writes one beside each model that it registers; /models has their names")
	case err != nil:
		p.logger.Error("card not read", "error", err.Error())
		answerDetail(w, http.StatusServiceUnavailable, "the card cannot be read: the service's log says why")
	default:
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", cardPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		answer(w, http.StatusOK, text)
	}
}
