package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/internal/logreg"
)

// Terms that four fifths of the rows choose predict the fifth better than lines do (0.8453
// and 0.4175). The folds are those of scikit-learn's StratifiedKFold(5, shuffle=True, random_state=0).
func TestTelcoOuterFolds(t *testing.T) {
	if testing.Short() {
		t.Skip("chooses five times on 5,600 rows")
	}
	table := telcoTable(t)
	b, err := os.ReadFile("testdata/telco_folds.txt")
	if err != nil {
		t.Fatal(err)
	}
	foldOf := strings.ReplaceAll(string(b), "\n", "")
	if len(foldOf) != table.Rows() {
		t.Fatalf("%d folds for %d rows", len(foldOf), table.Rows())
	}
	var auc, logLoss float64
	for fold := range byte(Folds) {
		var rest, held []int32
		for i := range foldOf {
			if foldOf[i] == '0'+fold {
				held = append(held, int32(i))
			} else {
				rest = append(rest, int32(i))
			}
		}
		train := InMemoryRows(table, rest)
		c := mustChoose(t, train)
		f, err := fitTo(t.Context(), train, c.terms, auto(), nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := InMemoryRows(table, held).Predict(t.Context(), f.classifier(0.5))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("fold %d: %s: AUC %.4f, log loss %.4f", fold, c.report, p.Ranking().AUC(), p.LogLoss())
		auc += p.Ranking().AUC() / Folds
		logLoss += p.LogLoss() / Folds
	}
	t.Logf("mean AUC %.4f, log loss %.4f", auc, logLoss)
	if auc < 0.850 || logLoss > 0.4105 {
		t.Errorf("mean AUC %.4f, log loss %.4f; want at least 0.850, at most 0.4105", auc, logLoss)
	}
}

// Many levels of few rows are shrunk, and customers then predicted better; not where each has an effect of its own.
func TestShrinksLevels(t *testing.T) {
	shops := func(n int, std float64) func(*rand.Rand, []float64, []string) float64 {
		effects := make([]float64, n)
		rng := rand.New(rand.NewPCG(9, 9))
		for k := range effects {
			effects[k] = std * rng.NormFloat64()
		}
		return func(rng *rand.Rand, x []float64, c []string) float64 {
			x[0] = rng.NormFloat64()
			k := rng.IntN(n)
			c[0] = fmt.Sprint("shop ", k)
			return x[0] + effects[k] - 1
		}
	}
	for _, test := range []struct {
		levels int
		std    float64
		shrunk bool
	}{{60, 0.3, true}, {60, 0, true}, {60, 1.5, false}, {manyLevels - 1, 0, false}} {
		draw := shops(test.levels, test.std)
		train, held := drawn(1, 2000, 1, 1, draw), drawn(2, 20_000, 1, 1, draw)
		loss := func(terms string) (float64, *Model) {
			o := auto()
			o.Terms, o.TestSize = terms, 0.25
			m, err := TrainOn(t.Context(), train, held, o)
			if err != nil {
				t.Fatal(err)
			}
			return m.Evaluation.Metrics.LogLoss, m
		}
		straight, _ := loss(TermsLine)
		chosen, m := loss(TermsAuto)
		t.Logf("%d levels of %g: log loss %.4f, of lines %.4f: %s",
			test.levels, test.std, chosen, straight, m.Training.Choice)
		if shrunk := m.Training.Shrink > 0; shrunk != test.shrunk || shrunk && chosen > straight-0.004 {
			t.Errorf("%d levels of %g: shrunk by %g, log loss %.4f, of lines %.4f",
				test.levels, test.std, m.Training.Shrink, chosen, straight)
		}
		b, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Parse(b); err != nil || !reflect.DeepEqual(again.Encoder.penalty, m.Encoder.penalty) {
			t.Errorf("%d levels of %g: the document has another penalty: %v", test.levels, test.std, err)
		}
	}
}

// Where a candidate would be the same model as one before, its loss differs by rounding alone, which must not
// choose it.
func TestCandidatesDiffer(t *testing.T) {
	names := func(numbers int, term string) (all []string) {
		s := drawn(1, 900, numbers, 1, func(rng *rand.Rand, x []float64, c []string) float64 {
			level := rng.IntN(manyLevels)
			c[0] = fmt.Sprint(level)
			for j := range x {
				x[j] = rng.NormFloat64()
			}
			return 0.3 * float64(level-manyLevels/2)
		})
		for j := range numbers {
			s.Table().Schema.Features[j].Term = term
		}
		for _, d := range mustChoose(t, s).report.Candidates {
			if d.Kind == kindNumbers {
				all = append(all, d.Terms)
			}
		}
		return all
	}
	curves := []string{"curves, smoothed by 1", "curves, smoothed by 10", "curves, smoothed by 100"}
	some := []string{curves[0], curves[2], "curves, each smoothed by itself"} // by 10 are those that the schema asks for
	for _, test := range []struct {
		numbers int
		term    string
		want    []string
	}{
		{0, "", nil}, {1, TermsLine, nil}, {1, "", curves}, {1, TermsCurve, some},
	} {
		if got := names(test.numbers, test.term); !slices.Equal(got, append([]string{"lines"}, test.want...)) {
			t.Errorf("%d numbers that are a %q: candidates %q, want lines and %q", test.numbers, test.term, got, test.want)
		}
	}
}

// Where one curve bends often and others hardly, each is smoothed by itself, and the log loss falls.
func TestSmoothsEachCurve(t *testing.T) {
	draw := func(rng *rand.Rand, n []float64, _ []string) float64 {
		for j := range n {
			n[j] = 100 * rng.Float64()
		}
		return 1.5*math.Sin(n[0]/5) + 0.02*(n[1]-50) + 0.8*math.Tanh((n[2]-50)/20)
	}
	train, held := drawn(1, 3000, 8, 0, draw), drawn(2, 20_000, 8, 0, draw)
	o := auto()
	o.Pairs.Auto = false
	each, err := TrainOn(t.Context(), train, held, o)
	if err != nil {
		t.Fatal(err)
	}
	smooth := func(j int) float64 { return each.Encoder.Curves[fmt.Sprint("n", j)].Smooth }
	if smooth(0) > 1 || smooth(1) < 100 || smooth(7) < 100 {
		t.Errorf("smoothed by %.3g, a line by %.3g and noise by %.3g", smooth(0), smooth(1), smooth(7))
	}
	best := math.Inf(1)
	for _, common := range smooths {
		c := &chooser{o: o, schema: train.Table().Schema, all: newPart(train.(*memory), nil)}
		f, err := fitTo(t.Context(), train, c.all.terms(c.structure(TermsCurve, common)), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := newModel(f, o)
		e, err := m.Evaluate(t.Context(), held)
		if err != nil {
			t.Fatal(err)
		}
		best = min(best, e.Metrics.LogLoss)
	}
	if got := each.Evaluation.Metrics.LogLoss; got > best-0.002 {
		t.Errorf("log loss %.4f, with all smoothed the same %.4f at best", got, best)
	}
}

// With nearly as many levels as a model may have weights, what has no room is left out of the choice.
func TestChoiceHasRoom(t *testing.T) {
	row := 0
	s := drawn(1, maxWidth-20, 2, 1, func(rng *rand.Rand, x []float64, c []string) float64 {
		row++
		x[0], x[1], c[0] = rng.NormFloat64(), rng.NormFloat64(), fmt.Sprint("customer ", row)
		return 3 * x[0] * x[1]
	}).(*memory)
	c := &chooser{o: auto(), schema: s.Table().Schema, all: newPart(s, s)}
	all, names, _ := c.numberCandidates()
	if len(all) != 1 {
		t.Errorf("candidates %q, want lines alone", names)
	}
	e, err := newEncoder(c.schema, c.all.described, c.all.terms(all[0]))
	if err != nil {
		t.Fatal(err)
	}
	zeros := &logreg.Fitted{Weights: make([]float64, e.Width()+1)}
	c.all.fit = &fit{encoder: e, design: e.Design(s.Table()), fitted: zeros}
	g := &selection{part: c.all, o: c.o, st: all[0]}
	if found, err := g.screen(t.Context()); err != nil || len(found) == 0 {
		t.Fatalf("pairs %v, %v, want one that gains", found, err)
	}
	if more, err := g.grow(t.Context(), 1); more || err != nil || g.st.pairs != nil {
		t.Errorf("grew %v to %v, %v", more, g.st.pairs, err)
	}
}

// More weights than a fit has memory for are refused in words, of lines too.
func TestTooManyWeights(t *testing.T) {
	const each = 6000
	row := 0
	s := drawn(1, each, 1, 3, func(rng *rand.Rand, x []float64, c []string) float64 {
		row++
		x[0], c[0], c[1], c[2] = rng.NormFloat64(), fmt.Sprint(row/2), fmt.Sprint("a ", row), fmt.Sprint(row)
		return 0
	})
	o := options()
	for _, o.Terms = range []string{TermsLine, TermsAuto} {
		_, err := Train(t.Context(), s, o)
		if err == nil || !strings.Contains(err.Error(), "weights, at most 10000 can be fitted") ||
			!strings.Contains(err.Error(), "--ignore, such as c1, which has ") {
			t.Errorf("terms %s: %v, want a refusal", o.Terms, err)
		}
	}
}
