package sqldata

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/testing/postgres"
)

// Names with quotes, blanks, capitals and SQL in them.
func TestHostileNames(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		names := []string{`"; drop table customers`, `a"b`, "Üml äut", "select", strings.Repeat("n", 60), "it's",
			"%s %[1]s %d", `back\slash`, "t.x", "q", "x0", "c1", "two\nlines", "WHERE k > 0", "$1", "?", "--", "/*", "y y"}
		if p.engine.scheme == "trino" {
			names = names[:len(names)-1]
		}
		header := append([]string{"Id"}, names...)
		header = append(header, `"target"`)
		types := []string{"bigint"}
		rng := rand.New(rand.NewPCG(1, 2))
		var rows cells
		for i := range names {
			types = append(types, []string{"double precision", "text", "text"}[i%3])
		}
		types = append(types, "text")
		var features []string
		for i, name := range names {
			features = append(features, fmt.Sprintf(`{"name": %q, "type": %q, "clip_min": -9, "validate": "lte=99"}`, name,
				"number"))
			if i%3 == 1 {
				features[i] = fmt.Sprintf(named, name, "category")
			}
		}
		for i := range 300 {
			texts := []string{fmt.Sprint(i)}
			for j := range names {
				texts = append(texts, []string{fmt.Sprintf("%.2f", rng.NormFloat64()), names[rng.IntN(3)],
					fmt.Sprint(rng.IntN(9))}[j%3])
			}
			rows = append(rows, row(append(texts, names[rng.IntN(2)])...))
		}
		schema, err := dataset.ParseSchema([]byte(fmt.Sprintf(`{"format": 1, "target": {"name": %q, "positive": %q}, `+
			`"features": [%s], "ignore": []}`,
			`"target"`, names[0], strings.Join(features, ", "))))
		if err != nil {
			t.Fatal(err)
		}
		tables := []string{"customers", `"; drop table customers; --`, "table7 Ünd Select", "it's", "%[2]s%s"}
		if p.engine.scheme == "trino" {
			for i := range tables {
				tables[i] = strings.ToLower(tables[i])
			}
		}
		for i, name := range tables {
			table := p.table(t, name, "Id", header, types, rows)
			if i > 1 && p.engine.scheme == "trino" { // training takes it half a minute
				continue
			}
			s := source(t, table, schema, dataset.Limits{MaxMissing: 1, DropInvalid: true})
			m, err := model.Train(t.Context(), s, training)
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			if err := s.Check(t.Context()); err != nil || m.Training.Rows == 0 {
				t.Errorf("%q: %d rows, %v", name, m.Training.Rows, err)
			}
			if _, _, err := table.Infer(t.Context(), schema.Target, false, []string{"Id"}, nil); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
		schemas := "public."
		if p.engine.scheme == "trino" {
			schemas = "memory.default."
		}
		for _, name := range tables {
			s := source(t, p.find(t, schemas+name, "Id"), schema, dataset.Limits{MaxMissing: 1})
			if s.rows != len(rows) {
				t.Errorf("%s: %d rows", name, s.rows)
			}
		}
	})
}

// Settings of a database or its columns must not change what is read: strings in
// which a backslash escapes, another encoding, dates in another order, collations.
func TestSettings(t *testing.T) {
	c := postgres.Shared(t)
	c.Exec(t, "postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
	for _, setting := range []string{"standard_conforming_strings = off", "DateStyle = 'SQL, DMY'",
		"client_encoding = 'LATIN1'", "backslash_quote = on", "extra_float_digits = -5", "TimeZone = 'Asia/Tokyo'"} {
		c.Exec(t, "postgres", "ALTER DATABASE latin SET "+setting)
	}
	p := (&place{from: c.URL("latin")}).opened(t)
	c.Exec(t, "latin", `CREATE TABLE customers (id date, x double precision, c text, y text)`)
	c.Exec(t, "latin", `INSERT INTO customers SELECT '2020-01-01'::date + i, i / 7.0,
		CASE WHEN i % 3 = 0 THEN E'\\'') OR 1=1; --' WHEN i % 3 = 1 THEN 'caf' || chr(233) ELSE E'a\\' END,
		CASE WHEN (i * 7919) % 11 < 5 THEN E'o\'ui' ELSE E'\\' END FROM generate_series(0, 299) i`)
	schema := schemaOf(t, "o'ui", "", fmt.Sprintf(named, "x", "number"), fmt.Sprintf(named, "c", "category"))
	s := source(t, p.find(t, "customers", "id"), schema, dataset.Limits{MaxMissing: 1})
	if got := fmt.Sprint(s.Quality().Columns[1].Levels,
		s.Quality().Target.Labels); got != `map[\') OR 1=1; --:100 a\:100 café:100] map[\:164 o'ui:136]` {
		t.Error(got)
	}
	if m, err := model.Train(t.Context(), s, training); err != nil || m.Training.Rows < 150 {
		t.Error(err)
	}
	found := false
	for _, text := range s.v.columns[1].texts {
		found = found || text.raw == "café"
	}
	var key string
	err := s.v.query(t.Context(), "reading a key",
		"SELECT "+s.v.d.AsText(s.v.key)+" FROM customers t ORDER BY 1 LIMIT 1",
		func(scan func(...any) error) error { return scan(&key) })
	if err != nil || key != "2020-01-01" || !found {
		t.Errorf("the key %q, %v", key, err)
	}
}

func TestCollations(t *testing.T) {
	p := postgresPlace(t)
	p.exec(t, `CREATE COLLATION anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('sad', 'Happy'); 
CREATE DOMAIN word AS varchar(9) COLLATE "C"; CREATE DOMAIN inner_word AS word`)
	header := []string{"a", "b", "c", "d", "e", "f", "g", "h", "y"}
	types := []string{"text", `text COLLATE "C"`, "name", "text COLLATE anycase", "citext", "mood", "word",
		"inner_word", "text COLLATE anycase"}
	var features []string
	for _, name := range header[:len(header)-1] {
		features = append(features, fmt.Sprintf(named, name, "category"))
	}
	features[3] = `{"name": "d", "type": "number"}`
	var rows cells
	for i := range 90 {
		word := []string{"A", "a", "é", "z"}[i%4]
		rows = append(rows, row(word, word, word, []string{"1E0", "1e0", "2"}[i%3], word, []string{"sad", "Happy"}[i%2],
			word, word, []string{"on", "On", "off"}[i%3]))
	}
	d := &tableCase{
		schema: schemaOf(t, "on", "", features...), limits: dataset.Limits{MaxMissing: 1},
		header: header, types: types, rows: rows,
	}
	if !d.compare(t, p, "collated") { // on and On are one
		t.Error("refused")
	}
	for i := range rows {
		rows[i][8] = &[]string{"on", "off"}[i%2]
	}
	if !d.compare(t, p, "collated") {
		t.Error("refused")
	}
	for _, key := range header[:len(header)-1] {
		table := p.find(t, "collated", key)
		schema, err := d.schema.With([]string{"row no"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := model.Train(t.Context(), source(t, table, schema, d.limits), training); err != nil &&
			!strings.Contains(err.Error(), "each part needs both classes") {
			t.Errorf("key %s: %v", key, err)
		}
	}
}

// An engine that folds capitals finds the columns of a schema, each once.
func TestCapitals(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		header, types := []string{"CustomerID", "Minutes", "Churn"}, []string{"bigint", "bigint", "text"}
		var rows cells
		for i := range 40 {
			rows = append(rows, row(fmt.Sprint(i), fmt.Sprint(i%7), []string{"Yes", "No"}[i%2]))
		}
		table := p.table(t, "capitals", "CustomerID", header, types, rows)
		schema, _, err := table.Infer(t.Context(), dataset.Target{Name: "Churn", Positive: "Yes"}, false, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(schema.Features) != 1 || !strings.EqualFold(schema.Features[0].Name, "Minutes") {
			t.Errorf("features %+v", schema.Features)
		}
		twice := schemaOf(t, "Yes", "", fmt.Sprintf(named, "Minutes", "number"), fmt.Sprintf(named, "minutes", "number"))
		twice.Target.Name = "Churn"
		if _, err := table.view(twice, dataset.Limits{}); err == nil {
			t.Error("a schema with one column under two names was accepted")
		}
	})
}

// A word for yes among the target's values is positive, as in a file, unless one is named.
func TestInferTakesWords(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		for i, c := range []struct{ sqlType, no, yes, want string }{
			{"text", "Nein", "Ja", "Ja"}, {"boolean", "false", "true", "true"}, {"integer", "0", "1", "1"},
			{"text", "stayed", "left", "1"},
		} {
			rows := cells{row("1", "5", c.no), row("2", "6", c.yes), row("3", "7", c.no)}
			table := p.table(t, fmt.Sprint("words", i), "id", []string{"id", "x", "y"},
				[]string{"bigint", "double precision", c.sqlType}, rows)
			target := dataset.Target{Name: "y", Positive: "1"}
			for words, want := range map[bool]string{true: c.want, false: "1"} {
				schema, note, err := table.Infer(t.Context(), target, words, nil, nil)
				if err != nil || schema.Target.Positive != want || (len(note) > 0) != (want != "1") {
					t.Errorf("%s, %s, words %v: %+v, %q, %v, want %q", c.no, c.yes, words, schema, note, err, want)
				}
			}
		}
	})
}
