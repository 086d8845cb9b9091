// Package programs builds and runs the seven binaries for the tests of whole programs.
package programs

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/internal/testing/need"

	"github.com/gofrs/flock"
)

var names = []string{"generate", "prepare", "train", "evaluate", "serve", "drift", "rollback"}

// Root returns the folder of go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}

// Build builds the binaries and returns their folder. The packages of a test run share
// one folder, where go build links only what has changed. With flags, such as -cover,
// the folder is the test's own.
//
// Run such tests with -count=1. The binaries are built by a child, and go test's cache
// does not see what a child reads: so the sources are read here too, but not those of
// libraries.
func Build(t *testing.T, flags ...string) string {
	t.Helper()
	root := Root(t)
	readSources(t, root)
	bin := t.TempDir()
	if len(flags) == 0 {
		var unlock func() error
		bin, unlock = sharedFolder(t, root)
		defer unlock()
	}
	cgo := "CGO_ENABLED=0"
	if RaceDetector {
		watchRaces(t)
		flags, cgo = append(flags, "-race"), "CGO_ENABLED=1"
	}
	CompileTo(t, root, bin, cgo, names, flags...)
	return bin
}

// CompileTo builds some of the binaries of a source tree into a folder.
func CompileTo(t *testing.T, root, bin, cgo string, names []string, flags ...string) {
	t.Helper()
	args := append([]string{"build", "-tags=validator_novalidatefn", "-o", bin + string(filepath.Separator)}, flags...)
	for _, name := range names {
		args = append(args, "./cmd/"+name)
	}
	build := exec.Command("go", args...)
	build.Dir, build.Env = root, append(os.Environ(), cgo)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
}

// sharedFolder returns the folder of the binaries of this source tree, locked.
// make clean removes it.
func sharedFolder(t *testing.T, root string) (bin string, unlock func() error) {
	t.Helper()
	bin = filepath.Join(root, "bin", fmt.Sprintf("tests-%d", os.Getuid()))
	if RaceDetector {
		bin += "-race"
	}
	need.NoError(t, os.MkdirAll(bin, 0o755))
	lock := flock.New(bin + ".lock")
	need.NoError(t, lock.Lock())
	return bin, lock.Unlock
}

// watchRaces fails the test for each data race that a program reports. All programs started
// with this environment write their reports into one folder, even if they are killed.
func watchRaces(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	// Without atexit_sleep_ms each program sleeps a second at its end.
	t.Setenv("GORACE", "log_path="+filepath.Join(dir, "race")+" atexit_sleep_ms=0")
	t.Cleanup(func() {
		reports, err := filepath.Glob(filepath.Join(dir, "race.*"))
		if err != nil {
			t.Error(err)
		}
		for _, name := range reports {
			report, err := os.ReadFile(name)
			t.Errorf("a program has a data race: %s %v", report, err)
		}
	})
}

// readSources reads what the binaries are built from, so that go test's cache notices a change.
func readSources(t *testing.T, root string) {
	embedded := []string{".html", ".css", ".js", ".svg"}
	read := func(path string) {
		if _, err := os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	read(filepath.Join(root, "go.mod"))
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			source := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
			if err == nil && !d.IsDir() && (source || slices.Contains(embedded, filepath.Ext(path))) {
				read(path)
			}
			return err
		})
		need.NoError(t, err)
	}
}

// FreeAddress returns an address of 127.0.0.1 with a port that was free a moment ago.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
