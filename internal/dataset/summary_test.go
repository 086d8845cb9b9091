package dataset

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

func near(a, b float64) bool {
	return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b))
}

// drawNumbers returns numbers, of which some are equal.
func drawNumbers(t *rapid.T) []float64 {
	one := rapid.OneOf(rapid.Float64Range(-1e6, 1e6),
		rapid.Map(rapid.IntRange(-3, 3), func(i int) float64 { return float64(i) }))
	return rapid.SliceOfN(one, 1, 60).Draw(t, "values")
}

func TestSummaryAgreesWithItsDefinitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := drawNumbers(t)
		n := len(values)
		var sum, squares float64
		for _, x := range values {
			sum += x
		}
		for _, x := range values {
			squares += (x - sum/float64(n)) * (x - sum/float64(n))
		}
		std := math.Sqrt(squares / float64(n-1))
		s := SummarizeNumbers(slices.Clone(values))
		got := s.Numbers
		if !near(got.Mean, sum/float64(n)) || got.Min != slices.Min(values) || got.Max != slices.Max(values) {
			t.Fatalf("SummarizeNumbers(%v) = %+v, want the mean %v", values, got, sum/float64(n))
		}
		if n > 1 && std > 1e-6 && !near(got.Std, std) {
			t.Fatalf("SummarizeNumbers(%v): std %v, want %v", values, got.Std, std)
		}
		if s.Rows != n || s.Missing != 0 || len(got.Counts) != len(got.Cuts)+1 {
			t.Fatalf("SummarizeNumbers(%v) = %+v, %+v", values, s, got)
		}
		for bin, count := range got.Counts {
			low, high := math.Inf(-1), math.Inf(1)
			if bin > 0 {
				low = got.Cuts[bin-1]
			}
			if bin < len(got.Cuts) {
				high = got.Cuts[bin]
			}
			if want := countIn(values, low, high); count != want || count == 0 {
				t.Fatalf("SummarizeNumbers(%v): %d in (%v, %v], want %d and never none", values, count, low, high, want)
			}
		}
		sorted := slices.Sorted(slices.Values(values))
		var deciles []float64
		for i := 1; i < 10; i++ {
			// The smallest value with i tenths of the rows at or below it.
			if d := sorted[(i*n+9)/10-1]; d < got.Max && !slices.Contains(deciles, d) {
				deciles = append(deciles, d)
			}
		}
		if !slices.Equal(got.Cuts, deciles) {
			t.Fatalf("SummarizeNumbers(%v): cuts %v, want %v", values, got.Cuts, deciles)
		}
	})
}

// countIn counts the values in (low, high].
func countIn(values []float64, low, high float64) (n int) {
	for _, x := range values {
		if x > low && x <= high {
			n++
		}
	}
	return n
}

func TestSummarizeNumbers(t *testing.T) {
	check := func(values []float64, mean, std float64, cuts []float64, counts []int) {
		t.Helper()
		n := SummarizeNumbers(slices.Clone(values)).Numbers
		if !near(n.Mean, mean) || !near(n.Std, std) || !slices.Equal(n.Cuts, cuts) || !slices.Equal(n.Counts, counts) {
			t.Errorf("SummarizeNumbers(%v) = %+v, want mean %v, std %v, cuts %v, counts %v", values, n, mean, std, cuts, counts)
		}
	}
	check(nil, 0, 1, nil, []int{0})
	check([]float64{7}, 7, 1, nil, []int{1})
	check([]float64{7, 7, 7}, 7, 1, nil, []int{3}) // constant: a std of 0 is written as 1
	check([]float64{1, 2}, 1.5, math.Sqrt(0.5), []float64{1}, []int{1, 1})
	check([]float64{3, 1, 2, 4, 5, 6, 7, 8, 9, 10}, 5.5, math.Sqrt(55./6), []float64{1, 2, 3, 4, 5, 6, 7, 8, 9},
		[]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1})
	check([]float64{0, 0, 0, 0, 0, 0, 0, 0, 1, 2}, 0.3, math.Sqrt(4.1/9), []float64{0, 1},
		[]int{8, 1, 1}) // tied deciles count once
	check([]float64{0, 0, 0, 0, 0, 0, 0, 0, 0, 5}, 0.5, math.Sqrt(2.5), []float64{0}, []int{9, 1})
}

// A sum of equal numbers is not always a multiple of them.
func TestConstantColumnHasAStdOf1(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, n := rapid.Float64Range(-1e9, 1e9).Draw(t, "x"), rapid.IntRange(1, 2000).Draw(t, "n")
		if got := SummarizeNumbers(slices.Repeat([]float64{x}, n)).Numbers; got.Std != 1 || len(got.Cuts) != 0 {
			t.Fatalf("SummarizeNumbers of %d times %v = %+v, want a std of 1 and no cuts", n, x, got)
		}
	})
}

func TestSummarizeTheGivenRows(t *testing.T) {
	s := people(t)
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawPerson), 1, 40).Draw(t, "rows")
		table := NewTable(s)
		for i := range rows {
			table.Append(&rows[i])
		}
		use := AllRows(len(rows))[rapid.IntRange(0, len(rows)-1).Draw(t, "from"):]
		if age := table.Summarize(0, use); age.Rows+age.Missing != len(use) || sumOf(age.Numbers.Counts) != age.Rows {
			t.Fatalf("Summarize(age) = %+v, %+v, want %d rows", age, age.Numbers, len(use))
		}
		want := Summary{Levels: map[string]int{}}
		for _, i := range use {
			if v := rows[i].Values[1]; v.Missing {
				want.Missing++
			} else {
				want.Rows++
				want.Levels[v.Text]++
			}
		}
		plan := table.Summarize(1, use)
		if plan.Rows != want.Rows || plan.Missing != want.Missing || !maps.Equal(plan.Levels, want.Levels) ||
			plan.Numbers != nil {
			t.Fatalf("Summarize(plan) = %+v, want %+v", plan, want)
		}
	})
}

func TestSummarizeNothingButMissing(t *testing.T) {
	table := NewTable(people(t))
	for range 3 {
		table.Append(&Row{Values: []Value{{Missing: true}, {Missing: true, Level: true}}})
	}
	s := table.Summarize(0, AllRows(table.Rows()))
	if s.Rows != 0 || s.Missing != 3 || s.Numbers == nil || s.Numbers.Std != 1 ||
		s.Numbers.Mean != 0 {
		t.Errorf("Summarize(age) = %+v, %+v, want 3 missing", s, s.Numbers)
	}
	if s = table.Summarize(1, AllRows(table.Rows())); s.Rows != 0 || s.Missing != 3 || len(s.Levels) != 0 {
		t.Errorf("Summarize(plan) = %+v, want 3 missing", s)
	}
}

func TestSummaryInJSONHasTheLabsFields(t *testing.T) {
	s := SummarizeNumbers([]float64{1, 2})
	s.Missing = 3
	const want = `{"mean":1.5,"std":0.7071067811865476,"min":1,"max":2,"cuts":[1],"counts":[1,1],` +
		`"kurtosis":0.24999999999999992,"rows":2,"missing":3}`
	b, err := json.Marshal(s)
	if err != nil || string(b) != want {
		t.Errorf("%+v = %s, %v, want %s", s, b, err, want)
	}
	var back Summary
	if err := json.Unmarshal(b, &back); err != nil || back.Numbers == nil || back.Numbers.Mean != 1.5 ||
		back.Missing != 3 {
		t.Errorf("%s = %+v, %v", b, back, err)
	}
}

// A tally of the reference's own rows has its counts.
func TestTallyOfTheReferenceRowsIsTheReference(t *testing.T) {
	s := people(t)
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawPerson), 1, 60).Draw(t, "rows")
		table := NewTable(s)
		for i := range rows {
			table.Append(&rows[i])
		}
		age, plan := table.Summarize(0, AllRows(table.Rows())), table.Summarize(1, AllRows(table.Rows()))
		ages, plans := NewTally(&age), NewTally(&plan)
		for i := range rows {
			if !ages.Add(rows[i].Values[0]) || !plans.Add(rows[i].Values[1]) {
				t.Fatalf("Add(%+v) = false", rows[i].Values)
			}
		}
		if ages.Rows != age.Rows || ages.Missing != age.Missing || !near(ages.Mean, age.Numbers.Mean) ||
			!slices.Equal(ages.Counts, age.Numbers.Counts) {
			t.Fatalf("tally %+v of the rows of %+v, %+v", ages, age, age.Numbers)
		}
		if plans.Rows != plan.Rows || plans.Missing != plan.Missing || plans.Unseen != 0 ||
			!maps.Equal(plans.Levels, plan.Levels) {
			t.Fatalf("tally %+v of the rows of %+v", plans, plan)
		}
	})
}

func TestTallyCountsWhatTheReferenceLacks(t *testing.T) {
	levels := Summary{Levels: map[string]int{"a": 2}, Rows: 2}
	tally := NewTally(&levels)
	for _, v := range []Value{{Text: "b", Level: true}, {Text: "a", Level: true}, {Missing: true}} {
		if !tally.Add(v) {
			t.Errorf("Add(%+v) = false", v)
		}
	}
	if tally.Add(Value{Number: 1}) {
		t.Error("a number was counted as a level")
	}
	if tally.Rows != 2 || tally.Unseen != 1 || tally.Missing != 1 || !maps.Equal(tally.Levels, map[string]int{"a": 1}) {
		t.Errorf("tally = %+v, want an a, an unseen and a missing one", tally)
	}
	numbers := SummarizeNumbers([]float64{1, 2, 3})
	tally = NewTally(&numbers)
	for _, x := range []float64{-100, 1, 1.5, 1e9} {
		tally.Add(Value{Number: x})
	}
	if tally.Add(Value{Text: "1", Level: true}) {
		t.Error("a level was counted as a number")
	}
	if want := []int{2, 1, 1}; tally.Rows != 4 || !slices.Equal(tally.Counts, want) {
		t.Errorf("tally = %+v over cuts %v, want %v", tally, numbers.Numbers.Cuts, want)
	}
}

func TestMedian(t *testing.T) {
	check := func(want float64, sorted ...float64) {
		t.Helper()
		if got := Median(sorted, nil); got != want {
			t.Errorf("Median(%v) = %v, want %v", sorted, got, want)
		}
	}
	check(7, 7)
	check(1.5, 1, 2)
	check(2, 1, 2, 9)
	check(3, 1, 2, 4, 9)
}

func sumOf(xs []int) (sum int) {
	for _, x := range xs {
		sum += x
	}
	return sum
}

// Without missing cells no median is needed; with one the description is the full one.
func TestScalingsAreThoseOfDescribe(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 0))
	for _, missing := range []bool{false, true} {
		table := NewTable(&Schema{Features: []Feature{{Name: "x", Type: Number}}})
		numbers := make([]float64, 2*MaxCodedValues)
		for i := range numbers {
			numbers[i] = 5 + rng.NormFloat64()
		}
		if missing {
			numbers[1] = math.NaN()
		}
		table.Columns[0].AppendNumbers(numbers)
		table.Positive = make([]bool, len(numbers))
		rows := AllRows(len(numbers))[2:]
		got, want := table.DescribeScalings(rows), table.Describe(rows)
		if a, b := got.Scalings[0], want.Scalings[0]; math.Abs(a.Mean-b.Mean) > 1e-12 || math.Abs(a.Std-b.Std) > 1e-12 ||
			missing && a.Median != b.Median || got.Columns[0].Rows != len(rows) {
			t.Errorf("missing %v: scaling %v of %d rows, want %v", missing, a, got.Columns[0].Rows, b)
		}
	}
}
