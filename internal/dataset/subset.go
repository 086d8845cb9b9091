package dataset

// A Subset is rows of a table that stays where it is, by the hash of their key: the
// same rows in every run. nil is all rows.
type Subset []Share

// A Share is the hashes from From on and below To, in 0 to 1 of all there are.
type Share struct{ From, To float64 }

// TestSubset returns the rows to hold out, about testSize of all; TrainSubset the others.
func TestSubset(testSize float64) Subset  { return Subset{{0, testSize}} }
func TrainSubset(testSize float64) Subset { return Subset{{testSize, 1}} }

// Fold returns part k of n of the training rows, and those that are not in it.
func Fold(testSize float64, k, n int) (in, out Subset) {
	at := func(k int) float64 { return testSize + (1-testSize)*float64(k)/float64(n) }
	in = Subset{{at(k), at(k + 1)}}
	if k > 0 {
		out = append(out, Share{testSize, at(k)})
	}
	if k < n-1 {
		out = append(out, Share{at(k + 1), 1})
	}
	return in, out
}

// Sample returns about a share of the part's rows: the first of its hashes.
func (p Subset) Sample(share float64) Subset {
	if p == nil {
		p = Subset{{0, 1}}
	}
	left := 0.0
	for _, s := range p {
		left += share * (s.To - s.From)
	}
	var out Subset
	for _, s := range p {
		if size := s.To - s.From; size < left {
			out, left = append(out, s), left-size
		} else {
			return append(out, Share{s.From, s.From + left})
		}
	}
	return out
}
