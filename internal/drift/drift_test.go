package drift

import (
	"math"
	"slices"
	"testing"

	"churn/internal/dataset"
	"churn/internal/metric"

	"pgregory.net/rapid"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(b)) }

// numbers returns a column whose live rows are given.
func numbers(reference, live []float64) Column {
	ref := dataset.SummarizeNumbers(reference)
	c := Column{Name: "x", Reference: &ref, Live: dataset.NewTally(&ref)}
	for _, x := range live {
		c.Live.Add(dataset.Value{Number: x})
	}
	return c
}

// levels returns a column of categories with the given number of rows of each level.
func levels(reference, live map[string]int) Column {
	ref := dataset.Summary{Levels: reference}
	for _, n := range reference {
		ref.Rows += n
	}
	c := Column{Name: "c", Reference: &ref, Live: dataset.NewTally(&ref)}
	for level, n := range live {
		for range n {
			c.Live.Add(dataset.Value{Text: level, Level: true})
		}
	}
	return c
}

func ramp(n int, from float64) []float64 {
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = from + float64(i)
	}
	return xs
}

func TestVariation(t *testing.T) {
	// 0.75 against 0.5, less chance: two bins of 0.375 and 0.625 each are off by √(2·0.234·(1/200+1/100)/π).
	chance := math.Sqrt(2 * 0.25 * 0.75 * (1.0/300 + 1.0/100) / math.Pi) // with 225 of 300 and 75 of 100
	if got := variation([]int{225, 75}, []int{75, 25}); got != 0 {
		t.Errorf("variation of equal shares = %v, want 0, chance is %v", got, chance)
	}
	p := 200.0 / 300
	chance = math.Sqrt(2 * p * (1 - p) * (1.0/200 + 1.0/100) / math.Pi)
	if got, want := variation([]int{150, 50}, []int{50, 50}), math.Sqrt(0.25*0.25-chance*chance); !near(got, want) {
		t.Errorf("variation = %v, want %v", got, want)
	}
}

func TestChiSquared(t *testing.T) {
	// Two by two, the textbook form: N (ad − bc)² / (row and column sums).
	got := chiSquared([]int{30, 10}, []int{20, 40})
	want := 100 * square(30*40-10*20) / (40 * 60 * 50 * 50)
	if !near(got, want) {
		t.Errorf("chiSquared = %v, want %v", got, want)
	}
}

func TestFisher(t *testing.T) {
	check := func(a, n, b, m int, want float64) {
		t.Helper()
		if got := fisher(a, n, b, m); math.Abs(got-want) > 1e-9 {
			t.Errorf("fisher(%d of %d, %d of %d) = %v, want %v", a, n, b, m, got, want)
		}
	}
	check(3, 4, 1, 4, 34.0/70) // the lady tasting tea, two-sided
	check(4, 4, 0, 4, 2.0/70)
	check(1, 60, 0, 900, 60.0/960) // one event, in the small sample
	check(0, 60, 1, 900, 1)
}

func TestHolm(t *testing.T) {
	checks := []Check{{P: 0.04}, {P: 0.001}, {P: 0.03}, {P: 0.5}}
	grade(checks)
	for i, want := range []float64{0.09, 0.004, 0.09, 0.5} { // 2·0.04 is less than 3·0.03 before it
		if !near(checks[i].PAdjusted, want) {
			t.Errorf("check %d: adjusted p %v, want %v", i, checks[i].PAdjusted, want)
		}
	}
}

func TestMeanCheck(t *testing.T) {
	c := numbers(ramp(900, 0), ramp(100, 500)) // means 449.5 and 549.5
	got, _ := c.mean()
	std := math.Sqrt(900 * 901 / 12.0) // of 0…899, with n−1
	if want := 100 / (std * math.Sqrt(1.0/100+1.0/900)); !near(got.Statistic, want) || !near(got.Effect, 100/std) {
		t.Errorf("z %v and effect %v, want %v and %v", got.Statistic, got.Effect, want, 100/std)
	}
}

func TestBinsExpectFiveRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reference := rapid.SliceOfN(rapid.IntRange(0, 100), 2, 12).Draw(t, "reference")
		live := rapid.SliceOfN(rapid.IntRange(0, 10), len(reference), len(reference)).Draw(t, "live")
		reference[0], live[0] = reference[0]+1, live[0]+1
		a, b := mergeBins(live, reference)
		if sum(a) != sum(live) || sum(b) != sum(reference) {
			t.Fatalf("mergeBins(%v, %v) = %v, %v: rows were lost", live, reference, a, b)
		}
		for i := range a {
			if expected := float64(sum(live)) * float64(b[i]) / float64(sum(reference)); len(a) > 1 && expected < minExpected {
				t.Fatalf("mergeBins(%v, %v) = %v, %v: bin %d expects %.1f rows", live, reference, a, b, i, expected)
			}
		}
		a, b = poolRare(live, reference, 3)
		if sum(a) != sum(live)+3 || sum(b) != sum(reference) {
			t.Fatalf("poolRare(%v, %v) = %v, %v: rows were lost", live, reference, a, b)
		}
	})
}

func TestSeverities(t *testing.T) {
	check := func(name string, c Column, want Severity) {
		t.Helper()
		checks, verdict := Compare([]Column{c}, Pairs{})
		if verdict != want {
			t.Errorf("%s: %s, want %s: %+v", name, verdict, want, checks)
		}
	}
	check("the same numbers", numbers(ramp(900, 0), ramp(900, 0)), OK)
	check("a large shift", numbers(ramp(900, 0), ramp(900, 450)), Alert)
	check("a small shift of many rows", numbers(ramp(90_000, 0), ramp(90_000, 2_000)), Watch)
	check("a constant column that stays", numbers(make([]float64, 900), make([]float64, 200)), OK)
	type counts = map[string]int
	check("the same levels", levels(counts{"a": 600, "b": 300}, counts{"a": 200, "b": 100}), OK)
	check("other shares", levels(counts{"a": 600, "b": 300}, counts{"a": 100, "b": 200}), Alert)
	check("an unseen level", levels(counts{"a": 600, "b": 300}, counts{"a": 130, "b": 65, "z": 40}), Alert)
	check("one row of an unseen level", levels(counts{"a": 600, "b": 300}, counts{"a": 133, "b": 66, "z": 1}), OK)

	constant := make([]float64, 900)
	varying := append(make([]float64, 150), ramp(50, 0.001)...)
	check("a constant column that is no longer one", numbers(constant, varying), Alert)
	check("one other value where there was one", numbers(constant, append(make([]float64, 199), 0.15)), OK)

	gaps := numbers(ramp(900, 0), ramp(450, 0))
	for range 60 {
		gaps.Live.Add(dataset.Value{Missing: true})
	}
	checks, _ := Compare([]Column{gaps}, Pairs{})
	if last := checks[len(checks)-1]; last.Kind != Missing || last.Severity != Alert {
		t.Errorf("60 of 510 missing where none was: %+v, want an alert", last)
	}
}

// The ratio of two variances says nothing where one of them is 0: a sentence says what it means.
func TestConstants(t *testing.T) {
	six, thirty := make([]float64, 900), make([]float64, 200)
	for i := range six {
		six[i] = 6
	}
	for i := range thirty {
		thirty[i] = 30
	}
	c := numbers(six, append(ramp(50, 7), six[:150]...))
	if always := c.distribution().Reference.Always; always == nil || *always != 6 {
		t.Errorf("always %v, want 6", always)
	}
	varies := numbers(ramp(900, 0), thirty)
	if always := varies.distribution().Reference.Always; always != nil {
		t.Errorf("always %v where it varies", *always)
	}
	for _, e := range []struct {
		of       Column
		kind     string
		constant bool
		want     string
	}{
		{c, Unseen, false, "was always 6 in training, and is not in 25.0 % of the rows"},
		{varies, Spread, true, "all rows have the same value or nearly, 30; in training the standard deviation was 260"},
		{numbers(ramp(900, 0), ramp(900, 450)), Mean, false,
			"the mean has changed by +1.73 standard deviations, from 450 in training to 900"},
	} {
		checks, _ := Compare([]Column{e.of}, Pairs{})
		i := slices.IndexFunc(checks, func(c Check) bool { return c.Kind == e.kind })
		if i < 0 || checks[i].Sentence != e.want || checks[i].Constant() != e.constant {
			t.Errorf("%s: %+v, want %q", e.kind, checks, e.want)
		}
	}
}

// A live sample of very few rows must give numbers, not NaN.
func TestFewRowsGiveNumbers(t *testing.T) {
	empty := numbers(ramp(10, 0), nil)
	empty.Live.Add(dataset.Value{Missing: true})
	for _, c := range []Column{
		numbers(ramp(900, 0), []float64{1}), numbers([]float64{5}, []float64{7}), empty,
		levels(map[string]int{"a": 5}, map[string]int{"a": 1}), levels(map[string]int{"a": 5}, map[string]int{"z": 1}),
	} {
		checks, _ := Compare([]Column{c}, Pairs{})
		for _, check := range checks {
			for _, x := range []float64{check.Statistic, check.P, check.PAdjusted, check.Effect} {
				if math.IsNaN(x) || math.IsInf(x, 0) {
					t.Errorf("%+v: not a number", check)
				}
			}
		}
	}
}

func TestReferenceZ(t *testing.T) {
	c := numbers(ramp(900, 0), ramp(100, 500))
	std := math.Sqrt(900 * 901 / 12.0)
	if got := CompareReferenceZ(c, 2.5); got.Alert || !near(got.Z, 100/std) {
		t.Errorf("%+v, want z %v and no alert", got, 100/std)
	}
	if got := CompareReferenceZ(c, 100/std); !got.Alert {
		t.Errorf("%+v, want an alert at the threshold itself", got)
	}
}

// Of a model that finds one churner in a hundred rows, a window of as many may have none.
func TestFewFoundAreNoFall(t *testing.T) {
	test := Test{Confusion: metric.Confusion{TP: 40, FP: 10, FN: 200, TN: 3750}, LogLoss: 0.18}
	check := func(rows int, alerts bool) {
		t.Helper()
		e := metric.Expectation{}
		for range rows {
			e.Add(0.06, false)
		}
		x := e.Estimates(nil)
		r := &Result{Verdict: OK}
		q := Quality{Expected: &x}
		q.CheckExpected(e, test, QualityLimits{Drop: 0.05, LossRise: 10})
		if r.AddQuality(&q); r.Drift != alerts {
			t.Errorf("%d rows: %s, %+v", rows, r.Verdict, r.Checks)
		}
	}
	check(100, false)
	check(1000, true)
}
