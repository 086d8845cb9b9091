package predictor

import (
	"errors"
	"math"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// A trial is the answer of POST /what-if: what /predict would answer to the same
// body, without what belongs to a record.
type trial struct {
	ModelVersion string         `json:"model_version"`
	Prediction   int            `json:"prediction"`
	Probability  float64        `json:"probability"` // six decimals, as in a record
	Threshold    float64        `json:"threshold"`
	Warnings     []string       `json:"warnings,omitempty"`
	Explanation  jsontext.Value `json:"explanation"`
}

// whatIf answers POST /what-if: one customer, scored and explained. It leaves no
// trace: nothing is logged, counted as a prediction or as a fault of its input,
// or looked at for drift, since half of a number that is being typed is no customer.
func (p *Predictor) whatIf(w http.ResponseWriter, r *http.Request) {
	answerError := func(err error) {
		var invalid *invalidError
		if errors.As(err, &invalid) {
			answerDetail(w, http.StatusUnprocessableEntity, invalid.details)
			return
		}
		p.answerError(w, err)
	}
	if kind, err := mediaType(r); err != nil || kind != mediaJSON {
		answerError(errMediaType)
		return
	}
	s, body, err := p.receive(w, r, maxBody)
	if err != nil {
		answerError(err)
		return
	}
	defer body.release()
	b := newBatch(s, false)
	defer b.release()
	if err := readJSON(body.Bytes(), b, (*reader).object); err != nil {
		answerError(err)
		return
	}
	values := b.rows[0].values
	one := result{Score: s.model.Score(values)}
	const decimals = 1e6
	answerJSON(w, http.StatusOK, trial{
		ModelVersion: s.name, Prediction: one.prediction(), Probability: math.Round(one.Probability*decimals) / decimals,
		Threshold: s.model.Threshold, Warnings: one.Warnings, Explanation: appendExplanation(nil, s, values),
	})
}
