package drift

import (
	"fmt"
	"math"

	"churn/internal/metric"
)

// Columns that checks of quality stand under.
const (
	Outcomes        = "(outcomes)"
	ExpectedQuality = "(expected quality)"
)

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

// CheckExpected compares the quality that is expected of the window with that of the test rows.
// The expectation must contain the model's own error.
func (q *Quality) CheckExpected(e metric.Expectation, test Test, limits QualityLimits) {
	x, m, c := q.Expected, float64(test.Confusion.Rows()), test.Confusion
	// The standard error of an expected metric is of labels that are unknown; here it is the
	// variation of the customers, and the model's own error, which is what is left without labels.
	f1, accuracy, logLoss := e.Sampling()
	without := e.Estimates(nil)
	own := func(with, without metric.Estimate) float64 { return square(with.StdError) - square(without.StdError) }
	q.falls(ExpectedQuality, "test", *x, MetricsOf(c, test.LogLoss), e.Rows, [3]float64{
		square(f1) + own(x.F1, without.F1) + c.F1Variance()/m,
		square(accuracy) + own(x.Accuracy, without.Accuracy) + c.Accuracy()*(1-c.Accuracy())/m,
		square(logLoss) + own(x.LogLoss, without.LogLoss) + e.LossVariance()/m,
	}, limits)
}

// CheckRealised compares realised metrics with those of the test rows, on which the
// model was right as often if nothing has changed, and with expected ones if they contain the
// model's own error, with those.
func (q *Quality) CheckRealised(r metric.Realised, test Test, limits QualityLimits) {
	n, l := r.Confusion.Rows(), q.Labelled
	both, each := r.Confusion.Plus(test.Confusion), 1/float64(n)+1/float64(test.Confusion.Rows())
	q.falls(Outcomes, "test", r.Estimates, MetricsOf(test.Confusion, test.LogLoss), n, [3]float64{
		both.F1Variance() * each, both.Accuracy() * (1 - both.Accuracy()) * each, r.LossVariance * each,
	}, limits)
	if !l.OwnError {
		return
	}
	if e := l.Expected; e != nil {
		expected := Metrics{F1: e.F1.Value, Accuracy: e.Accuracy.Value, LogLoss: e.LogLoss.Value}
		q.falls(Outcomes, "expected", r.Estimates, expected, n,
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
			Sentence: fmt.Sprintf("the calibration %s of the realised outcomes is %.2f, %.2f expected%s",
				name, value.Value, expected.Value, meaning),
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
func (q *Quality) falls(column, than string, now metric.Estimates, ref Metrics, rows int, variances [3]float64,
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
			Sentence: fmt.Sprintf("the %s %s is %.3f, %.3f %s", what, m.name, m.value, m.ref, of),
		})
	}
}

// AddQuality corrects the checks of quality for their number, and the verdict is theirs if
// it is more severe.
func (r *Result) AddQuality(q *Quality) {
	r.Quality = q
	if severity := grade(q.Checks); severity.Compare(r.Verdict) > 0 {
		r.Verdict = severity
	}
	r.Drift = r.Verdict == Alert
}
