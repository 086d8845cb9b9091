package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// lineTable has numbers a to d, the first of them integers and another with missing cells, and
// a category; odds are those of logit.
func lineTable(seed uint64, rows int, logit func(x []float64, level int) float64) *dataset.Table {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := &dataset.Schema{Format: 1, Target: dataset.Target{Name: "left", Positive: "1"}}
	for _, name := range []string{"a", "b", "c", "d"} {
		s.Features = append(s.Features, dataset.Feature{Name: name, Type: dataset.Number, Optional: true})
	}
	s.Features = append(s.Features, dataset.Feature{Name: "plan", Type: dataset.Category})
	t := dataset.NewTable(s)
	for range rows {
		a := rng.NormFloat64()
		x := []float64{math.Floor(20 * rng.Float64()), a, a + rng.NormFloat64(), rng.ExpFloat64()}
		level := rng.IntN(3)
		row := dataset.Row{Positive: rng.Float64() < logreg.Sigmoid(logit(x, level))}
		for j := range x {
			row.Values = append(row.Values, dataset.Value{Number: x[j], Missing: j == 3 && rng.IntN(5) == 0})
		}
		row.Values = append(row.Values, dataset.Value{Text: fmt.Sprint("level ", level), Level: true})
		t.Append(&row)
	}
	return t
}

func testLines(t *testing.T, table *dataset.Table, o Options) []LineTest {
	t.Helper()
	o.Tune = TuneNone
	train, _, err := InMemory(table).Split(o.TestSize, o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fitTo(t.Context(), train, Terms{}, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := newModel(f, o).TestLines(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// Numbers that are lines in truth seldom bend, with and without class weights.
func TestLinesThatDoNotBend(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	line := func(x []float64, level int) float64 { return x[0]/10 - 2 + x[1] - x[2]/2 + x[3]/2 + float64(level)/2 }
	for _, weight := range []string{WeightNone, WeightBalanced} {
		const seeds = 200
		bent, sum, df := 0, 0.0, 0.0
		for seed := range uint64(seeds) {
			o := options()
			o.ClassWeight = weight
			any := false
			for _, test := range testLines(t, lineTable(seed, 800, line), o) {
				any = any || test.Bends
				sum, df = sum+test.Statistic, df+test.DF
			}
			if any {
				bent++
			}
		}
		t.Logf("class weight %s: %d of %d seeds, statistic %.2f per degree of freedom", weight, bent, seeds, sum/df)
		if bent > seeds/20 {
			t.Errorf("class weight %s: a number bends in %d of %d seeds, at most 5 %%", weight, bent, seeds)
		}
		if ratio := sum / df; !(ratio > 0.85 && ratio < 1.15) {
			t.Errorf("class weight %s: the mean statistic is %.2f of its degrees of freedom", weight, ratio)
		}
	}
}

// A number bends if it does, and not because of another, of its missing cells or of a strong penalty.
func TestLinesThatBend(t *testing.T) {
	check := func(what string, o Options, want string, logit func(x []float64, level int) float64) {
		t.Helper()
		got := ""
		for _, test := range testLines(t, lineTable(7, 4000, logit), o) {
			if test.Bends {
				got += test.Name
			}
			if !(test.DF > 1 && test.DF < 16 && test.P >= 0 && test.P <= 1) {
				t.Errorf("%s: %+v", what, test)
			}
		}
		if got != want {
			t.Errorf("%s: %q bend, want %q", what, got, want)
		}
	}
	check("nothing", options(), "", func(x []float64, level int) float64 { return x[1] + x[2] })
	check("a parabola", options(), "d", func(x []float64, level int) float64 { return (x[3]-2)*(x[3]-2)/2 + x[2] })
	check("a step", options(), "a", func(x []float64, level int) float64 {
		if x[0] < 12 {
			return -1
		}
		return 1
	})
	strong := options()
	strong.C = 0.001
	check("a strong penalty", strong, "", func(x []float64, level int) float64 { return x[0]/5 + 2*x[1] - x[2] })
}

// Missing cells that mean something do not make a number bend.
func TestMissingCellsDoNotBend(t *testing.T) {
	table := lineTable(8, 4000, func(x []float64, level int) float64 { return x[1] })
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range table.Positive {
		if table.Value(i, 3).Missing {
			table.Positive[i] = rng.IntN(10) > 0
		}
	}
	for _, test := range testLines(t, table, options()) {
		if test.Bends {
			t.Errorf("%+v", test)
		}
	}
}

// An overfitted model is too sure of other rows, which does not make its numbers bend.
func TestOverfittedLinesDoNotBend(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	s := &dataset.Schema{Format: 1, Target: dataset.Target{Name: "left", Positive: "1"}}
	for k := range 100 {
		s.Features = append(s.Features, dataset.Feature{Name: fmt.Sprint("x", k), Type: dataset.Number})
	}
	table := dataset.NewTable(s)
	for range 600 {
		row, z := dataset.Row{}, 0.0
		for k := range s.Features {
			x := rng.NormFloat64()
			row.Values = append(row.Values, dataset.Value{Number: x})
			if k < 5 {
				z += x
			}
		}
		row.Positive = rng.Float64() < logreg.Sigmoid(z)
		table.Append(&row)
	}
	o := options()
	o.Tune = TuneNone
	train, test, err := InMemory(table).Split(0.5, o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fitTo(t.Context(), train, Terms{}, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []Source{train, test} {
		tests, err := newModel(f, o).TestLines(t.Context(), rows)
		if err != nil || len(tests) != len(s.Features) {
			t.Fatalf("%d tests, %v", len(tests), err)
		}
		for _, test := range tests {
			if test.Bends {
				t.Errorf("%+v", test)
			}
		}
	}
}
