package sqldata

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
)

// What an earlier version has prepared, or trained on, is known again, by the hash that it took of the texts; a cell
// that has changed since is noticed by either.
func TestFingerprintOfEarlierVersion(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		var rows cells
		for i := range 40 {
			rows = append(rows, row(strconv.Itoa(i), strconv.Itoa(i%7)+".50", "ab"[i%2:i%2+1], strconv.Itoa(i%2),
				strconv.Itoa(i%3%2)))
		}
		rows[3][1], rows[4][2] = nil, nil
		header := []string{"id", "fee", "plan", "calls", "churn"}
		types := []string{"bigint", "numeric(9,2)", "text", "integer", "smallint"}
		table := p.table(t, "customers", "id", header, types, rows)
		schema, err := dataset.ParseSchema([]byte(`{"format": 1, "target": {"name": "churn", "positive": "1"},
			"ignore": ["id"], "features": [{"name": "fee", "type": "number"}, {"name": "plan", "type": "category"},
			{"name": "calls", "type": "category"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		limits := dataset.Limits{MaxMissing: 1}
		now := source(t, table, schema, limits)
		older, err := now.hashedByText(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "registry"), 0o755); err != nil {
			t.Fatal(err)
		}
		opened := func(of *model.Data) (model.Data, []string) {
			t.Helper()
			s, warnings, err := OpenPrepared(t.Context(), Options{From: p.from, Table: "customers", Key: "id"},
				Wanted{Dir: dir, Schema: schema, Limits: limits, Of: of}, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			return s.Data(), warnings
		}
		for _, by := range []*Source{now, older} {
			prepared, err := by.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(prepared)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "registry", "source.json"), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			data := by.Data()
			if got, warnings := opened(&data); got != data || len(warnings) > 0 {
				t.Errorf("a model's table is %v, want %v; warnings %q", got, data, warnings)
			}
			if got, warnings := opened(nil); got != now.Data() || len(warnings) > 0 {
				t.Errorf("the prepared table is %v, want %v; warnings %q", got, now.Data(), warnings)
			}
		}
		for j := range header[1:] {
			for _, value := range []*string{row("1")[0], nil} {
				changed := append(cells{}, rows...)
				changed[6] = append([]*string{}, rows[6]...)
				if changed[6][1+j] = value; value == nil && header[1+j] == "churn" {
					continue
				}
				p.copies(t, "customers", header, types, changed)
				if got, warnings := opened(nil); got == now.Data() || len(warnings) != 1 {
					t.Errorf("%s = %v was not noticed: warnings %q", header[1+j], value, warnings)
				}
			}
		}
	})
}
