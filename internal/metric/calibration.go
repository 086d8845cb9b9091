package metric

import "math"

// Realised are the metrics of predictions whose labels are known.
type Realised struct {
	Confusion Confusion
	Estimates
	LossVariance float64 // of a row

	// Calibration is nil where the labels do not determine it, as where they are separated.
	Calibration *Calibration
}

// Realise returns the metrics of recorded probabilities, which were predicted positive or not.
// Intervals are those of the population that the rows are drawn from.
func Realise(probabilities []float64, predicted, positive []bool) Realised {
	check(probabilities, positive)
	var r Realised
	var loss, squares float64
	for i, p := range probabilities {
		r.Confusion.Add(predicted[i], positive[i])
		l := rowLoss(p, positive[i], recorded)
		loss += l
		squares += l * l
	}
	c, n := r.Confusion, float64(len(positive))
	r.LossVariance = max(0, squares/n-loss*loss/(n*n))
	proportion := func(k, of int) Estimate {
		if of == 0 {
			return Estimate{}
		}
		p := Ratio(k, of)
		return Estimate{p, wilson(k, of), math.Sqrt(p * (1 - p) / float64(of))}
	}
	r.Estimates = Estimates{
		Precision:    proportion(c.TP, c.TP+c.FP),
		Recall:       proportion(c.TP, c.TP+c.FN),
		F1:           Estimate{c.F1(), c.F1Interval(), math.Sqrt(c.F1Variance() / n)},
		Accuracy:     proportion(c.TP+c.TN, len(positive)),
		PositiveRate: proportion(c.TP+c.FN, len(positive)),
		LogLoss:      estimate(loss/n, math.Sqrt(r.LossVariance/n), 0, math.Inf(1)),
	}
	r.Calibration = calibrate(probabilities, positive)
	return r
}

// F1Variance returns the variance of F1 times the number of rows, by the delta method:
//
//	n (4TP(1−F1)² + (FP+FN)F1²) / (2TP+FP+FN)²
func (c Confusion) F1Variance() float64 {
	f, both := c.F1(), float64(2*c.TP+c.FP+c.FN)
	if both == 0 {
		return 0
	}
	squares := 4*float64(c.TP)*(1-f)*(1-f) + float64(c.FP+c.FN)*f*f
	return float64(c.Rows()) * squares / (both * both)
}

// A Calibration is the logistic regression of labels on the log-odds of their probabilities,
// log-odds = Intercept + Slope·logit(p): 0 and 1 if these are calibrated (Cox 1958, "Two
// further applications of a model for binary regression", Biometrika 45). A slope below 1
// means that they are too extreme, one below 0 that they rank the rows the wrong way.
type Calibration struct {
	Intercept Estimate `json:"intercept"`
	Slope     Estimate `json:"slope"`

	inverse [2][2]float64 // of the Hessian
}

// calibrate fits by Newton's method with halved steps, unpenalised.
func calibrate(probabilities []float64, positive []bool) *Calibration {
	const (
		steps     = 50
		tolerance = 1e-8
		most      = 100 // a slope beyond it is on its way to infinity
	)
	z := make([]float64, len(probabilities))
	for i, p := range probabilities {
		z[i] = logit(p)
	}
	var c Calibration
	a, b := 0.0, 1.0
	loss := calibrationLoss(z, positive, a, b)
	for range steps {
		var g, h [2]float64
		var cross float64
		for i, x := range z {
			p := sigmoid(a + b*x)
			d, w := p-float64(Indicator(positive[i])), p*(1-p)
			g[0], g[1] = g[0]+d, g[1]+d*x
			h[0], h[1], cross = h[0]+w, h[1]+w*x*x, cross+w*x
		}
		det := h[0]*h[1] - cross*cross
		if !(det > 1e-12*h[0]*h[1]) { // labels of one class, or probabilities that are all equal
			return nil
		}
		c.inverse = [2][2]float64{{h[1] / det, -cross / det}, {-cross / det, h[0] / det}}
		da, db := -c.times(0, g[0], g[1]), -c.times(1, g[0], g[1])
		if math.Abs(da)+math.Abs(db) < tolerance {
			c.Intercept = estimate(a, math.Sqrt(c.inverse[0][0]), math.Inf(-1), math.Inf(1))
			c.Slope = estimate(b, math.Sqrt(c.inverse[1][1]), math.Inf(-1), math.Inf(1))
			return &c
		}
		next := calibrationLoss(z, positive, a+da, b+db)
		for ; next > loss && math.Abs(da)+math.Abs(db) > tolerance/2; next = calibrationLoss(z, positive, a+da, b+db) {
			da, db = da/2, db/2
		}
		a, b, loss = a+da, b+db, next
		if math.Abs(b) > most {
			return nil
		}
	}
	return nil
}

// times returns row i of the inverse times (x, y).
func (c *Calibration) times(i int, x, y float64) float64 {
	return c.inverse[i][0]*x + c.inverse[i][1]*y
}

func calibrationLoss(z []float64, positive []bool, a, b float64) (loss float64) {
	for i, x := range z {
		m := a + b*x
		if positive[i] {
			m = -m
		}
		loss += max(m, 0) + math.Log1p(math.Exp(-math.Abs(m)))
	}
	return loss
}

// Expected returns what the refit is expected to be for rows whose probabilities e has: 0 and 1 but for
// the optimism of the weights, with the standard errors of the refit and of the weights.
func (c *Calibration) Expected(e Expectation, own *WeightError) (intercept, slope Estimate) {
	expected := func(i int, value float64) Estimate {
		variance := c.inverse[i][i] + e.own(own, c.inverse[i][0], c.inverse[i][0], c.inverse[i][1])
		return estimate(value, math.Sqrt(variance), math.Inf(-1), math.Inf(1))
	}
	extreme, mean := e.extreme(own)
	return expected(0, extreme*mean), expected(1, 1-extreme)
}
