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
	x, m, c := q.Expected, float64(rows(test.Confusion)), test.Confusion
	expected := metric.Estimates{F1: x.F1, Accuracy: x.Accuracy, LogLoss: x.LogLoss}
	// The standard error of an expected metric is of labels that are unknown; here it is the
	// variation of the customers, and the model's own error, which is what is left without labels.
	f1, accuracy, logLoss := e.Sampling()
	without := e.Estimates(nil)
	own := func(with, without metric.Estimate) float64 {
		return with.StdError*with.StdError - without.StdError*without.StdError
	}
	accuracyVar := c.Accuracy() * (1 - c.Accuracy())
	q.falls(ExpectedQuality, "test", expected, Metrics{F1: c.F1(), Accuracy: c.Accuracy(), LogLoss: test.LogLoss}, e.Rows,
		[3]float64{
			f1*f1 + own(x.F1, without.F1) + c.F1Variance()/m,
			accuracy*accuracy + own(x.Accuracy, without.Accuracy) + accuracyVar/m,
			logLoss*logLoss + own(x.LogLoss, without.LogLoss) + e.LossVariance()/m,
		}, limits)
}

// CheckRealised compares realised metrics with those of the test rows, on which the
// model was right as often if nothing has changed, and with expected ones if they contain the
// model's own error, with those.
func (q *Quality) CheckRealised(r metric.Realised, test Test, limits QualityLimits) {
	n, m, l := float64(rows(r.Confusion)), float64(rows(test.Confusion)), q.Labelled
	both, each := r.Confusion.Plus(test.Confusion), 1/n+1/m
	c := test.Confusion
	q.falls(Outcomes, "test", r.Estimates, Metrics{F1: c.F1(), Accuracy: c.Accuracy(), LogLoss: test.LogLoss}, int(n),
		[3]float64{both.F1Variance() * each, both.Accuracy() * (1 - both.Accuracy()) * each, r.LossVariance * each}, limits)
	if l.Expected != nil && l.OwnError {
		e := l.Expected
		square := func(x metric.Estimate) float64 { return x.StdError * x.StdError }
		expected := Metrics{F1: e.F1.Value, Accuracy: e.Accuracy.Value, LogLoss: e.LogLoss.Value}
		q.falls(Outcomes, "expected", r.Estimates, expected, int(n),
			[3]float64{square(e.F1), square(e.Accuracy), square(e.LogLoss)}, limits)
	}
	if r.Calibration == nil || l.ExpectedCalibration == nil || !l.OwnError {
		return
	}
	const shift = 0.5 // of the log-odds: the odds are off by a factor of 1.65
	intercept, ideal := r.Calibration.Intercept.Value, l.ExpectedCalibration.Intercept
	z := (intercept - ideal.Value) / ideal.StdError
	q.Checks = append(q.Checks, Check{
		Column: Outcomes, Kind: "calibration intercept", Rows: int(n), symbol: "z", Statistic: finite(z),
		P: math.Erfc(math.Abs(z) / math.Sqrt2), Effect: intercept, Threshold: shift, Unit: "log-odds",
		Sentence: fmt.Sprintf("the calibration intercept of the realised outcomes is %.2f, %.2f expected: more churn, "+
			"or less, than the probabilities say", intercept, ideal.Value),
	})
	slope := r.Calibration.Slope.Value
	z = (slope - l.ExpectedCalibration.Slope.Value) / l.ExpectedCalibration.Slope.StdError
	threshold := 1 - limits.SlopeFrom[0]
	if slope > 1 {
		threshold = limits.SlopeFrom[1] - 1
	}
	q.Checks = append(q.Checks, Check{
		Column: Outcomes, Kind: "calibration slope", Rows: int(n), symbol: "z", Statistic: finite(z),
		P: math.Erfc(math.Abs(z) / math.Sqrt2), Effect: slope - 1, Threshold: threshold, Unit: "slope",
		Sentence: fmt.Sprintf("the calibration slope of the realised outcomes is %.2f, %.2f expected",
			slope, l.ExpectedCalibration.Slope.Value),
	})
}

// falls adds the checks whether F1, accuracy and log loss are worse than the reference, with the
// variances of their differences.
func (q *Quality) falls(column, than string, now metric.Estimates, ref Metrics, rows int, variances [3]float64,
	limits QualityLimits) {
	what := map[string]string{Outcomes: "realised", ExpectedQuality: "expected"}[column]
	of := map[string]string{"test": "on the test rows", "expected": "expected of these customers"}[than]
	add := func(name, unit string, value, ref, worse, variance, effect, threshold float64) {
		z := worse / math.Sqrt(variance)
		if !(variance > 0) {
			z = 0 // as many answers right as there are, on both sides
		}
		q.Checks = append(q.Checks, Check{
			Column: column, Kind: name + " vs " + than, Rows: rows, symbol: "z", Statistic: finite(-z),
			P: math.Erfc(z/math.Sqrt2) / 2, Effect: finite(effect), Threshold: threshold, Unit: unit,
			Sentence: fmt.Sprintf("the %s %s is %.3f, %.3f %s", what, name, value, ref, of),
		})
	}
	for k, m := range [2]struct {
		name       string
		value, ref float64
	}{{"F1", now.F1.Value, ref.F1}, {"accuracy", now.Accuracy.Value, ref.Accuracy}} {
		add(m.name, m.name, m.value, m.ref, m.ref-m.value, variances[k], m.value-m.ref, limits.Drop)
	}
	if loss := now.LogLoss.Value; loss > 0 && ref.LogLoss > 0 {
		add("log loss", "relative", loss, ref.LogLoss, loss-ref.LogLoss, variances[2], loss/ref.LogLoss-1, limits.LossRise)
	}
}

func rows(c metric.Confusion) int { return c.TP + c.FP + c.FN + c.TN }

// AddQuality corrects the checks of quality for their number, and the verdict is theirs if
// it is more severe.
func (r *Result) AddQuality(q *Quality) {
	r.Quality = q
	if severity := grade(q.Checks); severity.Compare(r.Verdict) > 0 {
		r.Verdict = severity
	}
	r.Drift = r.Verdict == Alert
}
