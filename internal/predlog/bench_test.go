package predlog

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// labLine returns a record of the reference lab's features, with its line end.
func labLine(n int) []byte {
	r := Record{RequestID: fmt.Sprintf("Y2EIVSKDXCAKFARQR4FR%06d", n),
		ModelVersion: "churn_model_v1_20261122_193000.json", Prediction: n % 2,
		Probability: float64(n%1000) / 1000, LatencyMS: float64(n%300) / 1000, TS: 1795375800.123 + float64(n),
		Threshold: 0.47162381903,
		Features: []Feature{
			{"tenure_months", number(float64(n % 60))}, {"num_complaints", number(float64(n % 4))},
			{"avg_session_minutes", number(float64(n%1000) / 10)},
			{"plan_type", level([]string{"basic", "premium"}[n%2])},
			{"region", level([]string{"NA", "EU", "AF", "AS"}[n%4])},
		}}
	return append(r.Append(nil), '\n')
}

// labLog writes a log of such records and returns its path and size.
func labLog(b *testing.B, records int) (path string, size int64) {
	b.Helper()
	var text []byte
	for i := range records {
		text = append(text, labLine(i)...)
	}
	path = filepath.Join(b.TempDir(), "predictions.log")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		b.Fatal(err)
	}
	return path, int64(len(text))
}

func BenchmarkParse(b *testing.B) {
	lines := [][]byte{labLine(1), labLine(2), labLine(3), labLine(4)}
	var p parser
	for name, parse := range map[string]func([]byte) (*Record, error){"any": Parse, "fast": p.parse} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(lines[0])))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := parse(lines[i%len(lines)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	path, size := labLog(b, 100_000)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(b.Context(), Logs{path}, 0, func(*Record) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFold(b *testing.B) {
	path, size := labLog(b, 100_000)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if found, _, err := foldTimes(b.Context(), path, 0, 0); err != nil || found.Records != 100_000 {
			b.Fatal(found, err)
		}
	}
}

// BenchmarkTail: the cost of the last records is independent of the logs' length.
func BenchmarkTail(b *testing.B) {
	var logs Logs
	for k := range 3 {
		var text []byte
		for i := range 1000 {
			text = append(text, labLine(3*i+k)...)
		}
		path := filepath.Join(b.TempDir(), fmt.Sprintf("predictions-%d.log", k))
		f, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(append([]byte{'\n'}, text...), 10<<30); err != nil { // a sparse file
			b.Fatal(err)
		}
		logs = append(logs, path)
	}
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ids, _, err := readIDs(b.Context(), logs[:n], 200, 0); err != nil || len(ids) != 200 {
					b.Fatal(len(ids), err)
				}
			}
		})
	}
}

// BenchmarkFoldOfThree merges three logs.
func BenchmarkFoldOfThree(b *testing.B) {
	var logs Logs
	var size int64
	for range 3 {
		path, bytes := labLog(b, 33_333)
		logs = append(logs, path)
		size += bytes
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		records := 0
		_, err := Fold[*int]{
			New: func() *int { return new(int) }, Add: func(n *int, _ *Record) { *n++ },
			Merge: func(n *int) error { records += *n; return nil },
		}.Read(b.Context(), logs, 0)
		if err != nil || records != 99_999 {
			b.Fatal(records, err)
		}
	}
}
