package sqldata

import (
	"context"
	"database/sql"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"churn/internal/sqlterms"
	"churn/internal/testing/postgres"

	_ "github.com/trinodb/trino-go-client/trino"
)

// cells are rows as texts; nil is NULL, and an empty cell in CSV.
type cells [][]*string

// row returns texts, NULL for the one that is \N.
func row(texts ...string) []*string {
	out := make([]*string, len(texts))
	for i := range texts {
		if texts[i] != `\N` {
			out[i] = &texts[i]
		}
	}
	return out
}

// csv returns the rows with a header; every cell has quotes, NULL none, which is
// how PostgreSQL tells them apart.
func (rows cells) csv(header []string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.Write(header); err != nil {
		panic(err)
	}
	w.Flush()
	for _, row := range rows {
		for j, cell := range row {
			if j > 0 {
				b.WriteByte(',')
			}
			if cell != nil {
				b.WriteString(`"` + strings.ReplaceAll(*cell, `"`, `""`) + `"`)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// A place is a database that tests load tables into.
type place struct {
	engine *Engine
	from   string
	exec   func(t testing.TB, statement string)
	copies func(t testing.TB, table string, header, types []string, rows cells) // makes the table and fills it
}

// postgresPlace is a new database of the shared cluster.
func postgresPlace(t *testing.T) *place {
	t.Helper()
	c := postgres.Shared(t)
	db := c.CreateDatabase(t)
	p := &place{from: c.URL(db)}
	p.exec = func(t testing.TB, statement string) { t.Helper(); c.Exec(t, db, statement) }
	p.copies = func(t testing.TB, table string, header, types []string, rows cells) {
		t.Helper()
		columns := make([]string, len(header))
		for i := range header {
			columns[i] = sqlterms.QuoteName(header[i]) + " " + types[i]
		}
		p.exec(t, fmt.Sprintf("DROP TABLE IF EXISTS %s; CREATE TABLE %s (%s)", sqlterms.QuoteName(table),
			sqlterms.QuoteName(table),
			strings.Join(columns, ", ")))
		c.CopyCSV(t, db, table, rows.csv(header))
	}
	return p.opened(t)
}

// trinoPlace is the schema default of a Trino's catalog memory. Tables are dropped
// when the test ends.
func trinoPlace(t *testing.T) *place {
	t.Helper()
	p := &place{from: trinoURL(t, "/memory/default")}
	db, err := sql.Open("trino", "http://"+strings.TrimPrefix(strings.TrimSuffix(p.from, "/memory/default"),
		"trino://")+"?catalog=memory&schema=default")
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	t.Cleanup(func() {
		for table := range made {
			if _, err := db.Exec("DROP TABLE IF EXISTS " + sqlterms.QuoteName(table)); err != nil {
				t.Error(err)
			}
		}
		db.Close()
	})
	p.exec = func(t testing.TB, statement string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if _, err := db.ExecContext(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	p.copies = func(t testing.TB, table string, header, types []string, rows cells) {
		t.Helper()
		made[table] = true
		columns, casts, names := make([]string, len(header)), make([]string, len(header)), make([]string, len(header))
		for i := range header {
			kind := trinoTypes.Replace(types[i])
			names[i] = fmt.Sprintf("c%d", i)
			columns[i] = sqlterms.QuoteName(header[i]) + " " + kind
			casts[i] = fmt.Sprintf("CAST(c%d AS %s)", i, kind)
			if strings.HasPrefix(kind, "array") || strings.HasPrefix(kind, "row") { // which no text is cast to
				casts[i] = fmt.Sprintf("CAST(NULL AS %s)", kind)
			}
		}
		p.exec(t, "DROP TABLE IF EXISTS "+sqlterms.QuoteName(table))
		p.exec(t, fmt.Sprintf("CREATE TABLE %s (%s)", sqlterms.QuoteName(table), strings.Join(columns, ", ")))
		var tuples []string
		flush := func() {
			if len(tuples) > 0 {
				p.exec(t, fmt.Sprintf("INSERT INTO %s SELECT %s FROM (VALUES %s) AS v(%s)", sqlterms.QuoteName(table),
					strings.Join(casts, ", "),
					strings.Join(tuples, ", "), strings.Join(names, ", ")))
			}
			tuples = tuples[:0]
		}
		size := 0
		for _, row := range rows {
			values := make([]string, len(row))
			for j, cell := range row {
				values[j] = "CAST(NULL AS varchar)"
				if cell != nil {
					values[j] = sqlterms.QuoteText(*cell)
				}
				size += len(values[j])
			}
			tuples = append(tuples, "("+strings.Join(values, ", ")+")")
			if size > 50_000 {
				flush()
				size = 0
			}
		}
		flush()
	}
	return p.opened(t)
}

// trinoTypes has PostgreSQL's types in Trino's words.
var trinoTypes = strings.NewReplacer("text", "varchar", "double precision", "double", "numeric", "decimal",
	"smallint", "smallint")

func (p *place) opened(t *testing.T) *place {
	t.Helper()
	e, err := Open(t.Context(), Options{From: p.from, Table: "t"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	p.engine = e
	return p
}

// table makes a table and finds it.
func (p *place) table(t testing.TB, name, key string, header, types []string, rows cells) *Table {
	t.Helper()
	p.copies(t, name, header, types, rows)
	return p.find(t, name, key)
}

func (p *place) find(t testing.TB, name, key string) *Table {
	t.Helper()
	table, err := p.engine.OpenTable(context.Background(), Options{From: p.from, Table: name, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// everywhere runs a test on PostgreSQL, and on Trino where there is one.
func everywhere(t *testing.T, test func(t *testing.T, p *place)) {
	t.Helper()
	t.Run("postgres", func(t *testing.T) { test(t, postgresPlace(t)) })
	t.Run("trino", func(t *testing.T) { test(t, trinoPlace(t)) })
}
