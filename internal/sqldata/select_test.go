package sqldata

import (
	"database/sql"
	"fmt"
	"math"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/sqlterms"
)

// A SELECT says of each row, dirty ones too, what the model says of the same cells of a file.
func TestSelect(t *testing.T) {
	p := postgresPlace(t)
	schema := schemaOf(t, "1", `["N/A", "-9", "none"]`,
		`{"name": "a", "type": "number", "validate": "gte=-1,lte=100", "clip_min": 0, "optional": true}`,
		`{"name": "probability", "type": "number", "integer": true}`,
		`{"name": "x0", "type": "category", "case": "lower", "optional": true, "map": {"old": "Größe"}}`,
		`{"name": "it's", "type": "category"}`,
		`{"name": "e", "type": "number", "optional": true, "term": "levels"}`,
		`{"name": "f", "type": "number", "decimal": ",", "optional": true}`)
	header := []string{"id", "a", "probability", "x0", "it's", "e", "f", "y"}
	types := []string{"bigint", "text", "text", "text", "text", "double precision", "text", "integer"}
	var rows cells
	for i := range 600 {
		u := float64(i*7919%1009) / 1009
		z := math.Sin(float64(i%83)/12) + float64(i%3) - 1
		rows = append(rows, row(fmt.Sprint(i), fmt.Sprint(i%83), fmt.Sprint(i%7),
			[]string{"klein", "GRÖSSE", " Größe"}[i%3], []string{"p", "q"}[i/5%2], fmt.Sprint(i%4),
			fmt.Sprintf("%d,25", i%11), fmt.Sprint(number01(u < 1/(1+math.Exp(-z))))))
		if i%31 == 0 {
			rows[i][1], rows[i][3], rows[i][5] = nil, nil, nil
		}
	}
	clean := p.table(t, "select_clean", "id", header, types, rows)
	s := source(t, clean, schema, dataset.Limits{MaxMissing: 1})
	for i, dirty := range [][2]string{
		{"a", " 5 "}, {"a", "\u00a0+.5e1"}, {"a", "N/A"}, {"a", "-9.0"}, {"a", "-0.5"}, {"a", "-7"}, {"a", "101"},
		{"a", "abc"}, {"a", "1e999"}, {"a", "NaN"}, {"a", "none"}, {"a", ""}, {"a", "5."}, {"a", "1,5"}, {"a", "--1"},
		{"a", "-1"}, {"a", "1e-250"},
		{"a", "." + strings.Repeat("3", 500)}, {"a", "0." + strings.Repeat("0", 500) + "1"},
		{"a", "3." + strings.Repeat("1", 400) + "e1"}, {"probability", "1e30"}, {"probability", "1e+100"},
		{"probability", "1.1e100"}, {"probability", "3.0"}, {"probability", "3.5"}, {"probability", ""},
		{"probability", "1e2"}, {"x0", "KLEIN\t"}, {"x0", "old"}, {"x0", "OLD"},
		{"x0", "NONE"}, {"x0", "none"}, {"x0", "größe"}, {"x0", "gro\u0308ße"},
		{"x0", "GRÖßE"}, {"x0", "new"}, {"x0", "a'b"}, {"it's", " q"},
		{"it's", "Q"}, {"it's", "N/A"}, {"it's", ""}, {"e", "17"}, {"e", "-9"}, {"e", "1e30"}, {"e", "0.1"}, {"e", "1e-200"},
		{"e", "1e-307"}, {"e", "-4.9e-323"}, {"a", "1e-323"},
		{"f", "1.024"}, {"f", "1,024"}, {"f", "1.024,5"}, {"f", "5."}, {"f", "5,"}, {"f", ",5"}, {"f", "1,5e1"},
		{"f", "1,2,3"}, {"f", "7"}, {"f", "-9,0"}, {"f", "N/A"}, {"f", ""},
		{"it's", "(missing)"}, {"x0", " (MISSING)"}, {"it's", strings.Repeat("é", 501)}, {"it's", strings.Repeat("é", 500)},
	} {
		cell := row(fmt.Sprint(1000+i), "5", "3", "klein", "q", "2", "1,5", "1")
		for k, name := range header {
			if name == dirty[0] {
				text := dirty[1]
				if cell[k] = &text; name == "e" && text == "" {
					cell[k] = nil
				}
			}
		}
		rows = append(rows, cell)
	}
	p.table(t, "select_dirty", "id", header, types, rows)
	for _, terms := range []model.Options{
		{Terms: model.TermsLine},
		{Terms: model.TermsCurve, Pairs: model.PairOptions{Named: []model.Pair{{"a", "x0"}, {"a", "probability"}}}},
	} {
		o := training
		o.Terms, o.Pairs, o.TestSize, o.Tune = terms.Terms, terms.Pairs, 0, model.TuneF1
		m, err := model.Train(t.Context(), s, o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Bytes()
		if err == nil {
			m, err = model.Parse(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		query, err := sqlterms.Select(m, "select_dirty")
		if err != nil {
			t.Fatal(err)
		}
		checkSelect(t, p, m, query, rows)
	}
}

func checkSelect(t *testing.T, p *place, m *model.Model, query string, rows cells) {
	t.Helper()
	byID := map[string][]*string{}
	for _, r := range rows {
		byID[*r[0]] = r
	}
	scored := m.Schema.Unclipped()
	seen, rejected, reasons := 0, 0, 0
	var id string
	var probability sql.NullFloat64
	var prediction sql.NullInt64
	var words [3]sql.NullString
	dest := []any{&id, &probability, &prediction, &words[0], &words[1], &words[2]}
	query = fmt.Sprintf("SELECT %s, probability_2, prediction, reason_1, reason_2, reason_3 FROM (%s) z",
		p.engine.AsText("id"), query)
	err := p.engine.each(t.Context(), "scoring", query, dest, func() {
		seen++
		values, ok := make([]dataset.Value, len(m.Schema.Features)), true
		for j := range values {
			f, raw := &scored.Features[j], ""
			if cell := byID[id][1+j]; cell != nil {
				raw = *cell
			}
			v, _, _, problem := f.Clean(raw)
			values[j], ok = v, ok && problem == nil && (!v.Missing || f.Optional)
		}
		if !ok {
			rejected++
			if probability.Valid || prediction.Valid || words[0].Valid {
				t.Errorf("%s: %v, %v, %v for a row that cannot be scored", id, probability, prediction, words)
			}
			return
		}
		want := m.Score(values)
		if !probability.Valid || math.Abs(probability.Float64-want.Probability) > 1e-9 ||
			(prediction.Int64 == 1) != want.Churn {
			t.Errorf("%s: %v, %v, want %v, %v", id, probability, prediction, want.Probability, want.Churn)
		}
		x, names := m.Explain(values).Contributions, m.Contributors()
		for _, got := range words {
			best := 0
			for k := range x {
				if x[k] > x[best] {
					best = k
				}
			}
			if math.Abs(x[best]-0.005) < 1e-9 {
				break
			}
			if got.Valid != (x[best] >= 0.005) {
				t.Errorf("%s: reason %v, want %s with %v", id, got, names[best], x[best])
			} else if got.Valid {
				reasons++
				var number float64
				at := strings.LastIndex(got.String, ": +")
				if _, err := fmt.Sscan(got.String[at+3:], &number); err != nil ||
					math.Abs(number-x[best]) > 0.00500001+1e-9*x[best] {
					t.Errorf("%s: %q, want %s with %v", id, got.String, names[best], x[best])
				}
				if !strings.HasPrefix(got.String, names[best]) {
					second := 0.0
					for k := range x {
						if k != best {
							second = max(second, x[k])
						}
					}
					if x[best]-second > 1e-9 {
						t.Errorf("%s: %q, want %s", id, got.String, names[best])
					}
				}
			}
			x[best] = 0
		}
	})
	if err != nil || seen != len(rows) || rejected < 10 || reasons < 500 {
		t.Errorf("%d of %d rows, %d that cannot be scored, %d reasons: %v", seen, len(rows), rejected, reasons, err)
	}
}
