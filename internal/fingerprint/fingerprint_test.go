package fingerprint

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"churn/internal/dataset"
)

// customers has as many rows as there are ids, each a customer of its own, in a given order.
func customers(ids []int, names ...string) *dataset.Table {
	s := &dataset.Schema{}
	for _, name := range names {
		kind := dataset.Number
		if name == "plan" {
			kind = dataset.Category
		}
		s.Features = append(s.Features, dataset.Feature{Name: name, Type: kind})
	}
	t := dataset.NewTable(s)
	for _, id := range ids {
		row := dataset.Row{Positive: id%3 == 0}
		for _, name := range names {
			v := dataset.Value{Number: float64(id) / 7}
			switch name {
			case "plan":
				v = dataset.Value{Text: []string{"basic", "plus", "pro"}[id%3], Level: true, Missing: id%11 == 0}
			case "small":
				v = dataset.Value{Number: float64(id % 5)}
			}
			row.Values = append(row.Values, v)
		}
		t.Append(&row)
	}
	return t
}

func hashes(t *dataset.Table) []uint64 { return Hashes(t, t.Schema, dataset.AllRows(t.Rows())) }

// The order of rows and of columns and how a column is stored do not matter.
func TestHashesAreOfTheCells(t *testing.T) {
	ids := rand.New(rand.NewPCG(1, 2)).Perm(40_000) // too many numbers for codes, and several blocks
	many := hashes(customers(ids, "id", "plan", "small"))
	few := hashes(customers([]int{7, 11, 21}, "small", "id", "plan"))
	for k, id := range []int{7, 11, 21} {
		if got := many[slices.Index(ids, id)]; got != few[k] {
			t.Errorf("customer %d: %x among many, %x among few", id, got, few[k])
		}
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(many)))); n != len(ids) {
		t.Errorf("%d hashes of %d customers", n, len(ids))
	}
	if want := uint64(0x4864ac53fd744859); few[0] != want {
		t.Errorf("customer 7: %#x, documents have %#x", few[0], want)
	}
	of := customers([]int{7, 11, 21}, "plan", "small")
	row := []int32{int32(slices.Index(ids, 11))}
	if got := Hashes(customers(ids, "id", "plan", "small"), of.Schema, row); got[0] != hashes(of)[1] {
		t.Error("the hash by fewer features is that of a table with more")
	}
	zero := customers([]int{0, 0}, "id")
	zero.Columns[0] = dataset.Column{Numbers: []float64{0, math.Copysign(0, -1)}}
	if h := hashes(zero); h[0] != h[1] {
		t.Error("−0 is not 0")
	}
}

func TestOverlapEstimatesTheShare(t *testing.T) {
	const rows = 20_000
	fitted := Of(hashes(customers(from(0, rows), "id")))
	for _, share := range []float64{0, 0.05, 0.5, 1} {
		equal, compared := Overlap(fitted, hashes(customers(from(int(rows*(1-share)), rows), "id")))
		got := float64(equal) / float64(compared)
		if off := 4 * math.Sqrt(share*(1-share)/size); compared < size*3/4 || math.Abs(got-share) > off {
			t.Errorf("%d of %d compared rows, want a share of %v±%.3f", equal, compared, share, off)
		}
	}
	all := hashes(customers(from(0, 100), "small")) // few different rows: all are compared
	if equal, compared := Overlap(Of(all), all[:60]); equal != 60 || compared != 60 {
		t.Errorf("%d of %d rows, want 60 of 60", equal, compared)
	}
	for _, broken := range [][]byte{nil, {}, {1, 2, 3}, make([]byte, 13)} {
		if equal, _ := Overlap(broken, all); equal != 0 || Of(nil) != nil {
			t.Errorf("%d rows equal those of % x", equal, broken)
		}
	}
}

// from returns n numbers, from the first.
func from(first, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = first + i
	}
	return out
}

func BenchmarkHashes(b *testing.B) {
	t := customers(from(0, 1_000_000), "small", "small2", "plan", "id", "id2")
	rows := dataset.AllRows(t.Rows())
	for b.Loop() {
		Of(Hashes(t, t.Schema, rows))
	}
}
