package predlog

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A line of over 8 MiB is not a record, in both directions of reading.
func TestOverlongLineIsNotARecord(t *testing.T) {
	record := func(size int) string {
		head, tail, _ := strings.Cut(line(1), `"request_id":""`)
		return head + `"request_id":"` + strings.Repeat("x", size-len(line(1))) + `"` + tail
	}
	check := func(size int, want ...int) {
		t.Helper()
		path := logOf(t, line(0), record(size), line(2))
		for _, n := range []int{0, 2} {
			last := want[max(0, len(want)-n)*min(n, 1):]
			got, found := readAll(t, path, n)
			if !slices.Equal(got, last) || n == 0 && found.Malformed != 3-len(want) {
				t.Errorf("Read(%d) with a line of %d bytes = %v, %+v, want %v", n, size, got, found, last)
			}
		}
	}
	if got := len(record(1000)); got != 1000 {
		t.Fatalf("a record of 1000 bytes has %d", got)
	}
	check(maxLine, 0, 1, 2)
	check(maxLine+1, 0, 2)
	check(2*maxLine, 0, 2)
}

// A last line without its line end counts as with it, for both readers and for the writer that
// completes it.
func TestOverlongLastLineIsNotARecord(t *testing.T) {
	check := func(size int, complete bool) {
		t.Helper()
		text := line(0) + wide(size)
		want, found := []int{0}, Found{Records: 1, Truncated: true}
		if complete {
			want, found = []int{0, 1}, Found{Records: 2}
		}
		for _, n := range []int{0, 1, 2} {
			last, lastFound := want, found
			if n == 1 && complete {
				last, lastFound = want[1:], Found{Records: 1}
			}
			if got, found := readAll(t, logOf(t, text), n); !slices.Equal(got, last) || !reflect.DeepEqual(found, lastFound) {
				t.Errorf("Read(%d) with a last line of %d bytes = %v, %+v, want %v, %+v", n, size, got, found, last,
					lastFound)
			}
		}
		path := logOf(t, text)
		newWriter(t, path)
		got, found := readAll(t, path, 0)
		if !slices.Equal(got, want) || !reflect.DeepEqual(found, Found{Records: len(want)}) {
			t.Errorf("repaired, a last line of %d bytes is read as %v, %+v, want %v", size, got, found, want)
		}
	}
	check(maxLine-1, true) // maxLine with its line end
	check(maxLine, false)
	check(maxLine+1, false)
}

// wide returns a record of a size in bytes, without its line end.
func wide(size int) string {
	bare := strings.TrimSuffix(line(1), "\n")
	return strings.Replace(bare, `"request_id":""`, `"request_id":"`+strings.Repeat("x", size-len(bare))+`"`, 1)
}

// A very long last line is truncated without being kept in memory.
func TestRepairKeepsNoOverlongLine(t *testing.T) {
	const size = 256 << 20
	path := filepath.Join(t.TempDir(), "predictions.log")
	if err := os.WriteFile(path, []byte(line(0)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil { // a sparse file
		t.Fatal(err)
	}
	before := allocated()
	newWriter(t, path)
	if used := allocated() - before; used > size/4*5 { // each block once, and nothing of the line's size
		t.Errorf("a last line of 256 MiB allocated %d bytes, want only its blocks", used)
	}
	if got := content(t, path); got != line(0) {
		t.Errorf("the log has %d bytes, want only the record", len(got))
	}
}

// allocated returns the bytes allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// zerosThen writes a sparse file of zeros, and then text.
func zerosThen(t *testing.T, zeros int64, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "predictions.log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), zeros); err != nil {
		t.Fatal(err)
	}
	return path
}

// The cost depends on n and not on the file's length.
func TestLastRecordsOfALongFileAreReadAtOnce(t *testing.T) {
	path := zerosThen(t, 200<<20, "\n"+lines(0, 300))
	before := allocated()
	got, found := readAll(t, path, 200)
	if used := allocated() - before; used > 4<<20 {
		t.Errorf("the last 200 of 200 MiB allocated %d bytes, want at most 4 MiB", used)
	}
	if !slices.Equal(got, upTo(100, 300)) || !reflect.DeepEqual(found, (Found{Records: 200})) {
		t.Errorf("Read(200) = %v, %+v, want 100 to 299", got, found)
	}
}

// A crash of the machine may leave very many zeros: they are skipped, not kept in memory.
func TestOverlongLineIsNotKept(t *testing.T) {
	path := zerosThen(t, 64<<20, "\n"+lines(0, 300))
	before := allocated()
	got, found := readAll(t, path, 400)
	if used := allocated() - before; used > 4*64<<20 {
		t.Errorf("a line of 64 MiB allocated %d bytes, want at most four times its size", used)
	}
	if !slices.Equal(got, upTo(0, 300)) || !reflect.DeepEqual(found, (Found{Records: 300, Malformed: 1})) {
		t.Errorf("Read(400) = %d records, %+v, want 300 and one malformed line", len(got), found)
	}
}

// The last line of one of several logs is truncated, wherever it ends.
func TestLastLinesOfSeveralLogs(t *testing.T) {
	last, other := timedLine("b", 2), logOf(t, timedLine("c", 3))
	want := Found{Records: 2, Truncated: true}
	for _, cut := range []int{2, 3, 20} {
		text := timedLine("a", 1) + last[:len(last)-cut]
		_, found, err := readIDs(t.Context(), Logs{logOf(t, text), other}, 0, 0)
		if err != nil || !reflect.DeepEqual(found, want) {
			t.Errorf("Read of a log that ends with %q and another = %+v, %v, want %+v", text[len(text)-10:], found, err, want)
		}
	}
}
