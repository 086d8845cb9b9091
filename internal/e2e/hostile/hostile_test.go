package hostile_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/programs"
)

// What serve does with clients and files that mean it harm: it refuses them, goes
// on with all others, and says why. The files of this name have a theme each.

// attack is a loop whose service is asked badly.
type attack struct {
	*programs.Loop
	requests, badFiles, slow int // bad ones, so far
}

// TestHostileInput tries all there is. The slow clients of the end are cut off while
// the rest goes on.
func TestHostileInput(t *testing.T) {
	bin := programs.Build(t)
	a := &attack{Loop: programs.NewLoop(t, bin)}
	part := func(name string, test func(*attack)) {
		t.Run(name, func(t *testing.T) {
			outer := a.T
			a.T = t
			defer func() { a.T = outer }()
			test(a)
		})
	}
	crowd := crowded(t, bin, a.Dir)
	part("slow clients", testSlowClients)
	part("requests", testBadRequests)
	part("bodies", testBadBodies)
	part("logs", testLogInjection)
	part("tls", testTLSBytes)
	part("files", testBadFiles)
	part("keys", testKeyGuesses)
	crowd(t)
	t.Logf("malice: %d bad requests, %d bad files, %d slow clients, and the service went on after each", a.requests,
		a.badFiles, a.slow)
}

// begin starts serve with its errors in a file, to be read by end.
func (a *attack) begin(args ...string) {
	a.Helper()
	if a.Serve != nil {
		a.Kill()
	}
	os.Remove(a.Stderr) // of an earlier life
	a.Start(append(args, "--access-log")...)
}

// end stops serve, which must be well, and returns what it said.
func (a *attack) end() []programs.Event {
	a.Helper()
	a.Stop()
	return a.Events()
}

// raw sends bytes and returns the answers, until the service closes the
// connection or has nothing more to say.
func (a *attack) raw(text string) (statuses []int, all string) {
	a.Helper()
	conn, err := net.Dial("tcp", a.Addr)
	if err != nil {
		a.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(programs.Patience))
	go func() { // it may be cut off before all is sent
		io.WriteString(conn, text)
		conn.(*net.TCPConn).CloseWrite()
	}()
	answer, err := io.ReadAll(conn)
	if os.IsTimeout(err) {
		a.Errorf("%.100q: no end of the answer", text)
	}
	in := bufio.NewReader(bytes.NewReader(answer))
	for {
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses, string(answer)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return append(statuses, r.StatusCode), string(answer)
		}
		statuses = append(statuses, r.StatusCode)
	}
}

// refused sends a bad request and wants one of the statuses as its only answer; 0
// stands for a connection that is closed without one.
func (a *attack) refused(text string, statuses ...int) string {
	a.Helper()
	a.requests++
	got, answer := a.raw(text)
	if len(got) == 0 {
		got = []int{0}
	}
	if len(got) != 1 || !slices.Contains(statuses, got[0]) {
		a.Errorf("%.200q: answered %v %.300q, want one of %v", text, got, answer, statuses)
	}
	return answer
}

// well wants the service to answer a good request, and returns the answer.
func (a *attack) well() string {
	a.Helper()
	got, answer := a.raw(request("POST", "/predict", programs.GoodCustomer))
	if len(got) != 1 || got[0] != http.StatusOK {
		a.Fatalf("a good request is answered %v %s", got, answer)
	}
	return answer
}

// request is a whole one, with headers as lines.
func request(method, path, body string, headers ...string) string {
	text := method + " " + path + " HTTP/1.1\r\nHost: x.localhost\r\nConnection: close\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	if body != "" {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return text + "\r\n" + body
}

// records returns the lines of the log of predictions.
func (a *attack) records() []string {
	a.Helper()
	return slices.Collect(strings.Lines(programs.ReadFile(a.T, a.Path("logs/predictions.log"))))
}

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("mkfifo", path).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v %s", err, out)
	}
}

// peak returns the most memory that serve has had, in bytes; 0 where the system has no
// /proc, and with the race detector, which needs several times as much.
func peak(s *programs.Service) int {
	s.Loop.Helper()
	bytes, err := s.Memory("VmHWM")
	if programs.RaceDetector || errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		s.Loop.Fatal(err)
	}
	return bytes
}
