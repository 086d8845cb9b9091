package programs

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
	"churn/internal/testing/need"
)

// EnvCount returns the positive count in an environment variable, or usual without it.
func EnvCount(t *testing.T, variable string, usual int) int {
	t.Helper()
	return env(t, variable, usual, "a positive number", strconv.Atoi)
}

// EnvDuration returns the positive duration in an environment variable, or usual without it.
func EnvDuration(t *testing.T, variable string, usual time.Duration) time.Duration {
	t.Helper()
	return env(t, variable, usual, "a duration, such as 60s", time.ParseDuration)
}

func env[T int | time.Duration](t *testing.T, variable string, usual T, want string, parse func(string) (T, error)) T {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	x, err := parse(text)
	if err != nil || x <= 0 {
		t.Fatalf("%s=%s: want %s", variable, text, want)
	}
	return x
}

// A Loop is a folder that the programs of the loop work on. Its service is not started
// yet; NewService adds others on the same folder.
type Loop struct {
	*testing.T
	*Service
	Bin, Dir string
	Client   *http.Client
}

// NewLoop returns a loop with data and the models v1 and v2; v2 is current.
func NewLoop(t *testing.T, bin string) *Loop {
	t.Helper()
	l := EmptyLoop(t, bin)
	l.Fill()
	return l
}

// Fill makes the data and models of NewLoop.
func (l *Loop) Fill() {
	l.Helper()
	l.Run("generate")
	l.Run("prepare")
	l.Run("train", "--gate-f1", "0", "--version", "v1")
	l.Run("train", "--gate-f1", "0", "--version", "v2")
}

// EmptyLoop returns a loop without data.
func EmptyLoop(t *testing.T, bin string) *Loop {
	t.Helper()
	l := &Loop{T: t, Bin: bin, Dir: t.TempDir()}
	l.Client = &http.Client{Timeout: Patience, Transport: &http.Transport{MaxIdleConnsPerHost: Clients}}
	l.Service = l.NewService()
	return l
}

// Command returns a program with --dir and arguments, to be started.
func (l *Loop) Command(program string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(l.Bin, program), append([]string{"--dir", l.Dir}, args...)...)
}

// Run runs a program, which must succeed, and returns its standard output.
func (l *Loop) Run(program string, args ...string) string {
	l.Helper()
	status, out, err := l.Exec(program, args...)
	if status != 0 {
		l.Fatalf("%s %q: %v", program, args, err)
	}
	return string(out)
}

// Force runs train or evaluate, and makes the model current even if its gate rejects it. It
// returns the standard output.
func (l *Loop) Force(program string, args ...string) string {
	l.Helper()
	status, out, err := l.Exec(program, args...)
	if status == 1 {
		_, name, rejected := strings.Cut(err.Error(), "rollback --force ")
		if !rejected {
			l.Fatalf("%s %q: %v", program, args, err)
		}
		l.Run("rollback", "--force", strings.TrimSpace(name))
	} else if err != nil {
		l.Fatalf("%s %q: %v", program, args, err)
	}
	return string(out)
}

// Exec runs a program and returns its exit status, -1 for a signal. The error of any
// status but 0 has the standard error.
func (l *Loop) Exec(program string, args ...string) (status int, stdout []byte, err error) {
	cmd := l.Command(program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err = cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, &stderr)
	}
	return cmd.ProcessState.ExitCode(), stdout, err
}

// Path returns the path of a file in the folder.
func (l *Loop) Path(name string) string { return filepath.Join(l.Dir, name) }

// Current returns the name of the current model.
func (l *Loop) Current() string {
	l.Helper()
	return strings.TrimSpace(ReadFile(l.T, l.Path(registry.CurrentFile)))
}

// Card returns the path of the current model's card.
func (l *Loop) Card() string {
	l.Helper()
	return l.Path("models/" + registry.CardName(l.Current()))
}

// Models returns the names of the registered models, oldest first.
func (l *Loop) Models() []string {
	l.Helper()
	return ModelNames(l.T, l.Run("rollback", "--list", "--json"))
}

// ModelNames returns the names in a JSON list of registry entries.
func ModelNames(t *testing.T, list string) (names []string) {
	t.Helper()
	var models []struct {
		File string `json:"model_file"`
	}
	need.NoError(t, json.Unmarshal([]byte(list), &models))
	for _, m := range models {
		names = append(names, m.File)
	}
	return names
}

// Poll reports whether a condition becomes true in time. The interval grows from 1 to 20 ms.
func Poll(limit time.Duration, condition func() bool) bool {
	pause := time.Millisecond
	for deadline := time.Now().Add(limit); !condition(); pause = min(pause*5/4, 20*time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// WaitFor fails the test if a condition does not become true within Patience.
func (l *Loop) WaitFor(what string, condition func() bool) {
	l.Helper()
	if !Poll(Patience, condition) {
		l.Fatalf("%s: not within %v", what, Patience)
	}
}

// ReadFile returns the text of a file.
func ReadFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	need.NoError(t, err)
	return string(b)
}

// DeployFile returns the text of a file of deploy, which people copy.
func DeployFile(t *testing.T, name string) string {
	t.Helper()
	return ReadFile(t, filepath.Join(Root(t), "deploy", name))
}

// WriteFile is ReplaceFile that fails the test on an error.
func WriteFile(t *testing.T, path, text string) {
	t.Helper()
	need.NoError(t, ReplaceFile(path, text))
}

// ReplaceFile writes a file. What was at the path, a read-only file or a pipe, is removed first.
func ReplaceFile(path, text string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// Patience limits every wait: far more than a loaded machine needs.
const Patience = 20 * time.Second

// PageBlock returns the first code block of a language that contains a text, in a page such as docs/model.md.
func PageBlock(t *testing.T, page, language, text string) string {
	t.Helper()
	for rest, found := ReadFile(t, filepath.Join(Root(t), page)), true; found; {
		var block string
		if _, rest, found = strings.Cut(rest, "```"+language+"\n"); found {
			if block, rest, found = strings.Cut(rest, "```\n"); found && strings.Contains(block, text) {
				return block
			}
		}
	}
	t.Fatalf("%s has no block ```%s with %s", page, language, text)
	return ""
}
