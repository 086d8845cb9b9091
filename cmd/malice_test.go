package cmd_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// What serve does with clients and files that mean it harm: it refuses them, goes
// on with all others, and says why. The files of this name have a theme each.

// attack is a loop whose service is asked badly.
type attack struct {
	*loop
	requests, files, slow int // bad ones, so far
}

// testMalice tries all there is. The slow clients of the end are cut off while
// the rest goes on.
func testMalice(t *testing.T, bin string) {
	a := &attack{loop: newLoop(t, bin)}
	part := func(name string, test func(*attack)) {
		t.Run(name, func(t *testing.T) {
			outer := a.T
			a.T = t
			defer func() { a.T = outer }()
			test(a)
		})
	}
	crowd := crowded(t, bin, a.dir)
	part("slow clients", testSlowClients)
	part("requests", testBadRequests)
	part("bodies", testBadBodies)
	part("logs", testLogInjection)
	part("tls", testTLSBytes)
	part("files", testBadFiles)
	part("keys", testKeyGuesses)
	crowd(t)
	t.Logf("malice: %d bad requests, %d bad files, %d slow clients, and the service went on after each", a.requests, a.files, a.slow)
}

// begin starts serve with its errors in a file, to be read by end.
func (a *attack) begin(args ...string) {
	a.Helper()
	if a.serve != nil {
		a.kill()
	}
	os.Remove(a.said) // of an earlier life
	a.start(append(args, "--access-log")...)
}

// end stops serve, which must be well, and returns the lines of its log.
func (a *attack) end() []string {
	a.Helper()
	a.stop()
	said, err := os.ReadFile(a.said)
	if err != nil {
		a.Fatal(err)
	}
	text := string(said)
	var lines []string
	for line := range strings.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(c rune) bool { return c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 }) {
			a.Errorf("a line of the log is no JSON object that prints: %q", line)
		}
		lines = append(lines, line)
	}
	if strings.Contains(text, "panic") {
		a.Errorf("serve panicked: %s", text)
	}
	return lines
}

// raw sends bytes and returns the answers, until the service closes the
// connection or has nothing more to say.
func (a *attack) raw(text string) (statuses []int, all string) {
	a.Helper()
	conn, err := net.Dial("tcp", a.addr)
	if err != nil {
		a.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
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
	got, answer := a.raw(request("POST", "/predict", goodCustomer))
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
	return slices.Collect(strings.Lines(readFile(a.T, a.path("logs/predictions.log"))))
}

// memory returns the most memory that a process has had, in bytes; 0 where the
// system does not tell, and with the race detector, which takes several times as much.
func memory(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	if raceDetector {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	var kilobytes int
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// descriptors counts what a process has open; -1 where the system does not tell.
func descriptors(cmd *exec.Cmd) int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
	if err != nil {
		return -1
	}
	return len(entries)
}

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("mkfifo", path).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v %s", err, out)
	}
}
