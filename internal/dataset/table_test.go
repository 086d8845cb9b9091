package dataset

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// people is a schema with a bit of everything.
func people(t testing.TB) *Schema {
	return parse(t, `{"format":1,"target":{"name":"churn","positive":"1"},"features":[
		{"name":"age","type":"number","validate":"gte=0,lte=120","integer":true,"clip_min":0},
		{"name":"plan","type":"category","case":"lower"}],"ignore":["id"],"missing_values":["?"]}`)
}

// The table returns the values that were appended.
func TestTableValueIsWhatWasAppended(t *testing.T) {
	s := people(t)
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOf(rapid.Custom(drawPerson)).Draw(t, "rows")
		table := NewTable(s)
		for i := range rows {
			table.Append(&rows[i])
		}
		if table.Rows() != len(rows) {
			t.Fatalf("Rows() = %d, want %d", table.Rows(), len(rows))
		}
		for i, row := range rows {
			for j, want := range row.Values {
				if got := table.Value(i, j); got != want {
					t.Fatalf("Value(%d, %d) = %+v, want %+v", i, j, got, want)
				}
			}
			if table.Positive[i] != row.Positive {
				t.Fatalf("Positive[%d] = %v", i, table.Positive[i])
			}
		}
	})
}

// drawPerson returns a row of the schema people.
func drawPerson(t *rapid.T) Row {
	row := Row{Values: []Value{
		{Number: float64(rapid.IntRange(0, 120).Draw(t, "age"))},
		{Text: rapid.StringMatching(`[a-c]{1,2}`).Draw(t, "plan"), Level: true},
	}, Positive: rapid.Bool().Draw(t, "positive")}
	if rapid.IntRange(0, 5).Draw(t, "age missing") == 0 {
		row.Values[0] = Value{Missing: true}
	}
	if rapid.IntRange(0, 5).Draw(t, "plan missing") == 0 {
		row.Values[1] = Value{Missing: true, Level: true}
	}
	return row
}

func TestEmptyTable(t *testing.T) {
	table := NewTable(people(t))
	if table.Rows() != 0 {
		t.Errorf("Rows() = %d, want 0", table.Rows())
	}
	if got, want := table.Summarize(1, nil), (Summary{Levels: map[string]int{}}); !reflect.DeepEqual(got, want) {
		t.Errorf("Summarize(plan) = %+v, want %+v", got, want)
	}
}
