package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/predlog"
)

// customer returns a record of a customer at random. One in twenty has a value missing,
// and one in a thousand a value of another type.
func customer(rng *rand.Rand) predlog.Record {
	r := predlog.Record{
		RequestID: fmt.Sprintf("%026d", rng.Uint64()), ModelVersion: fmt.Sprintf("churn_model_v%d.json", 1+rng.IntN(2)),
		Probability: rng.Float64(), TS: 1795375800 + rng.Float64(), Threshold: 0.5,
	}
	missing := dataset.Value{Missing: true}
	minutes := dataset.Value{Number: 35 + 12*rng.NormFloat64()}
	region := dataset.Value{Text: []string{"NA", "EU", "AF", "XX"}[rng.IntN(4)], Level: true}
	switch p := rng.IntN(1000); {
	case p < 50:
		minutes = missing
	case p < 51:
		minutes = region
	}
	r.Features = []predlog.Feature{
		{Name: "minutes", Value: minutes}, {Name: "other", Value: missing}, {Name: "region", Value: region},
	}
	return r
}

// testReferences are those of a model v1, and statistics of the numbers alone.
func testReferences(rng *rand.Rand) *references {
	numbers := make([]float64, 1200)
	for i := range numbers {
		numbers[i] = 35 + 12*rng.NormFloat64()
	}
	minutes := dataset.SummarizeNumbers(numbers)
	for i := range numbers {
		numbers[i] = rng.Float64()
	}
	scores := dataset.SummarizeNumbers(numbers)
	region := dataset.Summary{Levels: map[string]int{"NA": 300, "EU": 300, "AF": 600}, Rows: 1200}
	return &references{
		names: []string{"minutes", "region"}, modelName: "churn_model_v1.json", probability: &scores,
		stats:    map[string]*dataset.Summary{"minutes": &minutes},
		features: map[string]*dataset.Summary{"minutes": &minutes, "region": &region},
	}
}

func testLog(t testing.TB, records int) (dir string, rng *rand.Rand) {
	t.Helper()
	rng = rand.New(rand.NewPCG(1, 2))
	var text []byte
	for range records {
		r := customer(rng)
		text = append(r.Append(text), '\n')
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	text = append(text, "not a record\n{"...)
	if err := os.WriteFile(filepath.Join(dir, "logs", "predictions.log"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, rng
}

// The verdict is the same to the last bit on any number of processors.
func TestVerdictDoesNotDependOnTheProcessors(t *testing.T) {
	dir, rng := testLog(t, 50_000) // about a dozen chunks
	refs := testReferences(rng)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, last := range []int{0, 30_000, 200} {
		o := options{dir: dir, last: last, minRows: 30, zThreshold: 2.5}
		var want []byte
		for _, processors := range []int{1, 2, 8, 8, 8} {
			runtime.GOMAXPROCS(processors)
			w, err := readWindow(t.Context(), o, refs, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			r, _, err := evaluate(w, refs, o)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := cli.JSON(&got, r); err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got.Bytes()
			} else if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("--last %d on %d processors:\n%s\nwant, as on one,\n%s", last, processors, got.Bytes(), want)
			}
		}
	}
}

// The samples of the chunks add up to the sample of all records, read one by one.
func TestWindowIsTheSampleOfItsRecords(t *testing.T) {
	dir, rng := testLog(t, 20_000)
	refs := testReferences(rng)
	w, err := readWindow(t.Context(), options{dir: dir}, refs, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := newSample(refs)
	found, err := predlog.Read(t.Context(), w.logs, 0, func(r *predlog.Record) error { want.add(r, 0); return nil })
	if err != nil || !reflect.DeepEqual(w.found, found) || found.Records != 20_000 || found.Malformed != 1 ||
		!found.Truncated {
		t.Errorf("found %+v, want %+v, %v", w.found, found, err)
	}
	for i, c := range want.columns {
		got, want := *w.columns[i].Live, *c.Live
		if math.Abs(got.Mean-want.Mean) > 1e-12*math.Abs(want.Mean) {
			t.Errorf("%s: the mean is %v, want %v", c.Name, got.Mean, want.Mean)
		}
		for i, sum := range want.Powers {
			if math.Abs(got.Powers[i]-sum) > 1e-9*math.Abs(sum) {
				t.Errorf("%s: sums of powers %v, want %v", c.Name, got.Powers, want.Powers)
			}
		}
		got.Mean, want.Mean, got.Powers, want.Powers = 0, 0, [4]float64{}, [4]float64{}
		if got, want := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); got != want {
			t.Errorf("%s: %s, want %s", c.Name, got, want)
		}
	}
	if w.byModel.Rows != want.byModel.Rows || w.byModel.PredictedPositive != want.byModel.PredictedPositive ||
		!maps.Equal(w.wrongType, want.wrongType) || w.wrongType["minutes"] == 0 {
		t.Errorf("%d by the model, wrong types %v, want %d, %v",
			w.byModel.Rows, w.wrongType, want.byModel.Rows, want.wrongType)
	}
	if w.means[0].Live.Rows != w.columns[0].Live.Rows || w.means[0].Live.Mean != w.columns[0].Live.Mean {
		t.Errorf("the reference z score's minutes are %+v, want %+v", w.means[0].Live, w.columns[0].Live)
	}
}

// Statistics of other data than the model's may have a number where it has a category.
func TestTextIsTalliedWhereItIsACategory(t *testing.T) {
	refs := testReferences(rand.New(rand.NewPCG(1, 2)))
	refs.stats["region"] = refs.stats["minutes"]
	s := newSample(refs)
	for range 10 {
		s.add(&predlog.Record{ModelVersion: refs.modelName, Features: []predlog.Feature{
			{Name: "region", Value: dataset.Value{Text: "EU", Level: true}},
		}}, 0)
	}
	if live := s.columns[1].Live; live.Levels["EU"] != 10 || s.wrongType["region"] != 10 || s.means[1].Live.Rows != 0 {
		t.Errorf("the model's region has %+v, %d are of another type", live, s.wrongType["region"])
	}
}

func BenchmarkSampleAdd(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := newSample(testReferences(rng))
	records := make([]predlog.Record, 1000)
	for i := range records {
		records[i] = customer(rng)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.add(&records[i%len(records)], 0)
	}
}

func BenchmarkReadWindow(b *testing.B) {
	dir, rng := testLog(b, 100_000)
	refs := testReferences(rng)
	info, err := os.Stat(filepath.Join(dir, "logs", "predictions.log"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readWindow(b.Context(), options{dir: dir}, refs, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

// Rows of few different values share probabilities, and some are cuts of the training rows: as records
// have them, rounded, they must be in the same bins.
func TestSharedProbabilitiesDoNotDrift(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, scale := range []float64{1, 1e-5, 1e-7} {
		shared, p := make([]float64, 12), make([]float64, 1200)
		for i := range shared {
			shared[i] = scale * rng.Float64()
		}
		for i := range p {
			p[i] = shared[rng.IntN(len(shared))]
		}
		reference := recorded(dataset.SummarizeNumbers(slices.Clone(p)))
		if err := reference.Check(); err != nil {
			t.Fatal(err)
		}
		live := dataset.NewTally(reference)
		for _, x := range p {
			live.Add(dataset.Value{Number: math.Round(x*1e6) / 1e6})
		}
		if !slices.Equal(live.Counts, reference.Numbers.Counts) {
			t.Errorf("probabilities up to %g: %d rows in the bins as recorded, %d trained on", scale, live.Counts,
				reference.Numbers.Counts)
		}
	}
}
