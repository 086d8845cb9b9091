package predlog

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// timedLine returns a record with an id and a time.
func timedLine(id string, ts float64) string {
	r := Record{RequestID: id, ModelVersion: "m.json", TS: ts, Features: []Feature{{"x", number(1)}}}
	return string(r.Append(nil)) + "\n"
}

// readIDs returns the ids of the last n records of logs, read in chunks of a size.
func readIDs(ctx context.Context, logs Logs, n, chunk int) (ids []string, found Found, err error) {
	found, err = Fold[*[]string]{
		New:       func() *[]string { return new([]string) },
		Add:       func(part *[]string, r *Record) { *part = append(*part, r.RequestID) },
		Merge:     func(part *[]string) error { ids = append(ids, *part...); return nil },
		IDs:       true,
		chunkSize: chunk,
	}.Read(ctx, logs, n)
	return ids, found, err
}

// entry is a record in the naive order: by time, then log, then line.
type entry struct {
	id       string
	time     float64
	log, row int
}

func sortEntries(all []entry) {
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.time, b.time), a.log-b.log, a.row-b.row)
	})
}

// Several logs, of several files each and with other lines in between, are read as if all
// records were sorted.
func TestLogsAreReadInOrderOfTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "logs")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		// With disorder clocks go back; without it both directions of reading agree.
		disorder := rapid.Bool().Draw(t, "disorder")
		var logs Logs
		var forth, back []entry // all records, with the times that count forwards and backwards
		var rows [][]string     // the ids in each log
		bad, truncated := 0, false
		for k := range rapid.IntRange(1, 4).Draw(t, "logs") {
			path := filepath.Join(dir, fmt.Sprintf("predictions-%d.log", k))
			logs = append(logs, path)
			var times []float64
			var names []string
			now := float64(rapid.IntRange(1, 20).Draw(t, "begin"))
			files := rapid.IntRange(1, 3).Draw(t, "files")
			for file := files - 1; file >= 0; file-- { // the oldest first
				var b strings.Builder
				for range rapid.IntRange(0, 8).Draw(t, "lines") {
					switch rapid.SampledFrom([]string{"record", "record", "record", "wide", "foreign", "bad",
						"blank"}).Draw(t, "kind") {
					case "record", "wide", "foreign":
						now += float64(rapid.IntRange(0, 3).Draw(t, "step"))
						if disorder {
							now = max(1, now-float64(rapid.IntRange(0, 6).Draw(t, "back")))
						}
						id := fmt.Sprintf("%d-%d-", k, len(names))
						if rapid.IntRange(0, 9).Draw(t, "wide") == 0 {
							id += strings.Repeat("x", rapid.IntRange(0, 900).Draw(t, "x"))
						}
						text := timedLine(id, now)
						if rapid.Bool().Draw(t, "lab") { // another program's fields in its order, and another one
							text = fmt.Sprintf(`{"ts": %g, "extra":[{"ts":1}], "features": {"x": 1, "ts": 3},`+
								` "probability": 0.5, "prediction": 1, "model_version": "m", "request_id": %q}`+"\r\n", now, id)
						}
						b.WriteString(text)
						names, times = append(names, id), append(times, now)
					case "bad":
						b.WriteString("{\"model_version\":1,\"ts\":99}\n")
						bad++
					case "blank":
						b.WriteString(" \n")
					}
				}
				text := b.String()
				switch rapid.SampledFrom([]string{"complete", "complete", "half", "no end"}).Draw(t, "end") {
				case "half":
					text += `{"request_id":"half`
					if file > 0 {
						bad++
					} else {
						truncated = true
					}
				case "no end":
					if strings.HasSuffix(text, "}\n") {
						text = text[:len(text)-1]
						if strings.HasSuffix(text, `"ts":99}`) {
							bad--
							if truncated = truncated || file == 0; file > 0 {
								bad++
							}
						}
					}
				}
				name := path
				if file > 0 {
					name += "." + strconv.Itoa(file)
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			rows = append(rows, names)
			latest, least := math.Inf(-1), math.Inf(1)
			for i, ts := range times {
				latest = max(latest, ts)
				forth = append(forth, entry{names[i], latest, k, i})
			}
			for i, ts := range slices.Backward(times) {
				least = min(least, ts)
				back = append(back, entry{names[i], least, k, i})
			}
		}
		sortEntries(forth)
		sortEntries(back)

		n := rapid.SampledFrom([]int{0, 1, 2, 5, 10, len(forth), len(forth) + 1, 1000}).Draw(t, "n")
		wanted := map[string]bool{}
		for _, e := range back[max(0, len(back)-cmp.Or(n, len(back))):] {
			wanted[e.id] = true
		}
		var want []string
		for _, e := range forth {
			if wanted[e.id] {
				want = append(want, e.id)
			}
		}
		chunk := rapid.IntRange(1, 2000).Draw(t, "chunk")
		got, found, err := readIDs(context.Background(), logs, n, chunk)
		if err != nil {
			t.Fatal(err)
		}
		if !disorder || n == 0 {
			if !slices.Equal(got, want) {
				t.Fatalf("the last %d of %v\nare  %v\nwant %v", n, rows, got, want)
			}
		} else { // the wanted records, each log in its own order
			for k := range logs {
				of := func(ids []string) []string {
					return slices.DeleteFunc(slices.Clone(ids),
						func(id string) bool { return !strings.HasPrefix(id, fmt.Sprint(k, "-")) })
				}
				if !slices.Equal(of(got), of(want)) {
					t.Fatalf("the last %d of %v\nhave %v of log %d\nwant %v", n, rows, of(got), k, of(want))
				}
			}
		}
		if found.Records != len(want) {
			t.Fatalf("found %+v, want %d records", found, len(want))
		}
		if n == 0 && (found.Malformed != bad || found.Truncated != truncated) {
			t.Fatalf("found %+v, want %d malformed lines, truncated %v", found, bad, truncated)
		}
	})
}

// The memory is independent of the logs' length, however their records alternate.
func TestMergeKeepsFewChunks(t *testing.T) {
	dir := t.TempDir()
	var logs Logs
	var size int64
	const each = 60_000
	for k := range 3 {
		var b strings.Builder
		for i := range each {
			b.WriteString(timedLine(strings.Repeat("x", 150), float64(3*i+k+1)))
		}
		path := filepath.Join(dir, fmt.Sprintf("predictions-%d.log", k))
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		logs, size = append(logs, path), size+int64(b.Len())
	}
	most := uint64(2*min(runtime.GOMAXPROCS(0), maxWorkers)+6)*chunkBytes + 3*streamBytes
	if uint64(size) < 2*most {
		t.Fatalf("%d bytes are too few for this test", size)
	}
	before := allocated()
	records, last := 0, int64(0)
	_, err := Fold[*int]{
		New: func() *int { return new(int) }, Add: func(n *int, _ *Record) { *n++ },
		Merge:    func(n *int) error { records += *n; return nil },
		Progress: func(bytes int64) { last = bytes },
	}.Read(t.Context(), logs, 0)
	if used := allocated() - before; err != nil || records != 3*each || used > most {
		t.Errorf("%d records allocated %d bytes, %v, want at most %d", records, used, err, most)
	}
	if last != size {
		t.Errorf("progress ends at %d of %d", last, size)
	}
}
