package filedata_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/filedata"
	"churn/internal/testing/need"
)

// parquetFiles returns a folder of Parquet files, written by pyarrow.
func parquetFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	python := need.Python(t, "numpy, pyarrow")
	if out, err := exec.Command(python, "testdata/parquet.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// text returns all that is read from a file.
func text(t *testing.T, path string, o filedata.Options) (string, error) {
	t.Helper()
	f, err := filedata.Open(t.Context(), path, o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	source, err := f.Read("")
	if err != nil {
		return "", err
	}
	all, err := io.ReadAll(source.Reader)
	return string(all), err
}

// Each cell of a Parquet file is what pyarrow wrote: booleans of any encoding, runs and gaps, and
// types that have no text of their own.
func TestCellsOfParquet(t *testing.T) {
	dir := parquetFiles(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil || len(files) < 70 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		want, err := os.ReadFile(strings.TrimSuffix(path, ".parquet") + ".csv")
		if err != nil {
			t.Fatal(err)
		}
		got, err := text(t, path, filedata.Options{})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
			continue
		}
		a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		if len(a) != len(b) {
			t.Errorf("%s: %d lines, want %d", filepath.Base(path), len(a), len(b))
		}
		for i := range min(len(a), len(b)) {
			if strings.Trim(a[i], `"`) != strings.Trim(b[i], `"`) {
				t.Errorf("%s:%d: %s, want %s", filepath.Base(path), i+1, a[i], b[i])
				break
			}
		}
	}
}

// A column that cannot be read does not block the file if it is ignored, by name or by place.
func TestIgnoredColumnsOfParquet(t *testing.T) {
	dir := parquetFiles(t)
	for _, name := range []string{"list", "struct", "map", "uuid"} {
		path := filepath.Join(dir, name+".unread")
		_, err := text(t, path, filedata.Options{Ignore: []string{"left", "#3"}})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the column %q ", name)) ||
			!strings.Contains(err.Error(), "in prepare with --ignore "+name) {
			t.Errorf("%s: %v", name, err)
		}
		for _, ignore := range []string{name, "#2"} {
			got, err := text(t, path, filedata.Options{Ignore: []string{ignore}})
			want := "age," + name + ",left\n0,,yes\n1,,no\n2,,yes\n3,,no\n4,,yes\n5,,no\n"
			if err != nil || got != want {
				t.Errorf("%s without %s: %v, %q", name, ignore, err, got)
			}
		}
	}
}
