package predlog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// later makes the writer check its path again, as it does every millisecond.
func later(w *Writer) {
	for busy := true; busy; runtime.Gosched() {
		w.mu.Lock()
		busy = w.busy
		w.mu.Unlock()
	}
	w.checked = time.Time{}
}

func TestLogMovedOrRemovedWhileOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "logs", "predictions.log")
	w := newWriter(t, path)
	mustAppend(t, w, 0)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	later(w)
	mustAppend(t, w, 1)
	if got := content(t, path+".1"); got != line(0) {
		t.Errorf("the renamed log has %q, want only its record", got)
	}
	if got := content(t, path); got != line(1) {
		t.Errorf("the new log has %q, want the next record", got)
	}
	os.Remove(path)
	mustAppend(t, w, 2)
	if got := content(t, path); got != line(2) {
		t.Errorf("after its removal the log has %q, want the next record", got)
	}
	os.RemoveAll(filepath.Dir(path))
	mustAppend(t, w, 3)
	if got := content(t, path); got != line(3) {
		t.Errorf("after the removal of its folder the log has %q, want the next record", got)
	}
	// Another file in its place, with a truncated line.
	os.Rename(path, path+".2")
	if err := os.WriteFile(path, []byte(line(7)+line(8)[:20]), 0o644); err != nil {
		t.Fatal(err)
	}
	later(w)
	mustAppend(t, w, 4)
	if got := content(t, path); got != line(7)+line(4) {
		t.Errorf("another log in its place has %q", got)
	}
}

func TestNoRecordIsLostWhileTheLogIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	w, other := newWriter(t, path), newWriter(t, path)
	done := make(chan struct{})
	extra := 0 // records of the goroutine that moves the log
	go func() {
		defer close(done)
		for moved := 0; moved < 20; { // an append may still go to the log that was moved
			err := os.Rename(path, fmt.Sprint(path, ".", moved+1))
			switch {
			case err == nil:
				moved++
			case errors.Is(err, fs.ErrNotExist):
				mustAppend(t, w, 2000+extra)
				extra++
			default:
				t.Error(err)
				return
			}
		}
		mustAppend(t, w, 2000+extra)
	}()
	fill(t, 0, 2000, w, other)
	<-done
	wantRecords(t, 2001+extra, path) // with the rotated files
}

func TestFolderThatCannotBeCreated(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs")
	path := filepath.Join(logs, "predictions.log")
	if err := os.WriteFile(logs, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if w, err := NewWriter(path, Options{}); err == nil {
		w.Close()
		t.Error("NewWriter below a file succeeds")
	}
	os.Remove(logs)
	w := newWriter(t, path)
	mustAppend(t, w, 0)

	fails := func(what string, breakIt, repair func() error) {
		t.Helper()
		if err := breakIt(); err != nil {
			t.Fatal(err)
		}
		later(w)
		for range 2 {
			if err := appendRecord(w, 9); err == nil || errors.Is(err, ErrClosed) {
				t.Errorf("Append with %s: %v, want an error", what, err)
			}
		}
		if err := repair(); err != nil {
			t.Fatal(err)
		}
		later(w)
		mustAppend(t, w, 1)
		if got := content(t, path); got != line(1) {
			t.Errorf("after %s the log has %q, want only the next record", what, got)
		}
	}
	remove := func() error { return os.RemoveAll(logs) }
	fails("a file in the folder's place", func() error {
		return errors.Join(remove(), os.WriteFile(logs, nil, 0o644))
	}, remove)
	fails("a folder in the log's place", func() error { return errors.Join(remove(), os.MkdirAll(path, 0o755)) },
		remove)
	if _, err := os.Stat("/dev/full"); err == nil {
		fails("a full disk", func() error { return errors.Join(os.Remove(path), os.Symlink("/dev/full", path)) },
			remove)
	}
}

// TestChild appends until it is killed, and prints each record that was written.
func TestChild(t *testing.T) {
	path := os.Getenv("PREDLOG_TEST_LOG")
	if path == "" {
		t.Skip("only as a child of TestKilledWriterLosesNothing")
	}
	w := newWriter(t, path)
	_, found := readAll(t, path, 0)
	for i := found.Records; ; i++ {
		mustAppend(t, w, i)
		fmt.Println(i)
	}
}

func TestKilledWriterLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	var printed int
	for round := range 8 {
		child := exec.Command(os.Args[0], "-test.run=^TestChild$")
		child.Env = append(os.Environ(), "PREDLOG_TEST_LOG="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 50 * round {
			lines.Scan()
		}
		child.Process.Kill()
		for lines.Scan() { // until it was killed; the last line may be truncated
			fmt.Sscan(lines.Text(), &printed)
		}
		io.Copy(io.Discard, out)
		child.Wait()
	}
	newWriter(t, path)
	ts, found := readAll(t, path, 0)
	if len(ts) <= printed || found.Malformed > 0 || found.Truncated || !slices.Equal(ts, upTo(0, len(ts))) {
		t.Errorf("%d records in the log, %+v, want at least the %d that were reported", len(ts), found, printed+1)
	}
}

// A log that is full and cannot be rotated takes no record: that is no less so where a test of a write would fit.
func TestLogThatCannotBeRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("x", 235)+".log") // with a time its name is too long
	w, err := NewWriter(path, Options{MaxSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for n := 0; err == nil; n++ {
		if err = w.Err(); err == nil {
			err = appendRecord(w, n)
		}
	}
	if failed := w.Err(); failed == nil {
		t.Errorf("Err() = nil after %v", err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Err(); err != nil {
		t.Errorf("Err() = %v with room", err)
	}
	mustAppend(t, w, 9)
}
