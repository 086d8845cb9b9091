package predlog

import (
	"bytes"
	"churn/internal/dataset"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// withID returns the line of a record with an id.
func withID(ts int, id string) string {
	return strings.Replace(line(ts), `"request_id":""`, fmt.Sprintf(`"request_id":%q`, id), 1)
}

// While two writers add records to one log, those of a customer are erased again and again: all
// others are there once, also in parts, compressed or not.
func TestErase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.log")
	old := withID(1, "bob") + withID(2, "ann") + line(3)[:20] + "\n" + withID(4, "bobby") + line(5)[:20] +
		`"request_id":"bob"` + "\n" + strings.Repeat("x", maxLine+9) + "\n" + line(6)
	kept := withID(2, "ann") + line(3)[:20] + "\n" + withID(4, "bobby") + strings.Repeat("x", maxLine+9) + "\n" + line(6)
	var gz, zst bytes.Buffer
	packed := gzip.NewWriter(&gz)
	z, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{packed, z} {
		if _, err := io.WriteString(w, old); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-100 * time.Hour).Truncate(time.Second)
	for name, text := range map[string]string{
		".1": old, ".2.gz": gz.String(), ".3.zst": zst.String(), ".4": withID(9, "ann"), ".note": "for bob\n",
	} {
		if err := os.WriteFile(path+name, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path+name, long, long); err != nil {
			t.Fatal(err)
		}
	}
	const passes, each = 5, 600 // records of each writer during a pass
	writers := []*Writer{newWriter(t, path), newWriter(t, path)}
	removed := 0
	erase := func() {
		done, _, err := Eraser{IDs: []string{"bob"}}.Erase(t.Context(), Logs{path})
		if err != nil {
			t.Error(err)
		}
		for _, e := range done {
			removed += e.Removed
		}
	}
	for pass := range passes {
		var wg sync.WaitGroup
		for k, w := range writers {
			wg.Go(func() {
				for i := pass * each; i < (pass+1)*each; i++ {
					id := fmt.Sprintf("%d-%d", k, i)
					if i%3 == 0 {
						id = "bob"
					}
					if err := w.Append([]byte(strings.TrimSuffix(withID(100+i, id), "\n"))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		erase()
		wg.Wait()
	}
	erase()
	if want := 2*passes*each/3 + 3*2; removed != want {
		t.Errorf("%d lines were removed, want %d", removed, want)
	}
	counts := map[string]int{}
	for text := range strings.Lines(content(t, path)) {
		r, invalid := Parse([]byte(text))
		if invalid != nil {
			t.Fatal(invalid)
		}
		counts[r.RequestID]++
	}
	for k := range writers {
		for i := range passes * each {
			if id := fmt.Sprintf("%d-%d", k, i); i%3 != 0 && counts[id] != 1 {
				t.Errorf("%s is in the log %d times", id, counts[id])
			}
		}
	}
	if want := 2 * passes * each * 2 / 3; len(counts) != want {
		t.Errorf("there are %d ids, want %d", len(counts), want)
	}
	for name, decompress := range map[string]decompressor{
		".1": nil, ".2.gz": decompressorOf([]byte(gzipMagic)), ".3.zst": decompressorOf([]byte(zstdMagic)),
	} {
		in, err := io.Reader(strings.NewReader(content(t, path+name))), error(nil)
		if decompress != nil {
			if in, err = decompress(in); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(in); err != nil || string(got) != kept {
			t.Errorf("%s has %d bytes, %v, want %d", name, len(got), err, len(kept))
		}
		info, err := os.Stat(path + name)
		if err != nil || !info.ModTime().Equal(long) || info.Mode() != 0o640 {
			t.Errorf("%s is of %v, %v, %v", name, info.ModTime(), info.Mode(), err)
		}
	}
}

// What cannot be read to its end is not replaced by less.
func TestEraseOfADamagedPart(t *testing.T) {
	path := logOf(t, line(1))
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	if _, err := io.WriteString(w, withID(1, "bob")+lines(2, 5000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	half := gz.String()[:gz.Len()/2]
	if err := os.WriteFile(path+".1.gz", []byte(half), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".2", []byte(withID(0, "bob")+line(0)), 0o644); err != nil {
		t.Fatal(err)
	}
	leftover := filepath.Join(filepath.Dir(path), ".predictions.log.tmp-KILLED")
	if err := os.WriteFile(leftover, []byte(withID(0, "bob")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".d", 0o755); err != nil {
		t.Fatal(err)
	}
	done, skipped, err := Eraser{IDs: []string{"bob"}}.Erase(t.Context(), Logs{path})
	if len(skipped) != 1 || !strings.Contains(skipped[0], "predictions.log.d was not looked through") {
		t.Errorf("not looked through: %q", skipped)
	}
	if err == nil || !strings.Contains(err.Error(), "predictions.log.1.gz") || len(done) != 1 ||
		content(t, path+".2") != line(0) {
		t.Errorf("%v, %v", done, err)
	}
	if _, err := os.Stat(leftover); err == nil {
		t.Error("what a killed one has left is still there")
	}
	if content(t, path+".1.gz") != half {
		t.Error("it was changed")
	}
}

// Customers are found by a feature, as number or as text, and in half a record.
func TestEraseByFeature(t *testing.T) {
	text := func(id, region string, tenure float64) string {
		r := Record{RequestID: id, ModelVersion: "m.json", Features: []Feature{
			{"region", dataset.Value{Text: region, Level: true}}, {"tenure", dataset.Value{Number: tenure}}}}
		return string(r.Append(nil)) + "\n"
	}
	all := []string{text("1", "NA", 6), text("2", "N", 60), text("NA", "7", 6.5), text("4", "NA", 60)}
	half := all[0][:strings.Index(all[0], `"tenure"`)] + "\n"
	reads := func(name string, number float64) map[string]dataset.Value {
		return map[string]dataset.Value{name: {Number: number}}
	}
	for _, c := range []struct {
		column, value, want string
		read                map[string]dataset.Value
	}{
		{"region", "NA", all[1] + all[2], nil},
		{"tenure", "6.0", all[1] + all[2] + all[3] + half, nil},
		{"region", "7", all[0] + all[1] + all[3] + half, nil},
		{"plan", "NA", strings.Join(all, "") + half, nil},
		{"tenure", "6,5", all[0] + all[1] + all[3] + half, reads("m.json", 6.5)},
		{"tenure", "6,5", strings.Join(all, "") + half, reads("another.json", 6.5)},
	} {
		path := logOf(t, strings.Join(all, "")+half)
		e := Eraser{Column: c.column, Value: c.value, Read: c.read}
		if _, _, err := e.Erase(t.Context(), Logs{path}); err != nil {
			t.Error(err)
		}
		if got := content(t, path); got != c.want {
			t.Errorf("%s=%s leaves %q, want %q", c.column, c.value, got, c.want)
		}
	}
}

// Texts are erased however their characters are composed.
func TestEraseComposedOtherwise(t *testing.T) {
	logged := withID(1, "Zoe\u0308")
	for _, e := range []Eraser{{IDs: []string{"Zo\u00eb"}}, {Column: "Ru\u0308ck", Value: "Zo\u00eb"}} {
		e.Column = dataset.Trim(e.Column)
		r := Record{RequestID: "a", ModelVersion: "m.json", Features: []Feature{
			{"Ru\u0308ck", dataset.Value{Text: "Zoe\u0308", Level: true}}}}
		text := map[bool]string{true: logged + logged[:60] + "\n", false: string(r.Append(nil)) + "\n"}[e.Column == ""]
		path := logOf(t, text+withID(2, "ann"))
		if _, _, err := e.Erase(t.Context(), Logs{path}); err != nil || content(t, path) != withID(2, "ann") {
			t.Errorf("%+v leaves %q, %v", e, content(t, path), err)
		}
	}
}

// A service that starts meanwhile repairs half a line at the end; its records are kept.
func TestEraseWhileHalfALineIsRepaired(t *testing.T) {
	path := logOf(t, withID(1, "ann")+withID(2, "bob")+line(3)[:30])
	e := Eraser{IDs: []string{"bob"}, copied: func() { mustAppend(t, newWriter(t, path), 4) }}
	done, _, err := e.Erase(t.Context(), Logs{path})
	if want := (Erased{File: path, Removed: 1, Kept: 2}); err != nil || len(done) != 1 || done[0] != want {
		t.Errorf("%v, %v, want %v", done, err, want)
	}
	if got, want := content(t, path), withID(1, "ann")+line(4); got != want {
		t.Errorf("the log is %q, want %q", got, want)
	}
}

// A log that is truncated and written again meanwhile, as by copytruncate, is left as it is then,
// and looked through again.
func TestEraseWhileTheLogIsWrittenAnew(t *testing.T) {
	path := logOf(t, withID(1, "ann")+withID(2, "bob"))
	passes := 0
	e := Eraser{IDs: []string{"bob"}, copied: func() {
		if passes++; passes > 1 {
			return
		}
		if err := os.WriteFile(path, []byte(withID(5, "bob")+lines(6, 20)), 0o644); err != nil {
			t.Fatal(err)
		}
	}}
	if _, _, err := e.Erase(t.Context(), Logs{path}); err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, path), lines(6, 20); got != want || passes != 2 {
		t.Errorf("after %d passes the log is %q, want %q", passes, got, want)
	}
}

// A version that locks the log itself, and not the file beside it, is waited for: its record is kept.
func TestEraseBesideAnEarlierVersion(t *testing.T) {
	path := logOf(t, withID(1, "ann")+withID(2, "bob"))
	earlier, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer earlier.Close()
	written := make(chan error, 1)
	e := Eraser{IDs: []string{"bob"}, copied: func() {
		if yes, err := lockFile(earlier); !yes || err != nil {
			t.Fatal(yes, err)
		}
		time.AfterFunc(50*time.Millisecond, func() {
			_, err := earlier.WriteString(line(3))
			written <- errors.Join(err, unlockFile(earlier))
		})
	}}
	if _, _, err := e.Erase(t.Context(), Logs{path}); err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, path), withID(1, "ann")+line(3); got != want {
		t.Errorf("the log is %q, want %q", got, want)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// A log whose name is that of a rotated part of another is written meanwhile: its own lock is taken.
func TestEraseFromALogNamedAsAPart(t *testing.T) {
	path := logOf(t, line(1))
	for _, name := range []string{"predictions-20261121.log", "predictions.log.eu", "predictions.log.us"} {
		if name == "predictions.log.us" {
			os.Remove(path)
		}
		live := filepath.Join(filepath.Dir(path), name)
		w := newWriter(t, live)
		if err := w.Append([]byte(strings.TrimSuffix(withID(2, "bob"), "\n"))); err != nil {
			t.Fatal(err)
		}
		lock, err := os.OpenFile(lockName(live), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		written := make(chan error, 1)
		e := Eraser{IDs: []string{"bob"}, copied: func() {
			if yes, err := lockFile(lock); !yes || err != nil {
				t.Fatal(yes, err)
			}
			f, err := os.OpenFile(live, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(50*time.Millisecond, func() { // as a service's write
				_, err := f.WriteString(line(3))
				written <- errors.Join(err, f.Close(), unlockFile(lock))
			})
		}}
		if _, _, err := e.Erase(t.Context(), Logs{path}); err != nil {
			t.Fatal(err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		if got := content(t, live); got != line(3) {
			t.Errorf("%s is %q, want %q", name, got, line(3))
		}
	}
}

// A writer that has just checked the path of a log with a second name, as in a backup by hard links,
// does not go on in the old file.
func TestEraseFromALogWithTwoNames(t *testing.T) {
	for range 20 {
		path := logOf(t, withID(1, "bob"))
		w := newWriter(t, path)
		if err := os.Link(path, path+"~backup"); err != nil {
			t.Skip(err)
		}
		e := Eraser{IDs: []string{"bob"}, copied: func() { mustAppend(t, w, 2) }}
		if _, _, err := e.Erase(t.Context(), Logs{path}); err != nil {
			t.Fatal(err)
		}
		if mustAppend(t, w, 3); content(t, path) != line(2)+line(3) {
			t.Fatalf("the log is %q, want records 2 and 3", content(t, path))
		}
	}
}
