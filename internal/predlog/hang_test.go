//go:build linux || darwin

package predlog

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"churn/internal/testing/need"
)

// soon is less than a deadline: what ends in it did not wait for one.
const soon = time.Second

// wantRefused verifies that an append ends in time, with a problem.
func wantRefused(t *testing.T, w *Writer, n int, within time.Duration, problem Problem) {
	t.Helper()
	start := time.Now()
	if err := appendRecord(w, n); !errors.Is(err, problem) || time.Since(start) > within {
		t.Errorf("an append ends after %v with %v, want %v within %v", time.Since(start), err, problem, within)
	}
}

// wantRecovery verifies that a writer takes records again, and has none of those it refused.
func wantRecovery(t *testing.T, w *Writer, path, want string, n int) {
	t.Helper()
	for start := time.Now(); w.Err() != nil; time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("the log is not written again: %v", w.Err())
		}
	}
	mustAppend(t, w, n)
	if got := content(t, path); got != want+line(n) {
		t.Errorf("the log has %q, want %q and the next record", got, want)
	}
}

func lockOf(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
}

// A process that was stopped while it had the lock.
func TestStoppedSiblingIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	child := exec.Command(os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), "PREDLOG_TEST_LOG="+path)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	w := newWriter(t, path)
	lock, err := os.OpenFile(lockOf(path), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for stopped := false; !stopped; {
		var status syscall.WaitStatus
		child.Process.Signal(syscall.SIGSTOP)
		if _, err := syscall.Wait4(child.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
			t.Fatalf("the child has not stopped: %v, %v", status, err)
		}
		free, err := lockFile(lock)
		if err != nil {
			t.Fatal(err)
		}
		if stopped = !free; free {
			err := errors.Join(unlockFile(lock), child.Process.Signal(syscall.SIGCONT))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	before := content(t, path)
	wantRefused(t, w, 1_000_000, 4*time.Second, problemLocked)
	wantRefused(t, w, 1_000_001, soon, problemLocked)
	if got := content(t, path); got != before {
		t.Errorf("the log has grown by %q", got[len(before):])
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	for start := time.Now(); w.Err() != nil && time.Since(start) < 20*time.Second; {
		time.Sleep(time.Millisecond)
	}
	mustAppend(t, w, 1_000_002)
	if got := content(t, path); !strings.HasSuffix(got, line(1_000_002)) || strings.Contains(got, line(1_000_000)) ||
		strings.Contains(got, line(1_000_001)) {
		t.Errorf("the log ends with %q, want the last record and none of those refused", last(got))
	}
}

// A lock that was removed or moved away with its folder is not waited for either.
func TestRemovedLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "predictions.log")
	w, other := newWriter(t, path), newWriter(t, path)
	mustAppend(t, w, 0)
	lock, err := os.OpenFile(lockOf(path), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for locked := false; !locked; { // a writer answers before it frees the lock
		if locked, err = lockFile(lock); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(lockOf(path)); err != nil {
		t.Fatal(err)
	}
	fill(t, 1, 1000, w, other)
	wantRecords(t, 1000, path)
}

// Who may only read the log cannot hold it up; who may write it can take turns.
func TestLockIsForWriters(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can run a program as another user")
	}
	flock := need.Program(t, "flock", "util-linux")
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	const team, nobody = 4711, 65534
	as := func(user, group uint32, args ...string) *exec.Cmd {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: group}}
		return cmd
	}
	path := filepath.Join(dir, "predictions.log")
	defer syscall.Umask(syscall.Umask(0o002))
	if err := errors.Join(os.Chown(dir, 0, team), os.Chmod(dir, 0o2775|os.ModeSetgid)); err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(path, Options{Mode: 0o664}) // who is not of the team may read it
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	mustAppend(t, w, 0)
	for _, write := range []string{": >> " + path, ": >> " + lockOf(path)} {
		if out, err := as(nobody, team, "sh", "-c", write).CombinedOutput(); err != nil {
			t.Errorf("a colleague of the group: %s: %v: %s", write, err, out)
		}
		if out, err := as(nobody, nobody, "sh", "-c", write).CombinedOutput(); err == nil {
			t.Errorf("a stranger: %s succeeds: %s", write, out)
		}
	}
	if out, err := as(nobody, nobody, flock, "-n", lockOf(path), "true").CombinedOutput(); err == nil {
		t.Errorf("a stranger has locked the lock: %s", out)
	}
	holder := as(nobody, nobody, flock, "-F", path, "-c", "echo locked; exec sleep 60")
	out, err := holder.StdoutPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Wait()
	defer holder.Process.Kill()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if mustAppend(t, w, 1); time.Since(start) > soon {
		t.Errorf("an append took %v while a stranger had locked the log", time.Since(start))
	}
}

// Who owns the log can copy its folder, and name all files in it: the lock is no log.
func TestLockIsReadByItsWriterAndIsNoLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	mustAppend(t, newWriter(t, path), 0)
	info, err := os.Stat(lockOf(path))
	if err != nil || info.Mode().Perm()&0o600 != 0o600 || info.Mode().Perm()&0o006 != 0 {
		t.Errorf("the lock's mode is %v, %v", info.Mode(), err)
	}
	if logs, err := Find("", []string{filepath.Join(filepath.Dir(path), "*")}); err != nil || len(logs) != 1 {
		t.Errorf("logs %v, %v", logs, err)
	}
}

// All names of a log have one lock.
func TestLinksShareALock(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "disk", "all.log"), filepath.Join(dir, "predictions.log")
	w := newWriter(t, path)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	fill(t, 0, 1000, w, newWriter(t, link))
	wantRecords(t, 1000, path)
	if _, err := os.Lstat(lockOf(link)); err == nil {
		t.Error("a link to a log has a lock of its own")
	}
}

// A log whose path becomes something else gets no record until a file is there again.
func TestIrregularLog(t *testing.T) {
	for name, place := range map[string]func(path string) error{
		"a FIFO":             func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"a link to a device": func(path string) error { return os.Symlink(os.DevNull, path) },
		"a link to a FIFO": func(path string) error {
			return errors.Join(syscall.Mkfifo(path+".fifo", 0o644), os.Symlink(path+".fifo", path))
		},
	} {
		path := filepath.Join(t.TempDir(), "predictions.log")
		w := newWriter(t, path)
		mustAppend(t, w, 0)
		if err := errors.Join(os.Remove(path), place(path)); err != nil {
			t.Fatal(err)
		}
		later(w)
		wantRefused(t, w, 1, soon, problemIrregular)
		if err := w.Err(); !errors.Is(err, problemIrregular) {
			t.Errorf("with %s in its place the log has the problem %v", name, err)
		}
		if other, err := NewWriter(path, Options{}); !errors.Is(err, problemIrregular) {
			t.Errorf("%s can be opened: %v", name, errors.Join(err, other.Close()))
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		wantRecovery(t, w, path, "", 2)
	}
}
