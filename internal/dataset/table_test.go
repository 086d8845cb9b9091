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

// prepared is what a training asks of prepare's output.
var prepared = Limits{MaxMissing: 1}

func TestTableHoldsWhatScanFound(t *testing.T) {
	text := "age,plan,churn\n30,b,1\n,a,0\n40,,0\n50,B,1\n"
	table, err := ReadTable(t.Context(), strings.NewReader(text), "x.csv", people(t), prepared)
	if err != nil {
		t.Fatal(err)
	}
	if table.Rows() != 4 || !slices.Equal(table.Positive, []bool{true, false, false, true}) {
		t.Errorf("%d rows, positive %v, want the 4 of the file", table.Rows(), table.Positive)
	}
	age, plan := &table.Columns[0], &table.Columns[1]
	if want := []uint16{0, MissingCode, 1, 2}; age.Numbers != nil || !slices.Equal(age.Codes, want) || !slices.Equal(age.Values, []float64{30, 40, 50}) {
		t.Errorf("age = %+v, want codes %v of 30, 40, 50", age, want)
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
	table, err := ReadTable(t.Context(), &text, "x.csv", people(t), prepared)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if got, want := table.Value(i, 1).Text, "level"+strconv.Itoa(i%50); got != want {
			t.Fatalf("row %d: plan %q, want %q", i, got, want)
		}
	}
	for level, n := range table.Summarize(1, nil).Levels {
		if n != 20 || !strings.HasPrefix(level, "level") {
			t.Errorf("Levels[%q] = %d, want 20", level, n)
		}
	}
}

func TestReadTableAcceptsMissingCellsButNotBadRows(t *testing.T) {
	table, err := ReadTable(t.Context(), strings.NewReader("age,plan,churn\n,a,1\n,a,0\n30,b,0\n"), "x.csv", people(t), prepared)
	if err != nil || table.Rows() != 3 {
		t.Errorf("ReadTable = %v, %v, want 3 rows: prepare has judged the missing cells", table, err)
	}
	table, err = ReadTable(t.Context(), strings.NewReader("age,plan,churn\n1,a,1\n121,a,0\n30,b,0\n"), "x.csv", people(t), prepared)
	var refusal *Refusal
	if !errors.As(err, &refusal) || table != nil {
		t.Errorf("ReadTable = %v, %v, want a refusal alone", table, err)
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

// A model knows its columns: in other customers a column may be empty, and all
// levels may be new.
func TestKnownColumnsMayLookOtherwise(t *testing.T) {
	var text strings.Builder
	text.WriteString("age,plan,churn\n")
	for i := range 200 {
		text.WriteString(",level" + strconv.Itoa(i) + "," + strconv.Itoa(i%2) + "\n")
	}
	table, err := ReadTable(t.Context(), strings.NewReader(text.String()), "x.csv", people(t), Limits{MaxMissing: 1, Known: true})
	if err != nil || table.Rows() != 200 {
		t.Errorf("ReadTable = %v, want 200 rows", err)
	}
	if _, err := ReadTable(t.Context(), strings.NewReader(text.String()), "x.csv", people(t), prepared); err == nil {
		t.Error("without Known the empty column and the identifier were accepted")
	}
}

func TestMarksForMissingAreNumbersToo(t *testing.T) {
	s, err := people(t).With(nil, []string{"-999"})
	if err != nil {
		t.Fatal(err)
	}
	age := &s.Features[0]
	for _, text := range []string{"-999", "-999.0", " -9.99e2 "} {
		if v, cell, _, problem := age.Clean(text); !v.Missing || cell != "" || problem != nil {
			t.Errorf("Clean(%q) = %+v, %q, %v, want missing", text, v, cell, problem)
		}
	}
	if v, problem := age.CheckNumber(-999); !v.Missing || problem != nil {
		t.Errorf("CheckNumber(-999) = %+v, %v, want missing", v, problem)
	}
}

func TestNumbersHaveABound(t *testing.T) {
	age := Feature{Name: "a", Type: Number}
	for _, x := range []float64{1e101, -1e101, 1e308} {
		if _, problem := age.CheckNumber(x); problem == nil || problem.Kind != OutOfRange {
			t.Errorf("CheckNumber(%v) = %v, want out of range", x, problem)
		}
	}
	if _, problem := age.CheckNumber(-1e100); problem != nil {
		t.Errorf("CheckNumber(-1e100) = %v", problem)
	}
}
