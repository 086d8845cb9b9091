package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"

	"gonum.org/v1/gonum/mat"
)

// pairedModel is a model of curves, a line and two pairs, with its rows.
func pairedModel(t *testing.T, weight string) (*Model, *fit, *memory) {
	t.Helper()
	table := lineTable(3, 2500, func(x []float64, level int) float64 {
		return math.Sin(x[0]/3) + x[1]*float64(level-1) + x[3]/2
	})
	table.Schema.Features[1].Term = TermsLine
	rows := InMemory(table).(*memory)
	o := options()
	o.Terms, o.ClassWeight, o.TestSize, o.Tune = TermsCurve, weight, 0.2, TuneNone
	o.Pairs.Named = []Pair{{"b", "plan"}, {"plan", "d"}}
	m, err := Train(t.Context(), rows, o)
	if err != nil {
		t.Fatal(err)
	}
	train, _, err := rows.Split(o.TestSize, o.Seed)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fitTo(t.Context(), train, m.Encoder.Terms, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m, f, train.(*memory)
}

// pointValue is the value that a point is about.
func pointValue(f dataset.Feature, p Point) dataset.Value {
	switch {
	case p.Level == dataset.MissingLevel:
		return dataset.Value{Missing: true, Level: f.Type == dataset.Category}
	case p.At != nil:
		return dataset.Value{Number: *p.At}
	}
	return dataset.Value{Text: p.Level, Level: true}
}

// The points of a feature are what Explain says there; their standard errors are those of the
// linear function of the weights that Explain is.
func TestPoints(t *testing.T) {
	for _, weight := range []string{WeightNone, WeightBalanced} {
		m, f, train := pairedModel(t, weight)
		errs, err := m.covariance(t.Context(), train, f)
		if err != nil {
			t.Fatal(err)
		}
		over, err := f.moments(t.Context(), train)
		if err != nil {
			t.Fatal(err)
		}
		row := make([]dataset.Value, len(m.Schema.Features))
		copy(row, m.Golden[3].Row)
		for j, feature := range m.Schema.Features {
			share := 0.0
			for k, p := range m.Effects[j].Points {
				share += p.Share
				row[j] = pointValue(feature, p)
				if got := m.Explain(row).Contributions[j]; math.Abs(got-p.Contribution) > 1e-9 {
					t.Errorf("%s, point %d: contribution %v, Explain has %v", feature.Name, k, p.Contribution, got)
				}
				if k%5 != 0 {
					continue // the check below is slow
				}
				gradient := mat.NewVecDense(len(m.weights), nil)
				for i := range m.weights {
					unit := *m
					unit.weights, unit.Effects = make([]float64, len(m.weights)), nil
					unit.weights[i] = 1
					unit.summarizeEffects(over)
					gradient.SetVec(i, unit.Explain(row).Contributions[j])
				}
				if want := math.Sqrt(mat.Inner(gradient, errs.cov, gradient)); math.Abs(want-p.StdError) > 1e-6 {
					t.Errorf("%s, point %d: standard error %v, want %v", feature.Name, k, p.StdError, want)
				}
			}
			if math.Abs(share-1) > 1e-9 {
				t.Errorf("%s: the shares add up to %v", feature.Name, share)
			}
			copy(row, m.Golden[3].Row)
		}
	}
}

// Coefficients of levels are their contributions, and a line in a pair has none.
func TestCoefficientsOfTerms(t *testing.T) {
	m, _, _ := pairedModel(t, WeightNone)
	var names []string
	for _, c := range m.Coefficients {
		names = append(names, c.Name)
	}
	want := []string{"plan=level 0", "plan=level 1", "plan=level 2", AverageCustomer}
	if len(names) != len(want) {
		t.Fatalf("coefficients %q, want %q", names, want)
	}
	for k, p := range m.Effects[4].Points {
		c := m.Coefficients[k]
		if c.Name != want[k] || math.Abs(c.Estimate-p.Contribution) > 1e-12 || c.StdError != p.StdError {
			t.Errorf("coefficient %+v of the point %+v", c, p)
		}
	}
	for j, want := range []string{TermsCurve, TermsLine, TermsCurve, TermsCurve, termLevels} {
		if got := m.Effects[j].Term; got != want {
			t.Errorf("feature %d is a %s, want %s", j, got, want)
		}
	}
}

// A purified grid has means of zero in each row and column, also where some cells or lines are
// empty and where groups of lines have no customer in common.
func TestPurify(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	grids := map[string]func(i, j int) bool{
		"all cells":   func(i, j int) bool { return true },
		"empty cells": func(i, j int) bool { return (i+2*j)%3 > 0 },
		"empty row":   func(i, j int) bool { return i != 2 },
		"two groups":  func(i, j int) bool { return (i < 2) == (j < 3) },
		"one cell":    func(i, j int) bool { return i == 1 && j == 1 },
	}
	for name, filled := range grids {
		const rows, columns = 4, 6
		mass, weights := make([]float64, rows*columns), make([]float64, rows*columns)
		for c := range mass {
			weights[c] = rng.NormFloat64()
			if filled(c/columns, c%columns) {
				mass[c] = rng.ExpFloat64() / 20
			}
		}
		mean, margins := purify(mass, columns).split(weights)
		lines, own := make([]float64, rows+columns), [2]float64{}
		for c, share := range mass {
			u, v := margins[0][c/columns], margins[1][c%columns]
			rest := weights[c] - mean - u - v
			lines[c/columns] += share * rest
			lines[rows+c%columns] += share * rest
			own[0], own[1] = own[0]+share*u, own[1]+share*v
		}
		for _, x := range append(lines, own[:]...) {
			if math.Abs(x) > 1e-12 {
				t.Errorf("%s: means of lines %v, of margins %v", name, lines, own)
				break
			}
		}
	}
}

// A level of one row is not identified by the data, and neither are two that are always the same.
func TestUnidentifiedLevels(t *testing.T) {
	s := &dataset.Schema{Format: 1, Target: dataset.Target{Name: "left", Positive: "1"}}
	for _, name := range []string{"plan", "phone", "line"} {
		s.Features = append(s.Features, dataset.Feature{Name: name, Type: dataset.Category})
	}
	table, rng := dataset.NewTable(s), rand.New(rand.NewPCG(5, 5))
	text := func(s string) dataset.Value { return dataset.Value{Text: s, Level: true} }
	for i := range 1000 {
		plan, phone, line := "basic", "no", "none"
		switch {
		case i == 100:
			plan = "lonely" // one row, positive
		case i%10 == 0:
			plan = "steady" // 99 rows, all positive
		case i%3 == 0:
			plan = "premium"
		}
		if rng.IntN(4) > 0 {
			phone, line = "yes", []string{"one", "two"}[rng.IntN(2)]
		}
		table.Append(&dataset.Row{
			Values:   []dataset.Value{text(plan), text(phone), text(line)},
			Positive: i%10 == 0 || rng.Float64() < logreg.Sigmoid(-1),
		})
	}
	for _, weight := range []string{WeightNone, WeightBalanced} {
		o := options()
		o.TestSize, o.ClassWeight = 0, weight
		m, err := Train(t.Context(), InMemory(table), o)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, c := range m.Reported() {
			got[c.Name] = c.Unidentified
		}
		for _, name := range []string{"plan=basic", "plan=premium", "plan=steady", "line=one", AverageCustomer} {
			if got[name] {
				t.Errorf("class weight %s: %s is not identified", weight, name)
			}
		}
		if !got["plan=lonely"] {
			t.Errorf("class weight %s: plan=lonely is identified", weight)
		}
		if !(got["phone=no"] && got["line=none"]) {
			t.Errorf("class weight %s: phone=no and line=none are the same rows, and identified", weight)
		}
		for _, c := range m.Coefficients {
			if c.Unidentified {
				t.Errorf("%s: the document says that it is not identified", c.Name)
			}
		}
		o.C = 1e6 // almost no penalty: nobody knows how far a level of one class is from the others
		if m, err = Train(t.Context(), InMemory(table), o); err != nil {
			t.Fatal(err)
		}
		for _, c := range m.Coefficients {
			if c.Name == "plan=steady" && !(math.Abs(c.Z) < 0.5 && c.Interval[0] < 1) {
				t.Errorf("class weight %s: %+v of a level whose rows are all positive", weight, c)
			}
		}
	}
}

// A document whose figures a card could not draw is rejected.
func TestEffectsOutOfOrder(t *testing.T) {
	m, _, _ := pairedModel(t, WeightNone)
	if err := m.checkEffects(); err != nil {
		t.Fatal(err)
	}
	check := func(what string, change func(e []Effect)) {
		t.Helper()
		damaged := *m
		damaged.Effects = slices.Clone(m.Effects)
		for k := range damaged.Effects {
			e := &damaged.Effects[k]
			if e.Points = slices.Clone(e.Points); e.Grid != nil {
				grid := *e.Grid
				grid.Share, grid.Contribution = slices.Clone(grid.Share), slices.Clone(grid.Contribution)
				e.Grid = &grid
			}
		}
		if change(damaged.Effects); damaged.checkEffects() == nil {
			t.Errorf("%s: no error", what)
		}
	}
	check("a swapped knot", func(e []Effect) { e[0].Points[0], e[0].Points[1] = e[0].Points[1], e[0].Points[0] })
	check("a knot twice", func(e []Effect) { e[0].Points[1].At = e[0].Points[0].At })
	check("a knot without a number", func(e []Effect) { e[0].Points[2].At = nil })
	check("missing cells first", func(e []Effect) { slices.Reverse(e[3].Points) })
	check("a row too few", func(e []Effect) { e[5].Grid.Share = e[5].Grid.Share[1:] })
	check("a short row", func(e []Effect) { e[6].Grid.Contribution[1] = nil })
	check("a name too few", func(e []Effect) { e[6].Grid.Names[1] = nil })
}

// Numbers that repeat each other are not identified by the data, and nothing is beside a strong penalty.
func TestUnidentifiedNumbers(t *testing.T) {
	s := &dataset.Schema{Format: 1, Target: dataset.Target{Name: "left", Positive: "1"}}
	for _, name := range []string{"fee", "copy", "age"} {
		s.Features = append(s.Features, dataset.Feature{Name: name, Type: dataset.Number})
	}
	table, rng := dataset.NewTable(s), rand.New(rand.NewPCG(6, 6))
	for range 1000 {
		fee, age := rng.NormFloat64(), rng.NormFloat64()
		table.Append(&dataset.Row{
			Values:   []dataset.Value{{Number: fee}, {Number: 2 * fee}, {Number: age}},
			Positive: rng.Float64() < logreg.Sigmoid(fee+age),
		})
	}
	for c, want := range map[float64][]bool{1: {true, true, false}, 1e12: {true, true, false}, 1e-6: {true, true, true}} {
		o := options()
		o.TestSize, o.C = 0, c
		m, err := Train(t.Context(), InMemory(table), o)
		if err != nil {
			t.Fatal(err)
		}
		for k, coefficient := range m.Reported()[:len(want)] {
			if coefficient.Unidentified != want[k] {
				t.Errorf("C = %g: %+v", c, coefficient)
			}
		}
	}
}
