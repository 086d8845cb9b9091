package predlog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// foldTimes returns the times of the last n records, read in chunks of a size.
func foldTimes(ctx context.Context, path string, n, chunk int) (found Found, ts []int, err error) {
	found, err = Fold[*[]int]{
		New:       func() *[]int { return new([]int) },
		Add:       func(ts *[]int, r *Record) { *ts = append(*ts, int(r.TS)) },
		Merge:     func(chunk *[]int) error { ts = append(ts, *chunk...); return nil },
		chunkSize: chunk,
	}.Read(ctx, Logs{path}, n)
	return found, ts, err
}

// A log of several files, cut anywhere, is read as the naive reader reads one file after the
// other.
func TestFoldAgreesWithTheNaiveReader(t *testing.T) {
	kinds := []string{"record", "record", "record", "crlf", "wide", "bad", "blank", "empty", "truncated"}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "fold")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "predictions.log")
		n := rapid.SampledFrom([]int{0, 0, 1, 3, 10, 1000}).Draw(t, "n")
		var want []int
		var wantFound Found
		var size int64
		left := n
		for k := range rapid.IntRange(1, 4).Draw(t, "files") { // the newest first
			var b strings.Builder
			for i := range rapid.IntRange(0, 12).Draw(t, "lines") {
				switch rapid.SampledFrom(kinds).Draw(t, "kind") {
				case "record":
					b.WriteString(line(i))
				case "crlf":
					b.WriteString(strings.TrimSuffix(line(i), "\n") + "\r\n")
				case "wide": // the ids of two files differ: with the same first record one is a copy
					b.WriteString(strings.Replace(line(i), `"request_id":""`,
						`"request_id":"`+strconv.Itoa(k)+strings.Repeat("x", rapid.IntRange(0, 900).Draw(t, "x"))+`"`, 1))
				case "bad":
					b.WriteString("{\"model_version\":1}\n")
				case "blank":
					b.WriteString(" \n")
				case "empty":
					b.WriteString("\n")
				case "truncated":
					b.WriteString(line(i)[:30] + "\n")
				}
			}
			text := b.String()
			text = text[:len(text)-rapid.IntRange(0, min(len(text), 50)).Draw(t, "truncated")]
			name := path
			if k > 0 {
				name += "." + strconv.Itoa(k)
			}
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			size += int64(len(text))
			if n > 0 && left == 0 {
				continue
			}
			ts, found := naive(text, left)
			if k > 0 && found.Truncated { // not the end of the log
				found.Truncated = false
				found.Malformed++
			}
			want = append(ts, want...)
			wantFound = Found{
				Records:   found.Records + wantFound.Records,
				Malformed: found.Malformed + wantFound.Malformed,
				Truncated: found.Truncated || wantFound.Truncated,
			}
			if n > 0 {
				left -= len(ts)
			}
		}
		chunk := rapid.IntRange(1, 400).Draw(t, "chunk")
		found, got, err := foldTimes(context.Background(), path, n, chunk)
		if err != nil || !slices.Equal(got, want) || !reflect.DeepEqual(found, wantFound) {
			t.Fatalf("Fold(%d) in chunks of %d = %v, %+v, %v, want %v, %+v", n, chunk, got, found, err, want, wantFound)
		}
		if got, err := (Logs{path}).Size(); err != nil || got != size {
			t.Fatalf("Size = %d, %v, want %d", got, err, size)
		}
	})
}

// A line that is too long is one malformed or truncated line, wherever chunks are cut.
func TestFoldOfOverlongLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	check := func(text string, want []int, wantFound Found) {
		t.Helper()
		path := logOf(t, text)
		wantFound.Records = len(want)
		for _, chunk := range []int{blockBytes, 1<<20 - 7, 3 * maxLine} {
			if found, got, err := foldTimes(t.Context(), path, 0, chunk); err != nil || !slices.Equal(got, want) ||
				!reflect.DeepEqual(found, wantFound) {
				t.Errorf("Fold of %d bytes that end with %q in chunks of %d = %v, %+v, %v, want %v, %+v",
					len(text), text[len(text)-10:], chunk, got, found, err, want, wantFound)
			}
		}
	}
	check(line(0)+long+"\n"+line(1), []int{0, 1}, Found{Malformed: 1})
	check(line(0)+long+"xxx\n"+long+long+"x\n"+line(1), []int{0, 1}, Found{Malformed: 2})
	check(line(0)+long+long, []int{0}, Found{Truncated: true})
	check(line(0)+long+line(1), []int{0}, Found{Malformed: 1})
	check(line(0)+strings.Repeat(" ", 2*maxLine)+"\n"+line(1), []int{0, 1}, Found{})
	check(line(0)+strings.Repeat(" ", 2*maxLine), []int{0}, Found{})
}

func TestProgressEndsAtTheSize(t *testing.T) {
	path := logOf(t, lines(0, 1000))
	if err := os.WriteFile(path+".1", []byte(lines(0, 500)), 0o644); err != nil {
		t.Fatal(err)
	}
	size, err := Logs{path}.Size()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 700, 1200, 5000} {
		var reported []int64
		_, err := Fold[int]{
			New: func() int { return 0 }, Add: func(int, *Record) {}, Merge: func(int) error { return nil },
			Progress:  func(bytes int64) { reported = append(reported, bytes) },
			chunkSize: 10_000,
		}.Read(t.Context(), Logs{path}, n)
		if err != nil || !slices.IsSorted(reported) || reported[len(reported)-1] != size {
			t.Errorf("Fold(%d) reports %v, %v, want up to %d", n, reported, err, size)
		}
	}
}

// After an error of Merge or of the context nothing more is read, and no goroutine is left.
func TestFoldEndsAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	path := logOf(t, lines(0, 2000))
	enough := errors.New("enough")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run := func(stop func() error, want error) {
		t.Helper()
		merged := 0
		found, err := Fold[int]{
			New: func() int { return 0 }, Add: func(int, *Record) {}, chunkSize: 1000,
			Merge: func(int) error {
				if merged++; merged == 3 {
					return stop()
				}
				return nil
			},
		}.Read(ctx, Logs{path}, 0)
		if !errors.Is(err, want) || merged != 3 || found.Records > 100 {
			t.Errorf("Fold = %+v, %v after %d chunks, want %v after 3", found, err, merged, want)
		}
	}
	run(func() error { return enough }, enough)
	run(func() error { cancel(); return nil }, context.Canceled)
}

// The memory is independent of the log's length.
func TestFoldKeepsFewChunks(t *testing.T) {
	path := logOf(t, strings.Repeat(lines(0, 1000), 300))
	info, err := os.Stat(path)
	if err != nil || info.Size() < 40<<20 {
		t.Fatal(info.Size(), err)
	}
	before := allocated()
	records := 0
	_, err = Fold[*int]{
		New: func() *int { return new(int) }, Add: func(n *int, _ *Record) { *n++ },
		Merge: func(n *int) error { records += *n; return nil },
	}.Read(t.Context(), Logs{path}, 0)
	most := uint64(2*min(runtime.GOMAXPROCS(0), maxWorkers)+6) * chunkBytes
	if used := allocated() - before; err != nil || records != 300_000 || used > most {
		t.Errorf("%d records allocated %d bytes, %v, want at most %d", records, used, err, most)
	}
}
