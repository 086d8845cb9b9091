package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"

	"gonum.org/v1/gonum/floats"
)

// normalNumbers is customers with that many normal numbers, of which the first two matter by slope times their
// product alone.
func normalNumbers(features, rows int, slope float64, seed uint64) *dataset.Table {
	rng := rand.New(rand.NewPCG(seed, 5))
	s := &dataset.Schema{Format: 1, Target: dataset.Target{Name: "churn", Positive: "1"}}
	for j := range features {
		s.Features = append(s.Features, dataset.Feature{Name: fmt.Sprint("x", j), Type: dataset.Number})
	}
	table := dataset.NewTable(s)
	for range rows {
		var row dataset.Row
		for range features {
			row.Values = append(row.Values, dataset.Value{Number: rng.NormFloat64()})
		}
		row.Positive = rng.Float64() < logreg.Sigmoid(slope*row.Values[0].Number*row.Values[1].Number)
		table.Append(&row)
	}
	return table
}

// A pair that cross-validation has chosen is in the model, also where its features contribute less in all rows than
// the 40 that are paired there. One that is not found is counted.
func TestChosenPairsAreInTheModel(t *testing.T) {
	if testing.Short() {
		t.Skip("it fits many models")
	}
	o := Options{Version: "v1", TestSize: 0.25, C: 1, Terms: TermsLine, ClassWeight: WeightNone, Tune: TuneNone}
	o.Pairs.Auto = true
	chosen := 0
	for seed := range uint64(2) {
		o.Seed = seed
		m := train(t, normalNumbers(50, 600, 4, seed), o)
		if m.Training.Choice.String() == "" {
			continue
		}
		chosen++
		if len(m.Encoder.Pairs) == 0 || m.Encoder.Pairs[0] != (Pair{"x0", "x1"}) || m.LackingPairs != 0 {
			t.Errorf("seed %d: %s, but the model has %v and lacks %d", seed, m.Training.Choice, m.Encoder.Pairs,
				m.LackingPairs)
		}
	}
	if chosen == 0 {
		t.Error("no pair was chosen: the test tests nothing")
	}
	o.Seed = 40 // one fold finds a pair, and gains more than a standard error by it
	if m := train(t, normalNumbers(3, 120, 1, 40), o); m.LackingPairs != 1 || m.Training.Choice.String() != "0 pairs" {
		t.Errorf("%q was chosen, of which the model lacks %d, want none and 1", m.Training.Choice, m.LackingPairs)
	}
	o.Pairs = PairOptions{N: 3}
	if m := train(t, normalNumbers(3, 300, 0, 1), o); len(m.Encoder.Pairs)+m.LackingPairs != 3 || m.LackingPairs == 0 {
		t.Errorf("of noise %v, and %d are lacking, want 3 together", m.Encoder.Pairs, m.LackingPairs)
	}
}

// The sums of a grid, which are added up by place, are those of the products of its functions in each row.
func TestGridSums(t *testing.T) {
	rows := drawn(3, 500, 2, 1, func(rng *rand.Rand, x []float64, c []string) float64 {
		x[0], x[1], c[0] = math.NaN(), math.Round(4*rng.NormFloat64()), fmt.Sprint("level ", rng.IntN(12))
		if rng.IntN(5) > 0 {
			x[0] = rng.NormFloat64()
		}
		return 0
	}).(*memory)
	p, schema := newPart(rows, rows), rows.table.Schema
	e, err := newEncoder(schema, p.described, Terms{})
	if err != nil {
		t.Fatal(err)
	}
	p.fit = &fit{encoder: e, design: e.Design(rows.table)}
	probabilities := make([]float64, len(rows.rows))
	for k := range probabilities {
		probabilities[k] = float64(k+1) / 600
	}
	for _, pair := range [][2]int{{0, 1}, {0, 2}, {2, 1}} {
		g := &selection{part: p, candidates: []screened{{a: pair[0], b: pair[1]}}}
		s := g.newScreen(probabilities)
		gradient, hessian := s.grid(pair[0], pair[1])
		var bases [2]logreg.Basis
		for side, j := range pair {
			b := e.basis(j, p.grids[j])
			bases[side] = b.design(&rows.table.Columns[j])
		}
		cells := bases[0].Width * bases[1].Width
		wantGradient, wantHessian := make([]float64, cells), make([]float64, cells*cells)
		term, room := logreg.Term{A: 0, B: 1}, [2]logreg.Active{}
		for k, i := range rows.rows {
			entries := term.Append(nil, bases[0].Active(i, &room[0]), bases[1].Active(i, &room[1]), bases[1].Width)
			for n, a := range entries {
				wantGradient[a.At] += s.residual[k] * a.Value
				for _, b := range entries[n:] {
					wantHessian[int(a.At)*cells+int(b.At)] += s.h[k] * a.Value * b.Value
				}
			}
		}
		if !floats.EqualApprox(gradient, wantGradient, 1e-12) || !floats.EqualApprox(hessian, wantHessian, 1e-12) {
			t.Errorf("features %v: the sums differ from those of the rows", pair)
		}
	}
}

// The usual penalty holds back a pair that acts strongly. A weaker one is chosen, and lowers the log loss of others.
func TestWeakPenaltyOfStrongPairs(t *testing.T) {
	o := Options{Version: "v1", C: 1, Terms: TermsLine, ClassWeight: WeightNone, Tune: TuneNone, Seed: 1}
	table, others := normalNumbers(3, 2000, 6, 1), normalNumbers(3, 2000, 6, 2)
	loss := func(m *Model) float64 { return predict(t, m, others, dataset.AllRows(others.Rows())).LogLoss() }
	o.Pairs = PairOptions{N: 1}
	usual := loss(train(t, table, o))
	o.Pairs = PairOptions{Auto: true}
	m := train(t, table, o)
	terms, shrink := m.Training.Choice.String(), m.Training.ShrinkPairs
	if terms != "1 pair, shrunk by 0.03, smoothed by 0.1" || shrink != 0.03 {
		t.Errorf("%s was chosen, with a penalty of %g", terms, shrink)
	}
	if weak := loss(m); weak > 0.95*usual {
		t.Errorf("log loss %.4f, with the usual penalty %.4f", weak, usual)
	}
}

// Many pairs that act weakly are found where each is held back.
func TestStrongPenaltyOfWeakPairs(t *testing.T) {
	const categories, levels = 6, 6
	effect := rand.New(rand.NewPCG(1, 1))
	var effects [categories * categories][levels * levels]float64
	for pair := range effects {
		for cell := range effects[pair] {
			effects[pair][cell] = 0.4 * effect.NormFloat64()
		}
	}
	rows := drawn(1, 4000, 0, categories, func(rng *rand.Rand, _ []float64, c []string) (logOdds float64) {
		var level [categories]int
		for j := range c {
			level[j] = rng.IntN(levels)
			c[j] = fmt.Sprint("level ", level[j])
			for i := range j {
				logOdds += effects[i*categories+j][level[i]*levels+level[j]]
			}
		}
		return logOdds
	})
	o := Options{Version: "v1", C: 1, Terms: TermsLine, ClassWeight: WeightNone, Tune: TuneNone, Seed: 1}
	o.Pairs = PairOptions{Auto: true}
	m := train(t, rows.Table(), o)
	if m.Training.ShrinkPairs != 10 || len(m.Encoder.Pairs) < 8 {
		t.Errorf("%s was chosen: %v, with a penalty of %g", m.Training.Choice, m.Encoder.Pairs, m.Training.ShrinkPairs)
	}
}
