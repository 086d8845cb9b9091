package dataset

// A Tally counts the values of a column over the bins and levels of a reference, so
// that the two can be compared.
type Tally struct {
	Rows, Missing int            // with and without a value
	Unseen        int            // rows with a level that the reference lacks, or not with its only number
	Mean          float64        // of the numbers
	Counts        []int          // rows by bin of the reference
	Levels        map[string]int // rows by level; unseen levels are not in it

	ref *Summary
}

// NewTally returns an empty tally over the bins and levels of ref.
func NewTally(ref *Summary) *Tally {
	t := &Tally{ref: ref}
	if ref.Numbers != nil {
		t.Counts = make([]int, len(ref.Numbers.Cuts)+1)
	} else {
		t.Levels = make(map[string]int, len(ref.Levels))
	}
	return t
}

// Add counts a value. It returns false for one of the wrong type, which is not counted.
func (t *Tally) Add(v Value) bool {
	switch {
	case v.Missing:
		t.Missing++
	case v.Level != (t.ref.Numbers == nil):
		return false
	case v.Level:
		_, known := t.ref.Levels[v.Text]
		t.AddLevel(v.Text, known, 1)
	default:
		t.Rows++
		t.Mean += (v.Number - t.Mean) / float64(t.Rows)
		t.Counts[t.ref.Numbers.bin(v.Number)]++
		if t.ref.Constant() && v.Number != t.ref.Numbers.Min {
			t.Unseen++
		}
	}
	return true
}

// Reference returns the reference.
func (t *Tally) Reference() *Summary { return t.ref }

// AddNumbers adds rows of one bin with their mean. unseen of them do not have the only
// number of a constant reference.
func (t *Tally) AddNumbers(bin, rows int, mean float64, unseen int) {
	one := NewTally(t.ref)
	one.Rows, one.Mean, one.Unseen, one.Counts[bin] = rows, mean, unseen, rows
	t.Merge(one)
}

// AddLevel adds rows with a level, which the reference has if it is known.
func (t *Tally) AddLevel(level string, known bool, rows int) {
	t.Rows += rows
	if known {
		t.Levels[level] += rows
	} else {
		t.Unseen += rows
	}
}

// Merge adds the counts of other, a tally over the same reference. The mean of the
// rows of both is
//
//	mean + (mean' − mean) n'/(n + n')
//
// with a prime for other's. No sum over all rows is formed, so that nothing cancels
// when the means are far from zero (Chan, Golub & LeVeque 1983). Merging into an empty
// tally copies the mean exactly.
func (t *Tally) Merge(other *Tally) {
	t.Rows += other.Rows
	t.Missing += other.Missing
	t.Unseen += other.Unseen
	if other.Rows > 0 {
		t.Mean += (other.Mean - t.Mean) * (float64(other.Rows) / float64(t.Rows))
	}
	for i, n := range other.Counts {
		t.Counts[i] += n
	}
	for level, n := range other.Levels {
		t.Levels[level] += n
	}
}
