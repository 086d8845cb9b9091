package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// heights returns the weights of a curve's knots in the document of a model, read back.
func heights(t *testing.T, m *Model, feature string) []float64 {
	t.Helper()
	back, err := Parse(document(t, m))
	if err != nil {
		t.Fatal(err)
	}
	var all []float64
	for _, w := range back.Weights {
		if strings.HasPrefix(w.Name, feature+"@") {
			all = append(all, w.Value)
		}
	}
	return all
}

// checkMonotone checks heights without any tolerance.
func checkMonotone(t *testing.T, name string, sign float64, heights []float64) {
	t.Helper()
	if len(heights) < 2 {
		t.Fatalf("%s: heights %v, want a curve", name, heights)
	}
	for j := range heights[1:] {
		if !(sign*heights[j+1] >= sign*heights[j]) {
			t.Errorf("%s: height %v, then %v", name, heights[j], heights[j+1])
		}
	}
}

func setMonotone(table *dataset.Table, feature, way string) {
	table.Schema.Features[table.Schema.Index(feature)].Monotone = way
}

func TestMonotoneCurvesInTheDocument(t *testing.T) {
	table := telcoTable(t)
	setMonotone(table, "tenure", "down")
	setMonotone(table, "MonthlyCharges", "up")
	for _, c := range []float64{0.01, 1, 100} {
		for _, weight := range []string{WeightNone, WeightBalanced} {
			o := options()
			o.Terms, o.C, o.ClassWeight = TermsCurve, c, weight
			m, name := train(t, table, o), fmt.Sprintf("C %g, class weights %s", c, weight)
			for feature, sign := range map[string]float64{"tenure": -1, "MonthlyCharges": 1} {
				checkMonotone(t, name, sign, heights(t, m, feature))
				var drawn []float64 // on the card
				for _, p := range m.Effects[table.Schema.Index(feature)].Points {
					if p.At != nil {
						drawn = append(drawn, p.Contribution)
					}
				}
				checkMonotone(t, name+", card", sign, drawn)
			}
			if m.Training.Iterations > 20 || m.Training.NewtonStep > 1e-9 {
				t.Errorf("%s: %d iterations to a step of %g", name, m.Training.Iterations, m.Training.NewtonStep)
			}
		}
	}
}

// Tenure lowers churn: asked to raise it, it has no effect, as a curve and as a line. The
// weight of its missing cells is free.
func TestMonotoneAgainstTheTruth(t *testing.T) {
	table := dirtyTable(t)
	free := train(t, table, options())
	setMonotone(table, "tenure_months", "down")
	if m := train(t, table, options()); m.weights[0] != free.weights[0] || m.weights[0] >= 0 {
		t.Errorf("slope %v, without the constraint %v, want the same below 0", m.weights[0], free.weights[0])
	}
	setMonotone(table, "tenure_months", "up")
	if m := train(t, table, options()); m.weights[0] != 0 {
		t.Errorf("slope %v, want 0", m.weights[0])
	}
	o := options()
	o.Terms = TermsCurve
	m := train(t, table, o)
	flat := heights(t, m, "tenure_months")
	for _, h := range flat {
		if h != flat[0] {
			t.Errorf("heights %v, want one", flat)
			break
		}
	}
	name, missing := m.Encoder.names[len(flat)], m.weights[len(flat)]
	if name != "tenure_months=(missing)" || missing == flat[0] || missing == 0 {
		t.Errorf("%s has the weight %v, want one of its own", name, missing)
	}
}

// Fits to choose by are rough, and each begins where another ended.
func TestMonotoneInCrossValidation(t *testing.T) {
	table := dirtyTable(t)
	setMonotone(table, "tenure_months", "up")
	setMonotone(table, "num_complaints", "down")
	o := options()
	o.Terms, o.AutoC = TermsAuto, true
	p := newPart(&memory{table: table, rows: dataset.AllRows(table.Rows())}, nil)
	var f *fit
	for _, smooth := range smooths {
		for _, c := range strengths {
			o.C = c
			st := structure{of: []string{TermsCurve, TermsCurve, TermsCurve, "", ""}}
			st.smooth = slices.Repeat([]float64{smooth}, len(st.of))
			next, err := p.fitRoughly(t.Context(), st, o, f)
			if err != nil {
				t.Fatal(err)
			}
			f = next
			for k, sign := range []float64{1, -1} {
				knots := len(f.encoder.bases[k].Knots)
				want := logreg.Monotone{First: f.encoder.first(k), N: knots, Sign: sign}
				if f.encoder.monotone[k] != want {
					t.Fatalf("constraint %v, want %v", f.encoder.monotone[k], want)
				}
				checkMonotone(t, fmt.Sprintf("C %g, smoothed by %g", c, smooth), sign, f.fitted.Weights[want.First:][:knots])
			}
		}
	}
	m := train(t, table, o)
	for k, sign := range []float64{1, -1} { // lines or curves, as chosen
		name := table.Schema.Features[k].Name
		if curve := heights(t, m, name); curve != nil {
			checkMonotone(t, name, sign, curve)
		} else if w := m.weights[m.Encoder.first(k)]; sign*w < 0 {
			t.Errorf("%s: slope %v", name, w)
		}
	}
}
