package filedata_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/filedata"
)

// table reads files with a number and the target as one table.
func table(t *testing.T, paths ...string) (*dataset.Table, error) {
	t.Helper()
	f, err := filedata.OpenAll(t.Context(), paths, filedata.Options{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	source, err := f.Read("")
	if err != nil {
		return nil, err
	}
	s, err := dataset.ParseSchema([]byte(`{"format":1,"target":{"name":"churn","positive":"1"},
		"features":[{"name":"x","type":"number"}],"ignore":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	return csvdata.ReadTable(t.Context(), source, s, dataset.Limits{})
}

// An issue names the file and the line of its row, whether or not the last line of a file has an end.
func TestLinesOfSeveralFiles(t *testing.T) {
	for _, end := range []string{"", "\n", "\r\n", "\n\n"} {
		good, last := write(t, "good.csv", "x,churn\n1,0\n2,1"+end), write(t, "last.csv", "x,churn\n1,0\nbad,1"+end)
		first := write(t, "first.csv", "\n\nx,churn\nbad,0\n2,1"+end)
		for _, bad := range []string{last + ":3", first + ":4"} {
			path, _, _ := strings.Cut(bad, ":")
			for _, files := range [][]string{{path}, {path, good}, {good, path}} {
				_, err := table(t, files...)
				if want := bad + `: x: "bad" is not a number`; err == nil || err.Error() != want {
					t.Errorf("%q, ending with %q: %v, want %s", files, end, err, want)
				}
			}
		}
	}
}

// A quote in the header that is not closed is found soon, however many lines there are.
func TestHeadersOfSeveralFiles(t *testing.T) {
	rows := strings.Repeat("1,0\n", 1_000_000)
	begun := time.Now()
	_, err := table(t, write(t, "a.csv", "x,churn\n1,0\n2,1\n"), write(t, "b.csv", "\"x,churn\n"+rows))
	const want = "its header is not CSV: is there a quote that is not closed?"
	if took := time.Since(begun); err == nil || !strings.Contains(err.Error(), want) || took > 10*time.Second {
		t.Errorf("%v after %v, want %s", err, took, want)
	}
}
