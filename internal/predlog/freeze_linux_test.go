package predlog

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"churn/internal/testing/need"
)

// A disk that is frozen, as for a snapshot: a write to it does not return until it thaws.
func TestFrozenDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can freeze a disk")
	}
	mkfs, fsfreeze := need.Program(t, "mkfs.ext4", "e2fsprogs"), need.Program(t, "fsfreeze", "util-linux")
	dir := t.TempDir()
	image, disk := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	run("truncate", "-s", "20M", image)
	run(mkfs, "-q", image)
	run("mkdir", disk)
	if out, err := exec.Command("mount", "-o", "loop", image, disk).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: an image cannot be mounted here: %v: %s", err, out)
	}
	defer run("umount", disk)
	frozen := false
	freeze := func() { run(fsfreeze, "-f", disk); frozen = true }
	thaw := func() {
		if frozen {
			run(fsfreeze, "-u", disk)
		}
		frozen = false
	}
	defer thaw()

	path := filepath.Join(disk, "predictions.log")
	w, err := NewWriter(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, w, 0)
	freeze()
	var wait sync.WaitGroup
	for i := range 8 { // some in the batch that hangs, others in the next
		wait.Go(func() { wantRefused(t, w, 1+i, 4*time.Second, problemHung) })
	}
	wait.Wait()
	wantRefused(t, w, 9, soon, problemHung)
	start := time.Now()
	if err := w.Err(); err == nil || time.Since(start) > soon {
		t.Errorf("after %v the log has the problem %v", time.Since(start), err)
	}
	thaw()
	wantRecovery(t, w, path, line(0), 10)

	freeze()
	wait.Go(func() { wantRefused(t, w, 11, 4*time.Second, problemHung) })
	for busy := false; !busy; { // until the record is on its way
		w.mu.Lock()
		busy = w.busy
		w.mu.Unlock()
	}
	start = time.Now()
	if err := w.Close(); err == nil || time.Since(start) > CloseTimeout+soon {
		t.Errorf("while a write hangs Close returns after %v with %v", time.Since(start), err)
	}
	wait.Wait()
	thaw()
	<-w.idle
	if got := content(t, path); got != line(0)+line(10) {
		t.Errorf("the log has %q, want only what was answered", got)
	}
	if err := w.release(); err != nil {
		t.Error(err)
	}
}
