//go:build unix

package registry

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe or a device in place of a file is rejected at once: opening or reading it could block.
func TestPipesAndDevicesAreNotRead(t *testing.T) {
	pipe := func(path string) error { return syscall.Mkfifo(path, 0o644) }
	zeros := func(path string) error { return os.Symlink("/dev/zero", path) } // endless
	read := map[string]func(*Registry) error{
		CurrentFile:  func(r *Registry) error { _, err := r.Current(); return err },
		MetadataFile: func(r *Registry) error { _, err := r.Entries(); return err },
	}
	for file, read := range read {
		for what, put := range map[string]func(string) error{"a pipe": pipe, "a device": zeros} {
			dir, _ := threeModels(t)
			path := filepath.Join(dir, file)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- read(open(dir)) }()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), file+" is not a regular file") {
					t.Errorf("%s in place of %s: %v", what, file, err)
				}
			case <-time.After(10 * time.Second):
				t.Errorf("%s in place of %s: it blocks", what, file)
			}
		}
	}
}
