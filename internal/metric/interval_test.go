package metric

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// scored draws rows of a population: the class, then a probability that is true for it with a slope of 1.
// A positive's log-odds are normal with the mean base+shift²/2, a negative's base−shift²/2, both with the
// standard deviation shift.
func scored(rng *rand.Rand, n int, rate, shift float64) (p []float64, y []bool) {
	base := math.Log(rate / (1 - rate))
	for range n {
		positive := rng.Float64() < rate
		z := base + shift*shift*(float64(Indicator(positive))-0.5) + shift*rng.NormFloat64()
		p, y = append(p, sigmoid(z)), append(y, positive)
	}
	return p, y
}

// runs is how many draws a cell of a simulation has: many with CHURN_SIMULATE=1.
func runs(few, many int) int {
	if os.Getenv("CHURN_SIMULATE") != "" {
		return many
	}
	return few
}

func TestIntervalsCover(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	const threshold = 0.35
	for _, rate := range []float64{0.10, 0.27, 0.54} {
		for _, shift := range []float64{0.8, 1.35, 2.5} { // AUC 0.71, 0.83, 0.96
			p, y := scored(rand.New(rand.NewPCG(1, 0)), 400_000, rate, shift)
			truth := []float64{ConfusionAt(p, y, threshold).F1(), Rank(p, y).AUC(), LogLoss(p, y)}
			for _, n := range []int{100, 300, 1200} {
				draws := runs(150, 2000)
				var covered [3]int
				for seed := range draws {
					p, y := scored(rand.New(rand.NewPCG(2, uint64(seed))), n, rate, shift)
					r := Rank(p, y)
					f1, loss := ConfusionAt(p, y, threshold).F1Interval(), r.LogLossInterval(LogLoss(p, y))
					for k, i := range [][2]float64{f1, r.AUCInterval(), loss} {
						covered[k] += Indicator(i[0] <= truth[k] && truth[k] <= i[1])
					}
				}
				share := func(k int) float64 { return float64(covered[k]) / float64(draws) }
				t.Logf("rate %.2f, AUC %.2f, %4d rows: F1 %.3f, AUC %.3f, log loss %.3f",
					rate, truth[1], n, share(0), share(1), share(2))
				for k, name := range []string{"F1", "AUC", "log loss"} {
					if share(k) < map[int]float64{100: 0.86, 300: 0.90, 1200: 0.92}[n] {
						t.Errorf("rate %.2f, AUC %.2f, %d rows: the interval of %s covers %.3f", rate, truth[1], n, name, share(k))
					}
				}
			}
		}
	}
}

// DeLong's variance, by its definition over all pairs.
func TestAUCIntervalIsDeLongs(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 0))
	for range 20 {
		p, y := scored(rng, 200, 0.4, 1)
		for i := range p {
			p[i] = math.Round(10*p[i]) / 10 // ties
		}
		r := Rank(p, y)
		auc := r.AUC()
		var placements [2][]float64 // of the negatives and of the positives
		for i := range p {
			sum, n := 0.0, 0.0
			for j := range p {
				if y[i] == y[j] {
					continue
				}
				n++
				switch high, low := max(p[i], p[j]), min(p[i], p[j]); {
				case high == low:
					sum += 0.5
				case (high == p[i]) == y[i]:
					sum++
				}
			}
			placements[Indicator(y[i])] = append(placements[Indicator(y[i])], sum/n)
		}
		variance := 0.0
		for _, v := range placements {
			squares := 0.0
			for _, x := range v {
				squares += (x - auc) * (x - auc)
			}
			variance += squares / float64(len(v)-1) / float64(len(v))
		}
		i := r.AUCInterval()
		logit := func(x float64) float64 { return math.Log(x / (1 - x)) }
		if got, want := (logit(i[1])-logit(i[0]))/2, Z95*math.Sqrt(variance)/(auc*(1-auc)); math.Abs(got-want) > 1e-12 {
			t.Errorf("half the interval of %v is %v, want %v", auc, got, want)
		}
	}
}

func TestIntervalsOfFewRows(t *testing.T) {
	check := func(p []float64, y []bool, f1, auc [2]float64) {
		t.Helper()
		near := func(a, b [2]float64) bool { return math.Abs(a[0]-b[0]) < 1e-4 && math.Abs(a[1]-b[1]) < 1e-4 }
		if got := ConfusionAt(p, y, 0.5).F1Interval(); !near(got, f1) {
			t.Errorf("F1 %v, want %v", got, f1)
		}
		if got := Rank(p, y).AUCInterval(); !near(got, auc) {
			t.Errorf("AUC %v, want %v", got, auc)
		}
	}
	yes, no := []bool{true, true, false, false}, []bool{false, false}
	check([]float64{0.9, 0.8, 0.2, 0.1}, yes, [2]float64{0.5101, 1}, [2]float64{0.3424, 1}) // Wilson of 2 of 2
	check([]float64{0.2, 0.1, 0.9, 0.8}, yes, [2]float64{0, 0.6576}, [2]float64{0, 0.6576})
	check([]float64{0.5, 0.5, 0.5, 0.5}, yes, [2]float64{0.2609, 0.9189}, [2]float64{0.5, 0.5})
	check([]float64{0.2, 0.1}, no, [2]float64{0, 1}, [2]float64{0, 1})
}

// DeLong's variance alone covers 68 to 91 % for two to ten positives.
func TestAUCIntervalOfFewPositives(t *testing.T) {
	for _, shift := range []float64{0.4, 1.47, 2.33} {
		truth := 0.5 * math.Erfc(-shift/2) // Φ(shift/√2)
		for _, positives := range []int{2, 3, 5, 10, 20} {
			rng, covered, draws := rand.New(rand.NewPCG(5, 0)), 0, runs(400, 4000)
			for range draws {
				var p []float64
				var y []bool
				for i := range 300 {
					positive := i < positives
					p = append(p, sigmoid(shift*float64(Indicator(positive))+rng.NormFloat64()))
					y = append(y, positive)
				}
				i := Rank(p, y).AUCInterval()
				covered += Indicator(i[0] <= truth && truth <= i[1])
			}
			if share := float64(covered) / float64(draws); share < 0.91 {
				t.Errorf("%d positives, AUC %.2f: the interval covers %.3f", positives, truth, share)
			}
		}
	}
}

func TestLogLossIntervalOfFewRows(t *testing.T) {
	one := Rank([]float64{0.6}, []bool{true}).LogLossInterval(0.51)
	if one[0] != 0 || one[1] < 10 {
		t.Errorf("of one row %v, want any", one)
	}
	const first, second = 0.105360516, 0.510825624 // −log(0.9) and −log(0.6)
	two := Rank([]float64{0.9, 0.6}, []bool{true, true}).LogLossInterval((first + second) / 2)
	if want := (first+second)/2 + 12.706205*(second-first)/2; two[0] != 0 || math.Abs(two[1]-want) > 1e-6 {
		t.Errorf("of two rows %v, want 0 to %v", two, want)
	}
}
