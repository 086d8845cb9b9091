package dataset

import (
	"math"
	"reflect"
	"slices"
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
	got, want := table.Summarize(1, AllRows(table.Rows())), Summary{Levels: map[string]int{}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Summarize(plan) = %+v, want %+v", got, want)
	}
}

// A column keeps its values when they become too many for codes.
func TestManyNumbers(t *testing.T) {
	table := NewTable(people(t))
	value := func(i int) Value { return Value{Number: float64(i/3) / 7, Missing: i%5 == 0} }
	const rows = 3*MaxCodedValues + 3000
	for i := range rows {
		row := Row{Values: []Value{value(i), {Text: "basic", Level: true}}}
		if row.Values[0].Missing {
			row.Values[0].Number = 0
		}
		table.Append(&row)
	}
	if c := &table.Columns[0]; len(c.Numbers) != rows || c.Codes != nil || c.Values != nil {
		t.Fatalf("%d numbers, %d codes of %d values, want numbers alone", len(c.Numbers), len(c.Codes), len(c.Values))
	}
	for i := range rows {
		if want, got := value(i), table.Value(i, 0); got.Missing != want.Missing || !got.Missing && got != want {
			t.Fatalf("Value(%d) = %+v, want %+v", i, got, want)
		}
	}
}

// Numbers become codes if they are few enough, whatever the order in which that shows.
func TestUseCodes(t *testing.T) {
	for _, n := range []int{0, 1, MaxCodedValues, MaxCodedValues + 1, 3 * MaxCodedValues} {
		var c Column
		numbers := []float64{}
		for i := range 4 * MaxCodedValues {
			x := math.NaN()
			if i%3 > 0 && n > 0 {
				x = 1 / float64(1+i*7%n)
			}
			numbers = append(numbers, x)
		}
		c.AppendNumbers(numbers)
		c.UseCodes()
		if coded := c.Numbers == nil; coded != (n <= MaxCodedValues) || len(c.Codes)+len(c.Numbers) != len(numbers) {
			t.Fatalf("%d numbers: %d codes and %d numbers of %d rows", n, len(c.Codes), len(c.Numbers), len(numbers))
		}
		for i, want := range numbers {
			if got := c.Number(i); got != want && got == got {
				t.Fatalf("%d numbers: row %d is %v, want %v", n, i, got, want)
			}
		}
	}
}

// Equal numbers have one code, and 0 and -0 are equal.
func TestNumbering(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var n Numbering
		var seen []float64
		for _, x := range rapid.SliceOf(rapid.OneOf(rapid.Float64(), rapid.Map(rapid.IntRange(-9, 9),
			func(i int) float64 { return float64(i) / math.Copysign(8, float64(i)) }))).Draw(t, "numbers") {
			same := func(y float64) bool { return x == y || x != x && y != y }
			want := slices.IndexFunc(seen, same)
			if want < 0 {
				seen, want = append(seen, x), len(seen)
			}
			if got := n.Of(x); got != want {
				t.Fatalf("Of(%v) = %d, want %d", x, got, want)
			}
		}
	})
}
