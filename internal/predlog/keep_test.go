//go:build linux || darwin

package predlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const day = 24 * time.Hour

// partsOfDays makes a log of 100 days in parts of 10, and parts that are not serve's own.
func partsOfDays(t *testing.T, start time.Time) (path string, own []string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "predictions.log")
	write := func(name string, first int) string {
		var b strings.Builder
		for i := range 10 {
			r := Record{RequestID: fmt.Sprint(first + i), TS: float64(start.Add(time.Duration(first+i) * day).Unix()),
				ModelVersion: "m.json", Features: []Feature{}}
			b.WriteString(string(r.Append(nil)) + "\n")
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	for first := 0; first < 90; first += 10 {
		at := start.Add(time.Duration(first+10) * day)
		own = append(own, write("predictions-"+at.UTC().Format(rotatedLayout)+".log", first))
	}
	write("predictions.log", 90)
	write("predictions.log-20200101", -500)
	write("predictions.log.old", -600)
	return path, own
}

func TestKeepRemovesTheOldestParts(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := start.Add(100 * day)
	for _, c := range []struct {
		text    string
		removed int // of the nine parts
		aged    bool
	}{
		{"200d", 0, false}, // a tenth of it, 20 days, is more than the log's 10
		{"100d", 1, false}, // strictly: the first is a moment too old within the hour
		{"90d", 1, true},   // the next was rotated 80 days ago, less than nine tenths
		{"35d", 6, true},
		{"1d", 9, true},
		{"9GB", 0, false},
	} {
		path, own := partsOfDays(t, start)
		var o Options
		if err := o.Keep.Set(c.text); err != nil {
			t.Fatal(err)
		}
		removed, aged, err := tidy(o, path, end)
		slices.Sort(removed)
		if err != nil || aged != c.aged || !slices.Equal(removed, own[:c.removed]) {
			t.Errorf("%s: aged %v, removed %q, %v", c.text, aged, removed, err)
		}
		for i, name := range own {
			if _, err := os.Stat(name); (err != nil) != (i < c.removed) {
				t.Errorf("%s: %s: %v", c.text, name, err)
			}
		}
		if _, found := ids(t, path, 1000); found.Records != 120-10*c.removed {
			t.Errorf("%s: %d records are left", c.text, found.Records)
		}
	}
}

func tidy(o Options, path string, now time.Time) (removed []string, aged bool, err error) {
	o.Removed = func(parts []string, failed error) { removed, err = parts, failed }
	aged = o.tidy(path, now)
	return removed, aged, err
}

// A log never takes more than --log-keep, at any record.
func TestKeepBoundsTheBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	const most = 20_000
	w, err := NewWriter(path, Options{Keep: Keep{Bytes: most}, Removed: func(_ []string, err error) {
		if err != nil {
			t.Error(err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range 500 {
		appendNumbered(t, w, i, i+1)
		w.tidy() // as the timer does after a rotation
		size, err := Logs{path}.Size()
		if err != nil || size > most {
			t.Fatalf("%d bytes after %d records, at most %d: %v", size, i+1, most, err)
		}
	}
	got, _ := ids(t, path, 1000)
	if want := numbered(500-len(got), 500); len(got) < 50 || !slices.Equal(got, want) {
		t.Errorf("%d records are left: %q", len(got), got)
	}
}

// A log that was never rotated is not removed with its young records, nor is a part that gzip has
// begun to write: it removes the other when it is done.
func TestKeepSparesTheYoung(t *testing.T) {
	now := time.Now()
	path := filepath.Join(t.TempDir(), "predictions.log")
	part := strings.TrimSuffix(path, ".log") + "-" + now.Add(-day).UTC().Format(rotatedLayout) + ".log"
	var text []byte
	for _, age := range []time.Duration{100 * day, 2 * day} {
		r := Record{RequestID: age.String(), TS: float64(now.Add(-age).Unix()), ModelVersion: "m.json", Features: []Feature{}}
		text = append(r.Append(text), '\n')
	}
	packed := part + ".gz"
	for _, c := range []struct {
		keep  Keep
		after time.Duration
		want  []string
	}{
		{Keep{Time: 90 * day}, 0, nil},
		{Keep{Time: 90 * day}, 79 * day, nil},
		{Keep{Time: 90 * day}, 81 * day, []string{part}},
		{Keep{Time: 90 * day}, 91 * day, []string{part, packed}},
		{Keep{Bytes: 1}, 0, []string{part}},
		{Keep{Bytes: 1}, 2 * time.Hour, []string{part, packed}},
	} {
		for name, content := range map[string][]byte{path: text[len(text)/2:], part: text, packed: nil} {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		removed, _, err := tidy(Options{Keep: c.keep}, path, now.Add(c.after))
		if slices.Sort(removed); err != nil || !slices.Equal(removed, c.want) {
			t.Errorf("%+v after %v: removed %q, %v", c.keep, c.after, removed, err)
		}
	}
}

// An aged log is rotated although nobody writes, and no record is lost.
func TestAgedLogIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	old := Record{RequestID: "old", TS: float64(time.Now().Add(-5 * day).Unix()), ModelVersion: "m.json",
		Features: []Feature{}}
	if err := os.WriteFile(path, append(old.Append(nil), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(path, Options{Keep: Keep{Time: 30 * day}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if names, err := rotated(path); err != nil || time.Now().After(end) {
			t.Fatalf("it is not rotated: %v", err)
		} else if len(names) == 1 {
			break
		}
	}
	appendNumbered(t, w, 0, 2)
	if got, _ := ids(t, path, 10); !slices.Equal(got, []string{"old", "0", "1"}) {
		t.Errorf("records %q", got)
	}
}

// After a pause the log is rotated as it is: neither the first record nor what tests whether
// it can be written makes the old ones younger, which are then removed in time.
func TestLogIsRotatedAfterAPause(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	last := time.Now().Add(-20 * day)
	old := Record{RequestID: "old", TS: float64(last.Unix()), ModelVersion: "m.json", Features: []Feature{}}
	err := os.WriteFile(path, append(old.Append(nil), '\n'), 0o600)
	if err = errors.Join(err, os.Chtimes(path, last, last)); err != nil {
		t.Fatal(err)
	}
	options := Options{Keep: Keep{Time: 30 * day}}
	w, err := NewWriter(path, options)
	if err != nil {
		t.Fatal(err)
	}
	appendNumbered(t, w, 0, 2)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	removed, _, err := tidy(options, path, time.Now().Add(10*day))
	if got, _ := ids(t, path, 10); err != nil || len(removed) != 1 || !slices.Equal(got, []string{"0", "1"}) {
		t.Errorf("removed %q, records %q: %v", removed, got, err)
	}
}

func TestKeepAndModeOfALog(t *testing.T) {
	for _, text := range []string{"", "90", "d", "-1d", "1.5GB", "0d", "0GB", "90 d", "9999999d", "5TB"} {
		if k := new(Keep); k.Set(text) == nil {
			t.Errorf("%q is read as %v", text, k)
		}
	}
	defer syscall.Umask(syscall.Umask(0o022))
	for _, c := range []struct{ mode, want os.FileMode }{{0, 0o640}, {0o600, 0o600}, {0o664, 0o644}} {
		path := filepath.Join(t.TempDir(), "predictions.log")
		w, err := NewWriter(path, Options{Mode: c.mode, MaxSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		appendNumbered(t, w, 0, 2) // the second in a new file
		if info, err := os.Stat(path); err != nil || info.Mode() != c.want {
			t.Errorf("mode %o gives %v, want %o: %v", c.mode, info.Mode(), c.want, err)
		}
		w.Close()
	}
}

// The parts of a log that a link leads to are beside the file, and are removed there.
func TestKeepFollowsALink(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "volume", "p.log"), filepath.Join(dir, "predictions.log")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(link, Options{Keep: Keep{Bytes: 20_000}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range 300 {
		appendNumbered(t, w, i, i+1)
		w.tidy()
	}
	if to, err := os.Readlink(link); err != nil || to != path {
		t.Errorf("the link leads to %q: %v", to, err)
	}
	names, err := rotated(link)
	if size, failed := (Logs{path}).Size(); len(names) > 0 || size < 10_000 || size > 20_000 {
		t.Errorf("%d bytes in the folder of the file, and beside the link %q: %v, %v", size, names, failed, err)
	}
}
