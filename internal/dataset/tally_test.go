package dataset

import (
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Merged tallies of parts of the rows are the tally of all rows.
func TestMergedTalliesAreTheTallyOfAllRows(t *testing.T) {
	s := people(t)
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(drawPerson), 1, 60).Draw(t, "rows")
		table := NewTable(s)
		for i := range rows[:rapid.IntRange(1, len(rows)).Draw(t, "reference")] { // some levels are unseen
			table.Append(&rows[i])
		}
		for j := range s.Features {
			ref := table.Summarize(j, AllRows(table.Rows()))
			whole, merged, piece := NewTally(&ref), NewTally(&ref), NewTally(&ref)
			for i := range rows {
				whole.Add(rows[i].Values[j])
				piece.Add(rows[i].Values[j])
				if rapid.Bool().Draw(t, "cut") {
					merged.Merge(piece)
					piece = NewTally(&ref)
				}
			}
			merged.Merge(piece)
			if merged.Rows != whole.Rows || merged.Missing != whole.Missing || merged.Unseen != whole.Unseen ||
				!near(merged.Mean, whole.Mean) ||
				!slices.Equal(merged.Counts, whole.Counts) || !maps.Equal(merged.Levels, whole.Levels) {
				t.Fatalf("merged %+v, want %+v", merged, whole)
			}
			again := NewTally(&ref)
			again.Merge(whole)
			if math.Float64bits(again.Mean) != math.Float64bits(whole.Mean) {
				t.Fatalf("merged into nothing the mean %v became %v", whole.Mean, again.Mean)
			}
		}
	})
}

// A mean far from zero keeps its digits over many merges: the rows are 1e9 and 1e9 + 1.
func TestMergeIsNumericallySound(t *testing.T) {
	ref := SummarizeNumbers([]float64{1e9, 1e9 + 1})
	all := NewTally(&ref)
	for i := range 1000 {
		part := NewTally(&ref)
		for k := range 100 + i {
			part.Add(Value{Number: 1e9 + float64(k%2)})
		}
		all.Merge(part)
	}
	sum := 0
	for i := range 1000 {
		sum += (100 + i) / 2
	}
	if want := 1e9 + float64(sum)/float64(all.Rows); math.Abs(all.Mean-want) > 1e-5 { // 84 units in the last place
		t.Errorf("the mean is %.9f, want %.9f", all.Mean, want)
	}
}

func BenchmarkTallyAdd(b *testing.B) {
	numbers := SummarizeNumbers([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	levels := Summary{Levels: map[string]int{"NA": 1, "EU": 1, "AF": 1, "AS": 1}, Rows: 4}
	run := func(name string, ref *Summary, values ...Value) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			t := NewTally(ref)
			for i := 0; b.Loop(); i++ {
				t.Add(values[i%len(values)])
			}
		})
	}
	run("number", &numbers, Value{Number: 7.5}, Value{Number: 0}, Value{Number: 3.1}, Value{Number: 99}, Value{Number: 5})
	run("level", &levels, Value{Text: "EU", Level: true}, Value{Text: "NA", Level: true}, Value{Text: "AS", Level: true})
}
