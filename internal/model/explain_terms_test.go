package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"churn/internal/dataset"
)

// mixedTable returns random rows of the numbers n0 to n7 and the categories c0 to c3. Cells of
// n0, n4 and c0 are missing, n0 and n7 have six values, and c3 more levels than a pair keeps apart.
func mixedTable(seed uint64, rows int) *dataset.Table {
	schema := &dataset.Schema{Format: dataset.Format, Target: dataset.Target{Name: "y", Positive: "1"}}
	for j := range 8 {
		schema.Features = append(schema.Features,
			dataset.Feature{Name: fmt.Sprint("n", j), Type: dataset.Number, Optional: true})
	}
	for j := range 4 {
		schema.Features = append(schema.Features,
			dataset.Feature{Name: fmt.Sprint("c", j), Type: dataset.Category, Optional: true})
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	table := dataset.NewTable(schema)
	for range rows {
		row := dataset.Row{}
		z := -1.0
		for j := range 8 {
			x := rng.NormFloat64() * math.Pow10(j-3)
			if j == 0 || j == 7 {
				x = float64(rng.IntN(6))
			}
			if row.Values = append(row.Values, number(x)); j%4 == 0 && rng.IntN(8) == 0 {
				row.Values[j] = dataset.Value{Missing: true}
				z++
			}
		}
		for j := range 4 {
			v := dataset.Value{Text: fmt.Sprint("level ", rng.IntN(3*(j+1))), Level: true}
			if j == 0 && rng.IntN(8) == 0 {
				v = dataset.Value{Missing: true, Level: true}
			}
			row.Values = append(row.Values, v)
		}
		z += math.Abs(row.Values[3].Number) + row.Values[2].Number*row.Values[7].Number
		row.Positive = rng.Float64() < 1/(1+math.Exp(-z))
		table.Append(&row)
	}
	return table
}

// mixedPairs are two numbers, numbers with missing cells, a number and a category, two categories.
func mixedPairs() []Pair {
	return []Pair{
		{"n0", "n1"}, {"n0", "n4"}, {"n2", "n7"}, {"n5", "n6"}, {"n0", "c0"}, {"c1", "n1"}, {"c0", "c3"}, {"n0", "n7"},
	}
}

// mixedModels returns models of the terms that there are, by what they have.
func mixedModels(t *testing.T, table *dataset.Table) map[string]*Model {
	t.Helper()
	models := map[string]*Model{}
	fit := func(name, terms string, pairs []Pair) {
		o := options()
		o.Terms, o.Pairs.Named = terms, pairs
		models[name] = train(t, table, o)
	}
	fit("lines", TermsLine, nil)
	fit("lines and pairs", TermsLine, mixedPairs())
	fit("curves", TermsCurve, nil)
	fit("curves and pairs", TermsCurve, mixedPairs())
	table.Schema.Features[7].Term, table.Schema.Features[0].Term = "levels", "line"
	fit("levels, a line and curves, with pairs", TermsCurve, mixedPairs())
	table.Schema.Features[0].Term = "levels"
	fit("all that a schema can ask for", TermsLine, mixedPairs())
	return models
}

// oddCustomer returns a customer with missing cells, unknown levels, and numbers near and
// far outside of those that were seen.
func oddCustomer(rng *rand.Rand, seen []dataset.Value) []dataset.Value {
	values := slices.Clone(seen)
	for j, v := range values {
		switch c := rng.IntN(8); {
		case c == 0:
			values[j] = dataset.Value{Missing: true, Level: v.Level}
		case c == 1 && v.Level:
			values[j].Text = "a level that nobody had"
		case c == 1:
			values[j].Number = rng.NormFloat64() * math.Pow10(rng.IntN(9)-1)
		case c == 2 && !v.Level:
			values[j].Number = math.Nextafter(v.Number, math.Inf(1-2*rng.IntN(2)))
		}
	}
	return values
}

// Base and contributions are the log-odds that were answered, whatever the terms and the customer.
func TestContributionsOfTermsAddUp(t *testing.T) {
	if testing.Short() {
		t.Skip("it fits many models")
	}
	table := mixedTable(1, manyRows())
	for name, m := range mixedModels(t, table) {
		rng := rand.New(rand.NewPCG(2, 0))
		for i := range min(2000, table.Rows()) {
			values := oddCustomer(rng, rowOf(table, i))
			x := m.Explain(values)
			z, parts := x.Base, math.Abs(x.Base)
			for _, c := range x.Contributions {
				z += c
				parts += math.Abs(c)
			}
			p := m.Score(values).Probability
			if want, _ := m.Encoder.logit(values, m.weights); !(math.Abs(z-want) <= 1e-9*max(1, parts/1e3)) {
				t.Fatalf("%s: %v is explained by %+v, which add up to %v, the log-odds are %v", name, values, x, z, want)
			}
			// Where the probability says no less than the log-odds, it gives them back.
			if math.Abs(z) < 5 && !(math.Abs(math.Log(p/(1-p))-z) <= 1e-9) {
				t.Fatalf("%s: %v is explained by log-odds of %v, the probability is %v", name, values, z, p)
			}
		}
	}
}

// manyRows are fewer with the race detector, which makes them slow and sees no more.
func manyRows() int {
	if testing.Short() {
		return 1000
	}
	return 4000
}

// rowOf returns row i of a table.
func rowOf(table *dataset.Table, i int) []dataset.Value {
	values := make([]dataset.Value, len(table.Columns))
	for j := range values {
		values[j] = table.Value(i, j)
	}
	return values
}

// points returns a value for each function of a grid, at which it is 1.
func points(b *Basis) []dataset.Value {
	var at []dataset.Value
	for _, x := range append(b.Knots, b.Values...) {
		at = append(at, dataset.Value{Number: x})
	}
	for _, level := range b.Levels {
		at = append(at, dataset.Value{Text: level, Level: true, Missing: level == dataset.MissingLevel})
	}
	if b.Rest {
		at = append(at, dataset.Value{Text: "one of the rest", Level: true})
	}
	if b.Missing {
		at = append(at, dataset.Value{Missing: true})
	}
	return at
}

// Over the training rows contributions have the mean zero, and so has a pair's in each row
// and each column of its grid.
func TestPairsArePurified(t *testing.T) {
	if testing.Short() {
		t.Skip("it fits many models")
	}
	table := mixedTable(3, manyRows())
	for name, m := range mixedModels(t, table) {
		sums := make([]float64, len(m.Contributors()))
		for i := range table.Rows() {
			for k, c := range m.Explain(rowOf(table, i)).Contributions {
				sums[k] += c / float64(table.Rows())
			}
		}
		for k, sum := range sums {
			if !(math.Abs(sum) <= 1e-9) {
				t.Errorf("%s: %s contributes %v on average, want 0", name, m.Contributors()[k], sum)
			}
		}
		for k, pair := range m.Encoder.Pairs {
			a, b := m.Encoder.Grids[pair[0]], m.Encoder.Grids[pair[1]]
			checkMargins(t, name, m, len(table.Columns)+k, points(a), points(b), table)
		}
	}
}

// checkMargins adds up what a pair contributes in its cells, by their share of the rows.
func checkMargins(t *testing.T, name string, m *Model, term int, rows, columns []dataset.Value, table *dataset.Table) {
	t.Helper()
	a, b := &m.Encoder.bases[m.Encoder.terms[term].A], &m.Encoder.bases[m.Encoder.terms[term].B]
	cells := make([][]float64, len(rows))
	values := rowOf(table, 0)
	for u := range rows {
		for v := range columns {
			values[a.feature], values[b.feature] = rows[u], columns[v]
			cells[u] = append(cells[u], m.Explain(values).Contributions[term])
		}
	}
	margins := [2][]float64{make([]float64, len(rows)), make([]float64, len(columns))}
	for i := range table.Rows() {
		values = rowOf(table, i)
		s, r := a.active(&values[a.feature]), b.active(&values[b.feature])
		for u := range s.N {
			for v := range r.N {
				share := s.Value[u] * r.Value[v] * cells[s.First+u][r.First+v] / float64(table.Rows())
				margins[0][s.First+u] += share
				margins[1][r.First+v] += share
			}
		}
	}
	for side := range margins {
		for k, sum := range margins[side] {
			if !(math.Abs(sum) <= 1e-9) {
				t.Errorf("%s: %s: margin %d of side %d is %v, want 0", name, m.Contributors()[term], k, side, sum)
			}
		}
	}
}
