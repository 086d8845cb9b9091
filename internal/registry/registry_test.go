package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var evening = time.Date(2026, 11, 22, 19, 30, 0, 0, time.UTC)

// open returns the registry below dir. Its clock advances one second at each call.
func open(dir string) *Registry {
	var looks atomic.Int64
	r := Open(dir, verify)
	r.now = func() time.Time { return evening.Add(time.Duration(looks.Add(1)) * time.Second) }
	return r
}

func verify(model []byte) error {
	if !bytes.HasPrefix(model, []byte("valid")) {
		return errors.New("it is not valid")
	}
	return nil
}

func newEntry(version string, passed bool) Entry {
	return Entry{Version: version, TrainedAtUTC: evening.Format(time.RFC3339), DataFile: "data/processed.csv", Seed: 42,
		Metrics: Metrics{F1: 0.7}, GateF1: new(0.65), PassedGate: passed, TrainedBy: "train"}
}

// add registers a model, makes it current if it passed its gate, and returns its file name.
func add(t testing.TB, r *Registry, version string, passed bool) string {
	t.Helper()
	reason := ""
	if passed {
		reason = "passed its gate"
	}
	e, err := r.Add(t.Context(), []byte("valid "+version), "churn_model", newEntry(version, passed), reason)
	if err != nil {
		t.Fatal(err)
	}
	return e.ModelFile
}

func write(t testing.TB, path, text string) {
	t.Helper()
	os.Remove(path) // models are read-only
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// copyOf returns a copy of a folder.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// tree returns the files below dir with their contents, without the lock.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) == filepath.Base(lockFile) {
			return err
		}
		content := ""
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			content, _ = os.Readlink(path)
		case d.Type().IsRegular():
			content = SHA256([]byte(read(t, path)))
		}
		info, err := d.Info()
		fmt.Fprintf(&b, "%s %v %s\n", path[len(dir):], info.Mode(), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// wantSame checks that nothing below dir has changed.
func wantSame(t testing.TB, what, dir, before string) {
	t.Helper()
	after := tree(t, dir)
	for line := range strings.Lines(before) {
		if !strings.Contains(after, line) {
			t.Errorf("%s: removed: %s", what, line)
		}
	}
	for line := range strings.Lines(after) {
		if !strings.Contains(before, line) {
			t.Errorf("%s: added: %s", what, line)
		}
	}
}

// wantValid checks the invariants of a registry between two changes.
func wantValid(t testing.TB, dir string) {
	t.Helper()
	r := open(dir)
	entries, err := r.Entries()
	if err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.ModelFile] {
			t.Errorf("%s is registered twice", e.ModelFile)
		}
		seen[e.ModelFile] = true
		if b, err := r.ReadModel(e.ModelFile); err != nil || SHA256(b) != e.ModelSHA256 {
			t.Errorf("model %s: %q, %v, want the registered bytes", e.ModelFile, b, err)
		}
	}
	changes, err := r.History()
	if err != nil {
		t.Error(err)
	}
	last := ""
	for i, c := range changes {
		if c.From != last || c.To == c.From {
			t.Errorf("line %d of the journal is from %q to %q, the line before to %q", i+1, c.From, c.To, last)
		}
		last = c.To
	}
	if len(changes) > 0 {
		if got := read(t, r.path(CurrentFile)); got != last {
			t.Errorf("the pointer is %q, the last line of the journal is to %q", got, last)
		}
	}
	wantNoLeftovers(t, dir)
}

func wantNoLeftovers(t testing.TB, dir string) {
	t.Helper()
	for line := range strings.Lines(tree(t, dir)) {
		if strings.Contains(line, ".tmp-") || strings.HasPrefix(line, "/"+intentFile) {
			t.Errorf("leftover: %s", line)
		}
	}
	models, _ := os.ReadDir(filepath.Join(dir, Models))
	entries, _ := open(dir).Entries()
	if len(models) != len(entries) {
		t.Errorf("%d models, %d registered", len(models), len(entries))
	}
}

func TestEmptyRegistry(t *testing.T) {
	r := open(t.TempDir())
	if name, err := r.Current(); !errors.Is(err, ErrNoCurrent) {
		t.Errorf("Current() = %q, %v, want ErrNoCurrent", name, err)
	}
	if entries, err := r.Entries(); err != nil || len(entries) != 0 {
		t.Errorf("Entries() = %v, %v, want none", entries, err)
	}
	if changes, err := r.History(); err != nil || len(changes) != 0 {
		t.Errorf("History() = %v, %v, want none", changes, err)
	}
	if _, err := r.ReadModel("churn_model_v1.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadModel: %v, want ErrNotExist", err)
	}
}

func TestCurrentIsTheTextOfThePointer(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	os.Mkdir(filepath.Join(dir, "registry"), 0o755)
	check := func(text, want string) {
		t.Helper()
		write(t, r.path(CurrentFile), text)
		got, err := r.Current()
		if got != want || (err == nil) != (want != "") || errors.Is(err, ErrNoCurrent) {
			t.Errorf("Current() with %.40q in the file = %q, %v, want %q", text, got, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "current_model.txt: ") {
			t.Errorf("%q does not name the file", err)
		}
	}
	check("churn_model_v1_20261122_193000.json", "churn_model_v1_20261122_193000.json")
	check(" a.json\r\n", "a.json") // edited manually
	for _, text := range []string{"", "\n", "a.joblib", "../../etc/passwd", "../a.json", "/a.json", `..\a.json`,
		"C:a.json", "models/a.json",
		".a.json", "a.json\nb.json", "a\x00.json", strings.Repeat("a", 251) + ".json",
		strings.Repeat("a.json", 1<<18)} {
		check(text, "")
	}
}

func TestReadModelStaysInItsFolder(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	os.Mkdir(filepath.Join(dir, Models), 0o755)
	write(t, filepath.Join(dir, "secret.json"), "secret")
	write(t, filepath.Join(dir, Models, "good.json"), "valid")
	os.Mkdir(filepath.Join(dir, Models, "folder.json"), 0o755)
	os.Symlink("../secret.json", filepath.Join(dir, Models, "link.json"))
	os.Symlink("good.json", filepath.Join(dir, Models, "inner.json"))
	sparse(t, filepath.Join(dir, Models, "large.json"), MaxModelBytes+1)
	if b, err := r.ReadModel("good.json"); err != nil || string(b) != "valid" {
		t.Errorf("ReadModel(good.json) = %q, %v", b, err)
	}
	check := func(name, want string) {
		t.Helper()
		if b, err := r.ReadModel(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadModel(%q) = %.20q, %v, want %q", name, b, err, want)
		}
	}
	check("../secret.json", "is not the file name of a model")
	check(filepath.Join(dir, "secret.json"), "is not the file name of a model")
	check("folder.json", "folder.json is not a regular file")
	check("link.json", "link.json is not a regular file")
	check("inner.json", "inner.json is not a regular file")
	check("none.json", "none.json is missing")
	check("large.json", "large.json has 67108865 bytes, a model has at most 67108864")

	sparse(t, filepath.Join(dir, Models, "largest.json"), MaxModelBytes)
	if b, err := r.ReadModel("largest.json"); err != nil || len(b) != MaxModelBytes {
		t.Errorf("ReadModel(largest.json) = %d bytes, %v", len(b), err)
	}
}

// sparse writes a file of zeros that takes no space on disk.
func sparse(t testing.TB, path string, size int64) {
	t.Helper()
	os.Remove(path)
	f, err := os.Create(path)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRelativeHidesTheFolder(t *testing.T) {
	dir := t.TempDir()
	_, err := open(dir + "/").ReadModel("none.json")
	if got := open(dir + "/").Relative(fmt.Sprint(err)); strings.Contains(got, dir) || err == nil {
		t.Errorf("Relative(%v) = %q", err, got)
	}
}
