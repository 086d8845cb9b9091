package sqldata

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// A database tallies predictions as dataset.Tally does, row by row.
func TestRecordsAreTalliedAsRowByRow(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		header := []string{"ts", "model_version", "prediction", "probability", "minutes", "constant", "region", "as_text"}
		types := []string{"double precision", "text", "integer", "double precision", "double precision", "bigint",
			"text", "text"}
		rng := rand.New(rand.NewPCG(3, 1))
		pick := func(of ...string) string { return of[rng.IntN(len(of))] }
		var rows cells
		for i := range 500 {
			number := strconv.FormatFloat(math.Round(rng.NormFloat64()*100)/8, 'f', -1, 64)
			rows = append(rows, row(fmt.Sprint(1e9+float64(i)/8), pick("a.json", "b.json"), pick("0", "1"),
				pick(fmt.Sprintf("%.6f", rng.Float64()), fmt.Sprintf("%.6f", rng.Float64()), `\N`),
				pick(number, number, number, `\N`, "NaN", "Infinity", "-Infinity"), pick("7", "7", "7", "8", `\N`),
				pick("EU", "AF", "it's", "XX", "", `\N`), pick("1.5", "-2", "3", "abc", `\N`)))
		}
		numbers := func(values ...float64) *dataset.Summary { s := dataset.SummarizeNumbers(values); return &s }
		references := []struct {
			name string
			ref  *dataset.Summary
		}{
			{"minutes", numbers(-20, -10, -5, 0, 1, 2, 5, 9, 12, 30, 31)},
			{"minutes", numbers(0, 1)}, // another reference of the same column
			{"constant", numbers(7, 7, 7)},
			{"region", &dataset.Summary{Levels: map[string]int{"EU": 3, "AF": 2, "it's": 1}, Rows: 6}},
			{"region", &dataset.Summary{Levels: map[string]int{}}},
			{"as_text", numbers(1, 2, 3)},
			{"nowhere", numbers(1, 2)},
		}
		scores := numbers(0.1, 0.2, 0.3, 0.5, 0.8)
		table := p.table(t, "predictions_of_tally", "", header, types, rows)
		for _, last := range []int{0, 100} {
			looked := rows
			if last > 0 {
				looked = rows[len(rows)-last:]
			}
			r := Records{Table: table, Last: last, Model: "a.json", Scores: dataset.NewTally(scores),
				ByModel: &metric.Expectation{}}
			var want []*dataset.Tally
			wantWrong := map[string]int{}
			for _, f := range references {
				r.Features = append(r.Features, Tallied{f.name, dataset.NewTally(f.ref)})
				tally := dataset.NewTally(f.ref)
				want = append(want, tally)
				wrong := 0
				for _, row := range looked {
					j := map[string]int{"minutes": 4, "constant": 5, "region": 6, "as_text": 7}[f.name]
					if j == 0 {
						continue
					}
					v := dataset.Value{Missing: row[j] == nil, Level: f.ref.Numbers == nil}
					if row[j] != nil {
						v.Text = *row[j]
						x, err := strconv.ParseFloat(*row[j], 64)
						if v.Number = x; !v.Level && (err != nil || math.IsNaN(x) || math.IsInf(x, 0)) {
							wrong++
							continue
						}
					}
					tally.Add(v)
				}
				if wrong > 0 {
					wantWrong[f.name] = wrong
				}
			}
			wantScores, wantByModel := dataset.NewTally(scores), metric.Expectation{}
			for _, row := range looked {
				if *row[1] == "a.json" && row[3] != nil {
					x, _ := strconv.ParseFloat(*row[3], 64)
					wantScores.Add(dataset.Value{Number: x})
					wantByModel.Add(x, *row[2] == "1")
				}
			}
			records, wrong, err := r.Count(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if records != len(looked) || fmt.Sprint(wrong) != fmt.Sprint(wantWrong) {
				t.Errorf("%d records, %v of a wrong type; want %d, %v", records, wrong, len(looked), wantWrong)
			}
			for k, f := range references {
				sameTally(t, f.name, r.Features[k].Tally, want[k])
			}
			sameTally(t, "probability", r.Scores, wantScores)
			got, wanted := r.ByModel.Estimates(nil), wantByModel.Estimates(nil)
			if r.ByModel.Rows != wantByModel.Rows || r.ByModel.PredictedPositive != wantByModel.PredictedPositive ||
				math.Abs(got.F1.Value-wanted.F1.Value) > 1e-12 ||
				math.Abs(got.F1.Interval[0]-wanted.F1.Interval[0]) > 1e-12 {
				t.Errorf("expected quality %+v, want %+v", got, wanted)
			}
		}
	})
}

func sameTally(t *testing.T, name string, got, want *dataset.Tally) {
	t.Helper()
	if math.Abs(got.Mean-want.Mean) > 1e-12*max(1, math.Abs(want.Mean)) {
		t.Errorf("%s: a mean of %v, want %v", name, got.Mean, want.Mean)
	}
	for i, sum := range want.Powers {
		if math.Abs(got.Powers[i]-sum) > 1e-9*max(1, want.Powers[1], want.Powers[3]) {
			t.Errorf("%s: sums of powers %v, want %v", name, got.Powers, want.Powers)
		}
	}
	describe := func(t *dataset.Tally) string {
		return fmt.Sprint(t.Rows, t.Missing, t.Unseen, t.Counts, t.Levels)
	}
	if describe(got) != describe(want) {
		t.Errorf("%s: %s, want %s", name, describe(got), describe(want))
	}
}

// Sixty numbers and twenty categories are not too much for one query.
func TestManyColumnsOfRecords(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		header, types := []string{"ts"}, []string{"double precision"}
		numbers := dataset.SummarizeNumbers([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
		levels := dataset.Summary{Levels: map[string]int{}}
		for i := range 30 {
			levels.Levels[fmt.Sprint("level ", i)] = 1
		}
		r := Records{}
		for i := range 80 {
			header = append(header, fmt.Sprint("column ", i))
			ref := &numbers
			if types = append(types, "double precision"); i >= 60 {
				ref, types[i+1] = &levels, "text"
			}
			r.Features = append(r.Features, Tallied{header[i+1], dataset.NewTally(ref)})
		}
		var rows cells
		for i := range 50 {
			cells := []string{fmt.Sprint(i)}
			for j := range 80 {
				cells = append(cells, map[bool]string{true: fmt.Sprint((i + j) % 14), false: fmt.Sprint("level ",
					(i+j)%40)}[j < 60])
			}
			rows = append(rows, row(cells...))
		}
		r.Table = p.table(t, "many_columns", "", header, types, rows)
		records, _, err := r.Count(t.Context())
		if err != nil || records != 50 {
			t.Fatal(records, err)
		}
		for j, f := range r.Features {
			want := dataset.NewTally(f.Tally.Reference())
			for i := range 50 {
				v := dataset.Value{Number: float64((i + j) % 14)}
				if j >= 60 {
					v = dataset.Value{Text: fmt.Sprint("level ", (i+j)%40), Level: true}
				}
				want.Add(v)
			}
			sameTally(t, f.Feature, f.Tally, want)
		}
	})
}
