//go:build unix

package hostile_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"churn/internal/testing/programs"

	"github.com/gofrs/flock"
)

// TestInterruptedWaits stops programs that wait for a pipe or a lock. They say what they wait for,
// end soon after the signal, and leave nothing behind.
func TestInterruptedWaits(t *testing.T) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // under nohup the programs would inherit that it is ignored
	defer signal.Stop(hangups)
	l := programs.EmptyLoop(t, programs.Build(t))
	l.Run("generate", "--rows", "300")
	l.Run("prepare")
	l.Force("train")
	if err := os.Mkdir(l.Path("logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	programs.WriteFile(t, l.Path("logs/predictions.log"), "")
	pipe := l.Path("pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	end := syscall.SIGTERM
	check := func(what, program string, args ...string) {
		t.Helper()
		cmd := l.Command(program, args...)
		stderr := l.Path(program + ".stderr")
		out, err := os.Create(stderr)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		cmd.Stderr = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if !programs.Poll(programs.Patience, func() bool {
			return strings.Contains(programs.ReadFile(t, stderr), program+": waiting for "+what)
		}) {
			t.Errorf("%s %q does not say what it waits for: %s", program, args, programs.ReadFile(t, stderr))
		}
		kill := time.AfterFunc(programs.Patience, func() { cmd.Process.Kill() })
		defer kill.Stop()
		start := time.Now()
		cmd.Process.Signal(end)
		cmd.Wait()
		if text := programs.ReadFile(t, stderr); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(text, "interrupted") {
			t.Errorf("%s %q: %v, %s", program, args, cmd.ProcessState, text)
		}
		if took := time.Since(start); took > 5*time.Second { // one second, and the machine may be busy
			t.Errorf("%s %q ended %v after the signal", program, args, took)
		}
		for _, dir := range []string{"data", "registry"} {
			entries, err := os.ReadDir(l.Path(dir))
			for _, e := range entries {
				if strings.Contains(e.Name(), ".tmp-") {
					err = &os.PathError{Op: program, Path: e.Name(), Err: os.ErrExist}
				}
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	everyone := func() {
		check(pipe, "prepare", "--in", pipe)
		check(pipe, "prepare", "--in", pipe, "--target", "churn")
		check(pipe, "prepare", "--log", l.Path("logs/*.log"), "--labels", pipe)
		check(pipe, "prepare", "--schema", pipe)
		check(pipe, "train", "--in", pipe)
		check(pipe, "evaluate", "--in", pipe)
	}
	everyone()
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0) // which does not wait for a reader
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	end = syscall.SIGHUP // a terminal was closed, or a connection to it lost
	everyone()
	lock := flock.New(l.Path("registry/prepare.lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	check(l.Path("registry/prepare.lock")+", which another process holds", "prepare")
}

// TestNohup sends SIGHUP to a program that was started to ignore it, as by nohup: it does its work.
func TestNohup(t *testing.T) {
	l := programs.EmptyLoop(t, programs.Build(t))
	l.Run("generate", "--rows", "300")
	cmd := l.Command("prepare", "--in", "-")
	nohup := exec.Command("sh", append([]string{"-c", `trap "" HUP; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)...)
	nohup.Dir, nohup.Env = cmd.Dir, cmd.Env
	in, err := nohup.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := nohup.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := nohup.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "waiting for") {
		t.Errorf("prepare says %q, %v", line, err)
	}
	nohup.Process.Signal(syscall.SIGHUP)
	time.Sleep(time.Second) // an interrupted program has ended by then
	fmt.Fprint(in, programs.ReadFile(t, l.Path("data/raw.csv")))
	in.Close()
	rest, _ := io.ReadAll(lines)
	if err := nohup.Wait(); err != nil {
		t.Errorf("prepare under nohup: %v, %s", err, rest)
	}
}

// TestPipes has programs read customers from pipes, as often as they need.
func TestPipes(t *testing.T) {
	l := programs.EmptyLoop(t, programs.Build(t))
	l.Run("generate", "--rows", "300")
	text := programs.ReadFile(t, l.Path("data/raw.csv"))
	l.Run("prepare", "--target", "churn")
	want := programs.ReadFile(t, l.Path("registry/schema.json")) + programs.ReadFile(t, l.Path("data/processed.csv"))
	l.Force("train")
	check := func(said, program string, args ...string) {
		t.Helper()
		cmd := l.Command(program, args...)
		cmd.Stdin = strings.NewReader(text)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil || !strings.Contains(stdout.String(), said) {
			t.Errorf("%s %q: %v, %s%s, want %q", program, args, err, &stdout, &stderr, said)
		}
	}
	for path, name := range map[string]string{"-": "standard input", "/dev/stdin": "/dev/stdin",
		"/dev/fd/0": "/dev/fd/0"} {
		check(name+": 300 customers read, 300 kept", "prepare", "--in", path, "--target", "churn")
		if got := programs.ReadFile(t, l.Path("registry/schema.json")) + programs.ReadFile(t,
			l.Path("data/processed.csv")); got != want {
			t.Errorf("--in %s gives another schema or other rows than the file", path)
		}
		check(name+": 300 customers read, 300 kept", "prepare", "--in", path)
		check("300 rows of "+name, "evaluate", "--in", path, "--gate-f1", "0")
	}
	status, _, err := l.Exec("prepare", "--in", "-", "--log", "x", "--labels", "/dev/stdin")
	if status != 2 || !strings.Contains(err.Error(), "which can be read once") {
		t.Errorf("two flags that say standard input: status %d, %v", status, err)
	}
}
