package programs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"churn/internal/testing/need"
)

// A Service is a serve process on a loop's folder with an address of its own. It may
// be killed and started again.
type Service struct {
	Loop   *Loop
	Addr   string
	Files  int       // limit of open files; 0: that of this process
	Group  string    // file of a cgroup to which serve adds itself; "": none
	Serve  *exec.Cmd // nil while it is not running
	Stderr string    // file with the standard error of all its runs
}

// NewService returns a service on the folder that is not started yet. It ends with the test.
func (l *Loop) NewService() *Service {
	l.Helper()
	addr, err := FreeAddress()
	need.NoError(l, err)
	s := &Service{Loop: l, Addr: addr, Stderr: filepath.Join(l.TempDir(), "stderr")}
	l.Cleanup(func() {
		if s.Serve != nil {
			s.Kill()
		}
	})
	return s
}

// Start starts serve and waits until it answers.
func (s *Service) Start(args ...string) {
	s.Loop.Helper()
	need.NoError(s.Loop, s.TryStart(args...))
}

// TryStart is Start for any goroutine.
func (s *Service) TryStart(args ...string) error {
	stderr, err := os.OpenFile(s.Stderr, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer stderr.Close() // serve has its own descriptor
	cmd := s.Loop.Command("serve", append([]string{"--addr", s.Addr}, args...)...)
	if s.Group != "" {
		cmd = exec.Command("sh", append([]string{"-c", `echo $$ >"$0" && exec "$@"`, s.Group}, cmd.Args...)...)
	}
	if s.Files > 0 {
		limited := []string{"-c", `ulimit -n "$0" && exec "$@"`, strconv.Itoa(s.Files)}
		cmd = exec.Command("sh", append(limited, cmd.Args...)...)
	}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	s.Serve = cmd
	if !Poll(Patience, func() bool { _, _, err := s.Send("/health", ""); return err == nil }) {
		text, _ := os.ReadFile(s.Stderr)
		return fmt.Errorf("serve does not answer: %s", text)
	}
	return nil
}

// Kill ends the service by signal 9.
func (s *Service) Kill() {
	s.Serve.Process.Kill() // an error means that it has ended
	s.Serve.Wait()         // the error is the signal
	s.Serve = nil
}

// Stop interrupts the service and checks that it exits with status 0.
func (s *Service) Stop() {
	s.Loop.Helper()
	err := s.Serve.Process.Signal(os.Interrupt)
	if err := errors.Join(err, s.Serve.Wait()); err != nil {
		s.Loop.Errorf("serve ended with %v", err)
	}
	s.Serve = nil
}

// An Event is a line of serve's standard error.
type Event struct {
	Level, Msg, Error string

	Line string // the whole line
}

// Events returns the lines of serve's standard error. Each must be JSON without control
// characters and without a panic.
func (s *Service) Events() (events []Event) {
	s.Loop.Helper()
	control := func(c rune) bool { return c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 }
	for line := range strings.Lines(ReadFile(s.Loop.T, s.Stderr)) {
		e := Event{Line: line}
		err := json.Unmarshal([]byte(line), &e)
		if err != nil || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), control) || strings.Contains(line, "panic") {
			s.Loop.Errorf("serve logged %q: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}

// Logged reports whether a text is in serve's standard error.
func (s *Service) Logged(text string) bool {
	s.Loop.Helper()
	return strings.Contains(ReadFile(s.Loop.T, s.Stderr), text)
}

// GoodCustomer is valid for every model of a loop.
const GoodCustomer = `{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,` +
	`"plan_type":"basic","region":"NA"}`

// Customer is GoodCustomer with a request_id.
func Customer(id string) string { return With("{", `{"request_id":"`+id+`",`) }

// With is GoodCustomer with its first old replaced by new.
func With(old, new string) string { return strings.Replace(GoodCustomer, old, new, 1) }

// Request sends a request and returns the whole answer. media is the Content-Type; "" sends none.
func Request(client *http.Client, method, url, media, body string) (status int, answer string, err error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// URL returns the address of a path.
func (s *Service) URL(path string) string { return "http://" + s.Addr + path }

// Send posts JSON, or sends a GET if body is empty.
func (s *Service) Send(path, body string) (status int, answer string, err error) {
	if body == "" {
		return Request(s.Loop.Client, "GET", s.URL(path), "", "")
	}
	return Request(s.Loop.Client, "POST", s.URL(path), "application/json", body)
}

// Post is Send that fails the test if there is no answer.
func (s *Service) Post(path, body string) (status int, answer string) {
	s.Loop.Helper()
	status, answer, err := s.Send(path, body)
	need.NoError(s.Loop, err)
	return status, answer
}

// Get is Post of an empty body, a GET.
func (s *Service) Get(path string) (status int, answer string) {
	s.Loop.Helper()
	return s.Post(path, "")
}

// An Answer is a prediction as a client received it.
type Answer struct {
	By             *Service
	ID, Model      string
	Sent, Received time.Time
}

// Predict requests a prediction. It returns an error if the service did not answer.
func (s *Service) Predict() (a Answer, err error) {
	a.By, a.Sent = s, time.Now()
	status, body, err := s.Send("/predict", GoodCustomer)
	a.Received = time.Now()
	if err != nil {
		return a, err
	}
	var r struct {
		ID    string `json:"request_id"`
		Model string `json:"model_version"`
	}
	if err := json.Unmarshal([]byte(body), &r); status != http.StatusOK || err != nil {
		s.Loop.Errorf("answer %d, %v: %s", status, err, body)
	}
	a.ID, a.Model = r.ID, r.Model
	return a, nil
}

// Memory returns a value of /proc/PID/status, such as VmRSS, in bytes.
func (s *Service) Memory(kind string) (bytes int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Serve.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), kind+":")
	_, err = fmt.Sscan(rest, &bytes)
	return bytes << 10, err
}

// Descriptors returns the number of open file descriptors, or -1 without /proc.
func (s *Service) Descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Serve.Process.Pid))
	if err != nil {
		return -1
	}
	return len(entries)
}
