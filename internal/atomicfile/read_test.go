//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestReadAcceptsRegularFilesOfLimitedSize(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	root, err := os.OpenRoot(dir)
	if err == nil {
		err = errors.Join(
			os.WriteFile(path("ten"), []byte("0123456789"), 0o644), os.WriteFile(path("empty"), nil, 0o644),
			os.WriteFile(path("huge"), nil, 0o644),
			os.Truncate(path("huge"), 10<<30), os.Mkdir(path("folder"), 0o755), syscall.Mkfifo(path("pipe"), 0o644),
			os.Symlink("ten", path("link")), os.Symlink("/dev/zero", path("zeros")),
			os.Symlink("pipe", path("link to pipe")), os.Symlink("loop", path("loop")))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	check := func(name string, limit int64, want, wantErr, wantErrIn string) {
		t.Helper()
		b, err := Read(path(name), limit)
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) ||
			string(b) != want {
			t.Errorf("Read(%s, %d) = %q, %v, want %q, %s", name, limit, b, err, want, wantErr)
		}
		if wantErrIn != "" {
			want = ""
		}
		b, err = ReadIn(root, name, limit)
		if (err == nil) != (wantErrIn == "") || err != nil && !strings.Contains(err.Error(), wantErrIn) ||
			string(b) != want {
			t.Errorf("ReadIn(%s, %d) = %q, %v, want %q, %s", name, limit, b, err, want, wantErrIn)
		}
	}
	const regular = "is not a regular file"
	check("ten", 10, "0123456789", "", "")
	check("ten", 9, "", "ten has 10 bytes, at most 9 are read", "ten has 10 bytes, at most 9 are read")
	check("empty", 0, "", "", "")
	check("huge", 1<<20, "", "huge has 10737418240 bytes", "huge has 10737418240 bytes")
	check("folder", 10, "", regular, regular)
	check("pipe", 10, "", regular, regular)
	check("link", 10, "0123456789", "", regular)
	check("zeros", 10, "", regular, regular)
	check("link to pipe", 10, "", regular, regular)
	check("loop", 10, "", "too many levels", regular)
	if _, err := Read(path("none"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read(none): %v", err)
	}
	if _, err := ReadIn(root, "../"+filepath.Base(dir)+"/ten", 10); err == nil {
		t.Error("ReadIn left its folder")
	}
}

// A file that grows while it is read, as a log does, is read up to the limit. Files of the
// kernel are such: their size is 0 and they have content.
func TestReadOfAFileThatIsLongerThanItsSize(t *testing.T) {
	const path = "/proc/self/maps"
	info, err := os.Stat(path)
	if err != nil || info.Size() != 0 {
		t.Skipf("no %s of size 0: %v", path, err)
	}
	if b, err := Read(path, 1<<20); err != nil || len(b) < 100 {
		t.Errorf("%d bytes of %s, %v", len(b), path, err)
	}
	if b, err := Read(path, 100); err == nil || !strings.Contains(err.Error(), "has more than 100 bytes") {
		t.Errorf("%d bytes of %s, %v, want an error", len(b), path, err)
	}
}

// What no writer made is no leftover: opening a pipe would block, and a folder is not removed.
func TestLeftoversAreRegularFiles(t *testing.T) {
	dir := t.TempDir()
	pipe, folder := filepath.Join(dir, ".pipe.tmp-A"), filepath.Join(dir, ".folder.tmp-B")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o644), os.Mkdir(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	removed := make(chan bool)
	go func() {
		RemoveLeftovers(dir)
		close(removed)
	}()
	select {
	case <-removed:
	case <-time.After(5 * time.Second):
		t.Fatal("RemoveLeftovers waits for a pipe")
	}
	if n := names(t, dir); n != 2 {
		t.Errorf("%d names in the folder, want 2", n)
	}
}
