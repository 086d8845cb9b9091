package dataset

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"churn/internal/metric"

	"gonum.org/v1/gonum/stat"
)

func TestSummarizeRankedIsSummarizeNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 400; n++ {
		values := make([]float64, n)
		spread := 1 + rng.IntN(2*n)
		for i := range values {
			values[i] = float64(rng.IntN(spread)) - 5.5
		}
		want := SummarizeNumbers(values) // sorts them
		mean, std := stat.MeanStdDev(values, nil)
		var at []OrderStatistic
		for _, rank := range Ranks(n) {
			x := values[rank-1]
			upTo, _ := slices.BinarySearch(values, math.Nextafter(x, math.Inf(1)))
			at = append(at, OrderStatistic{x, upTo})
		}
		got, median := SummarizeRanked(mean, std, values[0], values[n-1], n, at)
		want.Numbers.Kurtosis = 0 // not among them
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("%d numbers: %+v, want %+v", n, got.Numbers, want.Numbers)
		}
		if want := Median(values, nil); median != want {
			t.Fatalf("%d numbers: median %v, want %v", n, median, want)
		}
	}
}

func TestHashRangesCoverEachHashOnce(t *testing.T) {
	const testSize, folds = 0.25, 5
	count := func(p HashRange, x float64) (n int) {
		for _, s := range p {
			n += metric.Indicator(s.From <= x && x < s.To)
		}
		return n
	}
	for x := 0.0; x < 1; x += 1.0 / 1024 {
		test, train, inFolds := count(TestRange(testSize), x), count(TrainRange(testSize), x), 0
		if test+train != 1 {
			t.Fatalf("%v is in %d test and %d training parts", x, test, train)
		}
		for k := range folds {
			in, out := FoldRange(testSize, k, folds)
			inFolds += count(in, x)
			if count(in, x)+count(out, x) != train {
				t.Fatalf("%v is in %d of fold %d and %d of the others", x, count(in, x), k, count(out, x))
			}
		}
		if inFolds != train {
			t.Fatalf("%v is in %d folds", x, inFolds)
		}
	}
	size := func(p HashRange) (sum float64) {
		for _, s := range p {
			sum += s.To - s.From
		}
		return sum
	}
	for k := range folds {
		_, out := FoldRange(testSize, k, folds)
		for _, fraction := range []float64{0.01, 0.3, 0.9, 1} {
			if got, want := size(out.Sample(fraction)), fraction*size(out); math.Abs(got-want) > 1e-12 {
				t.Errorf("a sample of %v of fold %d's training rows has %v of the hashes, want %v", fraction, k, got, want)
			}
		}
	}
}
