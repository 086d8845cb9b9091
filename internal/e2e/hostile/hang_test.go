//go:build unix

package hostile_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// wantEnd sends SIGTERM and verifies that serve ends within its promise.
func wantEnd(l *programs.Loop) {
	l.Helper()
	start := time.Now()
	process := l.Serve
	l.Serve = nil
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		l.Fatal(err)
	}
	killed := time.AfterFunc(2*programs.Patience, func() { process.Process.Kill() })
	process.Wait() // an error where a write was lost
	if took := time.Since(start); !killed.Stop() || took > 10*time.Second {
		l.Errorf("serve ended %v after SIGTERM", took)
	}
}

// Another process has the log's lock, and keeps it.
func TestHeldLog(t *testing.T) {
	flock := need.Program(t, "flock", "util-linux")
	l := programs.NewLoop(t, programs.Build(t))
	l.Start()
	l.Post("/predict", programs.Customer("first"))
	held := exec.Command(flock, l.Path("logs/.predictions.log.lock"), "-c", "echo locked; exec sleep 600")
	out, err := held.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	held.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // flock and its child
	if err := held.Start(); err != nil {
		t.Fatal(err)
	}
	release := sync.OnceFunc(func() { syscall.Kill(-held.Process.Pid, syscall.SIGKILL); held.Wait() })
	defer release()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}

	const why = "another process has held the log's lock for 2 s"
	want := func(code int, answer string, wantCode int, text string) {
		t.Helper()
		if code != wantCode || !strings.Contains(answer, text) {
			t.Errorf("%d %s, want %d with %q", code, answer, wantCode, text)
		}
	}
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			start := time.Now()
			code, answer, err := l.Send("/predict", programs.Customer(fmt.Sprint("held", i)))
			if took := time.Since(start); code != 503 || !strings.Contains(answer, why) || took > 5*time.Second {
				t.Errorf("after %v %d %s, %v", took, code, answer, err)
			}
		})
	}
	clients.Wait()
	start := time.Now()
	for i := range 300 { // more than may be in flight: none waits
		code, answer := l.Post("/predict", programs.Customer(fmt.Sprint("refused", i)))
		want(code, answer, 503, why)
	}
	for path, code := range map[string]int{"/health": 503, "/readyz": 503, "/livez": 200, "/models": 200} {
		got, answer := l.Get(path)
		if want(got, answer, code, ""); code == 503 {
			want(got, answer, code, why)
		}
	}
	code, answer := l.Get("/metrics")
	want(code, answer, 200, "\nchurn_log_writable 0\n")
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("%v for 305 answers while the log is known to hang", took)
	}
	release()
	l.WaitFor("ready again", func() bool { code, _ := l.Get("/readyz"); return code == 200 })
	l.Post("/predict", programs.Customer("last"))
	code, answer = l.Get("/metrics")
	want(code, answer, 200, "\nchurn_log_writable 1\n")
	if log := programs.ReadFile(t, l.Path("logs/predictions.log")); strings.Count(log, "\n") != 2 ||
		!strings.Contains(log, `"first"`) || !strings.Contains(log, `"last"`) {
		t.Errorf("the log has %q, want the two records that were answered", log)
	}
	l.Stop()
}

// SIGTERM ends serve while its log is held.
func TestHeldLogAndSigterm(t *testing.T) {
	l := programs.NewLoop(t, programs.Build(t))
	l.Start()
	l.Post("/predict", programs.Customer("first"))
	lock, err := os.OpenFile(l.Path("logs/.predictions.log.lock"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() { code, _, _ := l.Send("/predict", programs.Customer("held")); answered <- code }()
	l.WaitFor("a record waits", func() bool {
		_, metrics := l.Get("/metrics")
		return strings.Contains(metrics, "\nchurn_log_queue_records 1\n")
	})
	wantEnd(l)
	if code := <-answered; code != 503 {
		t.Errorf("a request that waited for the log got %d", code)
	}
	if log := programs.ReadFile(t, l.Path("logs/predictions.log")); strings.Contains(log, `"held"`) {
		t.Errorf("the log has %q", log)
	}
}

// Nobody reads serve's messages: the reader has gone, or does not read.
func TestUnreadMessages(t *testing.T) {
	l := programs.NewLoop(t, programs.Build(t))
	l.Run("train", "--gate-f1", "0", "--version", "v3")
	l.Stderr = l.Path("messages")
	reader := func() *os.File {
		t.Helper()
		if err := errors.Join(os.RemoveAll(l.Stderr), syscall.Mkfifo(l.Stderr, 0o600)); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(l.Stderr, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	gone := reader()
	l.Start()
	gone.Close()
	l.Run("rollback", "--reason", "test")
	for range 3 { // the first loads the model, and says so
		l.Post("/predict", programs.GoodCustomer)
	}
	if code, answer := l.Get("/models/current"); code != 200 || !strings.Contains(answer, l.Current()) {
		t.Errorf("after a rollback: %d %s", code, answer)
	}
	l.Stop()

	idle := reader()
	defer idle.Close()
	l.Start("--access-log")
	for range 2000 { // a pipe holds some 400 lines
		if code, _ := l.Get("/livez"); code != 200 {
			t.Fatalf("/livez answers %d", code)
		}
	}
	wantEnd(l)
}
