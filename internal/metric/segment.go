package metric

import (
	"fmt"
	"math"
)

// A Segment is rows with a value of a column in common.
type Segment struct {
	Name            string    `json:"name"`
	Rows            int       `json:"rows"`
	Positives       int       `json:"positives"`
	Rate            Estimate  `json:"rate"`             // positives per row
	MeanProbability float64   `json:"mean_probability"` // what Rate is expected to be
	F1              Estimate  `json:"f1"`
	ROCAUC          *Estimate `json:"roc_auc"` // null with rows of one class
	LogLoss         Estimate  `json:"log_loss"`
	ExpectedLogLoss float64   `json:"expected_log_loss"` // if the probabilities are true
	Worse           []string  `json:"worse,omitzero"`    // in words, what is worse than the probabilities promise

	probabilities []float64
	positive      []bool
	answers       Confusion
	variance      float64    // of Positives, expected
	p             [2]float64 // of the rate and of the log loss
}

const (
	segmentLevel    = 0.01 // as drift has it: of a false alarm for any of the segments
	segmentVariance = 5    // least expected variance of the positives for the normal distribution
	rateFloor       = 0.05 // difference of the rates worth acting on
	lossFloor       = 0.10 // rise of the log loss worth acting on, of what is expected
)

// Add adds a row, predicted at its threshold.
func (s *Segment) Add(probability, threshold float64, positive bool) {
	s.probabilities, s.positive = append(s.probabilities, probability), append(s.positive, positive)
	s.answers.Add(probability >= threshold, positive)
}

// measure fills in the metrics of the rows that were added.
func (s *Segment) measure() {
	r, loss := Rank(s.probabilities, s.positive), LogLoss(s.probabilities, s.positive)
	s.Rows, s.Positives = r.rows(), r.positives
	s.F1 = Estimate{Value: s.answers.F1(), Interval: s.answers.F1Interval()}
	s.Rate = Proportion(r.positives, r.rows())
	s.LogLoss = Estimate{Value: loss, Interval: r.LogLossInterval(loss)}
	if r.positives > 0 && r.negatives > 0 {
		s.ROCAUC = &Estimate{Value: r.AUC(), Interval: r.AUCInterval()}
	}
	n, lossVariance := float64(s.Rows), 0.0
	for _, p := range s.probabilities {
		if v := p * (1 - p); v > 0 {
			z := math.Log(p / (1 - p))
			s.ExpectedLogLoss -= (p*math.Log(p) + (1-p)*math.Log1p(-p)) / n
			s.variance, lossVariance = s.variance+v, lossVariance+v*z*z
		}
		s.MeanProbability += p / n
	}
	s.p[0] = math.Erfc(n * math.Abs(s.Rate.Value-s.MeanProbability) / math.Sqrt(2*s.variance))
	s.p[1] = math.Erfc(n*(loss-s.ExpectedLogLoss)/math.Sqrt(2*lossVariance)) / 2
}

// Segments fills in the metrics of segments, each of which has rows, and Worse where a segment's positives
// are more or fewer than its probabilities promise, or its log loss is higher (Spiegelhalter 1986):
// significantly after Holm's correction for all segments and both tests, and by enough to act on. Metrics
// are not compared between segments, since they depend on who is in them.
func Segments(segments []Segment) {
	var tested []int
	var p []float64 // two of each
	for i := range segments {
		if segments[i].measure(); segments[i].variance >= segmentVariance {
			tested, p = append(tested, i), append(p, segments[i].p[:]...)
		}
	}
	p = Holm(p)
	for k, i := range tested {
		s := &segments[i]
		if p[2*k] <= segmentLevel && math.Abs(s.Rate.Value-s.MeanProbability) >= rateFloor {
			s.Worse = append(s.Worse,
				fmt.Sprintf("%.1f %% churn, %.1f %% are predicted", 100*s.Rate.Value, 100*s.MeanProbability))
		}
		if p[2*k+1] <= segmentLevel && s.LogLoss.Value >= (1+lossFloor)*s.ExpectedLogLoss {
			s.Worse = append(s.Worse,
				fmt.Sprintf("the log loss is %.3f, by its probabilities %.3f", s.LogLoss.Value, s.ExpectedLogLoss))
		}
	}
}
