package atomicfile

import (
	"os"
	"path/filepath"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestOldContentUntilCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "file")
	if err := Write(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("new")
	if got := read(t, path); got != "old" {
		t.Errorf("before Commit: %q, want the old content", got)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Abort() // does nothing now
	if got := read(t, path); got != "new" {
		t.Errorf("after Commit: %q, want the new content", got)
	}
	if n := names(t, filepath.Dir(path)); n != 1 {
		t.Errorf("%d names in the folder, want 1", n)
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("half")
	f.Abort()
	if n := names(t, filepath.Dir(path)); n != 0 {
		t.Errorf("%d names in the folder, want none", n)
	}
	if err := f.Commit(); err == nil {
		t.Error("Commit after Abort succeeded")
	}
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	dead := filepath.Join(dir, ".file.tmp-AAAA")
	other := filepath.Join(dir, ".other.tmp-BBBB")
	for _, name := range []string{dead, other} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Abort()
	if _, err := os.Stat(dead); err == nil {
		t.Error("the leftover of a killed writer is still there")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("a file of another name was removed")
	}
	if err := alive.Commit(); err != nil {
		t.Errorf("the file of a running writer was removed as a leftover: %v", err)
	}
}

func TestOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := Create(dir, 0o644); err == nil {
		t.Error("a folder was accepted")
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("elsewhere", link); err != nil {
		t.Skip(err)
	}
	if _, err := Create(link, 0o644); err == nil {
		t.Error("a symbolic link was accepted")
	}
}
