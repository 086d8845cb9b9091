package predlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// folder creates a folder of files, by name and text, and returns its path.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	const moved = "-20261122T193000.000000000Z"
	dir := folder(t, map[string]string{
		"logs/predictions.log": "", "logs/predictions.log.1": "", "logs/predictions.log.2": "",
		"logs/predictions" + moved + ".log": "",
		"logs/predictions-1.log":            "", "logs/predictions-1" + moved + ".log": "",
		"logs/predictions-1.log.1":            "",
		"logs/predictions-2.log.3":            "", // a log of a rotated file only
		"logs/predictions-3" + moved + ".log": "", // likewise
		"logs/predictions-2.log.gz":           "", "logs/predictions-2.log.0": "", "logs/predictions-2.log.x1": "",
		"logs/alerts.jsonl": "", "logs/other.log": "", "logs/xpredictions.log": "", "logs/predictions.txt": "",
		// A folder that looks like a pattern, and one that it would match.
		"[ab]/logs/predictions-1.log": "", "a/logs/predictions-1.log": "",
		"empty/logs/README.md": "",
	})
	in := func(folder string, names ...string) (logs Logs) {
		for _, name := range names {
			logs = append(logs, filepath.Join(dir, folder, "logs", name))
		}
		return logs
	}
	all := in("", "predictions-1.log", "predictions-2.log", "predictions-3"+moved+".log", "predictions.log")
	for _, c := range []struct {
		dir      string
		patterns []string
		want     Logs
	}{
		{dir, nil, all},
		{filepath.Join(dir, "[ab]"), nil, in("[ab]", "predictions-1.log")},
		{filepath.Join(dir, "empty"), nil, in("empty", "predictions.log")},
		{filepath.Join(dir, "nothing"), nil, in("nothing", "predictions.log")},
		{"elsewhere", []string{filepath.Join(dir, "logs", "predictions*.log")}, all},
		{"", []string{all[0], filepath.Join(dir, "logs", "pred*.log"), all[0]}, all},
		{"", []string{filepath.Join(dir, "[ab]", "logs", "predictions-1.log")}, in("a", "predictions-1.log")},
		{"", []string{filepath.Join(dir, "*", "logs", "predictions-1.log")},
			append(in("[ab]", "predictions-1.log"), in("a", "predictions-1.log")...)},
		{"", []string{all[3]}, all[3:]},
		{"", []string{all[3] + ".1"}, Logs{all[3] + ".1"}}, // a rotated file alone
		{"", []string{all[1]}, all[1:2]},                   // one that is being moved
	} {
		if got, err := Find(c.dir, c.patterns); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("Find(%q, %q)\n= %q, %v\nwant %q", c.dir, c.patterns, got, err, c.want)
		}
	}
	for pattern, want := range map[string]string{
		filepath.Join(dir, "logs", "nothing*.log"): "there is no such file",
		filepath.Join(dir, "nothing", "a.log"):     "there is no such file",
		filepath.Join(dir, "logs", "["):            "syntax error in pattern",
		filepath.Join(dir, "[", "a.log"):           "syntax error in pattern",
		"":                                         "there is no such file",
	} {
		if got, err := Find(dir, []string{all[0], pattern}); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "--log ") {
			t.Errorf("Find(%q) = %q, %v, want %q", pattern, got, err, want)
		}
	}
}

// A file with several names is read once.
func TestFilesAreReadOnce(t *testing.T) {
	dir := folder(t, map[string]string{
		"logs/predictions-1.log": timedLine("b", 2), "logs/predictions-1.log.1": timedLine("a", 1),
		"far/predictions-9.log": timedLine("d", 4), "far/predictions-9.log.1": timedLine("c", 3),
	})
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	for from, to := range map[string]string{"logs/predictions-2.log": "predictions-1.log",
		"logs/predictions-3.log": "../far/predictions-9.log"} {
		if err := os.Symlink(to, at(from)); err != nil {
			t.Skip(err)
		}
	}
	for _, name := range []string{"logs/predictions-4.log", "logs/predictions.log"} {
		if err := os.Link(at("logs/predictions-1.log"), at(name)); err != nil {
			t.Skip(err)
		}
	}
	logs, err := Find(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 4, 10} {
		if got, _, err := readIDs(t.Context(), logs, n, 0); err != nil || strings.Join(got, "") != "abcd" {
			t.Errorf("the last %d of %q: %q, %v", n, logs, got, err)
		}
	}
	if size, err := logs.Size(); err != nil || size != int64(4*len(timedLine("a", 1))) {
		t.Errorf("the size is %d, %v", size, err)
	}
}

// A log that was removed after it was found is an error only if there is no other.
func TestRemovedLogs(t *testing.T) {
	dir := folder(t, map[string]string{"a.log": timedLine("a", 1), "b.log": timedLine("b", 2)})
	logs, err := Find("", []string{filepath.Join(dir, "*.log")})
	if err != nil || len(logs) != 2 {
		t.Fatal(logs, err)
	}
	for i, want := range []string{"b", ""} {
		if err := os.Remove(logs[i]); err != nil {
			t.Fatal(err)
		}
		got, _, err := readIDs(t.Context(), logs, 0, 0)
		if strings.Join(got, "") != want || errors.Is(err, fs.ErrNotExist) != (want == "") {
			t.Errorf("with %d of 2 removed: %q, %v", i+1, got, err)
		}
	}
}

// Another file with a log's name is reported, and changes no result.
func TestFileThatIsNotALog(t *testing.T) {
	var ours strings.Builder
	for i := range 50 {
		ours.WriteString(timedLine("x", float64(i+1)))
	}
	for text, want := range map[string]bool{
		"notes\non\nlogs\n":                   true,
		"id,churn\na,1\nb,0\n":                true,
		"{\"request_id\":\"half":              true,
		strings.Repeat("x", maxLine+1) + "\n": true,
		strings.Repeat("x", maxLine+1):        true,
		strings.Repeat("\x00", 5000):          true,
		"":                                    false,
		"\n \n\n":                             false,
	} {
		dir := folder(t, map[string]string{"logs/predictions-1.log": ours.String(), "logs/predictions-notes.log": text})
		logs, err := Find(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 20, 50, 100} {
			got, found, err := readIDs(t.Context(), logs, n, 0)
			if err != nil || n > 0 && len(got) != min(n, 50) || (len(found.Skipped) > 0) != want {
				t.Errorf("the last %d with %.20q: %d records, %+v, %v", n, text, len(got), found, err)
			}
			if reported := strings.Contains(strings.Join(found.Warnings(logs), "\n"),
				"predictions-notes.log: none of its first lines is a record"); reported != want {
				t.Errorf("the warnings are %q", found.Warnings(logs))
			}
		}
	}
}

// While services write and rotate their logs, a reader finds each record that was there when
// it started once.
func TestLogsAreReadWhileTheyAreRotated(t *testing.T) {
	dir := t.TempDir()
	const services, before = 3, 50
	var wg sync.WaitGroup
	var stop atomic.Bool
	defer wg.Wait()
	defer stop.Store(true)
	for k := range services {
		w, err := NewWriter(filepath.Join(dir, "logs", fmt.Sprintf("predictions-%d.log", k)), Options{MaxSize: 3000})
		if err != nil {
			t.Fatal(err)
		}
		put := func(i int) error {
			return w.Append([]byte(strings.TrimSuffix(timedLine(fmt.Sprintf("%d-%d", k, i), float64(i+1)), "\n")))
		}
		for i := range before {
			if err := put(i); err != nil {
				t.Fatal(err)
			}
		}
		wg.Go(func() {
			defer w.Close()
			for i := before; !stop.Load() && i < 1500; i++ {
				if err := put(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 20 {
		logs, err := Find(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, found, err := readIDs(t.Context(), logs, 0, 0)
		if err != nil || found.Malformed > 0 || len(found.Skipped) > 0 {
			t.Fatalf("%+v, %v", found, err)
		}
		seen := map[string]int{}
		for _, id := range got {
			if seen[id]++; seen[id] > 1 {
				t.Fatalf("%s was read twice", id)
			}
		}
		for k := range services {
			for i := range before {
				if id := fmt.Sprintf("%d-%d", k, i); seen[id] == 0 {
					t.Fatalf("%s was not read", id)
				}
			}
		}
	}
}
