package predlog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// ids reads the last n records and returns their request ids.
func ids(t *testing.T, path string, n int) ([]string, Found) {
	t.Helper()
	var got []string
	found, err := Read(t.Context(), Logs{path}, n, func(r *Record) error {
		got = append(got, r.RequestID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, found
}

// rotated returns the names of the files that serve or logrotate rotated the log to.
func rotated(path string) (names []string, err error) {
	files, err := make(folders).rotated(path)
	for _, f := range files {
		if f.known {
			names = append(names, f.name)
		}
	}
	return names, err
}

func numbered(from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprint(i))
	}
	return names
}

func appendNumbered(t *testing.T, w *Writer, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		r := Record{RequestID: fmt.Sprint(i), ModelVersion: "m.json", Features: []Feature{}}
		if err := w.Append(r.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRotatedLogsAreReadInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "predictions.log")
	w, err := NewWriter(path, Options{MaxSize: 1000, Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	appendNumbered(t, w, 0, 60)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := rotated(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 5 {
		t.Fatalf("%d logs were rotated, want several: %v", len(names), names)
	}
	for _, name := range append(names, path) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 1000 {
			t.Errorf("%s has %d bytes, at most 1000", name, info.Size())
		}
	}
	for _, n := range []int{0, 1, 5, 6, 30, 59, 60, 61, 1000} {
		want := numbered(0, 60)
		if n > 0 && n < 60 {
			want = numbered(60-n, 60)
		}
		if got, _ := ids(t, path, n); !slices.Equal(got, want) {
			t.Errorf("the last %d records: %v, want %v", n, got, want)
		}
	}
}

// logrotate moves predictions.log to .1, and .1 to .2, while the service writes.
func TestLogsRotatedByAnotherProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	w, err := NewWriter(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		later(w)
		appendNumbered(t, w, 10*round, 10*round+10)
		for n := round; n > 0; n-- {
			if err := os.Rename(fmt.Sprint(path, ".", n), fmt.Sprint(path, ".", n+1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := ids(t, path, 12); !slices.Equal(got, numbered(18, 30)) {
		t.Errorf("without the log itself, the last 12 records: %v", got)
	}
	later(w)
	appendNumbered(t, w, 30, 35)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, _ := ids(t, path, 0); !slices.Equal(got, numbered(0, 35)) {
		t.Errorf("all records: %v, want 0 to 34", got)
	}
}

func TestNoRecordIsLostByRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	const writers, clients, each = 3, 4, 100
	var wg sync.WaitGroup
	for k := range writers {
		w, err := NewWriter(path, Options{MaxSize: 2000})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for c := range clients {
			wg.Go(func() { appendNumbered(t, w, (k*clients+c)*each, (k*clients+c+1)*each) })
		}
	}
	wg.Wait()
	got, found := ids(t, path, 0)
	slices.Sort(got)
	want := numbered(0, writers*clients*each)
	slices.Sort(want)
	if !slices.Equal(got, want) || found.Malformed > 0 || found.Truncated {
		t.Errorf("%d records of %d, %+v", len(got), len(want), found)
	}
}

func TestRotatedNames(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "predictions.log")
	now := time.Date(2026, 11, 22, 19, 30, 0, 0, time.UTC)
	first, err := rotatedName(path, now)
	if err != nil {
		t.Fatal(err)
	}
	if base := filepath.Base(first); base != "predictions-20261122T193000.000000000Z.log" {
		t.Errorf("the name is %s", base)
	}
	others := []string{"predictions.log.1", "predictions.log.10", "predictions.log.2", "predictions.log.gz",
		"predictions-b.log", "predictions.log.x"}
	for _, name := range append(others, filepath.Base(first)) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	second, err := rotatedName(path, now)
	if err != nil || second <= first {
		t.Errorf("the next name is %s, %v: want one after %s", second, err, first)
	}
	names, err := rotated(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	if got := strings.Join(names, " "); got != "predictions.log.10 predictions.log.2 predictions.log.1 "+
		""+filepath.Base(first) {
		t.Errorf("the order is %s", got)
	}
}
