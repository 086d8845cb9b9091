package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"churn/internal/dataset"
)

// A shift is what customers differ in from those of training.
type shift struct {
	name                           string
	mean, variance                 float64 // of usage
	level, missing, other, related float64 // shares of region EU, of no age, and of a new region; correlation
	floor                          bool    // it lies at the floor, or there is none
}

var noShift = shift{name: "none", variance: 1, level: 0.3, missing: 0.01, floor: true}

func shifts() []shift {
	change := func(name string, f func(s *shift)) shift {
		s := noShift
		s.name, s.floor = name, false
		f(&s)
		return s
	}
	return []shift{
		noShift,
		change("mean 0.2 sd", func(s *shift) { s.mean, s.floor = 0.2, true }),
		change("mean 0.5 sd", func(s *shift) { s.mean = 0.5 }),
		change("variance x1.5", func(s *shift) { s.variance = 1.5 }),
		change("level 30 to 45 %", func(s *shift) { s.level = 0.45 }),
		change("missing 1 to 6 %", func(s *shift) { s.missing = 0.06 }),
		change("new level 3 %", func(s *shift) { s.other = 0.03 }),
		change("correlation 0 to 0.6", func(s *shift) { s.related = 0.6 }),
	}
}

var customerNames = []string{"usage", "age", "spend", "tenure", "calls", "late", "region", "plan"}

// draw draws a customer: a normal usage and age, a lognormal spend, a uniform tenure, counted calls, whether
// they paid late, once in a hundred, and two categories.
func (s *shift) draw(rng *rand.Rand, row []dataset.Value) {
	number := func(x float64) dataset.Value { return dataset.Value{Number: x} }
	level := func(x string) dataset.Value { return dataset.Value{Text: x, Level: true} }
	usage := rng.NormFloat64()
	age := s.related*usage + math.Sqrt(1-s.related*s.related)*rng.NormFloat64()
	row[0] = number(s.mean + math.Sqrt(s.variance)*usage)
	if row[1] = number(age); rng.Float64() < s.missing {
		row[1] = dataset.Value{Missing: true}
	}
	row[2] = number(math.Exp(rng.NormFloat64()))
	row[3] = number(float64(1 + rng.IntN(59)))
	calls := 0.0 // Poisson of 1.2
	for p := rng.Float64(); p > math.Exp(-1.2); p *= rng.Float64() {
		calls++
	}
	row[4], row[5] = number(calls), number(0)
	if rng.IntN(100) == 0 {
		row[5] = number(1)
	}
	switch p := rng.Float64(); {
	case p < s.level:
		row[6] = level("EU")
	case p < s.level+(1-s.level)/2:
		row[6] = level("NA")
	default:
		row[6] = level("AF")
	}
	if rng.Float64() < s.other {
		row[6] = level("AS")
	}
	row[7] = level([]string{"basic", "basic", "basic", "premium"}[rng.IntN(4)])
}

// reference describes 900 customers.
func drawReference(rng *rand.Rand) (map[string]*dataset.Summary, []dataset.Correlation) {
	schema := &dataset.Schema{}
	for j, name := range customerNames {
		kind := dataset.Number
		if j >= 6 {
			kind = dataset.Category
		}
		schema.Features = append(schema.Features, dataset.Feature{Name: name, Type: kind})
	}
	table := dataset.NewTable(schema)
	row := make([]dataset.Value, len(customerNames))
	for range 900 {
		noShift.draw(rng, row)
		table.Append(&dataset.Row{Values: row})
	}
	rows := dataset.AllRows(table.Rows())
	d := table.Describe(rows)
	references := map[string]*dataset.Summary{}
	for j, name := range customerNames {
		references[name] = &d.Columns[j]
	}
	return references, table.Correlations(rows, d.Columns)
}

// compareWindow compares n customers with a reference.
func (s *shift) compareWindow(
	rng *rand.Rand, n int, references map[string]*dataset.Summary, correlations []dataset.Correlation,
) *Result {
	pairs := Pairs{correlations, dataset.NewPairs(customerNames, references)}
	var columns []Column
	for _, name := range customerNames {
		columns = append(columns, Column{name, references[name], dataset.NewTally(references[name])})
	}
	row := make([]dataset.Value, len(customerNames))
	for range n {
		s.draw(rng, row)
		for j, v := range row {
			columns[j].Live.Add(v)
			if j < len(pairs.Live.Names) {
				pairs.Live.Put(j, v)
			}
		}
		pairs.Live.Next()
	}
	r := &Result{}
	r.Compare(columns, pairs)
	return r
}

// inARow is how many windows have to be drawn.
func (s *shift) inARow() int {
	if s.floor {
		return Persistent
	}
	return 1 // a shift above its floor need not wait
}

// rates returns the fraction of windows that alert by themselves, and with the two before them.
func (s *shift) rates(t *testing.T, n, windows int) (single, persistent float64) {
	rng := rand.New(rand.NewPCG(uint64(n), 16))
	kinds := map[string]int{}
	for range windows {
		references, correlations := drawReference(rng) // a new one each time: its error is in all its windows
		var history []WindowSummary
		var r *Result
		for range s.inARow() {
			r = s.compareWindow(rng, n, references, correlations)
			var w WindowSummary
			w.Count(r.Checks)
			history = append(history, w)
		}
		single += float64(min(1, history[len(history)-1].Alerts)) / float64(windows)
		if r.Persist(history); r.Drift {
			persistent += 1 / float64(windows)
		}
		for _, c := range r.Checks {
			if c.Severity == Alert {
				kinds[c.Column+" "+c.Title()]++
			}
		}
	}
	t.Logf("%-20s %6d rows, %4d windows: %6.2f %% alert, with two before %6.2f %% %v",
		s.name, n, windows, 100*single, 100*persistent, kinds)
	return single, persistent
}

// Without drift at most 1 % of the windows of any size alert. Of a shift above its floor more do the
// larger they are, and 95 % of those of 1,000. CHURN_SIMULATE=1 draws more.
func TestAlarmsByWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	t.Parallel()
	sizes := []int{60, 200, 1000, 5000, 50_000}
	windows := []int{40, 40, 40, 4, 0}
	if os.Getenv("CHURN_SIMULATE") != "" {
		windows = []int{2000, 2000, 2000, 1000, 200}
	}
	table := []string{fmt.Sprintf("%-22s%8d%8d%8d%8d%8d", "alarms in % of windows", 60, 200, 1000, 5000, 50_000)}
	for _, s := range shifts() {
		line, before := fmt.Sprintf("%-22s", s.name), 0.0
		for i, n := range sizes {
			if windows[i] == 0 {
				break
			}
			single, persistent := s.rates(t, n, windows[i])
			line += fmt.Sprintf("%8.1f", 100*persistent)
			switch {
			case s.name == "none" && persistent > 0.01:
				t.Errorf("no drift: %.2f %% of windows of %d alert", 100*persistent, n)
			case !s.floor && (single < before || n == 1000 && single < 0.95):
				t.Errorf("%s: %.2f %% of windows of %d alert, of smaller ones %.2f %%", s.name, 100*single, n, 100*before)
			}
			before = single - 0.01 // chance
		}
		table = append(table, line)
	}
	t.Log("\n" + strings.Join(table, "\n"))
}

// Of two samples of one population with a heavy tail hardly any differ in their mean, although the largest
// values are in the one or in the other. A mean that has doubled is seen in nearly all.
func TestHeavyTails(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	const windows = 500
	rng := rand.New(rand.NewPCG(1, 17))
	draw := func(size int, deviation, times float64) []float64 {
		xs := make([]float64, size)
		for i := range xs {
			xs[i] = times * math.Exp(deviation*rng.NormFloat64())
		}
		return xs
	}
	alerts := func(deviation, times float64) (n int) {
		for range windows {
			c := numbers(draw(450, deviation, 1), draw(200, deviation, times))
			check, _ := c.mean()
			if check.P < Alpha/20 && math.Abs(check.Effect) >= minStd { // as of 20 checks
				n++
			}
		}
		return n
	}
	if n := alerts(2, 1); n > 1 {
		t.Errorf("%d of %d windows without drift alert", n, windows)
	}
	if n := alerts(1, 2); n < windows*95/100 {
		t.Errorf("%d of %d windows with twice the mean alert", n, windows)
	}
}

// Of a category with many rare levels each window has some that the training rows lack, and lacks some that they
// have, without drift. One new level that many rows have is seen all the same.
func TestRareLevels(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	const windows, names = 300, 90
	rng := rand.New(rand.NewPCG(1, 18))
	shares := make([]float64, names) // Zipf's law, added up
	for i := range shares {
		shares[i] = 1/float64(i+1) + shares[max(i-1, 0)]
	}
	draw := func(n int, other float64) map[string]int {
		counts := map[string]int{}
		for range n {
			i, _ := slices.BinarySearch(shares, rng.Float64()*shares[names-1])
			if rng.Float64() < other {
				i = names
			}
			counts[fmt.Sprint("c", i)]++
		}
		return counts
	}
	alerts := func(training, live int, other float64) (n int) {
		for range windows {
			if _, verdict := Compare([]Column{levels(draw(training, 0), draw(live, other))}, Pairs{}); verdict == Alert {
				n++
			}
		}
		return n
	}
	for _, size := range [][2]int{{450, 200}, {450, 1000}, {200, 1000}, {225, 20_000}} {
		if n := alerts(size[0], size[1], 0); n > windows/100 {
			t.Errorf("%d training rows, %d live: %d of %d windows without drift alert", size[0], size[1], n, windows)
		}
	}
	if n := alerts(900, 1000, 0.1); n < windows*95/100 {
		t.Errorf("%d of %d windows alert about a new level of 10 %% of the rows", n, windows)
	}
}

// Deciles of few training rows are far from those of the population, which many live rows show.
func TestFewTrainingRows(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	const windows = 400
	rng := rand.New(rand.NewPCG(1, 19))
	alerts := 0
	for range windows {
		draw := func(n int) []float64 {
			xs := make([]float64, n)
			for i := range xs {
				xs[i] = rng.NormFloat64()
			}
			return xs
		}
		c := numbers(draw(30), draw(5000))
		check, ok := homogeneity(mergeBins(c.Live.Counts, c.Reference.Numbers.Counts))
		if ok && check.P < Alpha && check.Effect >= minVariation {
			alerts++
		}
	}
	if alerts > 2*windows/100 {
		t.Errorf("%d of %d windows without drift alert", alerts, windows)
	}
}
