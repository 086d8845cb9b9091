package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"churn/internal/dataset"
)

// drawn returns rows of a population whose log-odds are known. Its features are the numbers
// n0, n1, …, missing where NaN, and the categories c0, c1, …
func drawn(seed uint64, rows, numbers, categories int,
	draw func(rng *rand.Rand, n []float64, c []string) (logOdds float64)) Source {
	schema := &dataset.Schema{Format: dataset.Format, Target: dataset.Target{Name: "y", Positive: "1"}}
	for j := range numbers {
		schema.Features = append(schema.Features, dataset.Feature{Name: fmt.Sprint("n", j), Type: dataset.Number})
	}
	for j := range categories {
		schema.Features = append(schema.Features, dataset.Feature{Name: fmt.Sprint("c", j), Type: dataset.Category})
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	table := dataset.NewTable(schema)
	n, c := make([]float64, numbers), make([]string, categories)
	for range rows {
		logOdds := draw(rng, n, c)
		row := dataset.Row{Positive: rng.Float64() < 1/(1+math.Exp(-logOdds))}
		for _, x := range n {
			row.Values = append(row.Values, number(x))
		}
		for _, level := range c {
			row.Values = append(row.Values, dataset.Value{Text: level, Level: true})
		}
		table.Append(&row)
	}
	return InMemory(table)
}

func number(x float64) dataset.Value {
	if x != x {
		return dataset.Value{Missing: true}
	}
	return dataset.Value{Number: x}
}

// planted draws a hump in n0, a step in n1, a plateau in n2, which is missing only where it is
// high and costs 1 there, a line in n3, and the pairs n1 × n3 and n0 × c0. n4 and c1 are noise.
func planted(rng *rand.Rand, n []float64, c []string) float64 {
	for j := range n {
		n[j] = 100 * rng.Float64()
	}
	n[1] = float64(rng.IntN(10))
	c[0] = []string{"basic", "family", "premium"}[rng.IntN(3)]
	c[1] = []string{"east", "north", "south", "west"}[rng.IntN(4)]
	z := -3 + 2.4*math.Exp(-(n[0]-50)*(n[0]-50)/400) + 0.03*min(n[2], 60) + 0.01*n[3] +
		1.6*(n[1]-4.5)/4.5*(n[3]-50)/50
	if n[1] >= 4 {
		z += 1.2
	}
	if c[0] == "premium" {
		z += 1.6 * (n[0] - 50) / 50
	}
	if n[2] > 70 && rng.IntN(2) == 0 {
		n[2] = math.NaN()
		z--
	}
	return z
}

// straight draws log-odds that are lines of n0 and n1, and levels of c0, of the given strength;
// with 0 nothing says anything about the labels. n2 has missing cells.
func straight(strength float64) func(*rand.Rand, []float64, []string) float64 {
	return func(rng *rand.Rand, n []float64, c []string) float64 {
		for j := range n {
			n[j] = rng.NormFloat64()
		}
		z := n[0] + n[1]
		n[1] = math.Round(3 * n[1])
		n[2] = math.Exp(n[2])
		if rng.IntN(10) == 0 {
			n[2] = math.NaN()
		}
		n[3] = float64(rng.IntN(6))
		c[0] = []string{"basic", "premium"}[rng.IntN(2)]
		c[1] = []string{"east", "north", "south", "west"}[rng.IntN(4)]
		if c[0] == "premium" {
			z--
		}
		return strength*z - 1
	}
}

func auto() Options {
	o := options()
	o.Terms, o.Pairs.Auto = TermsAuto, true
	return o
}

func mustChoose(t *testing.T, s Source) *chosen {
	t.Helper()
	c, err := choose(t.Context(), s, auto())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Of 21 pairs the two of the population are found, and no other.
func TestChoosesWhatIsThere(t *testing.T) {
	seeds, rows := 10, 8000
	if testing.Short() {
		seeds, rows = 2, 3000
	}
	for seed := range seeds {
		c := mustChoose(t, drawn(uint64(seed), rows, 5, 2, planted))
		pairs := c.terms.Pairs
		if len(pairs) != 2 || !pairs[0].Same(Pair{"n1", "n3"}) || !pairs[1].Same(Pair{"n0", "c0"}) {
			t.Errorf("seed %d: pairs %v, want n1 × n3 and n0 × c0", seed, pairs)
		}
		if len(c.terms.Curves) != 5 || !c.terms.Curves["n2"].Missing || c.terms.Curves["n0"].Missing {
			t.Errorf("seed %d: chosen was %q, want curves of all numbers, n2's with missing cells", seed, c.report)
		}
	}
}

// What a model chosen by cross-validation explains is what the population does.
func TestExplainsThePopulation(t *testing.T) {
	if testing.Short() {
		t.Skip("16,000 rows")
	}
	o := auto()
	o.TestSize = 0.1
	m, err := Train(t.Context(), drawn(1, 16_000, 5, 2, planted), o)
	if err != nil {
		t.Fatal(err)
	}
	contribution := func(name string, plan string, n ...float64) float64 {
		var values []dataset.Value
		for _, x := range n {
			values = append(values, number(x))
		}
		values = append(values, dataset.Value{Text: plan, Level: true}, dataset.Value{Text: "east", Level: true})
		k := slices.Index(m.Contributors(), name)
		if k < 0 {
			t.Fatalf("%s does not contribute: %q", name, m.Contributors())
		}
		return m.Explain(values).Contributions[k]
	}
	at := func(name string, x float64) float64 { // a feature's own contribution depends on it alone
		return contribution(name, "basic", x, x, x, x, x)
	}
	near := within(t)
	const tolerance = 0.35 // about three standard errors, and twice that for a difference of four cells
	near("hump", at("n0", 50)-(at("n0", 5)+at("n0", 95))/2, 2.4, tolerance)
	near("step", at("n1", 4)-at("n1", 3), 1.2, tolerance)
	near("before the step", at("n1", 3)-at("n1", 1), 0, tolerance)
	near("slope", at("n2", 55)-at("n2", 5), 1.5, tolerance)
	near("plateau", at("n2", 95)-at("n2", 65), 0, tolerance)
	near("missing", at("n2", math.NaN())-at("n2", 90), -1, tolerance)
	near("noise", at("n4", 90)-at("n4", 10), 0, tolerance)

	slope := func(plan string) float64 {
		return contribution("n0 × c0", plan, 90, 0, 0, 0, 0) - contribution("n0 × c0", plan, 10, 0, 0, 0, 0)
	}
	near("n0 × c0", slope("premium")-slope("basic"), 1.6*80/50, 2*tolerance)
	product := func(n1, n3 float64) float64 { return contribution("n1 × n3", "basic", 0, n1, 0, n3, 0) }
	near("n1 × n3", product(8, 90)-product(8, 10)-product(1, 90)+product(1, 10), 1.6*7/4.5*80/50, 2*tolerance)
}

// Where there are only lines, or nothing at all, curves and pairs are rarely chosen.
func TestChoosesLinesForNoise(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	const seeds = 200
	for _, strength := range []float64{0, 0.5} {
		curves, pairs := 0, 0
		for seed := range seeds {
			c := mustChoose(t, drawn(uint64(seed), 1000, 4, 2, straight(strength)))
			if len(c.terms.Curves) > 0 {
				curves++
			}
			if len(c.terms.Pairs) > 0 {
				pairs++
			}
		}
		t.Logf("strength %g: curves for %d of %d seeds, pairs for %d", strength, curves, seeds, pairs)
		if most := seeds / 20; curves > most || pairs > most {
			t.Errorf("strength %g: curves for %d of %d seeds, pairs for %d, want at most %d",
				strength, curves, seeds, pairs, most)
		}
	}
}
