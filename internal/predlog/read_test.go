package predlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/internal/testing/fuzzing"

	"pgregory.net/rapid"
)

// logOf writes a log and returns its path.
func logOf(t testing.TB, segments ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "predictions.log")
	if err := os.WriteFile(path, []byte(strings.Join(segments, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines returns the records from to to-1.
func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		b.WriteString(line(i))
	}
	return b.String()
}

// readAll returns the times of the last n records: that of line(i) is i.
func readAll(t testing.TB, path string, n int) ([]int, Found) {
	t.Helper()
	var ts []int
	found, err := Read(context.Background(), Logs{path}, n, func(r *Record) error {
		ts = append(ts, int(r.TS))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ts, found
}

// upTo returns from to to-1.
func upTo(from, to int) (is []int) {
	for i := from; i < to; i++ {
		is = append(is, i)
	}
	return is
}

func TestReadReturnsTheLastRecordsInOrder(t *testing.T) {
	const rows = 2000 // four blocks of 64 KiB
	path := logOf(t, lines(0, rows))
	if info, err := os.Stat(path); err != nil || info.Size() < 3*blockBytes {
		t.Fatalf("the log is too short: %v, %v", info, err)
	}
	check := func(n, want int) {
		t.Helper()
		got, found := readAll(t, path, n)
		if !slices.Equal(got, upTo(rows-want, rows)) || !reflect.DeepEqual(found, (Found{Records: want})) {
			t.Errorf("Read(%d) = %d records, %+v, want the last %d", n, len(got), found, want)
		}
	}
	check(0, rows)
	for n := 1; n < 1200; n += 41 { // across the first blocks
		check(n, n)
	}
	check(rows-1, rows-1)
	check(rows, rows)
	check(rows+1, rows)
	check(1<<40, rows)
}

// The file is read from its end in blocks: a line may begin or end at the edge of one.
func TestLinesAtTheEdgeOfABlock(t *testing.T) {
	wide := func(size int) string { // a record of a size in bytes
		return strings.Replace(line(3), `"request_id":""`,
			`"request_id":"`+strings.Repeat("x", size-len(line(3)))+`"`, 1)
	}
	for size := blockBytes - 3; size <= blockBytes+3; size++ {
		path := logOf(t, lines(0, 3), wide(size))
		for n := 1; n <= 4; n++ {
			got, found := readAll(t, path, n)
			if !slices.Equal(got, upTo(4-n, 4)) || !reflect.DeepEqual(found, Found{Records: n}) {
				t.Errorf("Read(%d) with a last line of %d bytes = %v, %+v, want the last %d", n, size, got, found, n)
			}
		}
	}
}

// Records that are appended during Read are not read.
func TestRecordsAppendedDuringReadAreNotRead(t *testing.T) {
	path := logOf(t, lines(0, 5))
	w := newWriter(t, path)
	var got []int
	found, err := Read(t.Context(), Logs{path}, 3, func(r *Record) error {
		if got = append(got, int(r.TS)); len(got) > 3 {
			return errors.New("one too many")
		}
		return appendRecord(w, 5+len(got))
	})
	if err != nil || !slices.Equal(got, upTo(2, 5)) || !reflect.DeepEqual(found, (Found{Records: 3})) {
		t.Errorf("Read(3) = %v, %+v, %v, want 2 to 4", got, found, err)
	}
}

func TestReadOfAMissingLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no.log")
	_, err := Read(t.Context(), Logs{path}, 10, func(*Record) error { return nil })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of a missing file: %v, want ErrNotExist", err)
	}
	if _, err := Read(t.Context(), Logs{t.TempDir()}, 10, func(*Record) error { return nil }); err == nil {
		t.Error("Read of a folder succeeds")
	}
	for _, n := range []int{0, 5} {
		if ts, found := readAll(t, logOf(t, ""), n); len(ts) != 0 || !reflect.DeepEqual(found, (Found{})) {
			t.Errorf("Read(%d) of an empty file = %v, %+v", n, ts, found)
		}
	}
}

func TestReadCountsMalformedLines(t *testing.T) {
	long := strings.Repeat("x", 3*blockBytes) + "\n"
	check := func(text string, n int, want []int, wantFound Found) {
		t.Helper()
		wantFound.Records = len(want)
		if got, found := readAll(t, logOf(t, text), n); !slices.Equal(got, want) || !reflect.DeepEqual(found, wantFound) {
			t.Errorf("Read(%d) of %.150q = %v, %+v, want %v, %+v", n, text, got, found, want, wantFound)
		}
	}
	truncated := line(9)[:40]
	for _, n := range []int{0, 5} { // all lines
		check("bad\n"+line(1)+"{}\n\n \t\r\n"+line(2), n, []int{1, 2}, Found{Malformed: 2})
		check(line(1)+long+line(2), n, []int{1, 2}, Found{Malformed: 1})
		check(line(1)+truncated, n, []int{1}, Found{Truncated: true})
		check(truncated, n, nil, Found{Truncated: true})
		check(line(1)+truncated+"\n", n, []int{1}, Found{Malformed: 1})
		check(line(1)+"  ", n, []int{1}, Found{})
		check(line(1)+strings.TrimSuffix(line(2), "\n"), n, []int{1, 2}, Found{}) // complete but for its line end
		check(strings.ReplaceAll(lines(1, 4), "\n", "\r\n"), n, []int{1, 2, 3}, Found{})
		check("\n\n\n", n, nil, Found{})
	}
	// Only lines after the first of the last n records are counted.
	check("bad\n"+line(1)+"bad\n"+line(2)+"bad\n"+line(3), 2, []int{2, 3}, Found{Malformed: 1})
	check(line(1)+line(2)+"bad\n\n", 1, []int{2}, Found{Malformed: 1})
	check(line(1)+line(2)+truncated, 2, []int{1, 2}, Found{Truncated: true})
	check(line(1)+line(2)+truncated, 1, []int{2}, Found{Truncated: true})
	check(line(1)+line(2)+strings.TrimSuffix(line(3), "\n"), 1, []int{3}, Found{})
}

// naive reads a log line by line.
func naive(text string, n int) (ts []int, found Found) {
	type piece struct {
		record, last, blank bool
		ts                  int
	}
	var pieces []piece
	for s := range strings.Lines(text) {
		p := piece{last: !strings.HasSuffix(s, "\n"), blank: strings.TrimSpace(s) == ""}
		if r, err := Parse([]byte(s)); err == nil {
			p.record, p.ts = true, int(r.TS)
		}
		pieces = append(pieces, p)
	}
	for i := len(pieces) - 1; i >= 0 && (n == 0 || found.Records < n); i-- {
		switch p := pieces[i]; {
		case p.record:
			found.Records++
			ts = append(ts, p.ts)
		case p.blank:
		case p.last:
			found.Truncated = true
		default:
			found.Malformed++
		}
	}
	slices.Reverse(ts)
	return ts, found
}

func TestReadAgreesWithTheNaiveReader(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for i := range rapid.IntRange(0, 12).Draw(t, "lines") {
			switch rapid.SampledFrom([]string{"record", "record", "record", "wide", "bad", "blank", "many",
				"junk"}).Draw(t, "kind") {
			case "record":
				b.WriteString(line(i))
			case "wide": // about the size of a block, so that its end is on either side of a boundary
				less := rapid.IntRange(-2, 3).Draw(t, "less")
				wide := strings.Repeat("x", blockBytes-len(line(i))*less+rapid.IntRange(-2, 2).Draw(t, "bytes"))
				b.WriteString(strings.Replace(line(i), `"request_id":""`, `"request_id":"`+wide+`"`, 1))
			case "many":
				b.WriteString(lines(1000, 1000+rapid.IntRange(1, 700).Draw(t, "records")))
			case "bad":
				b.WriteString("{\"model_version\":1}\n")
			case "blank":
				b.WriteString(" \n")
			case "junk":
				b.WriteString(strings.Repeat("\x00", rapid.IntRange(1, 2*blockBytes).Draw(t, "zeros")) + "\n")
			}
		}
		text := b.String()
		text = text[:len(text)-rapid.IntRange(0, min(len(text), 50)).Draw(t, "truncated")]
		n := rapid.IntRange(0, 30).Draw(t, "n")
		path := filepath.Join(dir, "log")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var got []int
		found, err := Read(context.Background(), Logs{path}, n,
			func(r *Record) error { got = append(got, int(r.TS)); return nil })
		if want, wantFound := naive(text, n); err != nil || !slices.Equal(got, want) || !reflect.DeepEqual(found, wantFound) {
			t.Fatalf("Read(%d) of %d bytes that end with %q = %v, %+v, %v, want %v, %+v",
				n, len(text), text[max(0, len(text)-60):], got, found, err, want, wantFound)
		}
	})
}

func TestReadEndsWithTheErrorOfEachOrTheContext(t *testing.T) {
	path := logOf(t, lines(0, 10))
	enough := errors.New("enough")
	calls := 0
	_, err := Read(t.Context(), Logs{path}, 0, func(*Record) error {
		if calls++; calls == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || calls != 3 {
		t.Errorf("Read: %v after %d calls, want the error of the third", err, calls)
	}
	for _, n := range []int{0, 5} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Read(ctx, Logs{path}, n, func(*Record) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("Read(%d) with a cancelled context: %v", n, err)
		}
	}
}

// FuzzRead: both directions of reading agree with the naive reader, in chunks of any size.
func FuzzRead(f *testing.F) {
	f.Add([]byte(line(1)+"bad\n"+line(2)), 1, uint16(0), uint16(0))
	f.Add([]byte(line(1)+line(2)[:30]), 5, uint16(7), uint16(0))
	f.Add([]byte("\r\n\n "+strings.TrimSpace(line(3))), 0, uint16(1), uint16(0))
	f.Add([]byte(fmt.Sprint(strings.Repeat("x", 1000), line(4), "\x00")), 2, uint16(64), uint16(0))
	f.Add([]byte(line(1)+line(2)+line(3)), 2, uint16(100),
		uint16(blockBytes-len(line(3))-40)) // line 2 at the edge of a block from the end
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, n int, block, more uint16) {
		defer fuzzing.Watch()()
		n &= 1<<20 - 1
		text := append(slices.Clone(b), bytes.Repeat([]byte("\n"), int(more))...)
		path := filepath.Join(dir, fmt.Sprint(os.Getpid()))
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		size := 1 + int(block) + len(text)/256 // not thousands of chunks
		want, wantFound := naive(string(text), n)
		if got, found := readAll(t, path, n); !slices.Equal(got, want) || !reflect.DeepEqual(found, wantFound) {
			t.Fatalf("Read(%d) of %q and %d line ends = %v, %+v, want %v, %+v", n, b, more, got, found, want, wantFound)
		}
		if found, got, err := foldTimes(t.Context(), path, n, size); err != nil || !slices.Equal(got, want) ||
			!reflect.DeepEqual(found, wantFound) {
			t.Fatalf("Read(%d) of %q and %d line ends in chunks of %d bytes = %v, %+v, %v, want %v, %+v", n, b, more,
				size, got, found, err, want, wantFound)
		}
	})
}

// FuzzRepair: whatever a crash left at the end of a log, a writer that opens it loses no record
// and appends the next one.
func FuzzRepair(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(line(1) + line(2)))
	f.Add([]byte(line(1) + strings.TrimSuffix(line(2), "\n")))
	f.Add([]byte(line(1) + line(2)[:40]))
	f.Add([]byte(line(1) + "\x00\x00"))
	f.Add([]byte(" "))
	f.Add([]byte(line(1) + " \r"))
	f.Add([]byte(strings.TrimSuffix(line(1), "\n") + "\r"))
	path := filepath.Join(f.TempDir(), fmt.Sprint(os.Getpid()))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzing.Watch()()
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		before, _ := readAll(t, path, 0)
		w, err := NewWriter(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		repaired := content(t, path)
		complete := b[:bytes.LastIndexByte(b, '\n')+1]
		if repaired != string(complete) && repaired != string(b)+"\n" {
			t.Fatalf("%q was repaired to %q", b, repaired)
		}
		if after, found := readAll(t, path, 0); !slices.Equal(after, before) || found.Truncated {
			t.Fatalf("%q has the records %v, repaired %v, %+v", b, before, after, found)
		}
		if err := errors.Join(appendRecord(w, 7), w.Close()); err != nil {
			t.Fatal(err)
		}
		if after, found := readAll(t, path, 0); !slices.Equal(after, append(before, 7)) || found.Truncated {
			t.Fatalf("%q has the records %v, with one more %v, %+v", b, before, after, found)
		}
		if content(t, path) != repaired+line(7) {
			t.Fatalf("%q with one more record is %q", b, content(t, path))
		}
	})
}
