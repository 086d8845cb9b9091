//go:build linux && amd64

package crash_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// A crash is a run of a program that is repeated with each of its calls that change a
// file failing in turn, in each way that it can.
type crash struct {
	name     string
	from     string   // folder whose copy it starts with
	command  []string // the program and its arguments
	status   int      // without faults
	requests int      // number of predictions to request before it is stopped
}

// crashes is what all runs share, and their counts.
type crashes struct {
	*testing.T
	bin string
	env []string

	mu        sync.Mutex
	points    int
	powerCuts int
	faults    [full + 1]int // by mode
	answered  int
}

// TestCrashes makes every call that changes a file fail in every program, by signal 9 or
// by an error. Each file must then be as before or as after the run, and the next run must
// succeed without manual repair and leave nothing over. Code that writes and that no run
// reaches fails the test.
func TestCrashes(t *testing.T) {
	bin := programs.Build(t)
	if programs.RaceDetector {
		t.Skip("the programs make the same calls with the race detector as without: make test runs it")
	}
	covered := t.TempDir()
	c := &crashes{T: t, bin: programs.Build(t, "-cover", "-coverpkg=churn/..."),
		env: append(os.Environ(), "GOCOVERDIR="+covered)}
	if err := c.probe(); err != nil {
		need.Missing(t, "a process that it may trace: %v", err)
	}
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	w := newFixtures(c, hook.URL)
	t.Run("readers", func(t *testing.T) { c.testReaders(t, w) })
	t.Run("writers", func(t *testing.T) {
		for _, s := range w.writers() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				c.testCrash(t, s)
			})
		}
	})
	plain := &crashes{T: t, bin: bin, env: os.Environ()} // not built for coverage, which would write files
	t.Run("disks", func(t *testing.T) { plain.testDisks(t, w) })
	t.Run("all ways to write", func(t *testing.T) { wantAllWritesTried(t, covered) })
	t.Logf("%d points at which files are changed; faults there: %d kills, %d kills in the middle of a write, %d "+
		"input/output errors, %d full disks; %d power cuts; %d predictions answered, all in the log",
		c.points, c.faults[killed], c.faults[cutShort], c.faults[failed], c.faults[full], c.powerCuts, c.answered)
}

// probe returns an error if a process cannot be traced.
func (c *crashes) probe() error {
	r, err := c.run(&traced{dir: c.TempDir()}, []string{"generate", "--rows", "1"}, 0)
	if err == nil && (r.status != 0 || len(r.calls) == 0) {
		err = fmt.Errorf("generate under ptrace: status %d, %d calls: %s", r.status, len(r.calls), r.stderr)
	}
	return err
}

// A result is the outcome of a run besides files.
type result struct {
	*traced
	status         int
	stdout, stderr string
	answered       []string // the ids of predictions
}

// run runs a program in p.dir, without tracer if p is plain. With requests > 0 the program
// is serve, which gets that many.
func (c *crashes) run(p *traced, command []string, requests int) (r result, err error) {
	var out [2]*os.File
	for i := range out {
		if out[i], err = os.CreateTemp("", "churn-crash-"); err != nil {
			return r, err
		}
		defer os.Remove(out[i].Name())
		defer out[i].Close()
	}
	addr := ""
	command = append([]string{filepath.Join(c.bin, command[0])}, command[1:]...)
	if requests > 0 {
		if addr, err = programs.FreeAddress(); err != nil {
			return r, err
		}
		command = append(command, "--addr", addr)
	}
	r.traced = p
	started, ended := make(chan int, 1), make(chan error, 1)
	go func() {
		var err error
		if p.plain {
			r.status, err = p.runPlain(command, c.env, out[0], out[1], started)
		} else {
			r.status, err = p.run(command, c.env, out[0], out[1], started)
		}
		ended <- err
	}()
	if requests > 0 {
		r.answered, err = requestPredictions(addr, requests, started, ended)
	} else {
		err = <-ended
	}
	var texts [2][]byte
	for i, f := range out {
		var readErr error
		texts[i], readErr = os.ReadFile(f.Name())
		err = errors.Join(err, readErr)
	}
	r.stdout, r.stderr = string(texts[0]), string(texts[1])
	return r, err
}

// testCrash makes each call of one program's run fail.
func (c *crashes) testCrash(t *testing.T, s crash) {
	before := snapshot(t, s.from)
	plain := c.try(t, s, before, 0, noFault)
	clean := snapshot(t, plain.dir)
	plain.disk.note(len(plain.calls)+1, true)
	if plain.status != s.status || len(plain.calls) == 0 {
		t.Fatalf("without faults: status %d, want %d; %d calls: %s", plain.status, s.status, len(plain.calls), plain.stderr)
	}
	checker := &checker{T: t, crashes: c, crash: s, before: before, clean: clean}
	c.mu.Lock()
	c.points += len(plain.calls)
	c.mu.Unlock()
	for _, cut := range plain.disk.cuts {
		c.testPowerCut(t, checker, cut, plain)
	}
	tries, triggered := 0, 0
	for i, call := range plain.calls {
		for _, m := range []mode{killed, cutShort, failed, full} {
			if !m.appliesTo(call) {
				continue
			}
			r := c.try(t, s, before, i+1, m)
			if tries++; !r.triggered {
				continue // the threads ran in another order, without this call
			}
			triggered++
			checker.what = fmt.Sprintf("%s call %d, %s", m, i+1, r.calls[i])
			checker.check(r)
			c.mu.Lock()
			c.faults[m]++
			c.answered += len(r.answered)
			c.mu.Unlock()
			if t.Failed() {
				t.Fatalf("fault: %s\nstatus %d, %s", checker.what, r.status, r.stderr)
			}
			os.RemoveAll(r.dir)
		}
	}
	if triggered < tries*9/10 {
		t.Errorf("%d of %d faults were triggered", triggered, tries)
	}
}

// testPowerCut runs the program on what a power cut left of an earlier run.
func (c *crashes) testPowerCut(t *testing.T, k *checker, after powerCut, plain result) {
	dir := t.TempDir()
	after.left.write(t, dir)
	k.what = after.String()
	end := after.at > len(plain.calls)
	r := result{traced: &traced{dir: dir, mode: killed}}
	if slices.Contains(k.command, "batch") && end { // which syncs before it answers
		r.answered = plain.answered
	}
	if end {
		k.checkExit(plain, after.left)
	}
	k.check(r)
	c.mu.Lock()
	c.powerCuts++
	c.mu.Unlock()
	if t.Failed() {
		t.Fatalf("fault: %s", k.what)
	}
}

// try runs a program on a copy of its folder with one fault.
func (c *crashes) try(t *testing.T, s crash, before fileTree, at int, m mode) result {
	t.Helper()
	dir := t.TempDir()
	before.write(t, dir)
	p := &traced{dir: dir, at: at, mode: m}
	if m == noFault {
		var err error
		if p.disk, err = newDisk(dir); err != nil {
			t.Fatal(err)
		}
	}
	r, err := c.run(p, s.command, s.requests)
	if err != nil {
		t.Fatalf("%v, %s call %d: %v", s.command, m, at, err)
	}
	return r
}

// testReaders verifies that read-only commands change no file.
func (c *crashes) testReaders(t *testing.T, w *fixtures) {
	for _, command := range w.readers() {
		before := snapshot(t, w.full)
		r := c.try(t, crash{command: command}, before, 0, noFault)
		r.calls = slices.DeleteFunc(r.calls, func(c fileCall) bool { return c.name == "flock" })
		if len(r.calls) > 0 || !snapshot(t, r.dir).equal(before) {
			t.Errorf("%v changes files: %v", command, r.calls)
		}
		if strings.Contains(r.stderr, "unknown flag") {
			t.Errorf("%v: %s", command, r.stderr)
		}
	}
}

// A fileTree has the contents of the files below a folder, by path.
type fileTree map[string][]byte

func snapshot(t *testing.T, dir string) fileTree {
	t.Helper()
	w := fileTree{}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		w[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w fileTree) write(t *testing.T, dir string) {
	t.Helper()
	for name, content := range w {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

func (w fileTree) equal(other fileTree) bool {
	for name, content := range w {
		if !bytes.Equal(content, other[name]) {
			return false
		}
	}
	return len(w) == len(other)
}
