package sqldata

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"churn/internal/dataset"
	"churn/internal/model"
)

// tableShape describes the columns of a table.
type tableShape struct {
	rows    int
	numbers int
	levels  []int // of the categories
	more    func(i int) []string
	columns []string // of more, schema's features
	names   []string
	types   []string
	missing int // one cell in so many is missing; 0: none
}

// make returns the table, with labels that depend on all its columns.
func (w *tableShape) make(t testing.TB) (schema *dataset.Schema, header, types []string, rows cells) {
	rng := rand.New(rand.NewPCG(3, uint64(w.rows)))
	features := append([]string(nil), w.columns...)
	header, types = append([]string{"id"}, w.names...), append([]string{"bigint"}, w.types...)
	for j := range w.numbers {
		header, types = append(header, fmt.Sprintf("n%d", j)), append(types, "double precision")
		features = append(features, fmt.Sprintf(`{"name": "n%d", "type": "number", "validate": "gte=-50,lte=50", `+
			`"clip_min": -40}`, j))
	}
	for j := range w.levels {
		header, types = append(header, fmt.Sprintf("c%d", j)), append(types, "text")
		features = append(features, fmt.Sprintf(`{"name": "c%d", "type": "category", "max_levels": 5000}`, j))
	}
	header, types = append(header, "y"), append(types, "integer")
	for i := range w.rows {
		texts, z := []string{strconv.Itoa(i)}, rng.NormFloat64()
		if w.more != nil {
			texts = append(texts, w.more(i)...)
		}
		add := func(text string) {
			if w.missing > 0 && rng.IntN(w.missing) == 0 {
				text = `\N`
			}
			texts = append(texts, text)
		}
		for j := range w.numbers {
			x := math.Round(1000*rng.NormFloat64()*float64(1+j%3)) / 1000
			z += x / float64(j+2)
			add(fmt.Sprint(x))
		}
		for j, n := range w.levels {
			level := int(float64(n) * rng.Float64() * rng.Float64()) // the last are rare
			z += float64(level%4-1) / float64(j+2)
			add(fmt.Sprintf("l%d", level))
		}
		label := "0"
		if z > 0.3 {
			label = "1"
		}
		rows = append(rows, row(append(texts, label)...))
	}
	return schemaOf(t, "1", "", features...), header, types, rows
}

// agree trains on a table in a database and on the same rows in memory.
func (w *tableShape) agree(t *testing.T, p *place, name string, o model.Options, groups int) {
	t.Helper()
	schema, header, types, rows := w.make(t)
	table := p.table(t, name, "id", header, types, rows)
	began, before := time.Now(), p.engine.queryCount()
	s := source(t, table, schema, dataset.Limits{MaxMissing: 1, DropInvalid: true})
	validated := time.Since(began)
	got, err := model.Train(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	took, queries := time.Since(began), p.engine.queryCount()-before
	level, _ := s.v.levelGroups()
	if n := len(level); n != groups {
		t.Errorf("%d groups, want %d", n, groups)
	}
	memory, part := inMemory(t, s, rows.csv(header), o.Seed)
	want := trainOn(t, memory, part(dataset.TrainRange(o.TestSize)), part(dataset.TestRange(o.TestSize)), o)
	compareModels(t, got, want)
	t.Logf("%d weights, %d groups, %d queries, %v to validate, %v in all", len(got.Weights), len(level),
		queries, validated.Round(time.Millisecond), took.Round(time.Millisecond))
}

// few are the cases for where each takes long.
var few = []string{"eight categories, balanced", "300 levels", "300 levels and others", "many groups",
	"categories alone", "numbers alone",
	"a constant number but for missing cells", "rare levels 0", "far from zero, and tiny"}

func TestLevelGroups(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		balanced := training
		balanced.ClassWeight = model.WeightBalanced
		folds := training
		folds.Tune = model.TuneF1
		all := model.Options{Seed: 3, TestSize: 0, C: 0.3, ClassWeight: model.WeightBalanced, Tune: model.TuneF1}
		check := func(name string, w tableShape, o model.Options, groups int) {
			t.Helper()
			if (testing.Short() || p.engine.scheme == "trino") && !slices.Contains(few, name) {
				return
			}
			if p.engine.scheme == "trino" {
				w.rows = min(w.rows, 1000)
			}
			t.Run(name, func(t *testing.T) { w.agree(t, p, "groups", o, groups) })
		}
		four := []int{4, 4, 4, 4, 4, 4, 4, 4}
		check("eight categories", tableShape{rows: 3000, numbers: 3, levels: four, missing: 20}, training, 4)
		check("eight categories, balanced", tableShape{rows: 2999, numbers: 3, levels: four, missing: 20}, balanced, 4)
		check("eight categories, tuned", tableShape{rows: 2998, numbers: 1, levels: four}, folds, 4)
		check("eight categories on all rows", tableShape{rows: 2997, numbers: 1, levels: four}, all, 4)
		check("300 levels", tableShape{rows: 4000, numbers: 2, levels: []int{300}, missing: 30}, training, 1)
		check("300 levels, balanced", tableShape{rows: 3001, numbers: 1, levels: []int{300}}, balanced, 1)
		check("twice 100 levels", tableShape{rows: 3000, numbers: 2, levels: []int{100, 100}, missing: 15}, balanced, 2)
		check("300 levels and others", tableShape{rows: 3000, numbers: 2, levels: []int{3, 300, 5, 2}, missing: 15},
			training, 3)
		check("many groups", tableShape{rows: 1000, numbers: 1, levels: slices.Repeat([]int{9}, 24)}, training,
			24) // 276 pairs
		check("categories alone", tableShape{rows: 2000, levels: []int{3, 4, 5}, missing: 10}, balanced, 1)
		check("categories alone, many", tableShape{rows: 2000, levels: []int{20, 20, 20, 20}}, balanced, 4)
		check("numbers alone", tableShape{rows: 2000, numbers: 7, missing: 10}, balanced, 0)
		check("one number", tableShape{rows: 500, numbers: 1}, all, 0)
		check("one category", tableShape{rows: 500, levels: []int{2}}, balanced, 1)
		const number, category = `{"name": "a", "type": "number"}`, `{"name": "a", "type": "category"}`
		for _, constant := range []struct{ name, feature, kind, cell string }{
			{"number", number, "double precision", "0.1"}, {"text", number, "text", " 7 "}, {"level", category, "text", "x"},
			{"large number", number, "double precision", "123456789.123"},
		} {
			w := tableShape{rows: 600, numbers: 1, levels: []int{3}, names: []string{"a"}, types: []string{constant.kind},
				columns: []string{constant.feature}}
			w.more = func(int) []string { return []string{constant.cell} }
			check("a constant "+constant.name, w, balanced, 1)
			w.rows++
			w.more = func(i int) []string { return []string{[]string{constant.cell, constant.cell, `\N`}[i%3]} }
			check("a constant "+constant.name+" but for missing cells", w, balanced, 1)
			w.more = func(i int) []string { return []string{map[bool]string{true: constant.cell, false: `\N`}[i%200 == 0]} }
			check("a constant "+constant.name+" in few rows", w, training, 1)
		}
		rare := tableShape{rows: 700, numbers: 1, names: []string{"a"}, types: []string{"text"}, columns: []string{category}}
		rare.more = func(i int) []string {
			return []string{map[bool]string{true: fmt.Sprint("once ", i), false: "often"}[i%40 == 0]}
		}
		for seed := range uint64(3) { // rare levels are in the test part alone, or in one fold
			o := folds
			o.Seed = seed
			check(fmt.Sprint("rare levels ", seed), rare, o, 1)
		}
		large := tableShape{rows: 800, numbers: 1, names: []string{"a", "b"}, types: []string{"double precision",
			"double precision"}, columns: []string{number, `{"name": "b", "type": "number"}`}}
		large.more = func(i int) []string {
			return []string{fmt.Sprint(1e5 + float64(i%7)*1e-3), fmt.Sprint(float64(i%11) * 1e-30)}
		}
		check("far from zero, and tiny", large, training, 0)
	})
}

// 60 columns, one with 300 levels.
func TestSixtyColumns(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	everywhere(t, func(t *testing.T, p *place) {
		w := tableShape{rows: 3000, numbers: 40, levels: []int{300}, missing: 50}
		w.levels = append(w.levels, slices.Repeat([]int{4}, 19)...)
		if p.engine.scheme == "trino" {
			w.rows = 1000
		}
		w.agree(t, p, "sixty", training, 11)
	})
}

// The rows of many levels are counted in a time that grows as their number does.
func TestManyLevels(t *testing.T) {
	const columns, levels = 300, 1000
	v := &view{Table: &Table{d: postgresDialect}, hashes: dataset.TrainRange(0.2)}
	c := column{feature: &dataset.Feature{Type: dataset.Category}}
	for code := range levels {
		c.levels = append(c.levels, fmt.Sprint(code))
	}
	for range columns {
		v.columns = append(v.columns, c)
	}
	out := make([]dataset.Summary, columns)
	began := time.Now()
	counts := v.countLevels(out)
	for g := range counts.groups {
		for code := range counts.groups[g].size {
			counts.add(g, code, 2)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	for j, s := range out {
		if s.Rows != 2*levels || s.Missing != 2 || len(s.Levels) != levels || s.Levels["7"] != 2 {
			t.Fatalf("column %d: %d rows, %d missing, %d levels", j, s.Rows, s.Missing, len(s.Levels))
		}
	}
}
