package datacheck_test

import (
	"fmt"
	"io"
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
		rows, positives := 0, 0
		for _, g := range c.Groups {
			rows, positives = rows+g.Rows, positives+g.Positives
			if got := float64(g.Positives) / float64(g.Rows); got != g.Rate.Value ||
				g.Rate.Interval[0] > got || g.Rate.Interval[1] < got {
				t.Errorf("%s: the group %+v", c.Name, g)
			}
		}
		if rows != q.Profiled || positives != q.Target.Labels["yes"] {
			t.Errorf("%s: %d rows in groups, %d positive; of %d and %v", c.Name, rows, positives, q.Profiled, q.Target.Labels)
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
	if len(spike) != 6 || *spike[0].To != 0 || spike[0].Rows != 600 {
		t.Errorf("spike: %+v", spike)
	}
	for _, g := range spike[1:] {
		if g.Rows < 64 || g.Rows > 84 {
			t.Errorf("spike: a group of %d rows", g.Rows)
		}
	}
	// Missing cells are the last group.
	wide := p["wide"]
	if last := wide.Groups[len(wide.Groups)-1]; !last.Missing || last.Rows != 19 || len(wide.Groups) != 13 {
		t.Errorf("wide: %+v", wide.Groups)
	}
	levels := p["level"].Groups
	if last := levels[len(levels)-1]; len(levels) != 13 || levels[0].Level != "level 0" || last.Others != 25 {
		t.Errorf("level: %+v", levels)
	}
	if same := p["same"].Groups; len(same) != 1 || *same[0].From != 5 || *same[0].To != 5 || same[0].Rows != 1000 {
		t.Errorf("same: %+v", same)
	}
}
