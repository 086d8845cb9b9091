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

// An attack sends hostile input to the service of a loop.
type attack struct {
	*programs.Loop
	requests, badFiles, slow int // sent so far
}

// TestHostileInput sends hostile requests and files to serve. It must reject them with a
// reason and keep serving all other clients. The slow clients of exhaustDescriptors run
// beside the other tests.
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
	checkExhausted := exhaustDescriptors(t, bin, a.Dir)
	part("slow clients", testSlowClients)
	part("requests", testBadRequests)
	part("bodies", testBadBodies)
	part("logs", testLogInjection)
	part("tls", testTLSBytes)
	part("files", testBadFiles)
	part("keys", testKeyGuesses)
	checkExhausted(t)
	t.Logf("hostile input: %d bad requests, %d bad files, %d slow clients; the service answered after each", a.requests,
		a.badFiles, a.slow)
}

// begin starts serve with a new file for its standard error, which end reads.
func (a *attack) begin(args ...string) {
	a.Helper()
	if a.Serve != nil {
		a.Kill()
	}
	os.Remove(a.Stderr) // of an earlier run
	a.Start(append(args, "--access-log")...)
}

// end stops serve, which must exit with status 0, and returns what it logged.
func (a *attack) end() []programs.Event {
	a.Helper()
	a.Stop()
	return a.Events()
}

// raw sends bytes and returns the answers up to the end of the connection.
func (a *attack) raw(text string) (statuses []int, all string) {
	a.Helper()
	conn, err := net.Dial("tcp", a.Addr)
	if err != nil {
		a.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(programs.Patience))
	go func() { // the service may close the connection first
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

// rejected sends a bad request, which must get one answer with one of the statuses; 0
// stands for a connection that is closed without an answer.
func (a *attack) rejected(text string, statuses ...int) string {
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

// checkHealthy returns the answer to a valid request, which must be 200.
func (a *attack) checkHealthy() string {
	a.Helper()
	got, answer := a.raw(request("POST", "/predict", programs.GoodCustomer))
	if len(got) != 1 || got[0] != http.StatusOK {
		a.Fatalf("a valid request is answered %v %s", got, answer)
	}
	return answer
}

// request returns the bytes of a request.
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

// peakMemory returns the largest memory of serve in bytes; 0 without /proc, and with the
// race detector, which needs several times as much.
func peakMemory(s *programs.Service) int {
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
