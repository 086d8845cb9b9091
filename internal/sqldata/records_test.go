package sqldata

import (
	"database/sql"
	"fmt"
	"math"
	"slices"
	"testing"

	"churn/internal/dataset"
	"churn/internal/predlog"
)

// The records of a table are those of the log that was loaded into it.
func TestRecords(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		header := []string{"ts", "model_version", "prediction", "probability", "minutes", "region", "as_text", "senior",
			"new"}
		types := []string{"double precision", "text", "integer", "double precision", "double precision", "text", "text",
			"bigint", "bigint"}
		table := p.table(t, "predictions_of_records", "", header, types, cells{
			row("1700000002.5", "a.json", "1", "0.75", "21.5", "EU", "1.5", "1", "7"),
			row("1700000001", "b.json", "0", "0.125", "NaN", "it's", "abc", "0", `\N`),
			row(`\N`, "a.json", "0", "0.5", `\N`, "", `\N`, `\N`, "8"),
			row("1700000000", "a.json", "1", `\N`, "3", "AF", "-2", "1", "9"),
			row("1699999999", "a.json", `\N`, "0.5", "3", "AF", "-2", "1", "9"),
		})
		schema := &dataset.Schema{Features: []dataset.Feature{
			{Name: "minutes", Type: dataset.Number}, {Name: "region", Type: dataset.Category},
			{Name: "as_text", Type: dataset.Number}, {Name: "senior", Type: dataset.Category},
		}}
		line := func(model string, prediction int, probability, features, ts string) string {
			return fmt.Sprintf(`{"request_id":"","model_version":%q,"prediction":%d,"probability":%s,"latency_ms":0.000,`+
				`"features":{%s},"ts":%s,"threshold":0}`, model, prediction, probability, features, ts)
		}
		want := []string{
			line("a.json", 0, "0.500000", `"minutes":null,"region":"","as_text":null,"senior":null,"new":8`, "0.000"),
			line("a.json", -1, "0.500000", `"minutes":3,"region":"AF","as_text":-2,"senior":"1","new":9`, "1699999999.000"),
			line("a.json", 1, "NaN", `"minutes":3,"region":"AF","as_text":-2,"senior":"1","new":9`, "1700000000.000"),
			line("b.json", 0, "0.125000", `"minutes":"NaN","region":"it's","as_text":"abc","senior":"0","new":null`,
				"1700000001.000"),
			line("a.json", 1, "0.750000", `"minutes":21.5,"region":"EU","as_text":1.5,"senior":"1","new":7`, "1700000002.500"),
		}
		for _, n := range []int{0, 2} {
			var got []string
			err := table.Records(t.Context(), schema, n, math.Inf(-1), func(r *predlog.Record) error {
				got = append(got, string(r.Append(nil)))
				return nil
			})
			if err != nil || !slices.Equal(got, want[(len(want)-n)%len(want):]) {
				t.Errorf("the last %d: %q, %v", n, got, err)
			}
		}
	})
}

// A number that is a level is the level of a file, however the engine writes it.
func TestRecordsOfRewrittenLevels(t *testing.T) {
	c := recordColumn{isText: true, of: column{rewritten: true}, text: sql.NullString{String: "1.0E0", Valid: true}}
	if v := c.value(); v.Text != "1" || !v.Level {
		t.Errorf("%+v, want the level 1", v)
	}
}
