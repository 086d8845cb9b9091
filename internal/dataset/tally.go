package dataset

import (
	"math"
	"slices"
)

// A Tally counts the values of a column over the bins and levels of a reference, so
// that the two can be compared.
type Tally struct {
	Rows, Missing int            // with and without a value
	Unseen        int            // rows with a level that the reference lacks, or not with its only number
	Mean          float64        // of the numbers
	Powers        [4]float64     // sums of z, z², z³ and z⁴, z = (x − mean)/std of the reference
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
		t.Rows++
		if _, known := t.ref.Levels[v.Text]; known {
			t.Levels[v.Text]++
		} else {
			t.Unseen++
		}
	default:
		t.Rows++
		t.Mean += (v.Number - t.Mean) / float64(t.Rows)
		z := t.ref.Numbers.standardise(v.Number)
		t.Powers[0] += z
		t.Powers[1] += z * z
		t.Powers[2] += z * z * z
		t.Powers[3] += z * z * z * z
		bin, _ := slices.BinarySearch(t.ref.Numbers.Cuts, v.Number) // how many cuts are below it
		t.Counts[bin]++
		if t.ref.Constant() && v.Number != t.ref.Numbers.Min {
			t.Unseen++
		}
	}
	return true
}

// rounding is the part of a mean of squares that a variance taken from it must exceed.
const rounding = 1e-12

// Variance returns the variance of the numbers in units of the reference's, with n−1, and their
// kurtosis; 0 for what so few rows or so few different numbers do not have.
func (t *Tally) Variance() (variance, kurtosis float64) {
	n, mean := float64(t.Rows), t.Powers[0]/float64(t.Rows)
	second := t.Powers[1]/n - mean*mean
	fourth := t.Powers[3]/n - 4*mean*t.Powers[2]/n + 6*mean*mean*t.Powers[1]/n - 3*mean*mean*mean*mean
	if n < 2 || second <= rounding*t.Powers[1]/n {
		return 0, 0
	}
	return second * n / (n - 1), max(0, fourth/(second*second))
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
	for i, sum := range other.Powers {
		t.Powers[i] += sum
	}
	for i, n := range other.Counts {
		t.Counts[i] += n
	}
	for level, n := range other.Levels {
		t.Levels[level] += n
	}
}

// maxPaired is how many numbers of a schema have their correlations kept and compared, the
// first ones: 30 have 435 pairs, and cost drift less than a tenth of its time.
const maxPaired = 30

// A Correlation is that of two numbers over the rows that have both.
type Correlation struct {
	A        string  `json:"a"`
	B        string  `json:"b"`
	Rows     int     `json:"rows"`
	R        float64 `json:"r"`        // the mean of the products of A and B, each less its mean and over its std
	Variance float64 `json:"variance"` // of these products: 1 + r² where both are normal
}

// Pairs adds up the products of all pairs of numbers, standardised by a reference, row by row.
// Their number of sums does not depend on the rows.
type Pairs struct {
	Names   []string // of the numbers
	refs    []*NumberSummary
	z       []float64 // of the row at hand; 0 where missing, as its products then are
	present []bool
	single  []moments
	pairs   []moments // of the products of numbers i and j < i, at i(i−1)/2+j; rows of them are not whole
	whole   int       // rows with all numbers, which most have: they are counted once, in a third of the time
}

type moments struct {
	rows        int
	sum, square float64
}

func (m *moments) add(n moments) {
	m.rows, m.sum, m.square = m.rows+n.rows, m.sum+n.sum, m.square+n.square
}

// variance returns the mean and the variance, and whether that is more than rounding.
func (m *moments) variance() (mean, variance float64, varies bool) {
	mean, square := m.sum/float64(m.rows), m.square/float64(m.rows)
	return mean, square - mean*mean, square-mean*mean > rounding*square
}

// NewPairs returns no rows of those of the numbers that vary in the reference, maxPaired at most.
func NewPairs(names []string, references map[string]*Summary) *Pairs {
	p := &Pairs{}
	for _, name := range names {
		ref := references[name]
		if ref != nil && ref.Numbers != nil && ref.Rows > 0 && !ref.Constant() && len(p.Names) < maxPaired {
			p.Names, p.refs = append(p.Names, name), append(p.refs, ref.Numbers)
		}
	}
	k := len(p.Names)
	p.z, p.present = make([]float64, k), make([]bool, k)
	p.single, p.pairs = make([]moments, k), make([]moments, k*max(k-1, 0)/2)
	return p
}

// Put sets the value of number i in the row at hand.
func (p *Pairs) Put(i int, v Value) {
	if !v.Missing && !v.Level {
		p.z[i], p.present[i] = p.refs[i].standardise(v.Number), true
	}
}

// Next adds the row at hand, and begins the next one.
func (p *Pairs) Next() {
	whole := !slices.Contains(p.present, false)
	if whole {
		p.whole++
	}
	for i, z := range p.z {
		if !p.present[i] {
			continue
		}
		p.single[i].add(moments{1, z, z * z})
		pairs := p.pairs[i*(i-1)/2:][:i]
		for j, other := range p.z[:i] {
			u := z * other
			pairs[j].sum += u
			pairs[j].square += u * u
		}
		for j := 0; j < i && !whole; j++ {
			if p.present[j] {
				pairs[j].rows++
			}
		}
	}
	clear(p.z)
	clear(p.present)
}

// Merge adds the rows of other, pairs of the same numbers.
func (p *Pairs) Merge(other *Pairs) {
	p.whole += other.whole
	for i, m := range other.single {
		p.single[i].add(m)
	}
	for k, m := range other.pairs {
		p.pairs[k].add(m)
	}
}

// Correlations returns those of pairs of numbers that vary. The means and the standard deviations
// are of all rows that have the number, so that no more sums are needed where cells are missing.
func (p *Pairs) Correlations() []Correlation {
	var out []Correlation
	for i := range p.Names {
		for j := range i {
			both := p.pairs[i*(i-1)/2+j]
			both.rows += p.whole
			meanA, varA, variesA := p.single[j].variance()
			meanB, varB, variesB := p.single[i].variance()
			if both.rows == 0 || !variesA || !variesB {
				continue
			}
			mean, variance, _ := both.variance()
			out = append(out, Correlation{
				A: p.Names[j], B: p.Names[i], Rows: both.rows,
				R:        max(-1, min((mean-meanA*meanB)/math.Sqrt(varA*varB), 1)),
				Variance: max(0, variance) / (varA * varB),
			})
		}
	}
	return out
}

// Correlations returns those of the numbers in the given rows. Summaries are those of the columns,
// perhaps of more rows.
func (t *Table) Correlations(rows []int32, summaries []Summary) []Correlation {
	var names []string
	references := map[string]*Summary{}
	for j, f := range t.Schema.Features {
		names, references[f.Name] = append(names, f.Name), &summaries[j]
	}
	p := NewPairs(names, references)
	var columns []int
	for _, name := range p.Names {
		columns = append(columns, slices.Index(names, name))
	}
	for _, i := range rows {
		for k, j := range columns {
			p.Put(k, t.Value(int(i), j))
		}
		p.Next()
	}
	return p.Correlations()
}
