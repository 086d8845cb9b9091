//go:build !windows

package predlog

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"churn/internal/testing/need"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The real logrotate moves a log that a service writes, as its manual allows. Whatever the names
// are, all records are found, in order, and the last n of them.
func TestLogrotate(t *testing.T) {
	binary := need.Program(t, "logrotate", "logrotate")
	const rounds, each = 4, 25
	for mode, want := range map[string]string{
		"":                                 "predictions.log.3",
		"compress":                         "predictions.log.3.gz",
		"dateext":                          "predictions.log-20011121",
		"dateext\ncompress":                "predictions.log-20011121.gz",
		"dateext\ncompress\ndelaycompress": "predictions.log-20011121.gz",
		"dateext\ndateformat -%Y%m%d-%s\ncompress":                 "predictions.log-20011121-",
		"dateext\ndateformat -%s":                                  "predictions.log-100",
		"dateext\ndateformat -%d%m%Y":                              "predictions.log-21112001",
		"dateext\ndateformat -%Y%m%dT%H\nextension .log":           "predictions-20011121T",
		"dateext\ndateformat -%Y%m%d-%s\nextension .log\ncompress": "predictions-20011121-",
		"dateext\ndateformat -%s\nextension .log":                  "predictions-100",
		"dateext\ndateformat .%Y%m%d":                              "predictions.log.20011121",
		"dateext\ndateformat .%s\ncompress":                        "predictions.log.100",
		"extension .log":                                           "predictions.3.log",
		"extension .log\ncompress\ndelaycompress":                  "predictions.3.log.gz",
		"start 0":                "predictions.log.2",
		"copytruncate\ncompress": "predictions.log.3.gz",
		"copytruncate\ndateext":  "predictions.log-20011121",
		"compress\ncompresscmd /usr/bin/zstd\ncompressext .zst":    "predictions.log.3.zst",
		"compress\ncompresscmd /usr/bin/zstd\ncompressext .packed": "predictions.log.3.packed",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "predictions.log")
		w, err := NewWriter(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		conf, state := filepath.Join(t.TempDir(), "conf"), filepath.Join(t.TempDir(), "state")
		rotate := fmt.Sprintf("%s {\nsu %d %d\nrotate 9\ndaily\n%s\n}\n", path, os.Geteuid(), os.Getegid(), mode)
		if err := os.WriteFile(conf, []byte(rotate), 0o644); err != nil {
			t.Fatal(err)
		}
		for round := range rounds {
			later(w)
			for i := round * each; i < (round+1)*each; i++ {
				if err := w.Append([]byte(strings.TrimSpace(timedLine(fmt.Sprint(i), 1e9+float64(i))))); err != nil {
					t.Fatal(err)
				}
			}
			if round == rounds-1 {
				break
			}
			before, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(binary, "-f", "-s", state, conf).CombinedOutput(); err != nil {
				t.Fatalf("%q: %v: %s", mode, err, out)
			}
			dateBack(t, dir, before, 21+round)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if found, _ := filepath.Glob(filepath.Join(dir, want+"*")); len(found) == 0 {
			t.Errorf("%q: there is no %s", mode, want)
		}
		for _, pattern := range []string{"predictions.log", "predictions*.log"} {
			logs, err := Find("", []string{filepath.Join(dir, pattern)})
			if err != nil || len(logs) != 1 {
				t.Fatalf("%q: %q, %v", mode, logs, err)
			}
			for _, n := range []int{0, 1, each, each + 1, 3*each + 1, rounds * each} {
				got, found, err := readIDs(t.Context(), logs, n, 0)
				from := rounds*each - n
				if n == 0 {
					from = 0
				}
				if err != nil || !slices.Equal(got, numbered(from, rounds*each)) || len(found.Warnings(logs)) > 0 {
					t.Errorf("%q: the last %d of %s: %v, %q, %v", mode, n, pattern, got, found.Warnings(logs), err)
				}
			}
		}
	}
}

var date = regexp.MustCompile(`\d{10}|\d{8}`)

// dateBack gives what logrotate just moved aside the name of another day, since its clock is the
// machine's.
func dateBack(t *testing.T, dir string, before []os.DirEntry, day int) {
	t.Helper()
	at := time.Date(2001, 11, day, 0, 0, 0, 0, time.UTC)
	after, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range after {
		if slices.ContainsFunc(before, func(b os.DirEntry) bool { return b.Name() == e.Name() }) {
			continue
		}
		name := date.ReplaceAllStringFunc(e.Name(), func(text string) string {
			switch {
			case strings.Contains(text, "2001") || strings.HasPrefix(text, "100"): // compressed a day later
				return text
			case len(text) == 10:
				return fmt.Sprint(at.Unix())
			case text[4:] > "1231": // DDMMYYYY
				return at.Format("02012006")
			}
			return at.Format("20060102")
		})
		if err := os.Rename(filepath.Join(dir, e.Name()), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// put writes files into a folder, compressed as the ends of their names say.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		var b bytes.Buffer
		switch filepath.Ext(name) {
		case ".gz":
			z := gzip.NewWriter(&b)
			fmt.Fprint(z, text)
			z.Close()
		case ".zst":
			z, err := zstd.NewWriter(&b)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(z, text)
			z.Close()
		default:
			b.WriteString(text)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func timedLines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		b.WriteString(timedLine(fmt.Sprint(i), 1e9+float64(i)))
	}
	return b.String()
}

// Parts that were named by hand are read in order of their records. What is beside a log and is
// not read is named, once.
func TestHandMadeParts(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "predictions.log")
	put(t, dir, map[string]string{
		"predictions.log.zst": timedLines(0, 3), "predictions.log.old": timedLines(3, 6),
		"predictions.log-b.gz": timedLines(6, 9), "predictions.log~": timedLines(9, 12),
		"predictions.log-01122026": timedLines(12, 15), "predictions.log-30112025": timedLines(15, 18),
		"predictions.log.2": timedLines(18, 21), "predictions.log.1.gz": timedLines(21, 24),
		"predictions-20210101T000000.000000000Z.log": timedLines(24, 27), "predictions-20200101.log": timedLines(27, 30),
		"predictions.log": timedLines(30, 40),
		// Not read, and named:
		"predictions.log.bak":  timedLines(30, 35), // a copy
		"predictions.log.3.xz": "\xfd7zXZ\x00binary", "predictions.log.sha256": "0f3c  predictions.log\n",
		// Nothing to read:
		"predictions.log.empty": "", "predictions.log.empty.gz": "", "predictions-b.log": timedLine("other", 1e9),
	})
	if err := os.Mkdir(path+".d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path+".pipe", 0o644); err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "predictions.log.cut.gz")
	put(t, dir, map[string]string{filepath.Base(cut): timedLines(-1000, 0)})
	if info, err := os.Stat(cut); err != nil || os.Truncate(cut, info.Size()/2) != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 4, 17, 33, 40} {
		got, found, err := readIDs(t.Context(), Logs{path}, n, 100)
		want := numbered(40-n, 40)
		if n == 0 {
			want = numbered(0, 40)
			if i := slices.Index(got, "0"); i > 0 {
				got = got[i:] // what is left of the one that was cut
			} else {
				t.Errorf("%d records before the first", i)
			}
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("the last %d are %v, %v", n, got, err)
		}
		warnings := strings.Join(found.Warnings(Logs{path}), "\n")
		for _, name := range []string{"bak is a copy of", "3.xz was not read", "sha256 was not read", "d is not a file",
			"pipe is not a file", "cut.gz cannot be decompressed"} {
			needed := n == 0 || !strings.HasPrefix(name, "cut")
			if name = "predictions.log." + name; needed && strings.Count(warnings, name) != 1 {
				t.Errorf("the warnings do not say %q once: %s", name, warnings)
			}
		}
		if strings.Contains(warnings, "empty") || strings.Contains(warnings, "predictions-b") {
			t.Error(warnings)
		}
	}
	// Without an extension another log's name may begin with the log's.
	bare := t.TempDir()
	put(t, bare, map[string]string{"churn": timedLines(3, 5), "churn.gz": timedLines(0, 3), "churn-2": timedLines(7, 8)})
	got, _, err := readIDs(t.Context(), Logs{filepath.Join(bare, "churn")}, 0, 0)
	if err != nil || !slices.Equal(got, numbered(0, 5)) {
		t.Errorf("of churn: %v, %v", got, err)
	}
	// A log of which only such a part is left is found.
	alone := t.TempDir()
	put(t, alone, map[string]string{"predictions-7.log-20261128.gz": timedLines(0, 5)})
	logs, err := Find("", []string{filepath.Join(alone, "predictions*.log")})
	if got, _, err2 := readIDs(t.Context(), logs, 2, 0); err != nil || err2 != nil || !slices.Equal(got, numbered(3, 5)) {
		t.Errorf("of %q: %v, %v, %v", logs, got, err, err2)
	}
}

// A clock that is set back, or names that were changed, do not change the order of what serve
// moved aside.
func TestClockSetBack(t *testing.T) {
	for _, renamed := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "predictions.log")
		now := time.Date(2027, 11, 22, 0, 0, 0, 0, time.UTC)
		for part := range 12 {
			ts := now
			if renamed {
				ts = time.Unix(int64(1e9+part*10), 0)
			}
			var text strings.Builder
			for i := range 5 {
				text.WriteString(timedLine(fmt.Sprint(part*5+i), float64(ts.Unix()+int64(i))))
			}
			if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			if part == 11 {
				break // the log itself
			}
			name, err := rotatedName(path, now)
			if err != nil {
				t.Fatal(err)
			}
			if renamed && part == 2 {
				name = strings.Replace(name, "2027", "2029", 1)
			}
			if err := os.Rename(path, name); err != nil {
				t.Fatal(err)
			}
			if now = now.Add(24 * time.Hour); part == 4 {
				now = now.AddDate(-1, 0, 0) // the clock is set right
			} else if part == 8 {
				now = now.AddDate(2, 0, 0)
			}
		}
		for n := range 60 {
			got, _, err := readIDs(t.Context(), Logs{path}, n, 0)
			if err != nil || !slices.Equal(got, numbered((60-n)%60, 60)) {
				t.Errorf("renamed %v: the last %d are %v, %v", renamed, n, got, err)
			}
		}
	}
}

// Any number of parts and logs is read with few descriptors, compressed ones too.
func TestManyParts(t *testing.T) {
	dir := t.TempDir()
	const parts = 1334
	want := numbered(0, 2*parts)
	files := map[string]string{"predictions.log": ""}
	for i := range parts {
		name := fmt.Sprintf("predictions.log.%d", parts-i)
		switch {
		case i%5 == 0:
			name += ".gz"
		case i%5 == 1:
			name = fmt.Sprintf("predictions-%d.log", i) // another log
		}
		files[name] = timedLines(2*i, 2*i+2)
	}
	put(t, dir, files)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	few := limit
	few.Cur = uint64(descriptors(t) + maxOpen + 4) // one is opened before another is closed, and a folder is listed
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	logs, err := Find("", []string{filepath.Join(dir, "predictions*.log")})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 200, len(want)} {
		got, found, err := readIDs(t.Context(), logs, n, 0)
		if err != nil || !slices.Equal(got, want[(len(want)-n)%len(want):]) {
			t.Errorf("the last %d are %d, %+v, %v", n, len(got), found, err)
		}
	}
}

// descriptors returns the number after the highest open descriptor.
func descriptors(t *testing.T) int {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return int(f.Fd()) + 1
}

// A part that logrotate moves while it is read is found under its new name; one that is gone is
// an error that says so.
func TestPartsThatMove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "predictions.log")
	var want []string
	for i := range 3 * maxOpen {
		put(t, dir, map[string]string{fmt.Sprintf("predictions.log.%d", 3*maxOpen-i): timedLines(i, i+1)})
		want = append(want, fmt.Sprint(i))
	}
	read := func(change func(number int)) ([]string, error) {
		logs, err := Logs{path}.open()
		if err != nil {
			t.Fatal(err)
		}
		defer logs.close()
		for number := 3 * maxOpen; number > 0; number-- {
			change(number)
		}
		var got []string
		for _, s := range logs.logs[0] {
			text, err := io.ReadAll(s.reader(new(int64)))
			if err != nil {
				return got, err
			}
			r, err := Parse(text)
			if err != nil {
				return got, err
			}
			got = append(got, r.RequestID)
		}
		return got, nil
	}
	// As logrotate does, from the oldest on.
	got, err := read(func(n int) { os.Rename(fmt.Sprint(path, ".", n), fmt.Sprint(path, ".", n+1)) })
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("moved meanwhile: %v, %v", got, err)
	}
	_, err = read(func(n int) { os.Remove(fmt.Sprint(path, ".", n+1)) })
	if err == nil || !strings.Contains(err.Error(), "run this again") {
		t.Errorf("removed meanwhile: %v", err)
	}
}
