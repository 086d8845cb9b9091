package sqldata

import (
	"errors"
	"fmt"
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
