package sqldata

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"churn/internal/dataset"
	"churn/internal/metric"
	"churn/internal/model"
)

// bent returns a table with a number that bends and whose missing cells mean something, a
// line whose missing cells do, a number that is levels, one of two values, and categories
// of few and of many levels.
func bent(t testing.TB, n int) (schema *dataset.Schema, header, types []string, rows cells) {
	t.Helper()
	schema = schemaOf(t, "1", "",
		`{"name": "bend", "type": "number", "optional": true, "term": "curve"}`,
		`{"name": "straight", "type": "number", "optional": true}`,
		`{"name": "count", "type": "number", "optional": true, "term": "levels"}`,
		`{"name": "flag", "type": "number"}`,
		`{"name": "plan", "type": "category", "optional": true}`,
		`{"name": "city", "type": "category"}`)
	header = []string{"id", "bend", "straight", "count", "flag", "plan", "city", "y"}
	types = []string{"bigint", "double precision", "text", "integer", "integer", "text", "text", "integer"}
	rng := rand.New(rand.NewPCG(5, 8))
	for i := range n {
		bend, straight := math.Round(1000*rng.NormFloat64())/100, math.Round(1000*rng.NormFloat64())/1000
		count, flag, plan, city := rng.IntN(5), rng.IntN(2), rng.IntN(3), int(30*rng.Float64()*rng.Float64())
		texts := []string{fmt.Sprint(i), fmt.Sprint(bend), fmt.Sprint(straight), fmt.Sprint(count), fmt.Sprint(flag),
			fmt.Sprintf("plan %d", plan), fmt.Sprintf("it's %d", city)}
		z := math.Sin(bend/4) + straight + float64(count%2) + float64(flag*plan%2) + float64((plan+city)%3-1)/2
		for j, gain := range []float64{2, -2, 1, 0, 0.5} {
			if gain != 0 && rng.IntN(15) == 0 {
				texts[j+1] = `\N`
				z += gain
			}
		}
		label := "0"
		if rng.Float64() < 1/(1+math.Exp(0.5-z)) {
			label = "1"
		}
		rows = append(rows, row(append(texts, label)...))
	}
	return schema, header, types, rows
}

var bentPairs = model.PairOptions{Named: []model.Pair{
	{"bend", "straight"}, {"count", "city"}, {"plan", "city"}, {"flag", "plan"},
}}

func TestTermsAgreeWithCSV(t *testing.T) {
	if testing.Short() {
		t.Skip("it fits many models")
	}
	everywhere(t, func(t *testing.T, p *place) {
		n := 3000
		if p.engine.scheme == "trino" {
			n = 1000
		}
		schema, header, types, rows := bent(t, n)
		table := p.table(t, "bent", "id", header, types, rows)
		auto := model.Options{Seed: 42, TestSize: 0.25, C: 1, ClassWeight: model.WeightNone, Tune: model.TuneNone,
			Terms: model.TermsAuto, Pairs: bentPairs}
		balanced := auto
		balanced.Terms, balanced.ClassWeight, balanced.C = model.TermsLine, model.WeightBalanced, 0.5
		curves := auto
		curves.Terms, curves.TestSize = model.TermsCurve, 0
		for _, o := range []model.Options{auto, balanced, curves} {
			s := source(t, table, schema, dataset.Limits{MaxMissing: 1})
			before, began := p.engine.queryCount(), time.Now()
			got, err := model.Train(t.Context(), s, o)
			if err != nil {
				t.Fatal(err)
			}
			queries, took := p.engine.queryCount()-before, time.Since(began).Round(time.Millisecond)
			memory, part := inMemory(t, s, rows.csv(header), o.Seed)
			test := part(dataset.TestRange(o.TestSize))
			want := trainOn(t, memory, part(dataset.TrainRange(o.TestSize)), test, o)
			compareModels(t, got, want)
			t.Logf("%s: %d weights, %d queries, %v", o.Terms, len(got.Weights), queries, took)
			missing := slices.ContainsFunc(got.Weights, func(w model.Weight) bool { return w.Name == "straight=(missing)" })
			rest := slices.ContainsFunc(got.Weights, func(w model.Weight) bool { return w.Name == "count@1*city=(rest)" })
			if !rest || missing != (o.Terms != model.TermsLine) || got.Format != model.FormatTerms {
				t.Errorf("a weight for missing cells of the line: %v; for the rest: %v; format %d", missing, rest, got.Format)
			}
			for k, e := range want.Effects {
				if math.Abs(got.Effects[k].Std-e.Std) > 1e-8 || math.Abs(got.Effects[k].Mean-e.Mean) > 1e-8 {
					t.Errorf("effect %+v, in memory %+v", got.Effects[k], e)
				}
			}
			if o.TestSize == 0 {
				if folds := evaluateFolds(t, memory, o, part); math.Abs(got.Metrics.LogLoss-folds.LogLoss) > 1e-3 {
					t.Errorf("out-of-fold log loss %v, with knots of each fold %v", got.Metrics.LogLoss, folds.LogLoss)
				}
				continue
			}
			exact, err := got.Evaluate(t.Context(), model.InMemoryRows(memory, test))
			if err != nil {
				t.Fatal(err)
			}
			compareMetrics(t, got.Metrics, exact.Metrics)
			if math.Abs(got.Metrics.LogLoss-exact.Metrics.LogLoss) > 1e-9 {
				t.Errorf("log loss %v, of each row %v", got.Metrics.LogLoss, exact.Metrics.LogLoss)
			}
		}
	})
}

// A table with levels and values that no training row had is scored as the same rows in
// memory are, and a model with terms is compared with one of lines.
func TestTermsScoreUnknownLevels(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		schema, header, types, rows := bent(t, 1200)
		s := source(t, p.table(t, "known", "id", header, types, rows), schema, dataset.Limits{MaxMissing: 1})
		memory, part := inMemory(t, s, rows.csv(header), 42)
		train, test := part(dataset.TrainRange(0.25)), part(dataset.TestRange(0.25))
		o := training
		o.Terms = model.TermsLine
		plain := *schema
		plain.Features = slices.Clone(schema.Features)
		for j := range plain.Features {
			plain.Features[j].Term = ""
		}
		memory.Schema = &plain
		lines := trainOn(t, memory, train, test, o)
		memory.Schema = schema
		o.Terms, o.Pairs = model.TermsCurve, bentPairs
		terms := trainOn(t, memory, train, test, o)

		fewer := *memory // a model of fewer features, in another order
		fewer.Schema, fewer.Columns = schemaOf(t, "1", "", `{"name": "city", "type": "category"}`,
			`{"name": "flag", "type": "number"}`, `{"name": "plan", "type": "category", "optional": true}`),
			[]dataset.Column{memory.Columns[5], memory.Columns[3], memory.Columns[4]}
		o.Pairs = model.PairOptions{Named: []model.Pair{{"city", "flag"}}}
		fewTerms := trainOn(t, &fewer, train, test, o)
		fewLines := trainOn(t, &fewer, train, test, training)
		for _, m := range []*model.Model{lines, terms, fewTerms, fewLines} {
			m.Fingerprint = nil // it tells of rows in memory alone, and the reasons would differ
		}

		for i, row := range rows {
			cells := []string{"id", "-1e9", "1e-300", "77", "5", "plan 9", "nowhere"}
			if j := i % 9; j > 0 && j < len(cells) {
				row[j] = &cells[j]
			}
		}
		types[4] = "double precision"
		unknown := source(t, p.table(t, "unknown", "id", header, types, rows), schema, dataset.Limits{MaxMissing: 1})
		memory, _ = inMemory(t, unknown, rows.csv(header), 42)
		check := func(what string, m, champion *model.Model) {
			t.Helper()
			var found [2]model.Champion
			for k, rows := range []model.Source{unknown, model.InMemory(memory)} {
				e, err := m.Evaluate(t.Context(), rows)
				if err != nil {
					t.Fatal(err)
				}
				if found[k], err = m.Compare(t.Context(), e, model.OnAll, champion); err != nil || !found[k].Comparable {
					t.Fatalf("%s: %v: %s", what, err, found[k].Reason)
				}
			}
			got, want := found[0], found[1]
			if *got.Difference != *want.Difference || got.Metrics.Confusion != want.Metrics.Confusion ||
				got.Reason != want.Reason || math.Abs(got.Metrics.LogLoss-want.Metrics.LogLoss) > 1e-9 {
				t.Errorf("%s: %+v, %+v,\nin memory %+v, %+v", what, got.Metrics, got.Difference, want.Metrics, want.Difference)
			}
		}
		check("terms and lines", terms, lines)
		check("lines and terms", lines, terms)
		check("terms and fewer", terms, fewTerms)
		check("terms and fewer lines", terms, fewLines)
		check("lines and fewer lines", lines, fewLines)
	})
}

// PostgreSQL reports an error for products below the smallest double: shares of intervals
// between knots that are hundreds of digits apart are not that small.
func TestTermsOfTinyShares(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		rng := rand.New(rand.NewPCG(2, 3))
		var rows cells
		for i := range 800 {
			texts := []string{fmt.Sprint(i)}
			for range 2 {
				exponent := 90 + rng.IntN(10)
				if rng.IntN(5) == 0 {
					exponent = -rng.IntN(300) // in the first interval
				}
				texts = append(texts, fmt.Sprintf("1e%d", exponent))
			}
			rows = append(rows, row(append(texts, fmt.Sprint(rng.IntN(2)))...))
		}
		header := []string{"id", "a", "b", "y"}
		types := []string{"bigint", "double precision", "double precision", "integer"}
		schema := schemaOf(t, "1", "", fmt.Sprintf(named, "a", "number"), fmt.Sprintf(named, "b", "number"))
		s := source(t, p.table(t, "tiny_shares", "id", header, types, rows), schema, dataset.Limits{MaxMissing: 1})
		o := training
		o.Terms, o.Pairs = model.TermsCurve, model.PairOptions{Named: []model.Pair{{"a", "b"}}}
		got, err := model.Train(t.Context(), s, o)
		if err != nil {
			t.Fatal(err)
		}
		memory, part := inMemory(t, s, rows.csv(header), o.Seed)
		want := trainOn(t, memory, part(dataset.TrainRange(o.TestSize)), part(dataset.TestRange(o.TestSize)), o)
		compareModels(t, got, want)
	})
}

// A sample is the rows with the lowest hashes of a part's keys, in one order wherever they are stored.
// A sample of the rows saves counting each number, and changes none: not even one of other rows.
func TestDescribeWithSample(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		var rows cells
		for i := range 4000 {
			x := math.Sinh(float64(i*2654435761%4000)/200 - 10) // heavy tails
			rows = append(rows, row(fmt.Sprint(i), fmt.Sprint(x), fmt.Sprint(i%9), fmt.Sprint(i/3%2)))
			if i%40 == 0 {
				rows[i][1] = nil
			}
		}
		header, types := []string{"id", "x", "few", "y"}, []string{"bigint", "double precision", "integer", "integer"}
		schema := schemaOf(t, "1", "", `{"name": "x", "type": "number", "optional": true}`,
			fmt.Sprintf(named, "few", "number"))
		s := source(t, p.table(t, "described", "id", header, types, rows), schema, dataset.Limits{MaxMissing: 1})
		want, err := s.v.describe(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		sample, _, err := s.Sample(t.Context(), 1000, 0)
		if err != nil {
			t.Fatal(err)
		}
		same := func(got *dataset.Description) bool {
			return got != nil && got.Scalings[0].Median == want.Scalings[0].Median && got.Scalings[1] == want.Scalings[1] &&
				sameSummary(&got.Columns[0], &want.Columns[0]) && sameSummary(&got.Columns[1], &want.Columns[1])
		}
		queries := s.v.queryCount()
		got, err := s.v.describe(t.Context(), sample)
		right := s.v.queryCount() - queries
		if err != nil || !same(got) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
		other := dataset.NewTable(schema)
		for i := range sample.Rows() {
			x := sample.Value(i, 0)
			x.Number += 1e6
			other.Append(&dataset.Row{Values: []dataset.Value{x, sample.Value(i, 1)}})
		}
		got, err = s.v.describe(t.Context(), other)
		if wrong := s.v.queryCount() - queries - right; err != nil || wrong != right+1 || !same(got) {
			t.Errorf("%d queries, %d with the other sample: %+v, %v, want %+v", right, wrong, got, err, want)
		}
	})
}

func TestSample(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		var rows cells
		for i := range 2000 {
			rows = append(rows, row(fmt.Sprint(i), fmt.Sprint(i), fmt.Sprintf("l%d", i%7), fmt.Sprint(i/3%2)))
			if i%50 == 0 {
				rows[i][2] = nil
			}
		}
		header, types := []string{"id", "x", "c", "y"}, []string{"bigint", "double precision", "text", "integer"}
		schema := schemaOf(t, "1", "", fmt.Sprintf(named, "x", "number"),
			`{"name": "c", "type": "category", "optional": true}`)
		s := source(t, p.table(t, "sampled", "id", header, types, rows), schema, dataset.Limits{MaxMissing: 1})
		slices.Reverse(rows)
		reversed := source(t, p.table(t, "reversed", "id", header, types, rows), schema, dataset.Limits{MaxMissing: 1})
		sample := func(s model.Source, n int) (ids []int32) {
			t.Helper()
			table, at, err := s.Sample(t.Context(), n, 9)
			if err != nil || len(at) > n {
				t.Fatalf("%d of %d rows: %v", len(at), table.Rows(), err)
			}
			for _, i := range at {
				id := int(table.Value(int(i), 0).Number)
				c, level := table.Value(int(i), 1), fmt.Sprintf("l%d", id%7)
				if id%50 == 0 {
					level = ""
				}
				if c.Text != level || c.Missing != (level == "") || table.Positive[i] != (id/3%2 == 1) {
					t.Errorf("row %d has level %+v and class %v", id, c, table.Positive[i])
				}
				ids = append(ids, int32(id))
			}
			return ids
		}
		train, test, err := s.Split(0.25, 9)
		if err != nil {
			t.Fatal(err)
		}
		fold, err := train.Folds(t.Context(), 5, 9)
		if err != nil {
			t.Fatal(err)
		}
		again, _, _ := reversed.Split(0.25, 9)
		rest, held := fold(1)
		_, part := inMemory(t, s, rows.csv(header), 9)
		_, out := dataset.FoldRange(0.25, 1, 5)
		inPart := map[int32]bool{}
		for _, i := range part(out) {
			inPart[int32(1999-i)] = true // the rows were reversed
		}
		few, all := sample(rest, 300), sample(rest, 5000)
		if len(all) != len(inPart) || slices.ContainsFunc(all, func(id int32) bool { return !inPart[id] }) {
			t.Errorf("%d of %d rows of a fold", len(all), len(inPart))
		}
		if !slices.Equal(few, all[:300]) || !slices.Equal(sample(rest, 200), all[:200]) || slices.IsSorted(few) {
			t.Errorf("%v... are not the lowest hashes %v...", few[:5], all[:5])
		}
		if few := sample(train, 300); !slices.Equal(few, sample(again, 300)) {
			t.Error("another order of the rows in the table gives another sample")
		}
		seen := map[int32]bool{}
		for _, part := range []model.Source{rest, held, test} {
			for _, id := range sample(part, 5000) {
				if seen[id] {
					t.Errorf("row %d is in two parts", id)
				}
				seen[id] = true
			}
		}
		if len(seen) != 2000 {
			t.Errorf("%d rows of 2000", len(seen))
		}
	})
}

// Of many rows that share few keys a sample has as many as it should, of both classes, the
// same wherever they are stored.
func TestSampleOfFewKeys(t *testing.T) {
	p := postgresPlace(t)
	for table, order := range map[string]string{"few": "i", "few_reversed": "-i"} {
		p.exec(t, fmt.Sprintf("CREATE TABLE %s AS SELECT i %% 3 AS id, i AS x, i %% 4 / 3 AS y "+
			"FROM generate_series(1, 3000) i ORDER BY %s", table, order))
	}
	schema := schemaOf(t, "1", "", fmt.Sprintf(named, "x", "number"))
	for seed := range uint64(6) {
		var found [2]*dataset.Table
		for k, name := range []string{"few", "few_reversed"} {
			all, _, err := source(t, p.find(t, name, "id"), schema, dataset.Limits{MaxMissing: 1}).Split(0, seed)
			if err == nil {
				found[k], _, err = all.Sample(t.Context(), 400, seed)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		table := found[0]
		if positives := metric.Positives(table.Positive); table.Rows() != 400 || positives < 60 || positives > 140 {
			t.Errorf("seed %d: %d rows, %d of them positive: want 400 with about 100", seed, table.Rows(), positives)
		}
		for i := range table.Rows() {
			if table.Value(i, 0) != found[1].Value(i, 0) {
				t.Fatalf("seed %d: row %d is another one if the table is in another order", seed, i)
			}
		}
	}
}
