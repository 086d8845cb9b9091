package model

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/status"
)

// trainTerms trains on rows of one number n0, and checks that the document can be read.
func trainTerms(t *testing.T, rows int, o Options, draw func(i int) (x float64, positive bool)) *Model {
	t.Helper()
	i := 0
	source := drawn(1, rows, 1, 0, func(_ *rand.Rand, n []float64, _ []string) float64 {
		x, positive := draw(i)
		i++
		n[0] = x
		if positive {
			return math.Inf(1)
		}
		return math.Inf(-1)
	})
	m, err := Train(t.Context(), source, o)
	if err != nil {
		t.Fatal(err)
	}
	b := document(t, m)
	checkGolden(t, "the document", b, mustParse(t, b))
	return m
}

func curves() Options {
	o := options()
	o.Terms, o.TestSize = TermsCurve, 0.25
	return o
}

func TestCurvesOfFewValues(t *testing.T) {
	for _, x := range []float64{0, 7, -1e100, 1e100, 5e-324} {
		m := trainTerms(t, 80, curves(), func(i int) (float64, bool) { return x, i%4 == 0 })
		if p := m.Score([]dataset.Value{{Number: x}}).Probability; math.Abs(p-0.25) > 0.01 {
			t.Errorf("one value, %v: probability %v, want the share of 0.25", x, p)
		}
	}
	m := trainTerms(t, 400, curves(), func(i int) (float64, bool) { return float64(i % 2), i%8 < 2+i%2 })
	line := trainTerms(t, 400, options(), func(i int) (float64, bool) { return float64(i % 2), i%8 < 2+i%2 })
	if m.Encoder.Width() != 2 {
		t.Errorf("a curve of two values has %d weights", m.Encoder.Width())
	}
	for x := range 2 {
		v := []dataset.Value{{Number: float64(x)}}
		if p, want := m.Score(v).Probability, line.Score(v).Probability; math.Abs(p-want) > 0.02 {
			t.Errorf("a curve of two values gives %v at %v, a line %v", p, x, want)
		}
	}
}

// A quantile between equal values is that value to the last bit: knots a rounding error apart
// would descend, or waste a weight.
func TestKnotsOfTiedDecimals(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		values := make([]float64, 100+r.IntN(2000))
		for i := range values {
			if values[i] = 3.1 + 1.3*float64(r.IntN(5)); i < 20 {
				values[i] = float64(i) // more values than knots
			}
		}
		slices.Sort(values)
		knots := newCurve(values, false, curveKnots).Knots
		for k := 1; k < len(knots); k++ {
			if knots[k]-knots[k-1] < 1e-9 {
				t.Fatalf("round %d: knots %v and %v of numbers with one decimal", round, knots[k-1], knots[k])
			}
		}
	}
}

func TestACurveOfAMillionValues(t *testing.T) {
	if testing.Short() {
		t.Skip("a million rows")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	const rows = 1_000_000
	hump := func(x float64) float64 { return logreg.Sigmoid(2 - 8*math.Abs(x-0.5)) }
	m := trainTerms(t, rows, curves(), func(i int) (float64, bool) {
		x := float64(i) / rows
		return x, rng.Float64() < hump(x)
	})
	if knots := len(m.Encoder.Curves["n0"].Knots); knots != curveKnots {
		t.Errorf("%d knots, want %d", knots, curveKnots)
	}
	for _, x := range []float64{0.1, 0.3, 0.5, 0.7, 0.9} {
		if p := m.Score([]dataset.Value{{Number: x}}).Probability; math.Abs(p-hump(x)) > 0.05 {
			t.Errorf("at %v the curve gives %v, the rows have %v", x, p, hump(x))
		}
	}
}

// Numbers of the largest magnitude that the data checks accept.
func TestCurvesOfHugeNumbers(t *testing.T) {
	for _, o := range []Options{curves(), auto()} {
		o.TestSize = 0.25
		m := trainTerms(t, 400, o, func(i int) (float64, bool) {
			return []float64{-dataset.MaxNumber, -1, 1e-300, dataset.MaxNumber}[i%4], i%4 == 1 || i%40 == 0
		})
		for _, x := range []float64{-dataset.MaxNumber, -1, 0, dataset.MaxNumber} {
			if p := m.Score([]dataset.Value{{Number: x}}).Probability; !(p > 0 && p < 1) {
				t.Errorf("%s: probability %v at %v", o.Terms, p, x)
			}
		}
	}
}

// A number whose only value is held out in one fold has no curve there.
func TestAllMissingInOneFold(t *testing.T) {
	rows := func(known int) Source {
		i := -1
		return drawn(1, 200, 2, 0, func(rng *rand.Rand, n []float64, _ []string) float64 {
			n[0], n[1] = math.NaN(), rng.NormFloat64()
			if i++; i < known {
				n[0] = float64(i)
			}
			return n[1]
		})
	}
	for _, o := range []Options{auto(), curves()} {
		o.TestSize = 0
		_, err := Train(t.Context(), rows(1), o)
		want := regexp.MustCompile(`^fold \d of 5: n0: every cell of the training part is missing: leave the column out$`)
		if !errors.Is(err, status.ErrRejected) || !want.MatchString(err.Error()) {
			t.Errorf("%s: error %v, want %v", o.Terms, err, want)
		}
	}
	if _, err := Train(t.Context(), rows(60), auto()); err != nil {
		t.Error(err)
	}
}

// Where a number separates the classes the penalty keeps the weights finite.
func TestSeparableData(t *testing.T) {
	for _, terms := range []string{TermsLine, TermsCurve, TermsAuto} {
		o := options()
		o.Terms, o.TestSize, o.C = terms, 0.25, 100
		m := trainTerms(t, 400, o, func(i int) (float64, bool) { return float64(i), i >= 200 })
		for _, w := range m.weights {
			if !(math.Abs(w) < 100) {
				t.Errorf("%s: weight %v", terms, w)
			}
		}
		if m.Metrics.ROCAUC < 0.999 || m.Training.NewtonStep > 1e-6 {
			t.Errorf("%s: ROC AUC %v, last step %v", terms, m.Metrics.ROCAUC, m.Training.NewtonStep)
		}
	}
}

func TestPairsThatCannotBe(t *testing.T) {
	table := labTable(t)
	schema := *table.Schema
	schema.Ignore = []string{"customer"}
	schema.NoPairs = []Pair{{"region", "plan_type"}}
	table.Schema = &schema
	check := func(pairs, want string) {
		t.Helper()
		o := options()
		var err error
		if o.Pairs, err = ParsePairs(pairs); err == nil {
			_, err = Train(t.Context(), InMemory(table), o)
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %q", pairs, err, want)
		}
	}
	check("region*region", "the pair region × region is one feature: name two")
	check("region*customer",
		`the pair region × customer: "customer" is ignored: name features that the schema does not ignore`)
	check("region*nobody", `the pair region × nobody: "nobody" is not a feature of the schema: name two of its features`)
	check("region*churn", `the pair region × churn: "churn" is not a feature of the schema: name two of its features`)
	check("plan_type*region",
		"the pair plan_type × region is in no_pairs of the schema: take it out there, or do not name it")
	check("region*tenure_months,tenure_months*region", "the pair tenure_months × region is named twice: name it once")
	check("11", "11 pairs: 5 features have only 10: ask for at most that many")
	check("region", `"region": auto, a number of pairs, or pairs such as a*b,c*d`)
	check("-1", `"-1": auto, a number of pairs, or pairs such as a*b,c*d`)
	check("a*b,", `"a*b,": auto, a number of pairs, or pairs such as a*b,c*d`)
	table = columnsOf(table, "region", "tenure_months")
	check("5", "5 pairs: 2 features have only 1: ask for at most that many")
}

// With so many numbers that curves would have too many weights, the choice is of lines.
func TestTheChoiceOfManyNumbers(t *testing.T) {
	source := drawn(1, 400, 260, 0, func(rng *rand.Rand, n []float64, _ []string) float64 {
		for j := range n {
			n[j] = rng.NormFloat64()
		}
		return 2 * n[0]
	})
	o := options()
	o.Terms = TermsAuto
	c, err := choose(t.Context(), source, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.report.Candidates) != 1 || c.report.String() != "lines" {
		t.Errorf("looked at %+v, want lines alone", c.report.Candidates)
	}
	o.Terms = TermsCurve
	_, err = Train(t.Context(), source, o)
	if want := "4160 weights, more than 4000: choose fewer pairs, or lines"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

// Categories of many levels enter a pair by their most frequent ones.
func TestAPairOfManyLevels(t *testing.T) {
	const levels = 300
	i := 0
	source := drawn(1, 3000, 0, 2, func(rng *rand.Rand, _ []float64, c []string) float64 {
		i++
		c[0], c[1] = fmt.Sprint(i%levels), fmt.Sprint(rng.IntN(levels))
		return -1
	})
	o := options()
	o.Pairs.Named = []Pair{{"c0", "c1"}}
	m, err := Train(t.Context(), source, o)
	if err != nil {
		t.Fatal(err)
	}
	if want := 2*levels + gridLevels*gridLevels; m.Encoder.Width() != want {
		t.Errorf("%d weights, want %d", m.Encoder.Width(), want)
	}
}

// The labels go with whether the number is there at all: without a weight for missing
// cells the model would know little.
func TestABlankNumberThatMeansSomething(t *testing.T) {
	draw := func(rng *rand.Rand, n []float64, _ []string) float64 {
		n[0], n[1] = 18+60*rng.Float64(), 80*rng.Float64()
		n[2] = 5 * rng.Float64()
		z := -1.3 - 0.4*(n[2]-2.5)
		if rng.Float64() < 0.29 {
			n[2] = math.NaN()
			z = 2.1
		}
		return z
	}
	source := drawn(3, 4000, 3, 0, draw)
	m, err := Train(t.Context(), source, auto())
	if err != nil {
		t.Fatal(err)
	}
	line, err := Train(t.Context(), source, options())
	if err != nil {
		t.Fatal(err)
	}
	if m.Metrics.ROCAUC < 0.84 || line.Metrics.ROCAUC > 0.75 {
		t.Errorf("ROC AUC %v with the terms chosen, %v with lines alone", m.Metrics.ROCAUC, line.Metrics.ROCAUC)
	}
	table := source.Table()
	p := predict(t, m, table, dataset.AllRows(table.Rows())).probabilities
	var predicted, positive, blank float64
	for i := range p {
		if table.Value(i, 2).Missing {
			blank++
			predicted += p[i]
			if table.Positive[i] {
				positive++
			}
		}
	}
	if math.Abs(predicted-positive) > 0.01*blank {
		t.Errorf("blank rows: predicted %.3f, left %.3f", predicted/blank, positive/blank)
	}
}
