package logreg

import "gonum.org/v1/gonum/mat"

// A Penalty is the matrix P of a quadratic penalty wᵀPw/2, of d weights, as a sum of entries.
// The intercept has none.
type Penalty []PenaltyEntry

// A PenaltyEntry adds Value to P at (I, J) and, off the diagonal, at (J, I).
type PenaltyEntry struct {
	I, J  int
	Value float64
}

// Ridge returns the penalty |w|²/2 of d weights.
func Ridge(d int) Penalty {
	p := make(Penalty, d)
	for i := range p {
		p[i] = PenaltyEntry{i, i, 1}
	}
	return p
}

// Trace returns the trace of AP.
func (p Penalty) Trace(a mat.Symmetric) (sum float64) {
	for _, e := range p {
		x := e.Value * a.At(e.I, e.J)
		if e.I != e.J {
			x *= 2
		}
		sum += x
	}
	return sum
}

// times returns Pw, of the intercept 0.
func (p Penalty) times(w []float64) []float64 {
	out := make([]float64, len(w))
	for _, e := range p {
		out[e.I] += e.Value * w[e.J]
		if e.I != e.J {
			out[e.J] += e.Value * w[e.I]
		}
	}
	return out
}
