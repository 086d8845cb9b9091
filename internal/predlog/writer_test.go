package predlog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func newWriter(t testing.TB, path string) *Writer {
	t.Helper()
	w, err := NewWriter(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// appendRecord appends the n-th record.
func appendRecord(w *Writer, n int) error {
	return w.Append([]byte(strings.TrimSuffix(line(n), "\n")))
}

func mustAppend(t testing.TB, w *Writer, n int) {
	t.Helper()
	if err := appendRecord(w, n); err != nil {
		t.Error(err)
	}
}

func content(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantRecords checks that the files have the records 0 to n-1, each once, and nothing else.
func wantRecords(t testing.TB, n int, paths ...string) {
	t.Helper()
	var all []int
	for _, path := range paths {
		ts, found := readAll(t, path, 0)
		if found.Malformed > 0 || found.Truncated {
			t.Errorf("%s: %+v, want only complete records", path, found)
		}
		all = append(all, ts...)
	}
	slices.Sort(all)
	if !slices.Equal(all, upTo(0, n)) {
		t.Errorf("%d records in %q, want 0 to %d, each once", len(all), paths, n-1)
	}
}

func TestAppendedRecordIsInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "logs", "predictions.log")
	w := newWriter(t, path)
	for i := range 5 {
		mustAppend(t, w, i)
		if got, want := content(t, path), lines(0, i+1); got != want {
			t.Fatalf("after %d records the file is %q, want %q", i+1, got, want)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, newWriter(t, path), 5)
	wantRecords(t, 6, path)
}

// fill appends the records from to to-1 from many goroutines.
func fill(t *testing.T, from, to int, writers ...*Writer) {
	const goroutines = 16
	var wait sync.WaitGroup
	for g := range goroutines {
		wait.Go(func() {
			for i := from + g; i < to; i += goroutines {
				mustAppend(t, writers[g%len(writers)], i)
			}
		})
	}
	wait.Wait()
}

func TestConcurrentRecordsAreComplete(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	fill(t, 0, 4000, newWriter(t, path))
	wantRecords(t, 4000, path)
}

func TestTwoWritersShareOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	fill(t, 0, 2000, newWriter(t, path), newWriter(t, path))
	wantRecords(t, 2000, path)
}

func TestTruncatedLastLineIsRepaired(t *testing.T) {
	complete := strings.TrimSuffix(line(1), "\n")
	wide := strings.Replace(complete, `"request_id":""`, `"request_id":"`+strings.Repeat("x", 3*blockBytes)+`"`, 1)
	check := func(before, want string) {
		t.Helper()
		path := logOf(t, before)
		w := newWriter(t, path)
		if got := content(t, path); got != want {
			t.Errorf("opening a log that ends with %.80q: it ends with %.80q, want %.80q", last(before), last(got),
				last(want))
		}
		mustAppend(t, w, 9)
		if got := content(t, path); got != want+line(9) {
			t.Errorf("then appending: it ends with %.200q, want %.200q", last(got), last(want+line(9)))
		}
		// Another process was killed while this one had the log open.
		other := logOf(t, line(7))
		w = newWriter(t, other)
		mustAppend(t, w, 8)
		f, err := os.OpenFile(other, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(before)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, w, 9)
		if got := content(t, other); got != line(7)+line(8)+want+line(9) {
			t.Errorf("appending after %.80q: the log ends with %.200q, want %.200q", last(before), last(got),
				last(want+line(9)))
		}
	}
	check("", "")
	check(line(0), line(0))
	check(line(0)+complete[:1], line(0))
	check(line(0)+complete[:60], line(0))
	check(line(0)+complete[:len(complete)-1], line(0))
	check(line(0)+complete, line(0)+line(1)) // complete but for its line end
	check(complete, line(1))
	check(complete[:60], "")
	check(line(0)+wide[:2*blockBytes], line(0))
	check(line(0)+wide, line(0)+wide+"\n")
	check(line(0)+strings.Repeat("x", maxLine+1), line(0))
	check(line(0)+"\x00\x00\x00", line(0))
	check("bad\n", "bad\n") // complete lines are never changed
	check(line(0)+"\n\n", line(0)+"\n\n")
}

func last(text string) string { return text[max(0, len(text)-200):] }

func TestAppendAfterCloseIsErrClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	w := newWriter(t, path)
	mustAppend(t, w, 0)
	for range 2 {
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := appendRecord(w, 1); err != ErrClosed {
		t.Errorf("Append after Close: %v, want ErrClosed", err)
	}
	wantRecords(t, 1, path)
}

// Records accepted before Close are in the file, others return ErrClosed.
func TestCloseWritesWaitingRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	w := newWriter(t, path)
	var mu sync.Mutex
	var written []int
	var wait sync.WaitGroup
	begun := make(chan struct{}, 800)
	for g := range 8 {
		wait.Go(func() {
			for i := range 100 {
				err := appendRecord(w, 100*g+i)
				begun <- struct{}{}
				if err == ErrClosed {
					return
				}
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				written = append(written, 100*g+i)
				mu.Unlock()
			}
		})
	}
	for range 50 {
		<-begun
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	wait.Wait()
	got, found := readAll(t, path, 0)
	slices.Sort(got)
	slices.Sort(written)
	if !slices.Equal(got, written) || found.Malformed > 0 || found.Truncated {
		t.Errorf("%d records in the file, %+v, want the %d that were accepted", len(got), found, len(written))
	}
}

// The memory of a large batch is not kept after it.
func TestALargeBatchIsNotKept(t *testing.T) {
	w := newWriter(t, filepath.Join(t.TempDir(), "predictions.log"))
	if err := w.Append(bytes.Repeat([]byte("x"), 4*maxSpare)); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		mustAppend(t, w, n)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if kept := cap(w.next.lines) + cap(w.spare); kept > 2*maxSpare {
		t.Errorf("%d bytes are kept", kept)
	}
}

// Somebody empties the log, as on a full disk, while it is tested whether it can be written: the test
// does not bring back its length.
func TestLogEmptiedDuringATest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	w := newWriter(t, path)
	for n := range 1000 {
		mustAppend(t, w, n)
		w.mu.Lock()
		w.failed = errors.New("the disk was full")
		w.mu.Unlock()
		var wg sync.WaitGroup
		wg.Go(func() { w.Err() })
		for start := time.Now(); time.Since(start) < time.Duration(n%100)*time.Microsecond; {
			runtime.Gosched()
		}
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		mustAppend(t, w, n)
		if got := content(t, path); !strings.HasSuffix("\n"+got, "\n"+line(n)) {
			t.Fatalf("after test %d the log ends with %q, want record %d", n, last(got), n)
		}
	}
}
