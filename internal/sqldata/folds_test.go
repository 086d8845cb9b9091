package sqldata

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/status"
)

// With few keys for many rows a sample of the hashes may have no row.
func TestFewKeys(t *testing.T) {
	p := postgresPlace(t)
	p.exec(t, `CREATE TABLE few AS SELECT i % 3 AS id, i % 11 AS minutes, CASE WHEN (i * 7919) % 13 < 5 + i % 2 `+
		`THEN 1 ELSE 0 END AS churn FROM generate_series(1, 70000) i`)
	schema := schemaOf(t, "1", "", fmt.Sprintf(named, "minutes", "number"))
	schema.Target.Name = "churn"
	table := p.find(t, "few", "id")
	trained := 0
	for _, seed := range []uint64{1, 2, 5} {
		s, err := table.Source(t.Context(), schema, dataset.Limits{MaxMissing: 1})
		if err != nil {
			t.Fatal(err)
		}
		o := training
		o.Seed = seed
		m, err := model.Train(t.Context(), s, o)
		switch {
		case errors.Is(err, status.ErrRejected): // all three keys, or none, are in one part
		case err != nil:
			t.Errorf("seed %d: %v", seed, err)
		case len(m.Golden) != 20:
			t.Errorf("seed %d: %d golden rows", seed, len(m.Golden))
		default:
			trained++
		}
	}
	if trained < 2 {
		t.Errorf("%d of 3 trainings had rows in both parts", trained)
	}
}

// Folds are rejected if the others have one class only, as for a file.
func TestTinyFolds(t *testing.T) {
	p := postgresPlace(t)
	p.exec(t, `CREATE TABLE tiny AS SELECT i AS id, i % 5 AS minutes, CASE WHEN i = 7 THEN 1 ELSE 0 END AS churn `+
		`FROM generate_series(1, 40) i`)
	schema := schemaOf(t, "1", "", fmt.Sprintf(named, "minutes", "number"))
	schema.Target.Name = "churn"
	s, err := p.find(t, "tiny", "id").Source(t.Context(), schema, dataset.Limits{MaxMissing: 1})
	if err != nil {
		t.Fatal(err)
	}
	o := training
	o.TestSize = 0
	_, err = model.Train(t.Context(), s, o)
	if !errors.Is(err, status.ErrRejected) {
		t.Errorf("got %v, want ErrRejected", err)
	}
}

// Fetched rows are held out and in folds as they are in the database, so that rows of one key are never on both sides.
func TestFetchedRowsAreDividedByKey(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		const keys, of = 60, 20
		var rows cells
		rng := rand.New(rand.NewPCG(7, 7))
		for k := range keys {
			for range of {
				rows = append(rows, row(fmt.Sprintf("k%d", k), fmt.Sprint(k), []string{"0", "1"}[rng.IntN(2)]))
			}
		}
		s := source(t, p.table(t, "shared_keys", "id", []string{"id", "x", "y"}, []string{"text", "bigint", "bigint"}, rows),
			schemaOf(t, "1", "", fmt.Sprintf(named, "x", "number")), dataset.Limits{MaxMissing: 1})
		all, err := s.Fetch(t.Context(), 0.25, 9)
		if err != nil {
			t.Fatal(err)
		}
		describe := func(s model.Source) string {
			d, err := s.Describe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(d.Rows, d.Positives, d.Columns[0].Numbers.Cuts)
		}
		parts := func(s model.Source) (all []string) {
			train, test, err := s.Split(0.25, 9)
			if err != nil {
				t.Fatal(err)
			}
			fold, err := train.Folds(t.Context(), model.Folds, 9)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, describe(train), describe(test))
			for k := range model.Folds {
				_, held := fold(k)
				all = append(all, describe(held))
			}
			return all
		}
		if got, want := parts(all), parts(s); !slices.Equal(got, want) {
			t.Errorf("fetched rows are divided into\n%q, in the database into\n%q", got, want)
		}
	})
}

// Few keys leave parts without rows, which are not all rows, be they fetched or not.
func TestPartsWithoutRows(t *testing.T) {
	p := postgresPlace(t)
	trained := 0
	for _, keys := range []int{1, 2, 4} {
		name := fmt.Sprintf("keys_%d", keys)
		p.exec(t, fmt.Sprintf(`CREATE TABLE %s AS SELECT i %% %d AS id, i %% 7 AS x, i %% 5 / 3 AS y `+
			`FROM generate_series(1, 600) i`, name, keys))
		s := source(t, p.find(t, name, "id"), schemaOf(t, "1", "", fmt.Sprintf(named, "x", "number")),
			dataset.Limits{MaxMissing: 1})
		for _, testSize := range []float64{0, 0.25, 0.75} {
			all, err := s.Fetch(t.Context(), testSize, training.Seed)
			if err != nil {
				t.Fatal(err)
			}
			for _, terms := range []string{model.TermsLine, model.TermsCurve} {
				o := training
				o.TestSize, o.Terms = testSize, terms
				want, rejected := model.Train(t.Context(), s, o)
				got, err := model.Train(t.Context(), all, o)
				switch {
				case errors.Is(err, status.ErrRejected) && errors.Is(rejected, status.ErrRejected):
				case keys == 1 || err != nil || rejected != nil:
					t.Errorf("%s, %v held out, %s: %v for fetched rows, %v in the database", name, testSize, terms, err, rejected)
				case got.Metrics.Confusion != want.Metrics.Confusion || got.Training.Rows != want.Training.Rows:
					t.Errorf("%s, %v held out, %s: %+v of fetched rows, %+v in the database", name, testSize, terms,
						got.Metrics, want.Metrics)
				default:
					trained++
				}
			}
		}
	}
	if trained == 0 {
		t.Error("nothing was trained")
	}
}

// limited is a source with another sample.
type limited struct {
	*Source
	of func(rows []int32, positive []bool) []int32 // the sample's rows
}

func (l *limited) Split(testSize float64, seed uint64) (train, test model.Source, err error) {
	train, test, err = l.Source.Split(testSize, seed)
	return &limited{train.(*Source), l.of}, test, err
}

func (l *limited) Sample(ctx context.Context, n int, seed uint64) (*dataset.Table, []int32, error) {
	table, rows, err := l.Source.Sample(ctx, n, seed)
	return table, l.of(rows, table.Positive), err
}

// apart is a source that sums up each fold by a query of its own.
type apart struct{ model.Source }

func (a apart) Split(testSize float64, seed uint64) (train, test model.Source, err error) {
	train, test, err = a.Source.Split(testSize, seed)
	return apart{train}, test, err
}

// Neither does the sample that a fit starts from change the model nor one pass for all folds the
// metrics, and both save queries.
func TestSampleAndFoldsSaveQueries(t *testing.T) {
	if testing.Short() {
		t.Skip("it fits many models")
	}
	p := postgresPlace(t)
	p.exec(t, `CREATE TABLE large AS SELECT i AS id, i % 97 AS a, ln(1 + i % 1009) AS b, 'l' || i * 7919 % 5 AS c, `+
		`CASE WHEN (i * 7919 % 10007) / 10007.0 < 1 / (1 + exp(1 - i % 97 / 40.0 - i * 7919 % 5 / 4.0)) `+
		`THEN 1 ELSE 0 END AS y FROM generate_series(1, 16000) i`)
	schema := schemaOf(t, "1", "", fmt.Sprintf(named, "a", "number"), fmt.Sprintf(named, "b", "number"),
		fmt.Sprintf(named, "c", "category"))
	s := source(t, p.find(t, "large", "id"), schema, dataset.Limits{MaxMissing: 1})
	few := &limited{s, func(rows []int32, _ []bool) []int32 { return rows[:5_000] }}
	useless := &limited{s, func(rows []int32, positive []bool) []int32 {
		return slices.DeleteFunc(rows, func(i int32) bool { return positive[i] })
	}}
	for _, weights := range []string{model.WeightNone, model.WeightBalanced} {
		train := func(s model.Source) (*model.Model, int) {
			t.Helper()
			o := training
			o.Tune, o.ClassWeight, o.TestSize = model.TuneF1, weights, 0
			before := p.engine.queryCount()
			m, err := model.Train(t.Context(), s, o)
			if err != nil {
				t.Fatal(err)
			}
			return m, p.engine.queryCount() - before
		}
		want, most := train(apart{useless})
		for _, source := range []model.Source{useless, few, apart{few}} {
			got, queries := train(source)
			if queries >= most {
				t.Errorf("%s: %d queries, without a sample and folds together %d", weights, queries, most)
			}
			t.Logf("%s: %d queries, %d", weights, queries, most)
			for k, w := range want.Weights {
				if math.Abs(got.Weights[k].Value-w.Value) > 1e-8 || math.Abs(got.Coefficients[k].StdError/
					want.Coefficients[k].StdError-1) > 1e-4 {
					t.Errorf("%s: weight %+v, %+v, want %v", weights, got.Weights[k], got.Coefficients[k], w)
				}
			}
			for k, f := range want.Training.Folds {
				g := got.Training.Folds[k]
				if g.Rows != f.Rows || math.Abs(g.LogLoss-f.LogLoss) > 1e-7 || math.Abs(g.ROCAUC-f.ROCAUC) > 1e-4 {
					t.Errorf("%s: fold %+v, want %+v", weights, g, f)
				}
			}
			if math.Abs(got.Threshold-want.Threshold) > 1e-3 || math.Abs(got.Metrics.F1-want.Metrics.F1) > 1e-3 {
				t.Errorf("%s: threshold %v with F1 %v, want %v with %v", weights, got.Threshold, got.Metrics.F1,
					want.Threshold, want.Metrics.F1)
			}
		}
	}
}
