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
)

// times returns how often to do something: the default, or what the environment says.
func Times(t *testing.T, variable string, usual int) int {
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
func Lasting(t *testing.T, variable string, usual time.Duration) time.Duration {
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
type Loop struct {
	*testing.T
	*Service
	Bin, Dir string
	Client   *http.Client
}

func NewLoop(t *testing.T, bin string) *Loop {
	t.Helper()
	l := EmptyLoop(t, bin)
	l.Run("generate")
	l.Run("prepare")
	l.Run("train", "--gate-f1", "0", "--version", "v1")
	l.Run("train", "--gate-f1", "0", "--version", "v2")
	return l
}

// emptyLoop is a loop without data.
func EmptyLoop(t *testing.T, bin string) *Loop {
	t.Helper()
	l := &Loop{T: t, Bin: bin, Dir: t.TempDir()}
	l.Client = &http.Client{Timeout: Patience, Transport: &http.Transport{MaxIdleConnsPerHost: Clients}}
	l.Service = l.Another()
	return l
}

// command is a program on the folder.
func (l *Loop) Command(program string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(l.Bin, program), append([]string{"--dir", l.Dir}, args...)...)
}

// run runs a program on the folder, which must succeed.
func (l *Loop) Run(program string, args ...string) string {
	l.Helper()
	status, out, err := l.Ends(program, args...)
	if status != 0 {
		l.Fatalf("%s %q: %v", program, args, err)
	}
	return string(out)
}

// ends runs a program on the folder until it ends, and returns its status, -1 if
// it has none. The error of any but 0 has what it said.
func (l *Loop) Ends(program string, args ...string) (status int, stdout []byte, err error) {
	cmd := l.Command(program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	stdout, err = cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, &said)
	}
	return cmd.ProcessState.ExitCode(), stdout, err
}

func (l *Loop) Path(name string) string { return filepath.Join(l.Dir, name) }

// current returns the name of the current model.
func (l *Loop) Current() string {
	l.Helper()
	return strings.TrimSpace(ReadFile(l.T, l.Path(registry.CurrentFile)))
}

// card returns the path of the current model's card.
func (l *Loop) Card() string {
	l.Helper()
	return l.Path("models/" + registry.CardName(l.Current()))
}

// models returns the names of the registered models, the oldest first.
func (l *Loop) Models() []string {
	l.Helper()
	return ModelNames(l.T, l.Run("rollback", "--list", "--json"))
}

// modelNames returns those of a list of entries.
func ModelNames(t *testing.T, list string) (names []string) {
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
func Wait(limit time.Duration, come func() bool) bool {
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
func (l *Loop) Until(what string, come func() bool) {
	l.Helper()
	if !Wait(Patience, come) {
		l.Fatalf("%s: it does not come about in %v", what, Patience)
	}
}

func ReadFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// writeFile writes a file in place of what is there, be it read-only or no file.
func WriteFile(t *testing.T, path, text string) {
	t.Helper()
	if err := ReplaceFile(path, text); err != nil {
		t.Fatal(err)
	}
}

func ReplaceFile(path, text string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// patience bounds every wait: far more than a loaded machine needs.
const Patience = 20 * time.Second

// snippet returns README's block of a kind, the first one that has a text in it.
func Snippet(t *testing.T, kind, has string) string {
	t.Helper()
	for rest, found := ReadFile(t, filepath.Join(Root(t), "README.md")), true; found; {
		var block string
		if _, rest, found = strings.Cut(rest, "```"+kind+"\n"); found {
			if block, rest, found = strings.Cut(rest, "```\n"); found && strings.Contains(block, has) {
				return block
			}
		}
	}
	t.Fatalf("README has no block ```%s with %s", kind, has)
	return ""
}
