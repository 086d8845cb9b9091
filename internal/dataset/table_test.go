package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTableHoldsWhatScanFound(t *testing.T) {
	text := "age,plan,churn\n30,b,1\n,a,0\n40,,0\n50,B,1\n"
	table, q, err := ReadTable(strings.NewReader(text), "x.csv", people(t))
	if err != nil {
		t.Fatal(err)
	}
	if table.Rows() != 4 || q.RowsKept != 4 || !slices.Equal(table.Positive, []bool{true, false, false, true}) {
		t.Errorf("%d rows, %d kept, positive %v, want the 4 of the file", table.Rows(), q.RowsKept, table.Positive)
	}
	age, plan := &table.Columns[0], &table.Columns[1]
	if age.Codes != nil || len(age.Numbers) != 4 || age.Numbers[2] != 40 || age.Numbers[1] == age.Numbers[1] {
		t.Errorf("age = %+v, want 30 NaN 40 50", age)
	}
	if want := []uint16{0, 1, MissingCode, 0}; plan.Numbers != nil || !slices.Equal(plan.Codes, want) || !slices.Equal(plan.Levels, []string{"b", "a"}) {
		t.Errorf("plan = %+v, want codes %v of b, a", plan, want)
	}
}

// The table gives back the values of the rows that it was made of.
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

// Levels must not keep the whole file in memory, nor change when the reader's buffer does.
func TestLevelsOutliveTheRecord(t *testing.T) {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	w.Write([]string{"age", "plan", "churn"})
	for i := range 1000 {
		w.Write([]string{"30", "level" + strconv.Itoa(i%50), strconv.Itoa(i % 2)})
	}
	w.Flush()
	table, q, err := ReadTable(&text, "x.csv", people(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if got, want := table.Value(i, 1).Text, "level"+strconv.Itoa(i%50); got != want {
			t.Fatalf("row %d: plan %q, want %q", i, got, want)
		}
	}
	for level, n := range q.Columns[1].Levels {
		if n != 20 || !strings.HasPrefix(level, "level") {
			t.Errorf("Levels[%q] = %d, want 20", level, n)
		}
	}
}

func TestReadTableAcceptsMissingCellsButNotBadRows(t *testing.T) {
	table, _, err := ReadTable(strings.NewReader("age,plan,churn\n,a,1\n,a,0\n30,b,0\n"), "x.csv", people(t))
	if err != nil || table.Rows() != 3 {
		t.Errorf("ReadTable = %v, %v, want 3 rows: prepare has judged the missing cells", table, err)
	}
	table, q, err := ReadTable(strings.NewReader("age,plan,churn\n1,a,1\n121,a,0\n30,b,0\n"), "x.csv", people(t))
	var refusal *Refusal
	if !errors.As(err, &refusal) || table != nil || q != nil {
		t.Errorf("ReadTable = %v, %v, %v, want a refusal alone", table, q, err)
	}
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
