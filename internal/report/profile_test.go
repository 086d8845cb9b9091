package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// sample returns prepared customers of which each column has the given numbers in turn.
func sample(t *testing.T, notation string, numbers ...[]float64) *dataset.Quality {
	t.Helper()
	var features []string
	for j := range numbers {
		features = append(features, fmt.Sprintf(`{"name":"c%d","type":"number"%s}`, j, notation))
	}
	schema, err := dataset.ParseSchema([]byte(`{"format":1,"target":{"name":"left","positive":"1"},"ignore":[],` +
		`"features":[` + strings.Join(features, ",") + "]}"))
	if err != nil {
		t.Fatal(err)
	}
	const rows = 300
	q := &dataset.Quality{File: hostile, RowsRead: rows, RowsKept: rows, Profiled: rows}
	q.Target = dataset.TargetQuality{Name: "left", Positive: "1", Labels: map[string]int{"0": 150, "1": 150}}
	table := dataset.NewTable(schema)
	q.Sample = &dataset.Sample{Table: table, Use: dataset.AllRows(rows), All: rows}
	for i := range rows {
		row := dataset.Row{Positive: i%2 == 0}
		for _, of := range numbers {
			row.Values = append(row.Values, dataset.Value{Number: of[i%len(of)]})
		}
		table.Append(&row)
	}
	for j, of := range numbers {
		q.Columns = append(q.Columns, dataset.ColumnQuality{
			Name: fmt.Sprint("c", j), Type: dataset.Number, Min: &of[0], Median: &of[0], Max: &of[len(of)-1],
			Groups: []dataset.Group{{From: &of[0], To: &of[len(of)-1], Rows: rows, Rate: metric.Proportion(150, rows)}},
		})
	}
	return q
}

func profilePage(t *testing.T, q *dataset.Quality, notes ...string) string {
	t.Helper()
	page, err := ProfilePage(q, notes)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// Numbers at the ends of what is allowed, few or all the same, are drawn.
func TestHistograms(t *testing.T) {
	q := sample(t, "", []float64{-1e100, 0, 1e100}, []float64{1e-300, 2e-300}, []float64{1e17}, []float64{7.5},
		[]float64{0}, []float64{1e17, 1e17 + 64}, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1e50}, []float64{0.1, 0.2, 0.3})
	page := profilePage(t, q)
	for _, drawing := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		d := xml.NewDecoder(strings.NewReader(drawing))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, drawing)
			}
		}
		if bars := strings.Count(drawing, "var(--soft)"); bars == 0 || strings.Contains(drawing, "NaN") ||
			strings.Contains(drawing, "Inf") {
			t.Errorf("%d bars in %s", bars, drawing)
		}
	}
	if n := strings.Count(page, "<svg"); n != len(q.Columns) {
		t.Errorf("%d drawings of %d columns", n, len(q.Columns))
	}
}

// Whole numbers have bins of as many each, and one far away does not squeeze the others into one.
func TestBinsOfHistograms(t *testing.T) {
	var months, fees []float64
	for i := range 300 {
		months, fees = append(months, float64(i%73)), append(fees, float64(i)/7)
	}
	fees[150] = 1e9
	page := profilePage(t, sample(t, "", months, fees, []float64{0, 1, 2}))
	drawn := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	for j, want := range []int{19, 24, 3} { // bars of four months; of a 24th; of a number each
		if got := strings.Count(drawn[j], "fill:var(--soft)"); got != want {
			t.Errorf("column %d: %d bars, want %d", j, got, want)
		}
	}
}

func TestProfileOfDatesAndManyColumns(t *testing.T) {
	q := sample(t, `,"date":"dmy","as_of":"2025-03-01"`, []float64{0, 31})
	if page := profilePage(t, q, "c0: read as dates", "no column: "+hostile); !strings.Contains(page,
		`>29/01/2025</span> to <span class="range">01/03/2025<`) || !strings.Contains(page, `</span> read as dates</li>`) ||
		strings.Contains(page, "<script") || !strings.Contains(page, "</span> no column: &lt;/svg&gt;") {
		t.Error(page)
	}
	many := make([][]float64, 60)
	for j := range many {
		many[j] = []float64{1, 2}
	}
	page := profilePage(t, sample(t, "", many...))
	if n, rows := strings.Count(page, "<svg"), strings.Count(page, `<td class="text">number</td>`); n != 40 || rows != 60 {
		t.Errorf("%d columns are drawn and %d in the table", n, rows)
	}
}
