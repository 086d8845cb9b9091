//go:build unix

package filedata_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"churn/internal/filedata"
	"churn/internal/testing/need"
)

// A pipe is read once, and what needs the whole file reads its copy.
func TestFormsThroughAPipe(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command(need.Python(t, "pandas, openpyxl, pyarrow, zstandard"), "testdata/formats.py", dir).
		CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"french-1252.csv", "packed.csv.gz", "book.xlsx", "table.parquet"} {
		want, _, err := prepare(t, filepath.Join(dir, name), filedata.Options{})
		if err != nil {
			t.Fatal(err)
		}
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := unix.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		fed := make(chan error, 1)
		go func() {
			text, err := os.ReadFile(filepath.Join(dir, name))
			fed <- errors.Join(err, os.WriteFile(pipe, text, 0))
		}()
		if got, _, err := prepare(t, pipe, filedata.Options{}); err != nil || got != want {
			t.Errorf("%s: %v, %d bytes, want %d", name, err, len(got), len(want))
		}
		if err := <-fed; err != nil {
			t.Error(err)
		}
	}
}
