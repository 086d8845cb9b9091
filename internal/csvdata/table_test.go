package csvdata

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"churn/internal/dataset"
)

// prepared is the limits of train for prepare's output.
var prepared = dataset.Limits{MaxMissing: 1}

func TestTableHoldsWhatScanFound(t *testing.T) {
	text := "age,plan,churn\n30,b,1\n,a,0\n40,,0\n50,B,1\n"
	table, err := ReadTable(t.Context(), Source{Reader: strings.NewReader(text), File: "x.csv"}, people(t), prepared)
	if err != nil {
		t.Fatal(err)
	}
	if table.Rows() != 4 || !slices.Equal(table.Positive, []bool{true, false, false, true}) {
		t.Errorf("%d rows, positive %v, want the 4 of the file", table.Rows(), table.Positive)
	}
	age, plan := &table.Columns[0], &table.Columns[1]
	if want := []uint16{0, dataset.MissingCode, 1, 2}; age.Numbers != nil || !slices.Equal(age.Codes, want) ||
		!slices.Equal(age.Values, []float64{30, 40, 50}) {
		t.Errorf("age = %+v, want codes %v of 30, 40, 50", age, want)
	}
	if want := []uint16{0, 1, dataset.MissingCode, 0}; plan.Numbers != nil || !slices.Equal(plan.Codes, want) ||
		!slices.Equal(plan.Levels, []string{"b", "a"}) {
		t.Errorf("plan = %+v, want codes %v of b, a", plan, want)
	}
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
	table, err := ReadTable(t.Context(), Source{Reader: &text, File: "x.csv"}, people(t), prepared)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if got, want := table.Value(i, 1).Text, "level"+strconv.Itoa(i%50); got != want {
			t.Fatalf("row %d: plan %q, want %q", i, got, want)
		}
	}
	for level, n := range table.Summarize(1, dataset.AllRows(table.Rows())).Levels {
		if n != 20 || !strings.HasPrefix(level, "level") {
			t.Errorf("Levels[%q] = %d, want 20", level, n)
		}
	}
}

func TestReadTableAcceptsMissingCellsButNotBadRows(t *testing.T) {
	table, err := ReadTable(t.Context(), Source{Reader: strings.NewReader("age,plan,churn\n,a,1\n,a,0\n30,b,0\n"),
		File: "x.csv"}, people(t),
		prepared)
	if err != nil || table.Rows() != 3 {
		t.Errorf("ReadTable = %v, %v, want 3 rows: prepare has checked the missing cells", table, err)
	}
	table, err = ReadTable(t.Context(), Source{Reader: strings.NewReader("age,plan,churn\n1,a,1\n121,a,0\n30,b,0\n"),
		File: "x.csv"}, people(t),
		prepared)
	var invalid *dataset.ValidationError
	if !errors.As(err, &invalid) || table != nil {
		t.Errorf("ReadTable = %v, %v, want a validation error alone", table, err)
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
	table, err := ReadTable(t.Context(), Source{Reader: strings.NewReader(text.String()), File: "x.csv"}, people(t),
		dataset.Limits{MaxMissing: 1, Known: true})
	if err != nil || table.Rows() != 200 {
		t.Errorf("ReadTable = %v, want 200 rows", err)
	}
	if _, err := ReadTable(t.Context(), Source{Reader: strings.NewReader(text.String()), File: "x.csv"}, people(t),
		prepared); err == nil {
		t.Error("without Known the empty column and the identifier were accepted")
	}
}

// Rows that the target leaves out, such as a total below the table, change no figure of the columns.
func TestRowsLeftOutAreNotCounted(t *testing.T) {
	s := parse(t, schemaOf(`{"name":"fee","type":"number"},{"name":"plan","type":"category"}`))
	s.Target.Negative = "0"
	source := Source{Reader: strings.NewReader("fee,plan,churn\n1,a,0\n2,b,1\n900,c,2\n999,Total,\n"), File: "x.csv"}
	q, summaries, err := Clean(t.Context(), source, nil, s, dataset.Limits{DropOpen: true}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	fee, plan := summaries["fee"], summaries["plan"]
	if q.RowsDropped != 2 || fee.Numbers.Max != 2 || fee.Rows != 2 || len(plan.Levels) != 2 {
		t.Errorf("%d rows dropped: %+v, %+v", q.RowsDropped, fee, plan)
	}
}
