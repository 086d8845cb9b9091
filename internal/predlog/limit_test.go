//go:build linux || darwin

package predlog

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A partial write leaves nothing behind. The child has a limit on the size of its files, which
// acts like a full disk.
func TestPartialWriteIsUndone(t *testing.T) {
	if path := os.Getenv("PREDLOG_TEST_LIMITED"); path != "" {
		writeUntilFull(t, path)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestPartialWriteIsUndone$")
	child.Env = append(os.Environ(), "PREDLOG_TEST_LIMITED="+filepath.Join(t.TempDir(), "predictions.log"))
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func writeUntilFull(t *testing.T, path string) {
	const limit = 10_000
	var was syscall.Rlimit
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Skip(err)
	}
	small := was
	small.Cur = limit
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Skip(err)
	}
	w := newWriter(t, path)
	var mu sync.Mutex
	var written []int
	failed := 0
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			for i := range 20 {
				err := appendRecord(w, 20*g+i)
				mu.Lock()
				if err == nil {
					written = append(written, 20*g+i)
				} else if failed++; !errors.Is(err, syscall.EFBIG) {
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	got, found := readAll(t, path, 0)
	slices.Sort(got)
	slices.Sort(written)
	if failed == 0 || !slices.Equal(got, written) || found.Malformed > 0 || found.Truncated ||
		!strings.HasSuffix(content(t, path), "\n") {
		t.Errorf("%d records in the file, %+v, want the %d that were answered, %d were not", len(got), found,
			len(written), failed)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, w, 999) // the disk is not full any more
	if got, _ := readAll(t, path, 1); !slices.Equal(got, []int{999}) {
		t.Errorf("the last record is %v, want 999", got)
	}
}
