package metric

import (
	"math"
	"slices"
)

// A Gain is a tenth of the rows by descending probability: what calling it would find.
type Gain struct {
	Called    float64  `json:"fraction"` // called of all rows, of this tenth and those before it
	Threshold float64  `json:"threshold"`
	Rows      int      `json:"rows"`      // of this tenth
	Positives int      `json:"positives"` // among them
	Rate      Estimate `json:"rate"`      // positives per row, Wilson's interval
	Lift      Estimate `json:"lift"`      // the rate over that of all rows, which is taken as known
	Gain      Estimate `json:"gain"`      // fraction of all positives, of this tenth and those before it
}

// gains returns the bins of a calibration in descending order.
func (r Ranking) gains(bins []CalibrationBin) []Gain {
	out := []Gain{}
	if r.positives == 0 {
		return out
	}
	called, found, base := 0, 0, Ratio(r.positives, r.rows())
	for _, b := range slices.Backward(bins) {
		called, found = called+b.Rows, found+b.Positives
		rate, gain := Estimate{Value: b.ObservedFrequency, Interval: b.Interval}, Proportion(found, r.positives)
		if called == r.rows() {
			gain.Interval[0] = 1 // calling all finds all
		}
		out = append(out, Gain{
			Called: Ratio(called, r.rows()), Threshold: b.From, Rows: b.Rows, Positives: b.Positives,
			Rate: rate, Lift: rate.times(1 / base),
			Gain: gain,
		})
	}
	return out
}

func (e Estimate) times(x float64) Estimate {
	return Estimate{Value: x * e.Value, Interval: [2]float64{x * e.Interval[0], x * e.Interval[1]}}
}

// A Top is the customers to call where there is no capacity for more: those of the highest
// probabilities.
type Top struct {
	Capacity  int      `json:"capacity"`
	Customers int      `json:"customers"`       // that the capacity is for
	Rows      int      `json:"rows"`            // as large a share of the evaluated rows
	Threshold float64  `json:"threshold"`       // at least as many reach it
	Profit    *float64 `json:"profit,omitzero"` // of the calls, where their value and costs are known
	Tied      int      `json:"tied"`            // rows beyond Rows that reach it too: a random choice is expected
	Precision Estimate `json:"precision"`       // expected, Wilson's interval at this threshold
	Churners  Estimate `json:"churners"`        // expected among those called
	Recall    float64  `json:"recall"`          // fraction of all churners
}

// Top returns what is expected of calling the capacity among so many customers, of whom the
// rows are a sample.
func (r Ranking) Top(capacity, customers int) Top {
	capacity = min(capacity, customers)
	k := max(1, int(math.Round(float64(capacity)*float64(r.rows())/float64(customers))))
	t := Top{Capacity: capacity, Customers: customers, Rows: k}
	var before Confusion
	for c, from := range r.cutoffs() {
		if n := c.TP + c.FP; n >= k {
			earlier := before.TP + before.FP
			tied := float64(k-earlier) / float64(n-earlier) // of those at the threshold, the fraction called
			tp := float64(before.TP) + tied*float64(c.TP-before.TP)
			t.Threshold, t.Tied = from, n-k
			t.Precision = Estimate{Value: tp / float64(k), Interval: score(tp/float64(k), float64(k))}
			share := float64(r.positives) / float64(r.rows())
			t.Recall = t.Precision.Value * float64(capacity) / max(float64(customers)*share, 1)
			break
		}
		before = c
	}
	t.Churners = t.Precision.times(float64(capacity))
	return t
}
