package dataset

// A HashRange is the rows of a table in a database whose key has a hash in one of the
// intervals, the same rows in every run. nil is all rows.
type HashRange []Interval

// An Interval is the hashes at or above From and below To, as fractions of all hashes.
type Interval struct{ From, To float64 }

// TestRange returns the rows to hold out, about testSize of all; TrainRange the others.
func TestRange(testSize float64) HashRange  { return HashRange{{0, testSize}} }
func TrainRange(testSize float64) HashRange { return HashRange{{testSize, 1}} }

// FoldRange returns fold k of n of the training rows, and the training rows outside it.
func FoldRange(testSize float64, k, n int) (in, out HashRange) {
	at := func(k int) float64 { return testSize + (1-testSize)*float64(k)/float64(n) }
	in = HashRange{{at(k), at(k + 1)}}
	if k > 0 {
		out = append(out, Interval{testSize, at(k)})
	}
	if k < n-1 {
		out = append(out, Interval{at(k + 1), 1})
	}
	return in, out
}

// Sample returns about a fraction of the rows: those with the lowest hashes.
func (r HashRange) Sample(fraction float64) HashRange {
	if r == nil {
		r = HashRange{{0, 1}}
	}
	left := 0.0
	for _, s := range r {
		left += fraction * (s.To - s.From)
	}
	var out HashRange
	for _, s := range r {
		if size := s.To - s.From; size < left {
			out, left = append(out, s), left-size
		} else {
			return append(out, Interval{s.From, s.From + left})
		}
	}
	return out
}
