package cmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"churn/internal/registry"
)

// times returns how often to do something: the default, or what the environment says.
func times(t *testing.T, variable string, usual int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: want a number of times", variable, text)
	}
	return n
}

// lasting returns for how long to do something: the default, or what the environment says.
func lasting(t *testing.T, variable string, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("%s=%s: want a duration, such as 60s", variable, text)
	}
	return d
}

// loop is a folder with data and two models, and the programs to go on with. Its
// service is not started yet; others may join it on the folder.
type loop struct {
	*testing.T
	*service
	bin, dir string
	client   *http.Client
}

func newLoop(t *testing.T, bin string) *loop {
	t.Helper()
	l := emptyLoop(t, bin)
	l.run("generate")
	l.run("prepare")
	l.run("train", "--gate-f1", "0", "--version", "v1")
	l.run("train", "--gate-f1", "0", "--version", "v2")
	return l
}

// emptyLoop is a loop without data.
func emptyLoop(t *testing.T, bin string) *loop {
	t.Helper()
	l := &loop{T: t, bin: bin, dir: t.TempDir()}
	l.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	l.service = l.another()
	return l
}

// command is a program on the folder.
func (l *loop) command(program string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(l.bin, program), append([]string{"--dir", l.dir}, args...)...)
}

// run runs a program on the folder, which must succeed.
func (l *loop) run(program string, args ...string) string {
	l.Helper()
	status, out, err := l.ends(program, args...)
	if status != 0 {
		l.Fatalf("%s %q: %v", program, args, err)
	}
	return string(out)
}

// ends runs a program on the folder until it ends, and returns its status, -1 if
// it has none. The error of any but 0 has what it said.
func (l *loop) ends(program string, args ...string) (status int, stdout []byte, err error) {
	cmd := l.command(program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	stdout, err = cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, &said)
	}
	return cmd.ProcessState.ExitCode(), stdout, err
}

func (l *loop) path(name string) string { return filepath.Join(l.dir, name) }

// current returns the name of the current model.
func (l *loop) current() string {
	l.Helper()
	return strings.TrimSpace(readFile(l.T, l.path(registry.CurrentFile)))
}

// card returns the path of the current model's card.
func (l *loop) card() string {
	l.Helper()
	return l.path("models/" + registry.CardName(l.current()))
}

// models returns the names of the registered models, the oldest first.
func (l *loop) models() []string {
	l.Helper()
	return modelNames(l.T, l.run("rollback", "--list", "--json"))
}

// modelNames returns those of a list of entries.
func modelNames(t *testing.T, list string) (names []string) {
	t.Helper()
	var models []struct {
		File string `json:"model_file"`
	}
	if err := json.Unmarshal([]byte(list), &models); err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		names = append(names, m.File)
	}
	return names
}

// wait tells whether something comes true in time. It looks often at first, and less
// often at what takes a while.
func wait(limit time.Duration, come func() bool) bool {
	pause := time.Millisecond
	for deadline := time.Now().Add(limit); !come(); pause = min(pause*5/4, 20*time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// until waits for something to come true.
func (l *loop) until(what string, come func() bool) {
	l.Helper()
	if !wait(patience, come) {
		l.Fatalf("%s: it does not come about in %v", what, patience)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// writeFile writes a file in place of what is there, be it read-only or no file.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := replaceFile(path, text); err != nil {
		t.Fatal(err)
	}
}

func replaceFile(path, text string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
