package datacheck_test

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"churn/internal/csvdata"
	"churn/internal/datacheck"
	"churn/internal/dataset"
)

// profiled returns the profile of a file with the target left.
func profiled(t *testing.T, file string) map[string]dataset.ColumnQuality {
	t.Helper()
	source := func() csvdata.Source { return csvdata.Source{Reader: strings.NewReader(file), File: "x.csv"} }
	schema, _, err := csvdata.Infer(t.Context(), source(), csvdata.Inference{Target: left})
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := csvdata.Clean(t.Context(), source(), nil, schema, dataset.Limits{MaxMissing: 1}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	datacheck.Profile(q)
	out := map[string]dataset.ColumnQuality{}
	for _, c := range q.Columns {
		out[c.Name] = c
		rows, positives, drawn := 0, 0, 0
		for _, g := range c.Groups {
			rows, positives = rows+g.Rows, positives+g.Positives
			if got := float64(g.Positives) / float64(g.Rows); got != g.Rate.Value ||
				g.Rate.Interval[0] > got || g.Rate.Interval[1] < got {
				t.Errorf("%s: the group %+v", c.Name, g)
			}
		}
		for _, b := range c.Histogram {
			drawn += b.Rows
			if b.From >= b.To {
				t.Errorf("%s: the bin %+v", c.Name, b)
			}
		}
		if rows != q.Profiled || positives != q.Target.Labels["yes"] || drawn > rows {
			t.Errorf("%s: %d rows in groups, %d positive, %d drawn; of %d and %v", c.Name, rows, positives, drawn,
				q.Profiled, q.Target.Labels)
		}
	}
	return out
}

func TestProfile(t *testing.T) {
	var b strings.Builder
	b.WriteString("few,spike,wide,level,same,left\n")
	for i := range 1000 {
		spike, wide := 0, fmt.Sprint(float64(i)/7)
		if i%10 > 5 {
			spike = i
		}
		switch {
		case i == 500:
			wide = "1e100"
		case i%50 == 0:
			wide = ""
		}
		fmt.Fprintf(&b, "%d,%d,%s,level %d,5,%s\n", i%3, spike, wide, i%37*(i%2), []string{"no", "yes", "no"}[i%3])
	}
	p := profiled(t, b.String())

	few := p["few"].Groups
	if len(few) != 3 || few[1].Rate.Value != 1 || few[0].Positives+few[2].Positives != 0 || *few[2].From != 2 {
		t.Errorf("few: %+v", few)
	}
	// Numbers that many rows have are a group by themselves, and the others share the rest evenly.
	spike := p["spike"].Groups
	if len(spike) != 5 || *spike[0].To != 0 || spike[0].Rows != 600 {
		t.Errorf("spike: %+v", spike)
	}
	for _, g := range spike[1:] {
		if g.Rows < 90 || g.Rows > 110 {
			t.Errorf("spike: a group of %d rows", g.Rows)
		}
	}
	// One number far away does not squeeze all others into one bin; missing cells are the last group.
	wide := p["wide"]
	if last := wide.Groups[len(wide.Groups)-1]; !last.Missing || last.Rows != 19 || len(wide.Groups) != 11 {
		t.Errorf("wide: %+v", wide.Groups)
	}
	if h := wide.Histogram; len(h) != 24 || h[23].To > 150 || math.Abs(float64(h[3].Rows)-41) > 4 {
		t.Errorf("wide: %+v", h)
	}
	levels := p["level"].Groups
	if last := levels[len(levels)-1]; len(levels) != 13 || levels[0].Level != "level 0" || last.Others != 25 {
		t.Errorf("level: %+v", levels)
	}
	if same := p["same"]; len(same.Groups) != 1 || len(same.Histogram) != 1 || same.Histogram[0].Rows != 1000 {
		t.Errorf("same: %+v", same)
	}
	few2 := p["few"].Histogram
	if len(few2) != 3 || few2[0].From != -0.5 || few2[2].Rows != 333 {
		t.Errorf("few: %+v", few2)
	}
}

// Numbers at the ends of what is allowed, and columns without any value.
func TestProfileOfExtremes(t *testing.T) {
	for _, cells := range [][]string{
		{"1e100", "-1e100", "0"}, {"1e-300", "2e-300", "0"}, {"9007199254740993", "9007199254740994", "1e17"},
		{"7.5", "7.5", "7.5"}, {"-3", "", ""}, {"1e17", "1e17", "1e17"},
	} {
		var b strings.Builder
		b.WriteString("x,y,left\n")
		for i := range 60 {
			fmt.Fprintf(&b, "%s,%d,%s\n", cells[i%3], i, []string{"no", "yes"}[i%2])
		}
		p := profiled(t, b.String())
		drawn := 0
		for _, bin := range p["x"].Histogram {
			drawn += bin.Rows
		}
		if drawn != p["x"].Present {
			t.Errorf("%q: %d of %d rows are drawn: %+v", cells, drawn, p["x"].Present, p["x"].Histogram)
		}
	}
}
