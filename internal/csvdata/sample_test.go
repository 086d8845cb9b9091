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
