// Package model is the churn model as one self-describing document: the schema,
// the encoder, the weights, the threshold, the metrics, the reference for drift
// and some golden rows. The document is all that is needed to validate and score
// customers and to detect drift.
//
// The document is data. Reading one runs no code. It ends with a checksum over all its
// bytes, and its golden rows are scored again each time it is read:
//
//	{
//	  "format": 1,
//	  "version": "v1",
//	  "schema": {…},
//	  "encoder": {"numbers": {"tenure_months": {"mean": …, "std": …, "median": …}},
//	              "levels": {"region": ["AF", …]}},
//	  "intercept": 0.047,
//	  "weights": {"tenure_months": -0.597, "plan_type=basic": 0.226, …},
//	  "threshold": 0.5,
//	  …
//	  "golden": [{"row": [6, 3, 21.5, "basic", "AF"], "probability": 0.898}, …],
//	  "checksum": "…"
//	}
//
// Documents live longer than programs. The format number says what scoring needs: a reader
// rejects a format that it does not know, and within schema and encoder every key that it
// does not know. Anywhere else it ignores such keys, which the checksum covers like the rest:
// they are metrics, summaries and facts of the training that a later program has added.
// What changes a score therefore goes into schema or encoder, and gets a new format.
package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/metric"
	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Format is the version of the document's format that all programs read. Documents with
// curves, pairs or weights of missing numbers have FormatTerms, and so may others.
const (
	Format      = 1
	FormatTerms = 2
)

// A Model predicts churn. Make one with Train, after which the caller fills in where it
// came from, or with Parse. Scoring does not change it.
type Model struct {
	Format       int    `json:"format"`
	Version      string `json:"version"`
	TrainedAtUTC string `json:"trained_at_utc"` // RFC 3339
	TrainedBy    string `json:"trained_by"`     // train or evaluate
	Data         Data   `json:"data"`

	Schema    *dataset.Schema `json:"schema"`
	Encoder   *Encoder        `json:"encoder"`
	Intercept float64         `json:"intercept"`
	Weights   Weights         `json:"weights"`   // in the scaled space
	Threshold float64         `json:"threshold"` // churn is predicted for a probability of at least this

	Training     Training      `json:"training"`
	GateF1       *float64      `json:"gate_f1,omitzero"` // least F1 of the gate; nil: none, or an older document
	Verdict      *Verdict      `json:"verdict,omitzero"` // nil in older documents
	MetricsOn    string        `json:"figures_on"`       // OnTest or OnFolds
	Metrics      Metrics       `json:"figures"`
	Coefficients []Coefficient `json:"coefficients"`
	Effects      []Effect      `json:"effects,omitzero"`           // of Contributors, in their order; none in format 1
	Covariance   []byte        `json:"covariance_factor,omitzero"` // of the weights; see WeightError
	Reference    Reference     `json:"reference"`
	Golden       []GoldenRow   `json:"golden"`
	Fingerprint  []byte        `json:"fingerprint,omitzero"` // of the training rows; nil of rows not in memory
	Checksum     string        `json:"checksum"`             // the last: SHA-256 of the document with zeros in this place

	Evaluation *Evaluation `json:"-"` // that Metrics are from, after Train
	LineTests  []LineTest  `json:"-"` // of the training rows, after Train with Options.TestLines

	// LackingPairs is how many of the pairs that were asked for or chosen are not in the model, after Train.
	LackingPairs int `json:"-"`

	weights []float64    // as the trainer orders them, the intercept last
	limits  [][2]float64 // of what is not OutOfRange, by feature
}

// Data says which data a model was made from.
type Data struct {
	File        string `json:"file"`
	SHA256      string `json:"sha256"`       // of the rows as CSV, so of the file if it is plain
	Rows        int    `json:"rows"`         // of the file
	StatsSHA256 string `json:"stats_sha256"` // of registry/train_stats.json at that time, "" without one
	Key         string `json:"key,omitzero"` // of rows not in memory: the column whose hash selects those held out
}

// Training says how a model was fitted.
type Training struct {
	Program     string  `json:"program,omitzero"`   // that fitted it, with its version; "" in older documents
	Rows        int     `json:"rows"`               // the model was fitted to
	Positives   int     `json:"positives,omitzero"` // of them; 0 in older documents
	Seed        uint64  `json:"seed"`
	TestSize    float64 `json:"test_size"`
	TimeColumn  string  `json:"time_column,omitzero"` // that the rows were split by
	C           float64 `json:"c"`
	ClassWeight string  `json:"class_weight"`
	Terms       string  `json:"terms,omitzero"`        // that were asked for; "" in older documents: TermsLine
	Choice      *Choice `json:"choice,omitzero"`       // nil where nothing was chosen
	Shrink      float64 `json:"shrink,omitzero"`       // penalty of levels, by that of lines; 0 is 1
	ShrinkPairs float64 `json:"shrink_pairs,omitzero"` // the same of pairs
	Tune        string  `json:"tune"`                  // how the threshold was picked
	CostFP      float64 `json:"cost_fp,omitzero"`
	CostFN      float64 `json:"cost_fn,omitzero"`

	// EffectiveDF is the number of weights less what the penalty takes from it, the intercept
	// included; 0 in older documents.
	EffectiveDF float64 `json:"effective_df,omitzero"`

	// PenaltyBias is the largest bias of a coefficient that the penalty causes, in standard errors.
	PenaltyBias float64 `json:"penalty_bias,omitzero"`

	// InterceptShift was added to the intercept for the class weights; nil where it was not.
	InterceptShift *float64      `json:"intercept_shift,omitzero"`
	Folds          []FoldMetrics `json:"folds,omitzero"` // of cross-validation, where there was one

	Iterations   int     `json:"iterations"`
	Objective    float64 `json:"objective"`     // C·loss + penalty
	GradientNorm float64 `json:"gradient_norm"` // of the objective over C·rows
	NewtonStep   float64 `json:"newton_step"`   // the last one, or a bound on the error: see logreg.Fitted
}

// Calibrated reports whether the probabilities are shares of the training rows, and not of rows
// weighted by class.
func (t Training) Calibrated() bool { return t.ClassWeight == WeightNone || t.InterceptShift != nil }

// Reference summarises the training rows, for drift.
type Reference struct {
	Columns     map[string]dataset.Summary `json:"columns"`
	Probability dataset.Summary            `json:"probability"` // that the model gives its training rows

	Correlations []dataset.Correlation `json:"correlations,omitempty"` // of pairs of numbers
}

// A GoldenRow is a made-up customer with the probability that the model gave it.
type GoldenRow struct {
	Row         []dataset.Value `json:"row"` // in the schema's order
	Probability float64         `json:"probability"`
}

const (
	goldenRows      = 20
	goldenTolerance = 1e-9 // other machines may fuse multiplications; anything more is another model
	maxWeight       = 1e80 // in the scaled space; with numbers of at most 1e200 and 1e16 rows all sums are finite
)

// A Score is the model's prediction for one customer.
type Score struct {
	Probability float64  // of churn, 0 to 1
	Churn       bool     // Probability reaches the model's threshold
	Warnings    []string // names levels that the model has no weight for, then numbers that are OutOfRange
}

// Prediction is 1 for churn, else 0, as in a record.
func (s *Score) Prediction() int { return metric.Indicator(s.Churn) }

// Score scores one customer: the values of the schema's features, in its order, as
// dataset's checks return them.
func (m *Model) Score(values []dataset.Value) Score {
	z, warnings := m.Encoder.logit(values, m.weights)
	for j := range values {
		if m.OutOfRange(j, values[j]) != 0 {
			warnings = append(warnings, m.rangeText(j, values[j].Number))
		}
	}
	p := logreg.Sigmoid(z)
	return Score{p, p >= m.Threshold, warnings}
}

// NamePrefix returns the prefix of the model's file name: the target's name in lower
// case with _model; other characters than letters and digits become _.
func (m *Model) NamePrefix() string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' {
			return c
		}
		return '_'
	}, strings.ToLower(m.Schema.Target.Name)) + "_model"
}

// The document ends with its checksum.
const (
	checksumDigits = 2 * sha256.Size
	documentEnd    = "\"\n}\n"
)

// Bytes returns the document. It fills in Intercept, Weights and Checksum.
func (m *Model) Bytes() ([]byte, error) {
	m.Intercept = m.weights[len(m.weights)-1]
	m.Weights = m.Weights[:0]
	for k, name := range m.Encoder.names {
		m.Weights = append(m.Weights, Weight{name, m.weights[k]})
	}
	m.Checksum = strings.Repeat("0", checksumDigits)
	b, err := json.Marshal(m, jsontext.WithIndent("  "), json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	sum := sha256.Sum256(b)
	m.Checksum = hex.EncodeToString(sum[:])
	copy(b[len(b)-len(documentEnd)-checksumDigits:], m.Checksum)
	return b, nil
}

// Verify is Parse without its result.
func Verify(b []byte) error {
	_, err := Parse(b)
	return err
}

// Read returns the named model. read returns the document's bytes: a method of the
// registry, ReadModel for any file or ReadRegistered for a registered model.
func Read(name string, read func(name string) ([]byte, error)) (*Model, error) {
	b, err := read(name)
	if err != nil {
		return nil, err
	}
	m, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// Parse reads a document and checks it: format, checksum, contents, golden rows.
func Parse(b []byte) (*Model, error) {
	var head struct {
		Format    *int     `json:"format"`
		Intercept *float64 `json:"intercept"`
		Threshold *float64 `json:"threshold"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("not a model: %w", strictjson.Clean(err))
	}
	if head.Format == nil {
		return nil, errors.New("not a model: it has no format")
	}
	if *head.Format < Format || *head.Format > FormatTerms {
		return nil, fmt.Errorf("model format %d, this program reads formats %d to %d: if a later version wrote it, "+
			"upgrade this program first", *head.Format, Format, FormatTerms)
	}
	if err := checksum(b); err != nil {
		return nil, err
	}
	if head.Intercept == nil || head.Threshold == nil {
		return nil, errors.New("not a model: intercept or threshold is missing")
	}
	var m Model
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("not a model: %w", strictjson.Clean(err))
	}
	if err := m.bind(); err != nil {
		return nil, err
	}
	for i, g := range m.Golden {
		if got := m.Score(g.Row).Probability; !(math.Abs(got-g.Probability) <= goldenTolerance) {
			return nil, fmt.Errorf("golden row %d: probability %v, the model was made with %v", i+1, got, g.Probability)
		}
	}
	return &m, nil
}

func checksum(b []byte) error {
	at := len(b) - len(documentEnd) - checksumDigits
	if at < 0 || string(b[len(b)-len(documentEnd):]) != documentEnd {
		return errors.New("the model was changed: it does not end with its checksum")
	}
	zeroed := bytes.Clone(b)
	copy(zeroed[at:], strings.Repeat("0", checksumDigits))
	if sum := sha256.Sum256(zeroed); hex.EncodeToString(sum[:]) != string(b[at:at+checksumDigits]) {
		return errors.New("the model was changed: its checksum does not match")
	}
	return nil
}

// bind checks that the parts of the document fit together.
func (m *Model) bind() error {
	if m.Schema == nil || m.Encoder == nil {
		return errors.New("not a model: schema or encoder is missing")
	}
	if m.Format == Format && !m.Encoder.Linear() {
		return fmt.Errorf("format %d has no curves, missing, pairs or grids: they need format %d", Format, FormatTerms)
	}
	m.Encoder.shrink, m.Encoder.shrinkPairs = m.Training.Shrink, m.Training.ShrinkPairs
	if err := m.Encoder.bind(m.Schema); err != nil {
		return err
	}
	if err := m.checkEffects(); err != nil {
		return err
	}
	if len(m.Weights) != m.Encoder.Width() {
		return fmt.Errorf("%d weights, the encoder has %d columns", len(m.Weights), m.Encoder.Width())
	}
	if m.Covariance != nil {
		if _, err := m.factor(); err != nil {
			return err
		}
	}
	m.weights = make([]float64, 0, len(m.Weights)+1)
	for k, w := range m.Weights {
		if w.Name != m.Encoder.names[k] {
			return fmt.Errorf("weight %d is %q, the encoder's column %q", k+1, w.Name, m.Encoder.names[k])
		}
		m.weights = append(m.weights, w.Value)
	}
	m.weights = append(m.weights, m.Intercept)
	if k := slices.IndexFunc(m.weights, func(w float64) bool { return !(math.Abs(w) <= maxWeight) }); k >= 0 {
		return fmt.Errorf("weight %d is %v, more than %v", k+1, m.weights[k], maxWeight)
	}
	if !(m.Threshold >= 0 && m.Threshold <= math.Nextafter(1, 2)) { // where predicting none is cheapest, just above 1
		return fmt.Errorf("the threshold is %v, not from 0 to 1", m.Threshold)
	}
	if len(m.Golden) == 0 {
		return errors.New("not a model: reference or golden rows are missing")
	}
	for i, g := range m.Golden {
		if len(g.Row) != len(m.Schema.Features) {
			return fmt.Errorf("golden row %d has %d values, the schema %d features", i+1, len(g.Row), len(m.Schema.Features))
		}
	}
	return m.bindReference()
}

// bindReference checks the reference, and sets the limits.
func (m *Model) bindReference() error {
	m.limits = make([][2]float64, len(m.Schema.Features))
	for j, f := range m.Schema.Features {
		s, ok := m.Reference.Columns[f.Name]
		if !ok || (s.Numbers != nil) != (f.Type == dataset.Number) {
			return fmt.Errorf("the reference has no summary of %q", f.Name)
		}
		if err := s.Check(); err != nil {
			return fmt.Errorf("the reference of %q has %w", f.Name, err)
		}
		if s.Rows+s.Missing == 0 {
			return fmt.Errorf("the reference of %q has no rows", f.Name)
		}
		m.limits[j] = limits(s.Numbers)
	}
	if m.Reference.Probability.Numbers == nil {
		return errors.New("not a model: reference or golden rows are missing")
	}
	if err := m.Reference.Probability.Check(); err != nil {
		return fmt.Errorf("the reference of the probability has %w", err)
	}
	for _, c := range m.Reference.Correlations {
		if c.Rows < 0 || math.Abs(c.R) > 1 || c.Variance < 0 {
			return fmt.Errorf("the reference of %q and %q has a correlation of %v in %d rows", c.A, c.B, c.R, c.Rows)
		}
	}
	return nil
}
