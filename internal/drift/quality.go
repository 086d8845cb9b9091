package drift

import (
	"cmp"
	"fmt"
	"math"

	"churn/internal/metric"
)

// Columns that checks of quality stand under.
const (
	Outcomes        = "(outcomes)"
	ExpectedQuality = "(expected quality)"
)

// Quality is how good the current model's predictions are: what to expect of those in
// the window, and what was realised where the outcomes are known.
type Quality struct {
	Calibrated bool              `json:"holds"`     // its probabilities can be taken for shares of customers
	Reason     string            `json:"reason"`    // why Expected is null
	Rows       int               `json:"rows"`      // of the window that it answered
	Expected   *metric.Estimates `json:"expected"`  // of those
	Test       Metrics           `json:"test"`      // when it was trained
	OwnError   bool              `json:"own_error"` // the intervals of Expected contain the error of the model's weights
	Checks     []Check           `json:"checks"`    // whether it has fallen, corrected for their number
	Labelled   *Labelled         `json:"labelled,omitzero"`
}

// Labelled is about the customers whose outcome is known, wherever in the log they are, since
// outcomes are mostly older than the window; with a time, or a number given, the latest of them.
type Labelled struct {
	File     string            `json:"file"`
	Model    string            `json:"model"`        // whose answers are compared
	Earlier  bool              `json:"earlier"`      // it is not the current model, which has too few outcomes
	Outcomes int               `json:"outcomes"`     // different ids in it with an outcome
	Rows     int               `json:"rows"`         // of them that Model answered
	Others   int               `json:"other_models"` // that another model answered
	Unknown  int               `json:"unknown"`      // that no record has
	Outside  int               `json:"outside"`      // that Model answered too early for what was asked
	Test     Metrics           `json:"test"`         // of Model, when it was trained
	Realised *Metrics          `json:"realised"`     // of Rows; null where they are too few or of one class
	Observed *metric.Estimates `json:"observed"`     // the same, with intervals
	Expected *metric.Estimates `json:"expected"`     // of the same; null without calibrated probabilities
	OwnError bool              `json:"own_error"`    // the intervals of Expected contain the error of the model's weights
	Reason   string            `json:"reason"`       // why Realised is null

	Calibration         *metric.Calibration `json:"calibration"`          // refit to the outcomes
	ExpectedCalibration *metric.Calibration `json:"expected_calibration"` // about 0 and 1
}

// Metrics are metrics of predictions whose outcome is known.
type Metrics struct {
	Precision    float64 `json:"precision"`
	Recall       float64 `json:"recall"`
	F1           float64 `json:"f1"`
	Accuracy     float64 `json:"accuracy"`
	PositiveRate float64 `json:"positive_rate"`
	LogLoss      float64 `json:"log_loss,omitzero"`
}

// MetricsOf returns the metrics of a confusion matrix, and the log loss.
func MetricsOf(c metric.Confusion, logLoss float64) Metrics {
	return Metrics{
		Precision: c.Precision(), Recall: c.Recall(), F1: c.F1(), Accuracy: c.Accuracy(),
		PositiveRate: metric.Ratio(c.TP+c.FN, c.Rows()), LogLoss: logLoss,
	}
}

// QualityLimits are the falls in quality that are worth acting on.
type QualityLimits struct {
	Drop      float64    // of F1 or accuracy
	LossRise  float64    // of the log loss, relative
	SlopeFrom [2]float64 // least and greatest calibration slope
}

// A Test is what the test rows say of a model.
type Test struct {
	Confusion metric.Confusion
	LogLoss   float64
}

// f1Variance returns the variance of an F1's difference, or infinity where so few churners are to be found in so many
// rows that it is far from normal: a window without one has an F1 of 0 by chance.
func (t Test) f1Variance(variance float64, rows int) float64 {
	if t.Confusion.TP*rows < minExpected*t.Confusion.Rows() {
		return math.Inf(1)
	}
	return variance
}

// CheckExpected compares the quality that is expected of the window with that of the test rows.
// The expectation must contain the model's own error.
func (q *Quality) CheckExpected(e metric.Expectation, test Test, limits QualityLimits) {
	x, m, c := q.Expected, float64(test.Confusion.Rows()), test.Confusion
	// The standard error of an expected metric is of labels that are unknown; here it is the
	// variation of the customers, and the model's own error, which is what is left without labels.
	f1, accuracy, logLoss := e.Sampling()
	without := e.Estimates(nil)
	own := func(with, without metric.Estimate) float64 { return square(with.StdError) - square(without.StdError) }
	q.falls(ExpectedQuality, "test", "", *x, MetricsOf(c, test.LogLoss), e.Rows, [3]float64{
		test.f1Variance(square(f1)+own(x.F1, without.F1)+c.F1Variance()/m, e.Rows),
		square(accuracy) + own(x.Accuracy, without.Accuracy) + c.Accuracy()*(1-c.Accuracy())/m,
		square(logLoss) + own(x.LogLoss, without.LogLoss) + e.LossVariance()/m,
	}, limits)
}

// CheckRealised compares realised metrics with those of the test rows, on which the
// model was right as often if nothing has changed, and with expected ones if they contain the
// model's own error, with those.
func (q *Quality) CheckRealised(r metric.Realised, test Test, limits QualityLimits) {
	n, l, whose := r.Confusion.Rows(), q.Labelled, ""
	if l.Earlier {
		whose = " of " + l.Model
	}
	both, each := r.Confusion.Plus(test.Confusion), 1/float64(n)+1/float64(test.Confusion.Rows())
	q.falls(Outcomes, "test", whose, r.Estimates, MetricsOf(test.Confusion, test.LogLoss), n, [3]float64{
		test.f1Variance(both.F1Variance()*each, n), both.Accuracy() * (1 - both.Accuracy()) * each, r.LossVariance * each,
	}, limits)
	if !l.OwnError {
		return
	}
	if e := l.Expected; e != nil {
		expected := Metrics{F1: e.F1.Value, Accuracy: e.Accuracy.Value, LogLoss: e.LogLoss.Value}
		q.falls(Outcomes, "expected", whose, r.Estimates, expected, n,
			[3]float64{square(e.F1.StdError), square(e.Accuracy.StdError), square(e.LogLoss.StdError)}, limits)
	}
	if r.Calibration == nil || l.ExpectedCalibration == nil {
		return
	}
	calibration := func(name, unit, meaning string, value, expected metric.Estimate, calibrated, threshold float64) {
		z := (value.Value - expected.Value) / expected.StdError
		q.Checks = append(q.Checks, Check{
			Column: Outcomes, Kind: "calibration " + name, Rows: n, symbol: "z", Statistic: finite(z),
			P: math.Erfc(math.Abs(z) / math.Sqrt2), Effect: value.Value - calibrated, Threshold: threshold, Unit: unit,
			Sentence: fmt.Sprintf("the calibration %s of the realised outcomes%s is %.2f, %.2f expected%s",
				name, whose, value.Value, expected.Value, meaning),
		})
	}
	const shift = 0.5 // of the log-odds: the odds are off by a factor of 1.65
	calibration("intercept", "log-odds", ": more churn, or less, than the probabilities say",
		r.Calibration.Intercept, l.ExpectedCalibration.Intercept, 0, shift)
	threshold := 1 - limits.SlopeFrom[0]
	if r.Calibration.Slope.Value > 1 {
		threshold = limits.SlopeFrom[1] - 1
	}
	calibration("slope", "slope", "", r.Calibration.Slope, l.ExpectedCalibration.Slope, 1, threshold)
}

// falls adds the checks whether F1, accuracy and log loss are worse than the reference, with the
// variances of their differences.
func (q *Quality) falls(column, than, whose string, now metric.Estimates, ref Metrics, rows int, variances [3]float64,
	limits QualityLimits) {
	what := map[string]string{Outcomes: "realised", ExpectedQuality: "expected"}[column]
	of := map[string]string{"test": "on the test rows", "expected": "expected of these customers"}[than]
	for k, m := range [3]struct {
		name, unit                    string
		value, ref, effect, threshold float64
	}{
		{"F1", "F1", now.F1.Value, ref.F1, now.F1.Value - ref.F1, limits.Drop},
		{"accuracy", "accuracy", now.Accuracy.Value, ref.Accuracy, now.Accuracy.Value - ref.Accuracy, limits.Drop},
		{"log loss", "relative", now.LogLoss.Value, ref.LogLoss, now.LogLoss.Value/ref.LogLoss - 1, limits.LossRise},
	} {
		z := (m.ref - m.value) / math.Sqrt(variances[k])
		if m.name == "log loss" {
			if z = -z; !(m.value > 0 && m.ref > 0) {
				continue // not known
			}
		}
		if !(variances[k] > 0) {
			z = 0 // neither side varies
		}
		q.Checks = append(q.Checks, Check{
			Column: column, Kind: m.name + " vs " + than, Rows: rows, symbol: "z", Statistic: finite(-z),
			P: math.Erfc(z/math.Sqrt2) / 2, Effect: finite(m.effect), Threshold: m.threshold, Unit: m.unit,
			Sentence: fmt.Sprintf("the %s %s%s is %.3f, %.3f %s", what, m.name, whose, m.value, m.ref, of),
		})
	}
}

// A QualityRow is one metric: where outcomes are known, as expected of the same rows, and on the test rows.
type QualityRow struct {
	Name     string
	Observed metric.Estimate // 0 without outcomes
	Expected metric.Estimate // 0 if nothing is expected
	Test     float64
	Refit    bool // a calibration: it has no Test
}

// Table returns what is expected of the window by metric; no rows without Expected.
func (q *Quality) Table() []QualityRow {
	if q.Expected == nil {
		return nil
	}
	return qualityTable(nil, q.Expected, q.Test)
}

// By says whose answers are compared.
func (l *Labelled) By() string {
	if l.Earlier {
		return l.Model
	}
	return "the current model"
}

// Table returns what was realised by metric, and the calibration.
func (l *Labelled) Table() []QualityRow {
	table := qualityTable(l.Observed, l.Expected, l.Test)
	if refit := l.Calibration; refit != nil {
		ideal := cmp.Or(l.ExpectedCalibration, &metric.Calibration{})
		table = append(table,
			QualityRow{Name: "calibration intercept", Observed: refit.Intercept, Expected: ideal.Intercept, Refit: true},
			QualityRow{Name: "calibration slope", Observed: refit.Slope, Expected: ideal.Slope, Refit: true})
	}
	return table
}

func qualityTable(observed, expected *metric.Estimates, t Metrics) (table []QualityRow) {
	list := func(e *metric.Estimates) (out [6]metric.Estimate) {
		if e != nil {
			out = [6]metric.Estimate{e.Precision, e.Recall, e.F1, e.Accuracy, e.PositiveRate, e.LogLoss}
		}
		return out
	}
	of, in := list(observed), list(expected)
	test := [6]float64{t.Precision, t.Recall, t.F1, t.Accuracy, t.PositiveRate, t.LogLoss}
	for k, name := range [6]string{"precision", "recall", "F1", "accuracy", "churn rate", "log loss"} {
		table = append(table, QualityRow{name, of[k], in[k], test[k], false})
	}
	return table
}
