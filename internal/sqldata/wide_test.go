package sqldata

import (
	"fmt"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
)

// A table of as many columns as PostgreSQL allows, a third of them with texts that are
// joined to the rows elsewhere, is cleaned as CSV is.
func TestWideTable(t *testing.T) {
	p := postgresPlace(t)
	d := &tableCase{limits: dataset.Limits{MaxMissing: 1, DropInvalid: true}}
	var features []string
	for j := range 1598 {
		name, kind := fmt.Sprintf("c%d", j), "category"
		d.header, d.types = append(d.header, name), append(d.types, []string{"real", "text", "text"}[j%3])
		if j%3 == 0 {
			kind = "number"
		}
		features = append(features, fmt.Sprintf(`{"name": %q, "type": %q}`, name, kind))
	}
	d.header, d.types = append(d.header, "churn"), append(d.types, "text")
	for i := range 30 {
		var texts []string
		for j := range features {
			texts = append(texts, []string{fmt.Sprint(i*j%17) + ".5", fmt.Sprint("L", (i+j)%12), "ab"[i%2 : i%2+1]}[j%3])
		}
		d.rows = append(d.rows, row(append(texts, "01"[i%2:i%2+1])...))
	}
	schema, err := dataset.ParseSchema([]byte(`{"format": 1, "target": {"name": "churn", "positive": "1"}, "features": [` +
		strings.Join(features, ", ") + `], "ignore": []}`))
	if err != nil {
		t.Fatal(err)
	}
	d.schema = schema
	if !d.compare(t, p, "wide") {
		t.Error("it was rejected")
	}
	if schema, err = schema.With([]string{"row no"}, nil); err != nil {
		t.Fatal(err)
	}
	s := source(t, p.find(t, "wide", "row no"), schema, d.limits)
	if _, _, err := s.Sample(t.Context(), 10, 1); err != nil {
		t.Error(err)
	}
	if d, err := s.of(dataset.TrainRange(0.25), 1).Describe(t.Context()); err != nil || len(d.Columns) != 1598 {
		t.Error(err)
	}
	fails(t, s.RequireFewSums(), "too many to train on in a database, which takes 600 at most", "--ignore")
}

// What is done for many columns changes no weight.
func TestLimitsOfQueries(t *testing.T) {
	p := postgresPlace(t)
	limited := *postgresDialect
	limited.columnLimit, limited.joinLimit, limited.packLimit = 6, 1, 1
	p.engine.dialect = &limited
	w := tableShape{rows: 500, numbers: 4, levels: []int{12, 10, 3}, missing: 50}
	w.agree(t, p, "limited", training, 1)
	curves := training
	curves.Terms = model.TermsCurve
	w.agree(t, p, "curves", curves, 1)
}
