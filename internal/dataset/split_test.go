package dataset

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"churn/internal/metric"
	"churn/internal/status"

	"pgregory.net/rapid"
)

// drawClasses returns labels with at least ten rows of either class.
func drawClasses(t *rapid.T) []bool {
	positive := rapid.SliceOfN(rapid.Bool(), 20, 300).Draw(t, "positive")
	for i := range 10 {
		positive[2*i], positive[2*i+1] = true, false
	}
	return positive
}

func countPositive(positive []bool, rows []int32) (n int) {
	for _, i := range rows {
		if positive[i] {
			n++
		}
	}
	return n
}

func TestSplitIsAStratifiedPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		positive := drawClasses(t)
		n := len(positive)
		size := rapid.SampledFrom([]float64{0.125, 0.25, 0.5, 0.75}).Draw(t, "testSize") // of which products are exact
		train, test, err := Split(positive, size, rapid.Uint64().Draw(t, "seed"))
		if err != nil {
			t.Fatal(err)
		}
		if want := int(math.Ceil(size * float64(n))); len(test) != want {
			t.Fatalf("%d of %d rows are for the test, want %d", len(test), n, want)
		}
		if !slices.IsSorted(train) || !slices.IsSorted(test) {
			t.Fatalf("not in order: %v, %v", train, test)
		}
		if all := slices.Sorted(slices.Values(slices.Concat(train, test))); !slices.Equal(all, AllRows(n)) {
			t.Fatalf("%v and %v are not the rows 0 to %d, each once", train, test, n-1)
		}
		p := countPositive(positive, AllRows(n))
		got := countPositive(positive, test)
		if math.Abs(float64(got)-size*float64(p)) > 0.5 || got == 0 || got == p || len(test)-got == 0 ||
			len(test)-got == n-p {
			t.Fatalf("%d of %d positive rows and %d of %d others are for the test of %g", got, p, len(test)-got, n-p, size)
		}
	})
}

func TestFoldsAreEvenAndStratified(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		positive := drawClasses(t)
		k := rapid.IntRange(2, 10).Draw(t, "k")
		fold, err := Folds(positive, k, rapid.Uint64().Draw(t, "seed"))
		if err != nil {
			t.Fatal(err)
		}
		var counts [2][]int
		sizes := make([]int, k)
		counts[0], counts[1] = make([]int, k), make([]int, k)
		for i, f := range fold { // fails if a part is not in 0 to k-1
			class := 0
			if positive[i] {
				class = 1
			}
			counts[class][f]++
			sizes[f]++
		}
		for _, c := range [][]int{sizes, counts[0], counts[1]} {
			if len(fold) != len(positive) || slices.Max(c)-slices.Min(c) > 1 || slices.Min(c) == 0 && len(c) > 0 &&
				&c[0] != &sizes[0] {
				t.Fatalf("%d rows in %d parts of %v, with %v and %v of the classes", len(positive), k, sizes, counts[0], counts[1])
			}
		}
	})
}

func TestTheSeedAloneDecides(t *testing.T) {
	positive := make([]bool, 200)
	for i := range positive {
		positive[i] = i%3 == 0
	}
	split := func(seed uint64) []int32 {
		_, test, err := Split(positive, 0.25, seed)
		if err != nil {
			t.Fatal(err)
		}
		return test
	}
	folds := func(seed uint64) []uint8 {
		fold, err := Folds(positive, 5, seed)
		if err != nil {
			t.Fatal(err)
		}
		return fold
	}
	if !slices.Equal(split(42), split(42)) || !slices.Equal(folds(42), folds(42)) {
		t.Error("the same seed gives two results")
	}
	if slices.Equal(split(42), split(43)) || slices.Equal(folds(42), folds(43)) {
		t.Error("two seeds give the same result")
	}
}

// The parts are drawn at random, not cut from the order of the rows.
func TestPartsAreShuffled(t *testing.T) {
	positive := make([]bool, 200)
	for i := range positive {
		positive[i] = i >= 100
	}
	_, test, err := Split(positive, 0.5, 1)
	if err != nil {
		t.Fatal(err)
	}
	firstHalf := 0
	for _, i := range test {
		if i%100 < 50 {
			firstHalf++
		}
	}
	if firstHalf < 30 || firstHalf > 70 {
		t.Errorf("%d of the 100 test rows are from the first halves of the classes, want about 50", firstHalf)
	}
}

func TestTooFewRowsAreRejected(t *testing.T) {
	classes := func(positives, negatives int) []bool {
		positive := make([]bool, positives+negatives)
		for i := range positives {
			positive[i] = true
		}
		return positive
	}
	rejected := func(what string, err error, want bool) {
		t.Helper()
		got := errors.Is(err, status.ErrRejected)
		if got != want || (err == nil) == want {
			t.Errorf("%s: %v, want it rejected: %v", what, err, want)
		}
	}
	split := func(positives, negatives int, size float64, want bool) {
		t.Helper()
		_, _, err := Split(classes(positives, negatives), size, 1)
		rejected("Split", err, want)
	}
	split(2, 2, 0.5, false)
	split(0, 0, 0.25, true)
	split(0, 10, 0.25, true)
	split(10, 0, 0.25, true)
	split(1, 10, 0.25, true)
	split(1, 10, 0.75, true)
	split(10, 1, 0.25, true)
	split(10, 10, 0.01, true) // the one row of the test cannot be of both classes
	split(10, 10, 0.99, true)

	folds := func(positives, negatives int, want bool) {
		t.Helper()
		_, err := Folds(classes(positives, negatives), 5, 1)
		rejected("Folds", err, want)
	}
	folds(5, 5, false)
	folds(4, 50, true)
	folds(50, 4, true)
	folds(0, 50, true)
	folds(0, 0, true)
}

// Which rows land where for a seed must never change: against the plain way, a
// shuffle of each class and a sort.
func TestSeedsKeepTheirParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		positive := drawClasses(t)
		seed := rapid.Uint64().Draw(t, "seed")
		shuffled := func(stream uint64) (classes [2][]int32) {
			for i, p := range positive {
				classes[metric.Indicator(p)] = append(classes[metric.Indicator(p)], int32(i))
			}
			rng := rand.New(rand.NewPCG(seed, stream))
			for _, rows := range classes {
				rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			}
			return classes
		}
		_, test, err := Split(positive, 0.25, seed)
		if err != nil {
			t.Fatal(err)
		}
		classes := shuffled(streamSplit)
		ones := int(math.Round(0.25 * float64(len(classes[1]))))
		want := slices.Concat(classes[0][:len(test)-ones], classes[1][:ones])
		slices.Sort(want)
		if !slices.Equal(test, want) {
			t.Fatalf("test part %v, want %v", test, want)
		}
		fold, err := Folds(positive, 5, seed)
		if err != nil {
			t.Fatal(err)
		}
		classes = shuffled(streamFolds)
		for k, i := range slices.Concat(classes[0], classes[1]) {
			if fold[i] != uint8(k%5) {
				t.Fatalf("row %d is in fold %d, want %d", i, fold[i], k%5)
			}
		}
	})
}

func TestParseTime(t *testing.T) {
	check := func(text string, want float64, wantDate bool, written string) {
		t.Helper()
		at, date, ok := ParseTime(text)
		if !ok || at != want || date != wantDate || FormatTime(at, date) != written {
			t.Errorf("ParseTime(%q) = %v, %v, %v, written %q, want %v, %v and %q",
				text, at, date, ok, FormatTime(at, date), want, wantDate, written)
		}
	}
	check("1970-01-02", 86400, true, "1970-01-02")
	check("1970-02", 31*86400, true, "1970-02-01")
	check("1970-01-01 00:01:00", 60, true, "1970-01-01T00:01:00Z")
	check("1970-01-01T00:01", 60, true, "1970-01-01T00:01:00Z")
	check("1970-01-01T02:00:00.5+01:00", 3600.5, true, "1970-01-01T01:00:00Z")
	check("1969-12-31T23:59:59Z", -1, true, "1969-12-31T23:59:59Z")
	check("20240131", 20240131, false, "20240131")
	check("-1.5", -1.5, false, "-1.5")
	for _, text := range []string{"", "soon", "NaN", "Inf", "1e300", "2024-02-30", "31.01.2024", "01/31/2024"} {
		if at, _, ok := ParseTime(text); ok {
			t.Errorf("ParseTime(%q) = %v, want no time", text, at)
		}
	}
}

// A time of day is kept however the date before it is written.
func TestParseMoment(t *testing.T) {
	for _, c := range []struct{ text, form, want string }{
		{"31.12.2024", DayFirst, "2024-12-31"},
		{"31.12.2024 23:59", DayFirst, "2024-12-31T23:59:00Z"},
		{"31.12.24 9:05:07.5", DayFirst, "2024-12-31T09:05:07.5Z"},
		{"12/31/2024 11:59 PM", MonthFirst, "2024-12-31T23:59:00Z"},
		{"12/31/2024 12:01:02 am", MonthFirst, "2024-12-31T00:01:02Z"},
		{"2024/12/31 23:30 +01:00", YearFirst, "2024-12-31T22:30:00Z"},
		{"2025/01/01T00:30:00+0200", YearFirst, "2024-12-31T22:30:00Z"},
		{"31-Dec-24 23:59 UTC", DayFirst, "2024-12-31T23:59:00Z"},
		{"Dec 31, 2024 23:59", MonthFirst, "2024-12-31T23:59:00Z"},
		{"31.12.2024 25:00", DayFirst, ""},
		{"31.12.2024 23:59:59:99", DayFirst, ""},
		{"soon", DayFirst, ""},
	} {
		got, ok := ParseMoment(c.text, c.form)
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("ParseMoment(%q, %q) = %q, %v, want %q", c.text, c.form, got, ok, c.want)
		}
		if _, date, read := ParseTime(got); ok && !(date && read) {
			t.Errorf("ParseTime(%q) cannot read it", got)
		}
	}
}

// Rows of one time are never divided, and no row of an earlier part is later.
func TestSplitByTime(t *testing.T) {
	check := func(times []float64, shares []float64, want ...[]int32) {
		t.Helper()
		if parts, _ := SplitByTime(times, shares...); !slices.EqualFunc(parts, want, slices.Equal) {
			t.Errorf("SplitByTime(%v, %v) = %v, want %v", times, shares, parts, want)
		}
	}
	check([]float64{4, 1, 3, 2}, []float64{0.75}, []int32{1, 2, 3}, []int32{0})
	check([]float64{4, 1, 4, 4}, []float64{0.75}, []int32{1}, []int32{0, 2, 3})
	check([]float64{5, 5, 5}, []float64{0.75}, nil, []int32{0, 1, 2})
	fifths := []float64{0.2, 0.4, 0.6, 0.8}
	check([]float64{1, 2, 3, 4, 5}, fifths, []int32{0}, []int32{1}, []int32{2}, []int32{3}, []int32{4})
	check([]float64{1, 2, 2, 2, 5}, fifths, []int32{0}, nil, nil, []int32{1, 2, 3}, []int32{4})
}
