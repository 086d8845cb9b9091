package csvdata

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"churn/internal/dataset"
)

// Numbers that become too many for codes, wherever in a chunk that is, are those of the sampled rows; so they are
// where later chunks have no rows that are kept.
func TestSampleOfHighCardinality(t *testing.T) {
	s := parse(t, schemaOf(`{"name":"x","type":"number"}`))
	for begin := range 8 {
		var text strings.Builder
		text.WriteString("x,churn\n")
		const equal, rows = sampleRows, sampleRows + dataset.MaxCodedValues + 1000
		for i := range rows {
			fmt.Fprintf(&text, "%d,%d\n", max(i, equal+begin), i%2)
		}
		text.WriteString(strings.Repeat("1,\n", 1000))
		sc := newScanner(s, "x.csv", dataset.Limits{DropOpen: true})
		sc.chunkSize = 20 // bytes: two rows or three
		q, _, err := sc.clean(t.Context(), Source{Reader: strings.NewReader(text.String()), Size: 1}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range q.Sample.Lines {
			if want := float64(max(line-2, equal+begin)); q.Sample.Value(i, 0).Number != want {
				t.Fatalf("line %d has %v, want %v", line, q.Sample.Value(i, 0), want)
			}
		}
	}
}

// The times of the sample are those of its rows, and are written without the white space around them.
func TestTimesOfASample(t *testing.T) {
	s := parse(t, schemaOf(`{"name":"x","type":"number"}`))
	var text strings.Builder
	text.WriteString("x,churn,id\n")
	for i := range 3 * sampleRows {
		fmt.Fprintf(&text, "1,%d, %d\n", i%2, i)
	}
	var out strings.Builder
	q, _, err := Clean(t.Context(), Source{Reader: strings.NewReader(text.String()), File: "x.csv"}, nil, s,
		dataset.Limits{Time: "id"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), strings.ReplaceAll(text.String(), " ", ""); got != want {
		t.Errorf("%.40q, want %.40q", got, want)
	}
	for i, line := range q.Sample.Lines {
		if at := q.Sample.Times[i]; len(q.Sample.Times) != q.Sample.Rows() || at != float64(line-2) {
			t.Fatalf("%d times of %d rows, in line %d %v", len(q.Sample.Times), q.Sample.Rows(), line, at)
		}
	}
}
