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
