//go:build !windows

package predlog

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A match that is not a regular file is an error that names it, without blocking.
func TestIrregularFiles(t *testing.T) {
	for name, place := range map[string]func(path string) error{
		"a folder":      func(path string) error { return os.Mkdir(path, 0o755) },
		"a pipe":        func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"a loop":        func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"a broken link": func(path string) error { return os.Symlink("predictions-1.log.gone", path) },
	} {
		dir := folder(t, map[string]string{"logs/predictions.log": timedLine("a", 1)})
		if err := place(filepath.Join(dir, "logs", "predictions-1.log")); err != nil {
			t.Fatal(err)
		}
		logs, err := Find(dir, nil)
		if err == nil {
			_, _, err = readIDs(t.Context(), logs, 1, 0)
		}
		if err == nil || !strings.Contains(err.Error(), "predictions-1.log") {
			t.Errorf("with %s: %v", name, err)
		}
	}
}
