//go:build unix

package docs_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// elsewhere has the pages whose commands need more than the programs, and the tests that run them.
var elsewhere = map[string]string{"docs/warehouse.md": "TestDatabase"}

// TestCommands runs the commands of each page as they stand, but for the ports, in one shell and
// a folder of its own, and compares what they print with what the page shows.
func TestCommands(t *testing.T) {
	bin := programs.Build(t)
	for _, tool := range []string{"bash", "curl", "flock"} {
		need.Program(t, tool, tool)
	}
	for _, p := range readPages(t) {
		t.Run(p.name, func(t *testing.T) {
			if test, ok := elsewhere[p.name]; ok {
				t.Skipf("%s runs it", test)
			}
			runPage(t, p, bin)
		})
	}
}

// runPage runs the blocks of a page in one bash. The page may build the programs itself: then the
// folder is a copy of the sources.
func runPage(t *testing.T, p page, bin string) {
	dir := t.TempDir()
	ports := freePorts(t)
	script := "exec 2>&1\nset -eu\n"
	var run []block
	builds := false
	for _, b := range p.blocks {
		if b.language == "sh" || b.language == "run" {
			script += fmt.Sprintf("echo; echo '\x01%d'\n%s", len(run), b.text)
			builds = builds || strings.Contains(b.text, "make ")
			run = append(run, b)
		}
	}
	if len(run) == 0 {
		return
	}
	if builds {
		copySources(t, dir)
	}
	if err := os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS(filepath.Join(programs.Root(t), "deploy"))); err != nil {
		t.Fatal(err)
	}
	output := filepath.Join(t.TempDir(), "output")
	f, err := os.Create(output)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", strings.ReplaceAll(script, ":800", ":"+ports))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, f, f
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "TERM=dumb", "MONITORING_URL=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Run()
	if cmd.Process != nil {
		if left := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); left == nil {
			t.Errorf("%s leaves a program running", p.name)
		} else if !errors.Is(left, syscall.ESRCH) {
			t.Error(left)
		}
	}
	printed := strings.ReplaceAll(programs.ReadFile(t, output), ":"+ports, ":800")
	pieces := strings.Split(printed, "\n\x01")[1:]
	if err != nil {
		last := run[max(0, len(pieces)-1)]
		t.Errorf("%s:%d: %v\n%s\n%s", p.name, last.line, err, last.text, printed[max(0, len(printed)-4000):])
		return
	}
	for i, b := range run {
		_, got, _ := strings.Cut(pieces[i], "\n")
		if got += "\n"; b.output != "" && !alike(b.output, got) {
			t.Errorf("%s:%d:\n%s\nprints\n%sand the page shows\n%s", p.name, b.line, b.text, got, b.output)
		}
	}
}

var stamp = regexp.MustCompile(`_\d{8}_\d{6}`)

// alike reports whether an output is the one that a page shows, where … is any text of a line, or
// any lines if it is alone on its line. The times in names of models do not count.
func alike(shown, got string) bool {
	pattern := "^"
	for line := range strings.Lines(shown) {
		if strings.TrimSpace(line) == "…" {
			pattern += "(?:.*\n)*?"
			continue
		}
		line = strings.TrimRight(line, " \n")
		pattern += strings.ReplaceAll(regexp.QuoteMeta(stamp.ReplaceAllString(line, "_DATE_TIME")), "…", ".*") + " *\n"
	}
	return regexp.MustCompile(pattern + "\n*$").MatchString(stamp.ReplaceAllString(got, "_DATE_TIME"))
}

// freePorts returns the digits NNNN of ports of which NNNN0 to NNNN9 are free.
func freePorts(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr, err := programs.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(addr)
		ports := port[:len(port)-1]
		free := len(port) == 5
		for d := range 10 {
			l, err := net.Listen("tcp", "127.0.0.1:"+ports+strconv.Itoa(d))
			if err != nil {
				free = false
				continue
			}
			l.Close()
		}
		if free {
			return ports
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("no ten free ports")
	return ""
}

// copySources copies what make needs to build.
func copySources(t *testing.T, dir string) {
	t.Helper()
	root := programs.Root(t)
	for _, name := range []string{"cmd", "internal", "docs"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"data", "registry", "models", "logs"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "Makefile"} {
		programs.WriteFile(t, filepath.Join(dir, name), programs.ReadFile(t, filepath.Join(root, name)))
	}
}
