package sqldata

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/logreg"
	"churn/internal/model"
	"churn/internal/status"
)

var training = model.Options{Seed: 42, TestSize: 0.25, C: 1, ClassWeight: model.WeightNone, Tune: model.TuneNone}

const named = `{"name": %q, "type": %q}`

// some returns rows with an id, numbers x, levels c and a target y that depends on both.
func some(n int) cells {
	rng := rand.New(rand.NewPCG(7, 7))
	var out cells
	for i := range n {
		x, c := rng.NormFloat64(), rng.IntN(3)
		y := 0
		if x+float64(c)+rng.NormFloat64() > 1 {
			y = 1
		}
		out = append(out, row(fmt.Sprint(i), fmt.Sprintf("%.3f", x), string(rune('a'+c)), fmt.Sprint(y)))
	}
	return out
}

var (
	someColumns = []string{"id", "x", "c", "y"}
	someTypes   = []string{"bigint", "double precision", "text", "integer"}
)

func someSchema(t testing.TB) *dataset.Schema {
	t.Helper()
	return schemaOf(t, "1", "", fmt.Sprintf(named, "x", "number"), fmt.Sprintf(named, "c", "category"))
}

// source returns the source of a table, which must pass the checks.
func source(t testing.TB, table *Table, schema *dataset.Schema, limits dataset.Limits) *Source {
	t.Helper()
	s, err := table.Source(t.Context(), schema, limits)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMissingTablesAndColumns(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		open := func(name, key string) error {
			_, err := p.engine.OpenTable(t.Context(), Options{From: p.from, Table: name, Key: key})
			return err
		}
		table := p.table(t, "few_rows", "id", someColumns, someTypes, some(50))
		fails(t, open("nope", "id"), "nope", "--table")
		fails(t, open("nope.some", "id"), "nope", "--table")
		fails(t, open(`x"; DROP TABLE few_rows; --`, "id"), "--table")
		fails(t, open(`'; DROP TABLE few_rows; --`, "id"), "--table")
		fails(t, open("%[2]s%[3]s%s%d", "id"), "%[2]s%[3]s%s%d", "--table")
		fails(t, open("a.b.c.d.e", "id"), "a.b.c.d.e", "--table")
		fails(t, open("nope.nope.some", "id"), "nope", "--table")
		fails(t, open("some.", "id"), "--table")
		fails(t, open("", "id"), "--table")
		fails(t, open("two\nlines", "id"), "--table")
		fails(t, open("few_rows", "nope"), `--key "nope"`, `"id", "x", "c", "y"`)
		fails(t, open("few_rows", "x"), `--key "x"`, "floating-point")

		rejected := func(s *dataset.Schema, texts ...string) {
			t.Helper()
			_, err := table.Source(t.Context(), s, dataset.Limits{MaxMissing: 1})
			if !errors.Is(err, status.ErrRejected) {
				t.Errorf("not rejected: %v", err)
			}
			fails(t, err, texts...)
		}
		rejected(schemaOf(t, "1", "", fmt.Sprintf(named, "x", "number"), fmt.Sprintf(named, "c", "category"),
			fmt.Sprintf(named, `no"pe`, "number")), "\"no\\\"pe\": the column is missing")
		rejected(schemaOf(t, "1", "", fmt.Sprintf(named, "x", "number")), "c: the schema does not know this column",
			"--ignore")
		extra := p.table(t, "extra", "id", []string{"id", "x", "c", "y", "two\nlines"}, append(someTypes, "text"),
			cells{row("1", "2", "a", "1", "z")})
		_, err := extra.Source(t.Context(), someSchema(t), dataset.Limits{MaxMissing: 1})
		fails(t, err, `"two\nlines": the schema does not know this column`)
		other := *someSchema(t)
		other.Target.Name = "left"
		s, err := other.With([]string{"y"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		rejected(s, "left: the target column is missing")
		for _, name := range []string{"nope", "two\nlines"} {
			_, _, err = table.Infer(t.Context(), dataset.Target{Name: name, Positive: "1"}, false, nil, nil)
			fails(t, err, "the table has no such column")
		}
		_, _, err = table.Infer(t.Context(), dataset.Target{Name: "y", Positive: "1"}, false, []string{"id", "nope"}, nil)
		fails(t, err, "nope", "the table has no such column")
	})
}

// A column that is neither number nor text may be ignored, and be a key if its text
// is the same in every run.
func TestOtherTypes(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		kinds := map[string]string{"timestamp": "2026-01-02 03:04:05", "date": "2026-01-02",
			"uuid": "12151fd2-7586-11e9-8f9e-2a86e4085a59"}
		unusual := map[string]string{"jsonb": `{"a": 1}`, "double precision[]": "{1,2}", "bytea": "x", "interval": "1 day"}
		if p.engine.scheme == "trino" {
			unusual = map[string]string{"varbinary": "x", "array(double)": "", "json": "", "row(a integer)": ""}
		}
		for kind, cell := range unusual {
			kinds[kind] = cell
		}
		for kind, cell := range kinds {
			t.Run(kind, func(t *testing.T) {
				rows := some(60)
				for i := range rows {
					rows[i] = append(rows[i], row(cell)...)
					if cell == "" {
						rows[i][4] = nil
					}
				}
				header, types := append([]string{"id", "x", "c", "y"}, "other type"),
					append([]string{"bigint", "double precision", "text", "integer"}, kind)
				table := p.table(t, "other_types", "id", header, types, rows)
				for _, feature := range []string{"number", "category"} {
					_, err := table.Source(t.Context(), schemaOf(t, "1", "", fmt.Sprintf(named, "x", "number"),
						fmt.Sprintf(named, "c", "category"), fmt.Sprintf(named, "other type", feature)), dataset.Limits{MaxMissing: 1})
					fails(t, err, "other type: ", "is neither number nor text", "--ignore")
				}
				if _, _, err := table.Infer(t.Context(), dataset.Target{Name: "y", Positive: "1"}, false, []string{"id"},
					nil); err == nil || !strings.Contains(err.Error(), "neither number nor text") {
					t.Errorf("a schema of it: %v", err)
				}
				ignoring, err := someSchema(t).With([]string{"other type"}, nil)
				if err != nil {
					t.Fatal(err)
				}
				source(t, table, ignoring, dataset.Limits{MaxMissing: 1})
				ignoring, _ = someSchema(t).With([]string{"id"}, nil)
				keyed, err := p.engine.OpenTable(t.Context(), Options{From: p.from, Table: "other_types", Key: "other type"})
				if _, isUnusual := unusual[kind]; isUnusual {
					fails(t, err, `--key "other type"`, "identifies no customer")
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				s := source(t, keyed, ignoring, dataset.Limits{MaxMissing: 1})
				if shared, err := s.sharedKeys(t.Context()); err != nil || s.keyless != 0 || shared != 1 {
					t.Errorf("%d rows without a key, %d keys that are shared, %v", s.keyless, shared, err)
				}
			})
		}
	})
}

func TestEmptyTable(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		table := p.table(t, "few_rows", "id", someColumns, someTypes, nil)
		_, err := table.Source(t.Context(), someSchema(t), dataset.Limits{MaxMissing: 1})
		fails(t, err, "few_rows in ", "there are no rows")
		_, _, err = table.Infer(t.Context(), dataset.Target{Name: "y", Positive: "1"}, false, []string{"id"}, nil)
		if err != nil {
			t.Log(err)
		}
	})
}

// The table changes between two passes.
func TestChangedTable(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		const more = "INSERT INTO few_rows VALUES (100000, 0.5, 'a', 1)"
		table := func() *Source {
			return source(t, p.table(t, "few_rows", "id", someColumns, someTypes, some(400)), someSchema(t),
				dataset.Limits{MaxMissing: 1})
		}
		s := table()
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		p.exec(t, more)
		fails(t, s.Check(t.Context()), "was changed while it was read", "few_rows")
		if p.engine.scheme == "postgres" { // Trino's memory only grows
			for _, change := range []string{"UPDATE few_rows SET x = x + 1e-9 WHERE id = 7",
				"UPDATE few_rows SET c = 'A' WHERE id = 7", "UPDATE few_rows SET y = 1 - y WHERE id = 7",
				"UPDATE few_rows SET id = 777 WHERE id = 7", "UPDATE few_rows SET x = NULL WHERE id = 7",
				"DELETE FROM few_rows WHERE id = 7",
				"UPDATE few_rows SET c = CASE id WHEN 1 THEN (SELECT c FROM few_rows WHERE id = 0) ELSE 'z' END WHERE id < 2"} {
				s := table()
				p.exec(t, change)
				fails(t, s.Check(t.Context()), "was changed while it was read")
			}
			s := table()
			p.exec(t, "CREATE TABLE copy AS SELECT * FROM few_rows ORDER BY x; TRUNCATE few_rows; INSERT INTO few_rows "+
				"SELECT * FROM copy")
			if err := s.Check(t.Context()); err != nil {
				t.Errorf("rows in another order: %v", err)
			}
		}
		// A row comes while it is trained on: after the description, so that the sums are of one row more.
		for _, o := range []model.Options{training, {Seed: 1, TestSize: 0, C: 1, ClassWeight: model.WeightNone,
			Tune: model.TuneNone}} {
			during := &growing{Source: table(), grow: func() {
				p.exec(t, more)
				p.exec(t, strings.Replace(more, "100000", "100001", 1))
				p.exec(t, strings.Replace(more, "100000", "100002", 1))
			}}
			_, err := model.Train(t.Context(), during, o)
			if err == nil {
				err = during.Check(t.Context())
			}
			fails(t, err, "changed while")
		}
	})
}

// growing is a source whose table grows once, after it was described.
type growing struct {
	*Source
	grow func()
}

func (g *growing) Split(testSize float64, seed uint64) (train, test model.Source, err error) {
	train, test, err = g.Source.Split(testSize, seed)
	return &growing{train.(*Source), g.grow}, test, err
}

func (g *growing) FoldPass(ctx context.Context, design *logreg.Rows, n int,
) (func(context.Context, []float64, []*logreg.Sums) error, error) {
	g.grow()
	return g.Source.FoldPass(ctx, design, n)
}

func (g *growing) Pass(ctx context.Context, design *logreg.Rows) (logreg.Pass, error) {
	g.grow()
	return g.Source.Pass(ctx, design)
}

// Customers share a key, or have none.
func TestKeys(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		for _, kind := range []string{"bigint", "text"} {
			rows := some(300)
			for i := range rows {
				no := fmt.Sprint(i / 3)
				if rows[i][0] = &no; i%10 == 0 {
					rows[i][0] = nil
				}
			}
			types := append([]string{kind}, someTypes[1:]...)
			s := source(t, p.table(t, "few_rows", "id", someColumns, types, rows), someSchema(t), dataset.Limits{MaxMissing: 1})
			if shared, err := s.sharedKeys(t.Context()); err != nil || s.keyless != 30 || shared != 100 {
				t.Errorf("%s: %d rows without a key, %d keys that are shared, %v; want 30 and 100", kind, s.keyless, shared, err)
			}
			// Each key is in one part.
			seen := map[string]int{}
			parts := []dataset.HashRange{dataset.TestRange(0.25)}
			for k := range model.Folds {
				in, _ := dataset.FoldRange(0.25, k, model.Folds)
				parts = append(parts, in)
			}
			n := 0
			for k, part := range parts {
				query := fmt.Sprintf("SELECT DISTINCT %s FROM %s t WHERE %s AND id IS NOT NULL", s.v.d.AsText("id"), s.v.sql,
					s.v.within(part, 42))
				if err := s.v.query(t.Context(), "which", query, func(scan func(...any) error) error {
					var id string
					err := scan(&id)
					if other, ok := seen[id]; ok {
						t.Errorf("%s is in the parts %d and %d", id, other, k)
					}
					seen[id] = k
					n++
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			if n != 100 {
				t.Errorf("%d keys in all parts", n)
			}
			if m, err := model.Train(t.Context(), s, training); err != nil {
				t.Error(err)
			} else {
				t.Logf("%s: trained on %d of 300 rows", kind, m.Training.Rows)
			}
		}
	})
}

// Columns with more different texts than a query may have.
func TestManyTexts(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		n := maxTexts + 50
		rows := func(cell func(i int) string) cells {
			var out cells
			for i := range n {
				out = append(out, row(fmt.Sprint(i), cell(i), "a", fmt.Sprint(i%2)))
			}
			return out
		}
		types := []string{"bigint", "text", "text", "integer"}
		text := func(kind string) *dataset.Schema {
			return schemaOf(t, "1", "", fmt.Sprintf(named, "x", kind), fmt.Sprintf(named, "c", "category"))
		}
		table := p.table(t, "many", "id", someColumns, types, rows(func(i int) string { return fmt.Sprintf("%de0", i) }))
		_, err := table.Source(t.Context(), text("number"), dataset.Limits{MaxMissing: 1})
		fails(t, err, "x: more than 10000 different texts", "make a view of plain numbers")
		table = p.table(t, "many", "id", someColumns, types, rows(func(i int) string {
			return fmt.Sprintf("%d%s", i, strings.Repeat("e0", min(1, i/(n-maxTexts-1)))) // and plain decimals
		}))
		_, err = table.Source(t.Context(), text("number"), dataset.Limits{MaxMissing: 1})
		fails(t, err, "x: more than 10000 different texts")
		table = p.table(t, "many", "id", someColumns, types,
			rows(func(i int) string { return fmt.Sprintf("customer %d", i) }))
		_, err = table.Source(t.Context(), text("category"), dataset.Limits{MaxMissing: 1})
		fails(t, err, "x: more than 100 different values, as an identifier has: leave it out with --ignore")
		table = p.table(t, "many", "id", someColumns, types,
			rows(func(i int) string { return strings.Repeat(" ", i%150) + "one level" + strings.Repeat(" ", i/150) }))
		_, err = table.Source(t.Context(), text("category"), dataset.Limits{MaxMissing: 1})
		fails(t, err, "x: more than 10000 different texts, too many to be cleaned one by one")
		if p.engine.scheme == "trino" { // joining ten thousand texts takes it a minute
			return
		}
		table = p.table(t, "many", "id", someColumns, types, rows(func(i int) string { return fmt.Sprintf("%d.5", i) }))
		s := source(t, table, text("number"), dataset.Limits{MaxMissing: 1}) // plain decimals are no texts
		if d, err := s.Describe(t.Context()); err != nil || d.Columns[0].Rows != n ||
			d.Columns[0].Numbers.Max != float64(n)-0.5 {
			t.Errorf("%+v, %v", d, err)
		}
		table = p.table(t, "many", "id", someColumns, types,
			rows(func(i int) string { return fmt.Sprintf("%de0", i%maxTexts) }))
		if s := source(t, table, text("number"), dataset.Limits{MaxMissing: 1}); s.Quality().RowsKept != n {
			t.Errorf("%+v", s.Quality())
		}
		types[1] = "bigint"
		table = p.table(t, "many", "id", someColumns, types, rows(func(i int) string { return fmt.Sprint(i) }))
		_, err = table.Source(t.Context(), schemaOf(t, "1", "", `{"name": "x", "type": "number", "validate": "ne=5"}`,
			fmt.Sprintf(named, "c", "category")), dataset.Limits{MaxMissing: 1})
		if err == nil || !strings.Contains(err.Error(), "x: more than 10000 different") || !strings.Contains(err.Error(),
			`x: "5" breaks the rule ne=5`) {
			t.Error(err)
		}
	})
}
